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

package streamapi

import (
	"context"
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// call is one request, or one subscription of a connection that has many.
type call struct {
	h    *Handler
	w    http.ResponseWriter
	r    *http.Request
	who  *caller.Caller
	at   route.Route
	verb string
}

// inspect is what shows answers unmasked.
var inspect = access.Right{Subresource: access.Inspect, Verb: access.Get}

// authorize answers 403 before 404: whether a host exists is for those who may look at it.
// A denial is recorded.
func (c *call) authorize(ctx context.Context, host hostcache.Key, right access.Right) error {
	if err := c.h.options.Authorizer.Authorize(ctx, c.who.User, host, right); err != nil {
		return c.denied(ctx, host, err)
	}
	if _, known := c.h.options.Hosts.State(host); known {
		return nil
	}
	err := c.h.options.Declared.Get(ctx, host, &dcv1.DockerHost{})
	switch {
	case apierrors.IsNotFound(err):
		return apistatus.HostNotFound(host)
	case err != nil:
		return err
	}
	return apistatus.HostUnavailable(host, dcv1.ReasonConnecting, "this replica has not connected to it yet")
}

// denied records a refusal. It stays one where the record cannot be written.
func (c *call) denied(ctx context.Context, host hostcache.Key, err error) error {
	if !isForbidden(err) {
		return err
	}
	record := c.record(host, audit.Object{Kind: "Container", Name: c.at.Object})
	record.Outcome, record.Reason = audit.Denied, "Forbidden"
	if recErr := c.h.options.Recorder.Record(context.WithoutCancel(ctx), record); recErr != nil {
		c.h.options.Log.Error(recErr, "A denial could not be recorded", "requestID", c.who.RequestID)
	}
	return err
}

func isForbidden(err error) bool {
	var status *apierrors.StatusError
	return errors.As(err, &status) && status.ErrStatus.Code == http.StatusForbidden
}

// record describes the call for the audit trail.
func (c *call) record(host hostcache.Key, object audit.Object) audit.Record {
	state, _ := c.h.options.Hosts.State(host)
	return audit.Record{
		Actor: c.who.Actor(), Source: c.who.Source, RequestID: c.who.RequestID, Verb: c.verb,
		Host:   audit.Host{Namespace: host.Namespace, Name: host.Name, UID: string(state.UID)},
		Object: object,
	}
}

// slot takes one of the caller's streams. It is for requests; subscriptions are counted by
// their connection.
func (c *call) slot() (release func(), err error) {
	name, streams := c.who.User.GetName(), c.h.options.Streams
	release, ok := streams.Acquire(name)
	if !ok {
		return nil, apistatus.TooManyRequests(apistatus.RetryAfter,
			"user %q has %d streams open, which is the most (--user-streams); end one", name, streams.Most())
	}
	return release, nil
}

// guard returns a context that ends when the caller loses one of the rights or the proof of
// who they are, and, where the stream can begin anew elsewhere, at shutdown.
func (c *call) guard(ctx context.Context, rights ...authz.Right) (guarded context.Context, stop func()) {
	ctx, unguard := c.h.options.Authorizer.Guard(ctx, c.who, rights...)
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		select {
		case <-c.h.options.Stopping:
			cancel(errStopping)
		case <-done:
		}
	}()
	return ctx, func() {
		close(done)
		cancel(nil)
		unguard()
	}
}

// errStopping is the end of streams at shutdown.
var errStopping = errors.New("this replica is shutting down; connect again")

// fail answers with an error.
func (c *call) fail(err error) {
	err = statusOf(err)
	var status *apierrors.StatusError
	if !errors.As(err, &status) && c.r.Context().Err() == nil {
		c.h.options.Log.Error(err, "A stream failed", "requestID", c.who.RequestID, "verb", c.verb, "host", c.at.Key())
	}
	apistatus.Write(c.w, err)
}

// statusOf turns what ends or prevents a stream into a Status.
func statusOf(err error) error {
	var tooMany *stream.LimitError
	switch {
	case errors.As(err, &tooMany):
		return apistatus.TooManyRequests(apistatus.RetryAfter, "%s", tooMany.Error())
	case errors.Is(err, authz.ErrRevoked):
		return apistatus.New(http.StatusForbidden, "Forbidden", "%s", authz.ErrRevoked)
	case errors.Is(err, authz.ErrExpired):
		return apistatus.Unauthorized(authz.ErrExpired.Error())
	case errors.Is(err, authz.ErrUnverified):
		return apistatus.Unavailable("%s", authz.ErrUnverified)
	case errors.Is(err, errStopping):
		return apistatus.Unavailable("%s", errStopping)
	case errors.Is(err, audit.ErrRefused):
		return apistatus.Unavailable("the audit trail cannot be written, so nothing was done; try again")
	}
	return apistatus.FromEngine(err)
}
