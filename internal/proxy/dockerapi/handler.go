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

package dockerapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
	"github.com/dockercontrol/dockercontrol/internal/proxy/target"
)

// Authorizer is *authz.Authorizer.
type Authorizer interface {
	Authorize(ctx context.Context, who user.Info, host authz.Host, right access.Right) error
	Allowed(ctx context.Context, who user.Info, host authz.Host, right access.Right) (bool, error)
	Guard(ctx context.Context, c *caller.Caller, rights ...authz.Right) (context.Context, func())
}

// Keys hands out the keys that sign exec ids: the first signs, all are accepted.
type Keys interface{ All() [][]byte }

// Limiter bounds the requests under way of each user.
type Limiter interface {
	// Acquire returns false where the user has too many; else release must be called.
	Acquire(user string) (release func(), ok bool)
}

// Handler serves the pass-through. All fields but Log are required.
type Handler struct {
	Hosts   target.Hosts
	Authz   Authorizer
	Audit   audit.Recorder
	Mask    Masker
	Keys    Keys
	Limit   Limiter
	Tunnels *Tunnels
	Log     logr.Logger
}

// exchange is one request with all that was found out about it.
type exchange struct {
	h      *Handler
	w      http.ResponseWriter
	r      *http.Request
	caller *caller.Caller
	key    hostcache.Key
	req    access.Request
	state  hostcache.State
	engine engine.Engine
	// rights are what the exchange lives by.
	rights []authz.Right
	// masked says that the answer goes through the mask.
	masked bool
	// execIn is the container of the exec that is started; "" for everything else.
	execIn string
	// body replaces the request's, where it was read to be judged.
	body []byte
	// begun is set once something of the answer was sent, whole once all of it was.
	begun, whole bool
	// detail is what is recorded of a session, of which forward learns more.
	detail audit.Detail
	// hijacked is set once the client's connection is a tunnel's.
	hijacked bool
}

// ServeHTTP serves a request whose context has a caller and a route.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{h: h, w: w, r: r, caller: caller.From(r.Context()), key: route.From(r.Context()).Key()}
	if err := x.serve(); err != nil {
		x.fail(err)
	}
}

// serve goes through the phases. An error before the answer began becomes a Status;
// after, the connection is reset.
func (x *exchange) serve() error {
	for _, phase := range []func(context.Context) error{x.classify, x.authorize, x.judgeFilters, x.find, x.judgeExec} {
		if err := phase(x.r.Context()); err != nil {
			return x.denied(err)
		}
	}
	release, ok := x.h.Limit.Acquire(x.caller.User.GetName())
	if !ok {
		return x.denied(apistatus.TooManyRequests(time.Second, "you have too many requests to engines under way; end some, or ask for a higher --max-passthrough"))
	}
	defer release()
	ctx, stop := x.h.Authz.Guard(x.r.Context(), x.caller, x.rights...)
	defer stop()
	if !recorded(x.req) {
		return x.forward(ctx)
	}
	err := audit.DoSession(ctx, x.h.Audit, x.record(), func(ctx context.Context, d *audit.Detail) error {
		err := x.forward(ctx)
		x.finishExec(ctx)
		*d = x.detail
		return err
	})
	if errors.Is(err, audit.ErrRefused) {
		return apistatus.Unavailable("the audit trail cannot be written, and nothing is changed without it: see the manager's log")
	}
	return err
}

func (x *exchange) classify(context.Context) error {
	if x.caller.Means == caller.Cookie {
		return apistatus.New(http.StatusForbidden, "Forbidden", "a browser's session does not reach the Docker API; send a bearer token or a client certificate")
	}
	var err error
	x.req, err = access.Classify(x.r.Method, route.From(x.r.Context()).Rest, x.r.URL.RawQuery, access.Headers{
		ContentType: x.r.Header.Values("Content-Type"), Upgrade: x.r.Header.Values("Upgrade"),
		ContentLength: x.r.ContentLength, TransferEncoding: x.r.TransferEncoding,
	})
	if err != nil {
		return apistatus.BadRequest("%s", err.Error())
	}
	metrics.Set(x.r.Context(), x.req.Right)
	return nil
}

func (x *exchange) authorize(ctx context.Context) error {
	if err := x.need(ctx, x.req.Right); err != nil {
		return err
	}
	if !x.req.Masked {
		return nil
	}
	inspect := access.Right{Subresource: access.Inspect, Verb: access.Get}
	allowed, err := x.h.Authz.Allowed(ctx, x.caller.User, x.key, inspect)
	if allowed {
		x.rights = append(x.rights, authz.Right{Host: x.key, Right: inspect})
	}
	x.masked = !allowed
	return err
}

// need authorizes, and lets the exchange live by the right.
func (x *exchange) need(ctx context.Context, right access.Right) error {
	x.rights = append(x.rights, authz.Right{Host: x.key, Right: right})
	return x.h.Authz.Authorize(ctx, x.caller.User, x.key, right)
}

func (x *exchange) find(context.Context) (err error) {
	x.engine, x.state, err = target.Find(x.h.Hosts, x.key)
	return err
}
