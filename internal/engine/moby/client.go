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
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// baseURL is the address in every request; the dialer ignores it. The name is
// the one the Docker SDK uses for engines without a host name.
const (
	baseScheme = "http"
	baseHost   = "api.moby.localhost"
)

// Reasons for which a call's context ends.
var (
	errClosed        = errors.New("the engine was closed")
	errHeaderTimeout = errors.New("no answer in time")
)

// client is one engine.
type client struct {
	name    string // the endpoint, for messages
	timeout time.Duration
	dialer  *dialer
	unary   *http.Transport
	streams *http.Transport
	carried *http.Transport
	// slots bounds the unary calls under way, those for the upkeep apart.
	slots chan struct{}

	// api is what was negotiated; nil before the first ping.
	api atomic.Pointer[api]

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
}

var _ engine.Engine = (*client)(nil)

// Connections returns how many connections to the engine are open, idle ones
// and hijacked ones included.
func (c *client) Connections() int { return c.dialer.conns.len() }

// Close ends every connection and what waits on them.
func (c *client) Close() error {
	c.cancel()
	c.dialer.close()
	c.unary.CloseIdleConnections()
	c.streams.CloseIdleConnections()
	c.carried.CloseIdleConnections()
	return nil
}

// unaryContext bounds a unary call by the configured timeout, extra time that
// the call is known to take, and Close.
func (c *client) unaryContext(ctx context.Context, extra time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(errClosed) })
	ctx, cancelTimeout := context.WithTimeout(ctx, c.timeout+extra)
	return ctx, func() {
		stop()
		cancelTimeout()
		cancel(nil)
	}
}

// streamContext ends with ctx, Close, or the returned function.
func (c *client) streamContext(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(errClosed) })
	return ctx, func(err error) {
		stop()
		cancel(err)
	}
}

// newRequest makes a request under the negotiated API version. body is sent as
// JSON unless it is an io.Reader; nil sends none.
func (c *client) newRequest(ctx context.Context, method, path string, query url.Values, body any) (*http.Request, error) {
	version, err := c.apiVersion(ctx)
	if err != nil {
		return nil, err
	}
	return c.newRawRequest(ctx, method, "/v"+version+path, query, body)
}

// newRawRequest is newRequest without the API version in the path.
func (c *client) newRawRequest(ctx context.Context, method, path string, query url.Values, body any) (*http.Request, error) {
	u := url.URL{Scheme: baseScheme, Host: baseHost, Path: path, RawQuery: query.Encode()}
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, engine.Errorf(engine.ClassInvalid, "", "the request cannot be written as JSON: %w", err)
		}
		reader = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), reader)
	if err != nil {
		return nil, engine.Errorf(engine.ClassInvalid, "", "the request is malformed: %w", err)
	}
	req.Header.Set("User-Agent", userAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// call makes a unary request and decodes its JSON answer into out, unless out is
// nil. ctx is from unaryContext.
func (c *client) call(ctx context.Context, method, path string, query url.Values, body, out any) error {
	req, err := c.newRequest(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	return c.roundTrip(c.unaryCalls(maxBodyBytes), req, out)
}

func (c *client) roundTrip(t apiTransport, req *http.Request, out any) error {
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	defer drain(resp.Body)
	if out == nil {
		return nil
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return c.decode(b, resp.Header, out)
}

// decode unmarshals an answer's body.
func (c *client) decode(b []byte, h http.Header, out any) error {
	if err := lenient(b, out); err != nil {
		return notDocker(c.name, h, err)
	}
	return nil
}

// lenient unmarshals JSON and leaves out fields of another type than expected:
// other implementations of the API differ in fields that matter little.
func lenient(b []byte, out any) error {
	err := json.Unmarshal(b, out)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) && mismatch.Field != "" {
		return nil
	}
	return err
}

// get is call with its own context.
func (c *client) get(ctx context.Context, path string, query url.Values, out any) error {
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	return c.call(ctx, http.MethodGet, path, query, nil, out)
}

// drain reads the little that may be left of a body before it is closed, so that
// its connection can be used again.
func drain(body io.Reader) { _, _ = io.CopyN(io.Discard, body, 4<<10) }

// checkID refuses what would change a URL's path, or is no id at all. Only names
// of images hold slashes.
func checkID(kind engine.Kind, id string) error {
	bad := id == "" || len(id) > maxIDBytes || strings.ContainsFunc(id, isControl)
	if kind != engine.Images {
		bad = bad || strings.Contains(id, "/")
	}
	for part := range strings.SplitSeq(id, "/") {
		bad = bad || part == "" || part == "." || part == ".."
	}
	if bad {
		return engine.Errorf(engine.ClassInvalid, "", "%q is not an id or a name of %s", printable(id, 100), kind)
	}
	return nil
}
