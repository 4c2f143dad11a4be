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
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Forward carries a request of somebody else's.
func (c *client) Forward(req *http.Request, long bool) (*http.Response, error) {
	transport := c.unaryCalls(0)
	if long {
		transport = apiTransport{c: c, base: c.carried}
	}
	var connected atomic.Bool
	ctx, cancel := c.streamContext(req.Context())
	leave, err := transport.enter(ctx)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	out := req.Clone(traced)
	out.URL.Scheme, out.URL.Host, out.Host = baseScheme, baseHost, baseHost
	resp, err := transport.base.RoundTrip(out)
	if err != nil {
		leave()
		err = c.callError(ctx, err, connected.Load())
		cancel(nil)
		return nil, err
	}
	resp.Body = &forwarded{ReadCloser: resp.Body, c: c, ctx: ctx, cancel: cancel, leave: leave}
	return resp, nil
}

// Dial opens a connection for a request that takes it over.
func (c *client) Dial(ctx context.Context) (net.Conn, error) {
	conn, err := c.dialer.DialContext(ctx, "", "")
	if err != nil {
		return nil, c.callError(ctx, err, false)
	}
	return conn, nil
}

// forwarded is the body of a forwarded answer: its errors are *engine.Error, and its
// Close frees the context.
type forwarded struct {
	io.ReadCloser
	c      *client
	ctx    context.Context
	cancel context.CancelCauseFunc
	leave  func()
}

// Read implements io.Reader; io.EOF is the answer's whole end.
func (f *forwarded) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = f.c.callError(f.ctx, err, true)
	}
	return n, err
}

// Close implements io.Closer.
func (f *forwarded) Close() error {
	defer f.leave()
	err := f.ReadCloser.Close()
	f.cancel(nil)
	return err
}

var _ engine.Forwarder = &client{}
