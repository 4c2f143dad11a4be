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

package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
)

const (
	// maxWatches a user and replica: the console has five a tab.
	maxWatches = 64
	// takeTimeout is how long a client may take to accept what a watch has for it.
	takeTimeout = 10 * time.Second
	// watchBuffer holds a read of a watch; larger events take several.
	watchBuffer = 16 << 10
)

// Why a watch was ended.
var (
	errExpired = errors.New("the caller's credentials have expired")
	errSlow    = errors.New("the kube-apiserver did not answer in time")
)

// watches counts the watches of each user.
type watches struct {
	mu    sync.Mutex
	count map[string]int
}

// enter counts a watch, unless the user has too many; leave must be called after.
func (w *watches) enter(user string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == nil {
		w.count = map[string]int{}
	}
	if w.count[user] >= maxWatches {
		return false
	}
	w.count[user]++
	return true
}

func (w *watches) leave(user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count[user]--; w.count[user] == 0 {
		delete(w.count, user)
	}
}

// serveWatch forwards a watch, and hands on what comes until one side has enough or the
// caller may not any more.
func (r *Relay) serveWatch(w http.ResponseWriter, req *http.Request, c *caller.Caller, q *Request) {
	user := c.User.GetName()
	if !r.watches.enter(user) {
		apistatus.Write(w, apistatus.TooManyRequests(apistatus.RetryAfter, "user %q has %d watches at this replica, which is the most; close some", user, maxWatches))
		return
	}
	defer r.watches.leave(user)
	defer metrics.Open(req.Context(), metrics.Relay)()

	guarded, stop := r.options.Guard(req.Context(), c)
	defer stop()
	ctx, cancel := context.WithCancelCause(guarded)
	defer cancel(nil)
	late := time.AfterFunc(unaryTimeout, func() { cancel(errSlow) })
	resp, err := r.forward(ctx, req.Header, c, q, nil)
	if !late.Stop() && err == nil { // too late: what comes is cut
		_ = resp.Body.Close() // nobody wants the rest
		err = r.unreachable(ctx, errSlow)
	}
	if err != nil {
		apistatus.Write(w, unheard(guarded, err))
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusForbidden {
		r.record(req.Context(), record(c, q, nil), audit.Denied, string(metav1.StatusReasonForbidden))
	}

	var reviewing sync.WaitGroup
	defer reviewing.Wait()
	defer cancel(nil) // before the wait
	reviewing.Go(func() { r.review(ctx, c, q, cancel) })
	if err := stream(ctx, w, resp); err != nil {
		r.options.Log.V(1).Info("A relayed watch was cut", "requestID", c.RequestID, "error", err.Error(), "cause", context.Cause(ctx))
		panic(http.ErrAbortHandler) // which the client cannot take for the end
	}
}

// unheard is err, unless it was the caller who may not wait for an answer any more.
func unheard(guarded context.Context, err error) error {
	why := context.Cause(guarded)
	if errors.Is(why, errExpired) || errors.Is(why, authz.ErrExpired) || errors.Is(why, authz.ErrRevoked) {
		return apistatus.Unauthorized(why.Error())
	}
	return err
}

// stream copies an answer and flushes it at each read, but nothing once ctx has ended. A nil
// error is the kube-apiserver's own end of it.
func stream(ctx context.Context, w http.ResponseWriter, resp *http.Response) error {
	control := http.NewResponseController(w)
	if err := errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})); err != nil {
		return err
	}
	copyHeader(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	if err := control.Flush(); err != nil {
		return err
	}
	buffer := make([]byte, watchBuffer)
	for {
		n, err := resp.Body.Read(buffer)
		if ctx.Err() != nil { // what had come before is read all the same
			return context.Cause(ctx)
		}
		if n > 0 {
			if err := put(w, control, buffer[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// put writes and flushes within takeTimeout. The deadline is taken back after it: over
// HTTP/2 it would end a stream that is merely quiet.
func put(w http.ResponseWriter, control *http.ResponseController, data []byte) error {
	if err := control.SetWriteDeadline(time.Now().Add(takeTimeout)); err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	return errors.Join(control.Flush(), control.SetWriteDeadline(time.Time{}))
}

// untilExpired ends a context when the caller's credentials do.
func untilExpired(ctx context.Context, c *caller.Caller) (context.Context, func()) {
	if c.Expires.IsZero() {
		return ctx, func() {}
	}
	ctx, cancel := context.WithDeadlineCause(ctx, c.Expires, errExpired)
	return ctx, cancel
}
