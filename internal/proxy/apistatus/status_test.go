/*
Copyright The Docker Control Platform Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package apistatus

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
)

var prod = types.NamespacedName{Namespace: "team", Name: "prod"}

// written is an error as a client gets it.
func written(t *testing.T, err error) (metav1.Status, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	Write(w, err)
	var status metav1.Status
	if jsonErr := json.Unmarshal(w.Body.Bytes(), &status); jsonErr != nil {
		t.Fatalf("%v is written as %q: %v", err, w.Body, jsonErr)
	}
	if int(status.Code) != w.Code || status.Kind != "Status" || status.APIVersion != "v1" || status.Status != metav1.StatusFailure {
		t.Errorf("%v is written as %d %s", err, w.Code, w.Body)
	}
	if h := w.Header(); h.Get("Content-Type") != "application/json" || !strings.Contains(h.Get("Cache-Control"), "no-cache") {
		t.Errorf("%v is written with the headers %v", err, h)
	}
	return status, w.Header()
}

func TestEachErrorIsAWholeStatus(t *testing.T) {
	read := access.Right{Subresource: access.Containers, Verb: access.Get}
	of := func(class engine.Class) error { return FromEngine(engine.Errorf(class, "", "the engine's words")) }
	for name, tc := range map[string]struct {
		err     error
		code    int32
		reason  metav1.StatusReason
		message string
		retry   string
	}{
		"unauthorized":   {Unauthorized("send a token"), 401, metav1.StatusReasonUnauthorized, "send a token", ""},
		"bad request":    {BadRequest("%q is no number", "x"), 400, metav1.StatusReasonBadRequest, `"x" is no number`, ""},
		"not found":      {NotFound("no %s", "job"), 404, metav1.StatusReasonNotFound, "no job", ""},
		"no route":       {NoRoute("/a\nb%s"), 404, metav1.StatusReasonNotFound, `"/a\nb%s"`, ""},
		"method":         {MethodNotAllowed("GET", "HEAD"), 405, metav1.StatusReasonMethodNotAllowed, "GET, HEAD", ""},
		"unavailable":    {Unavailable("away"), 503, metav1.StatusReasonServiceUnavailable, "away", "2"},
		"too many":       {TooManyRequests(90*time.Second, "slow"), 429, metav1.StatusReasonTooManyRequests, "slow", "90"},
		"not at once":    {TooManyRequests(0, "slow"), 429, metav1.StatusReasonTooManyRequests, "slow", "1"},
		"rounded up":     {TooManyRequests(1100*time.Millisecond, "slow"), 429, metav1.StatusReasonTooManyRequests, "slow", "2"},
		"for ever":       {TooManyRequests(1<<62, "slow"), 429, metav1.StatusReasonTooManyRequests, "slow", "2147483647"},
		"forbidden":      {Forbidden("ada", prod, read), 403, metav1.StatusReasonForbidden, `user "ada" cannot get dockerhosts/containers of "prod" in the namespace "team": a HostPermission with the role Viewer would give it`, ""},
		"of a namespace": {Forbidden("ada", types.NamespacedName{Namespace: "team"}, read), 403, metav1.StatusReasonForbidden, `of every host in the namespace "team": `, ""},
		"of all":         {Forbidden("ada", types.NamespacedName{}, read), 403, metav1.StatusReasonForbidden, "of every host: ", ""},
		"of no role":     {Forbidden("ada", prod, access.Right{Subresource: "x", Verb: "y"}), 403, metav1.StatusReasonForbidden, "no HostPermission gives it", ""},
		"no host":        {HostNotFound(prod), 404, metav1.StatusReasonNotFound, "no DockerHost prod in the namespace team", ""},
		"a host away":    {HostUnavailable(prod, "DialFailed", "refused"), 503, metav1.StatusReasonServiceUnavailable, "team/prod is not Ready (DialFailed): refused", "2"},
		"wrapped":        {fmt.Errorf("listing: %w", NotFound("no job")), 404, metav1.StatusReasonNotFound, "no job", ""},

		"engine: not found":   {of(engine.ClassNotFound), 404, metav1.StatusReasonNotFound, "the engine's words", ""},
		"engine: conflict":    {of(engine.ClassConflict), 409, metav1.StatusReasonConflict, "the engine's words", ""},
		"engine: invalid":     {of(engine.ClassInvalid), 400, metav1.StatusReasonBadRequest, "the engine's words", ""},
		"engine: timeout":     {of(engine.ClassTimeout), 504, metav1.StatusReasonTimeout, "the engine's words", "2"},
		"engine: server":      {of(engine.ClassServer), 502, metav1.StatusReasonInternalError, "the engine's words", ""},
		"engine: unreachable": {of(engine.ClassUnreachable), 503, metav1.StatusReasonServiceUnavailable, "the engine's words", "2"},
		"engine: auth":        {of(engine.ClassAuth), 503, metav1.StatusReasonServiceUnavailable, "the engine's words", "2"},
		"engine: forbidden":   {of(engine.ClassForbidden), 503, metav1.StatusReasonServiceUnavailable, "the engine's words", "2"},
		"engine: canceled":    {of(engine.ClassCanceled), 503, metav1.StatusReasonServiceUnavailable, "the engine's words", "2"},
		"engine: unheard-of":  {of("unheard-of"), 503, metav1.StatusReasonServiceUnavailable, "the engine's words", "2"},

		"another error":   {errors.New("dial tcp 10.0.0.1: refused"), 500, metav1.StatusReasonInternalError, "internal error", ""},
		"no error at all": {nil, 500, metav1.StatusReasonInternalError, "internal error", ""},
		"without a code":  {&apierrors.StatusError{ErrStatus: metav1.Status{Message: "x"}}, 500, metav1.StatusReasonInternalError, "internal error", ""},
		"a strange code":  {New(99999, "x", "x"), 500, metav1.StatusReasonInternalError, "internal error", ""},
		"no failure":      {New(200, "x", "x"), 500, metav1.StatusReasonInternalError, "internal error", ""},
		"half a Status":   {&apierrors.StatusError{ErrStatus: metav1.Status{Code: 410, Reason: metav1.StatusReasonGone, Message: "too old"}}, 410, metav1.StatusReasonGone, "too old", ""},
	} {
		status, header := written(t, tc.err)
		if status.Code != tc.code || status.Reason != tc.reason || !strings.Contains(status.Message, tc.message) || header.Get("Retry-After") != tc.retry {
			t.Errorf("%s is %d %s %q, to be retried after %q; want %d %s %q, %q", name,
				status.Code, status.Reason, status.Message, header.Get("Retry-After"), tc.code, tc.reason, tc.message, tc.retry)
		}
		if strings.Contains(status.Message, "10.0.0.1") {
			t.Errorf("%s tells what is not for the client: %s", name, status.Message)
		}
		if (tc.code == 401) != (header.Get("Www-Authenticate") != "") || (tc.code == 405) != (header.Get("Allow") != "") {
			t.Errorf("%s has the headers %v", name, header)
		}
	}
}

func TestDetailsNameTheHost(t *testing.T) {
	for name, err := range map[string]error{
		"forbidden": Forbidden("ada", prod, access.PrivilegedExec), "unavailable": HostUnavailable(prod, "DialFailed", "refused"), "not found": HostNotFound(prod),
	} {
		status, _ := written(t, err)
		if d := status.Details; d == nil || d.Group != access.Group || d.Kind != access.Resource || d.Name != "prod" {
			t.Errorf("%s has the details %+v", name, d)
		}
	}
}

func TestFromEngineLeavesOthers(t *testing.T) {
	plain, status := errors.New("x"), NotFound("x")
	both := fmt.Errorf("%w: %w", status, engine.Errorf(engine.ClassConflict, "", "y"))
	for _, err := range []error{nil, plain, status, both} {
		if got := FromEngine(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
