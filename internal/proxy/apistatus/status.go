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
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RetryAfter is how long a client should wait where the kube-apiserver or a host is
// away: a restart takes about as long.
const RetryAfter = 2 * time.Second

// New makes a failure of any code and reason.
func New(code int, reason metav1.StatusReason, format string, args ...any) *apierrors.StatusError {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: fmt.Sprintf(format, args...),
	}}
}

// Unauthorized says that nobody knows who asks: 401.
func Unauthorized(message string) *apierrors.StatusError {
	return apierrors.NewUnauthorized(message)
}

// BadRequest says what is wrong with a request: 400.
func BadRequest(format string, args ...any) *apierrors.StatusError {
	return New(http.StatusBadRequest, metav1.StatusReasonBadRequest, format, args...)
}

// NotFound says that something named is not there: 404.
func NotFound(format string, args ...any) *apierrors.StatusError {
	return New(http.StatusNotFound, metav1.StatusReasonNotFound, format, args...)
}

// NoRoute says that nothing is served at a path: 404.
func NoRoute(path string) *apierrors.StatusError {
	return NotFound("nothing is served at %s", strconv.QuoteToASCII(path))
}

// MethodNotAllowed names the methods that a path has: 405.
func MethodNotAllowed(allowed ...string) *apierrors.StatusError {
	err := New(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, "only %s is served here", strings.Join(allowed, ", "))
	err.ErrStatus.Details = &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: causeAllow, Message: strings.Join(allowed, ", ")}}}
	return err
}

// causeAllow is the cause whose message is the header Allow.
const causeAllow metav1.CauseType = "AllowedMethods"

// Unavailable says that something is away, and that trying again is worth it: 503.
func Unavailable(format string, args ...any) *apierrors.StatusError {
	return retry(New(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, format, args...), RetryAfter)
}

// TooManyRequests names a limit that was reached: 429.
func TooManyRequests(after time.Duration, format string, args ...any) *apierrors.StatusError {
	return retry(New(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, format, args...), after)
}

func retry(err *apierrors.StatusError, after time.Duration) *apierrors.StatusError {
	seconds := int32(min(math.Ceil(after.Seconds()), math.MaxInt32)) // earlier is in vain
	err.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: max(1, seconds)}
	return err
}

// Write answers with a Status. Errors of other types than *StatusError, and those whose
// code is no failure's, are 500s whose text stays here.
func Write(w http.ResponseWriter, err error) {
	var status *apierrors.StatusError
	if !errors.As(err, &status) || http.StatusText(int(status.ErrStatus.Code)) == "" || status.ErrStatus.Code < http.StatusBadRequest {
		status = New(http.StatusInternalServerError, metav1.StatusReasonInternalError, "internal error; the manager's log has it")
	}
	body := status.ErrStatus
	body.Status = metav1.StatusFailure
	body.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	h := w.Header()
	if d := body.Details; d != nil {
		if d.RetryAfterSeconds > 0 {
			h.Set("Retry-After", strconv.Itoa(int(d.RetryAfterSeconds)))
		}
		for _, cause := range d.Causes {
			if cause.Type == causeAllow {
				h.Set("Allow", cause.Message)
			}
		}
	}
	if body.Code == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	WriteJSON(w, int(body.Code), body)
}

// WriteJSON answers with a body that no cache keeps.
func WriteJSON(w http.ResponseWriter, code int, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache, private")
	w.WriteHeader(code)
	// Errors are the client's leaving: the types here always encode.
	_ = json.NewEncoder(w).Encode(body)
}
