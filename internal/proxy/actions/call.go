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

package actions

import (
	"context"
	"errors"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
	"github.com/dockercontrol/dockercontrol/internal/proxy/target"
)

// call is one request on its way.
type call struct {
	a      *Actions
	w      http.ResponseWriter
	r      *http.Request
	ctx    context.Context
	line   *action
	who    *caller.Caller
	route  route.Route
	state  hostcache.State
	rights []access.Right
	eng    engine.Engine
}

// serve takes a request through all steps.
func (a *Actions) serve(w http.ResponseWriter, r *http.Request, line *action) {
	c := &call{a: a, w: w, r: r, ctx: r.Context(), line: line, who: caller.From(r.Context()), route: route.From(r.Context())}
	if c.who == nil || c.who.User == nil {
		apistatus.Write(w, apistatus.Unauthorized("nobody knows who sent this"))
		return
	}
	if len(line.rights) > 0 {
		metrics.Set(c.ctx, line.rights[0])
	}
	err := c.authorize(line.rights...)
	if err == nil && len(line.rights) > 0 {
		err = c.connect()
	}
	if err == nil {
		err = line.serve(a, c)
	}
	if err != nil {
		c.fail(err)
	}
}

// authorize reviews rights and remembers them; a denial is recorded.
func (c *call) authorize(rights ...access.Right) error {
	for _, right := range rights {
		if err := c.a.opts.Authorizer.Authorize(c.ctx, c.who.User, c.route.Key(), right); err != nil {
			return c.denied(err)
		}
	}
	c.rights = append(c.rights, rights...)
	return nil
}

// denied records a refusal. It stays one where the record cannot be written.
func (c *call) denied(err error) error {
	var status *apierrors.StatusError
	if !errors.As(err, &status) || status.ErrStatus.Code != http.StatusForbidden {
		return err
	}
	record := c.record("")
	record.Outcome, record.Reason = audit.Denied, "Forbidden"
	if record.Verb == "" {
		record.Verb = "get"
	}
	if recErr := c.a.opts.Recorder.Record(context.WithoutCancel(c.ctx), record); recErr != nil {
		c.a.opts.Log.Error(recErr, "A denial could not be recorded", "requestID", c.who.RequestID)
	}
	return err
}

// connect finds the host's engine.
func (c *call) connect() (err error) {
	c.eng, c.state, err = target.Find(c.a.opts.Hosts, c.route.Key())
	return err
}

// record describes the call for the audit trail; name is the object's where the path has
// none.
func (c *call) record(name string) audit.Record {
	if c.line.named {
		name = c.route.Object
	}
	return audit.Record{
		Actor: c.who.Actor(), Source: c.who.Source, RequestID: c.who.RequestID, Verb: c.line.verb,
		Host:   audit.Host{Namespace: c.route.Namespace, Name: c.route.Host, UID: string(c.state.UID)},
		Object: audit.Object{Kind: c.line.kind, Name: name},
	}
}

// do records, acts and records. It is for what is done within the request: the request's
// end does not cut short what an engine was told to do, whose outcome would be unknown.
func (c *call) do(name string, act func(ctx context.Context) error) error {
	ctx := context.WithoutCancel(c.ctx)
	// A stop may take its grace of up to an hour, and has an answer all the same: the server's
	// deadline is for how long the client takes over it.
	control := http.NewResponseController(c.w)
	_ = control.SetWriteDeadline(time.Time{})
	defer func() { _ = control.SetWriteDeadline(time.Now().Add(answerPatience)) }()
	return audit.Do(ctx, c.a.opts.Recorder, c.record(name), act)
}

// succeeded answers with a Status that names the object.
func (c *call) succeeded(name, id, message string) error {
	apistatus.WriteJSON(c.w, http.StatusOK, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess, Code: http.StatusOK, Message: message,
		Details: &metav1.StatusDetails{Group: access.EngineGroup, Kind: c.route.Segment, Name: name, UID: metav1UID(id)},
	})
	return nil
}

// fail answers with an error.
func (c *call) fail(err error) {
	err = statusError(err)
	var status *apierrors.StatusError
	if !errors.As(err, &status) && c.ctx.Err() == nil {
		c.a.opts.Log.Error(err, "An action failed", "requestID", c.who.RequestID, "verb", c.line.verb, "host", c.route.Key())
	}
	apistatus.Write(c.w, err)
}

// statusError turns the errors of engines and of the audit trail into a Status.
func statusError(err error) error { return apistatus.FromEngine(explained(err)) }

// explained is statusError but for the errors that an engine's class explains.
func explained(err error) error {
	switch {
	case errors.Is(err, audit.ErrRefused):
		return apistatus.Unavailable("the audit trail cannot be written, so nothing was done; try again")
	case errors.Is(err, audit.ErrOutcomeNotRecorded):
		return apistatus.New(http.StatusInternalServerError, metav1.StatusReasonInternalError,
			"the action was tried, but how it went could not be written to the audit trail; look whether it was done")
	case engine.CauseOf(err) == engine.CauseRegistryDenied:
		return apistatus.New(http.StatusForbidden, metav1.StatusReasonForbidden, "the registry refused: %s; name a Secret with credentials for it in pullSecret", err)
	}
	return err
}

// answerPatience is how long a client may take over an answer.
const answerPatience = time.Minute

// stopPatience bounds the grace that a request may ask for.
const stopPatience = time.Hour
