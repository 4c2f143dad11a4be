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
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/proxy/remotecommand"
	"github.com/dockercontrol/dockercontrol/internal/proxy/wsock"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

var sessionProtocols = []string{remotecommand.Protocol}

// sessionPatience is how long the client of a session may take nothing: somebody may hold
// the output of a terminal (Ctrl-S). kubectl gives up by itself after as long.
const sessionPatience = time.Minute

// owner spells a caller so that no two are equal.
func owner(who user.Info) string {
	if who.GetUID() == "" {
		return strconv.Quote(who.GetName())
	}
	return strconv.Quote(who.GetName()) + " " + strconv.Quote(who.GetUID())
}

// lastWords is how long the clients of sessions have, after these have ended at shutdown,
// to take what is left.
const lastWords = 2 * time.Second

var errSessionStopped = &remotecommand.CloseError{Code: wsock.GoingAway, Message: "the session was ended: this replica is shutting down; start a new one"}

var errTakenOver = &remotecommand.CloseError{Code: wsock.Policy, Message: stream.ErrReplaced.Error()}

// session is an exec or an attach, for as long as anybody can come to it.
type session struct {
	h            *Handler
	call         *call  // the one that began it
	id           string // of one that is kept
	kind         metrics.Stream
	rights       []authz.Right
	reattachable bool
	container    container
	detail       *audit.Detail
	record       *audit.Session
	closed       func() // of the gauge
	release      func() // of the caller's stream

	mu    sync.Mutex
	watch *watch // of the last connection; nil once the session has ended
	ended bool
	leave context.CancelCauseFunc // of the last connection
}

// watch is a guard that a connection and its session share: the session is watched on
// while it waits for the next connection, and the connection while it takes the last
// output.
type watch struct {
	ctx   context.Context
	users atomic.Int32
	stop  func()
}

// guardSession guards the caller, at shutdown too: sessions have time until they are ended.
// It is released twice.
func (c *call) guardSession(rights []authz.Right) *watch {
	w := &watch{}
	w.users.Store(2)
	w.ctx, w.stop = c.h.options.Authorizer.Guard(context.WithoutCancel(c.r.Context()), c.who, rights...)
	return w
}

func (w *watch) release() {
	if w.users.Add(-1) == 0 {
		w.stop()
	}
}

// onLoss calls fn when a right or the proof of who the caller is was lost.
func (w *watch) onLoss(fn func(why error)) (cancel func() bool) {
	return context.AfterFunc(w.ctx, func() {
		if why := context.Cause(w.ctx); !errors.Is(why, context.Canceled) { // which is release
			fn(why)
		}
	})
}

// serve begins the session and serves its first connection. What prevents it is said
// before the connection is taken over, where a client sees a Status.
func (s *session) serve(start func(ctx context.Context, in container) (*stream.ExecClient, error)) error {
	c := s.call
	release, err := c.slot()
	if err != nil {
		return err
	}
	s.release, s.closed = release, metrics.Open(c.r.Context(), s.kind)
	w := c.guardSession(s.rights)
	defer w.release()
	s.watch = w
	client, err := s.begin(w, start)
	if err != nil {
		s.unwatch()
		s.closed()
		s.release()
		return cause(w.ctx, err)
	}
	w.onLoss(func(error) { s.lost(w, client) })
	if !s.join(c, w, client) {
		client.Session().End(stream.ExecClosed) // nobody knows of it, nor can
	}
	return nil
}

// begin starts the session, for as long as its client waits and may.
func (s *session) begin(w *watch, start func(ctx context.Context, in container) (*stream.ExecClient, error)) (*stream.ExecClient, error) {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	defer context.AfterFunc(s.call.r.Context(), cancel)()
	var err error
	if s.container, err = s.h.container(ctx, s.call.at.Key(), s.call.at.Object); err != nil {
		return nil, err
	}
	return start(ctx, s.container)
}

// join serves one connection to its end. False: there was none to be had, and that was
// answered.
func (s *session) join(c *call, w *watch, client *stream.ExecClient) bool {
	defer client.Close()
	_ = conn.Patience(c.r, s.h.patience) // else the kernel's own, 30 s, holds
	ws, err := wsock.Accept(c.w, c.r, wsock.Options{Protocols: sessionProtocols, ReadLimit: remotecommand.MaxMessage, WriteTimeout: s.h.patience, Ping: s.h.ping})
	if err != nil {
		return false
	}
	s.h.open.Add(1)
	defer s.h.open.Done()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(c.r.Context()))
	defer cancel(nil)
	s.replace(cancel)
	defer w.onLoss(cancel)()
	defer context.AfterFunc(s.h.ending, func() { cancel(errSessionStopped) })()
	err = remotecommand.Serve(ctx, ws, &terminal{client: client, news: s.reattachable, exec: s.h.sessions.Options()})
	switch {
	case err == nil:
		client.Session().Forget() // its client knows all of it
	case wsock.Left(err):
		client.Quit()
	}
	return true
}

// replace ends the connection before, also one that is stuck.
func (s *session) replace(leave context.CancelCauseFunc) {
	s.mu.Lock()
	before := s.leave
	s.leave = leave
	s.mu.Unlock()
	if before != nil {
		before(errTakenOver)
	}
}

// lost ends the session whose caller may no more, unless another proof has taken the place
// of the one that was lost.
func (s *session) lost(w *watch, client *stream.ExecClient) {
	s.mu.Lock()
	current := s.watch == w
	s.mu.Unlock()
	if current {
		client.Session().End(stream.ExecRevoked)
	}
}

// unwatch ends the session's part in its guard.
func (s *session) unwatch() {
	s.mu.Lock()
	w := s.watch
	s.watch, s.ended = nil, true
	s.mu.Unlock()
	if w != nil {
		w.release()
	}
}

// watchBy puts the session under the guard of another connection. The one before is
// released; that of a session that has ended is, too.
func (s *session) watchBy(w *watch) {
	s.mu.Lock()
	before := s.watch
	if s.ended {
		before = w
	} else {
		s.watch = w
	}
	s.mu.Unlock()
	if before != nil {
		before.release()
	}
}
