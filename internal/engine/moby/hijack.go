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
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// session is a hijacked connection.
type session struct {
	c           *client
	ctx         context.Context
	cancel      context.CancelCauseFunc
	conn        net.Conn
	early       []byte // output that came with the header
	header      http.Header
	multiplexed bool
	once        sync.Once
}

var _ engine.Session = (*session)(nil)

// hijack posts body and takes the connection over. Engines answer 101 to the
// upgrade; old ones, and some in between, answer 200 and go on all the same.
func (c *client) hijack(ctx context.Context, path string, query url.Values, body any) (*session, error) {
	ctx, cancel := c.streamContext(ctx)
	timer := time.AfterFunc(c.timeout, func() { cancel(errHeaderTimeout) })
	s, err := c.upgrade(ctx, path, query, body)
	if err == nil && !timer.Stop() {
		_ = s.conn.Close()
		err = timeoutError(c.dialer.endpoint, errHeaderTimeout, true)
	}
	if err != nil {
		timer.Stop()
		cancel(nil)
		return nil, err
	}
	s.cancel = cancel
	context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	return s, nil
}

func (c *client) upgrade(ctx context.Context, path string, query url.Values, body any) (*session, error) {
	req, err := c.newRequest(ctx, http.MethodPost, path, query, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "tcp")
	conn, err := c.dialer.DialContext(ctx, "", "")
	if err != nil {
		return nil, c.callError(ctx, err, false)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	s, err := c.handOver(ctx, conn, req)
	if !stop() || err != nil {
		_ = conn.Close()
		if err == nil {
			err = ctx.Err()
		}
		return nil, c.callError(ctx, err, true)
	}
	return s, nil
}

// handOver writes the request and reads the answer's header.
func (c *client) handOver(ctx context.Context, conn net.Conn, req *http.Request) (*session, error) {
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	in := &meteredReader{r: conn, end: maxHeaderBytes}
	r := bufio.NewReader(in)
	resp, err := http.ReadResponse(r, req) //nolint:bodyclose // the session takes the connection over; statusError closes the others
	if err != nil {
		return nil, err
	}
	in.end = maxHeaderBytes + maxErrorBody
	mediaType := resp.Header.Get("Content-Type")
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols:
	case resp.StatusCode == http.StatusOK && strings.HasPrefix(mediaType, "application/vnd.docker."):
	case resp.StatusCode == http.StatusOK:
		return nil, notDocker(c.name, resp.Header, nil)
	default:
		resp.Request = req
		return nil, c.statusError(resp)
	}
	early := make([]byte, r.Buffered())
	if _, err := io.ReadFull(r, early); err != nil {
		return nil, err
	}
	return &session{c: c, ctx: ctx, conn: conn, early: early, header: resp.Header}, nil
}

// Read implements io.Reader; io.EOF is the end of the output.
func (s *session) Read(p []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(p, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	n, err := s.conn.Read(p)
	return n, s.mapError(err)
}

// Write implements io.Writer.
func (s *session) Write(p []byte) (int, error) {
	n, err := s.conn.Write(p)
	return n, s.mapError(err)
}

func (s *session) mapError(err error) error {
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, io.EOF):
		return s.c.callError(s.ctx, err, true)
	case s.ctx.Err() != nil: // the engine ended the session because we hung up
		return s.c.callError(s.ctx, s.ctx.Err(), true)
	}
	return err
}

// CloseWrite ends stdin and leaves output open.
func (s *session) CloseWrite() error {
	if cw, ok := s.conn.(interface{ CloseWrite() error }); ok {
		return s.mapError(cw.CloseWrite())
	}
	return nil
}

// Close ends the session.
func (s *session) Close() error {
	s.once.Do(func() {
		s.cancel(context.Canceled)
		_ = s.conn.Close()
	})
	return nil
}

// Multiplexed implements engine.Session.
func (s *session) Multiplexed() bool { return s.multiplexed }
