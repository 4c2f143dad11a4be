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
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
)

const (
	// patience is how long a client may take nothing of an answer, or send nothing of a
	// body: "docker logs | less" stands still while somebody reads.
	patience = 5 * time.Minute
	// headerPatience is how long an engine may take over an answer that is not followed:
	// stopping with a long grace, committing or pruning take minutes.
	headerPatience = 10 * time.Minute
)

// forward sends the request and carries the answer back.
func (x *exchange) forward(ctx context.Context) error {
	// Build and attach answer before the body has ended. Errors say that the protocol
	// does so anyway.
	_ = http.NewResponseController(x.w).EnableFullDuplex()
	if x.req.Hijacks {
		return x.takeOver(ctx)
	}
	if x.req.Streams {
		defer metrics.Open(ctx, metrics.Passthrough)()
		_ = conn.Patience(x.r, patience) // else the kernel's own, 30 s, holds
	}
	// Nothing is written while the engine takes its time, and the server's own deadline must
	// not end that, nor leave an answer none.
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !x.req.Streams {
		timer := time.AfterFunc(headerPatience, func() {
			cancel(apistatus.New(http.StatusGatewayTimeout, "Timeout", "the engine did not answer within %s", headerPatience))
		})
		defer timer.Stop()
	}
	resp, err := x.engine.Forward(x.outgoing(ctx), x.req.Streams)
	if err != nil {
		return cause(ctx, apistatus.FromEngine(err))
	}
	defer func() { _ = resp.Body.Close() }()
	return cause(ctx, x.answer(ctx, resp))
}

// cause prefers why a context was ended to what failed then.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// outgoing is the request as the engine gets it: the spelling that was judged.
func (x *exchange) outgoing(ctx context.Context) *http.Request {
	out := (&http.Request{
		Method: x.req.Method, Header: http.Header{}, ContentLength: x.r.ContentLength,
		URL: &url.URL{Scheme: "http", Host: engineHost, Opaque: "", RawQuery: x.req.Query},
		// The path goes out as it is written here.
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: engineHost,
	}).WithContext(ctx)
	setPath(out.URL, x.req.Path)
	pass(out.Header, x.r.Header, requestHeaders, requestPrefixes)
	if x.masked || x.req.ExecCreate { // it is read here
		out.Header.Del("Accept-Encoding")
		out.Header.Del("Range")
	}
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", "") // and not Go's own
	}
	switch {
	case x.body != nil:
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(x.body)), int64(len(x.body))
	case x.r.ContentLength != 0:
		out.Body = &requestBody{ReadCloser: x.r.Body, deadline: deadline{set: http.NewResponseController(x.w).SetReadDeadline}}
		out.Trailer = x.r.Trailer
	}
	return out
}

// engineHost is the host that engines are asked for; the connection decides where it is.
const engineHost = "api.moby.localhost"

// setPath makes u send exactly path, which is escaped as URL.EscapedPath does it.
func setPath(u *url.URL, path string) {
	decoded, err := url.PathUnescape(path)
	if err != nil { // it came out of access.Classify
		decoded = path
	}
	u.Path, u.RawPath = decoded, path
}

// requestBody reads the client's body, and moves the deadline for that on.
type requestBody struct {
	io.ReadCloser
	deadline deadline
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	b.deadline.move()
	return b.ReadCloser.Read(p)
}

// Close implements io.Closer. The server closes the body itself.
func (b *requestBody) Close() error { return nil }

func (x *exchange) bodyDeadline() {
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(patience))
}
