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

package moby

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const userAgent = "dockercontrol"

// apiTransport is where every HTTP answer passes, ours and the SDK's: it turns
// failures into *engine.Error, by status too, and bounds the body.
type apiTransport struct {
	c     *client
	base  *http.Transport
	limit int64 // of the body in bytes; 0 means none
	// slots bounds the calls under way at once, each until its answer's body is
	// closed; nil bounds none.
	slots chan struct{}
}

// unaryCalls are the short calls that anybody makes.
func (c *client) unaryCalls(limit int64) apiTransport {
	return apiTransport{c: c, base: c.unary, limit: limit, slots: c.slots}
}

// upkeepCalls are those by which the engine is watched: its one owner makes few of
// them at once, and they wait for nobody.
func (c *client) upkeepCalls(limit int64) apiTransport {
	return apiTransport{c: c, base: c.unary, limit: limit}
}

func (c *client) streamCalls() apiTransport { return apiTransport{c: c, base: c.streams} }

// RoundTrip implements http.RoundTripper.
func (t apiTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	leave, err := t.enter(req.Context())
	if err != nil {
		return nil, err
	}
	resp, err := t.send(req)
	if err != nil {
		leave()
		return nil, err
	}
	limit := t.limit
	if limit == 0 {
		limit = 1<<63 - 1
	}
	resp.Body = &body{ReadCloser: resp.Body, c: t.c, req: req, left: limit, leave: leave}
	return resp, nil
}

// enter waits for a slot and returns what gives it back.
func (t apiTransport) enter(ctx context.Context) (leave func(), err error) {
	if t.slots == nil {
		return func() {}, nil
	}
	select {
	case t.slots <- struct{}{}:
		return sync.OnceFunc(func() { <-t.slots }), nil
	case <-ctx.Done():
	}
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return nil, fail(engine.ClassTimeout, engine.CauseTimeout, ctx.Err(),
			"all %d connections for calls to %s stayed in use: raise spec.connection.maxConnections, or see what the engine hangs over",
			cap(t.slots), t.c.name)
	}
	return nil, t.c.callError(ctx, ctx.Err(), false)
}

// send makes the request; what is no success is an error.
func (t apiTransport) send(req *http.Request) (*http.Response, error) {
	var connected atomic.Bool
	ctx := req.Context()
	if deadline, ok := ctx.Deadline(); ok {
		ctx = context.WithValue(ctx, callDeadline{}, deadline)
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, t.c.callError(ctx, err, connected.Load())
	}
	if err := t.c.statusError(resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// body is an answer's body: bounded, and its errors are *engine.Error.
type body struct {
	io.ReadCloser
	c     *client
	req   *http.Request
	left  int64
	leave func() // gives back the call's slot
}

// Close ends the answer.
func (b *body) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.left <= 0 {
		return 0, tooMuch(b.c.name)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	ctx := b.req.Context()
	switch {
	case err == nil:
	case !errors.Is(err, io.EOF):
		err = b.c.callError(ctx, err, true)
	case ctx.Err() != nil: // the engine ended its answer because we hung up
		err = b.c.callError(ctx, ctx.Err(), true)
	}
	return n, err
}
