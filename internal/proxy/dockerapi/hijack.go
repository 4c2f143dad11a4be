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
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
)

const (
	// maxHijackBody bounds what comes before a connection is taken over: an exec's start
	// is a hundred bytes.
	maxHijackBody = 1 << 20
	// maxHeader bounds an engine's header.
	maxHeader = 64 << 10
	// linger is how long a client may go on sending after the engine's end, so that its
	// last words do not make the kernel throw away what it has not read yet.
	linger = 2 * time.Second
	// tunnelPatience is how long somebody may hold the output of a terminal (Ctrl-S).
	tunnelPatience = time.Hour
)

// takeOver sends a request whose connection the engine may take over, and tunnels then.
func (x *exchange) takeOver(ctx context.Context) error {
	if x.r.ProtoMajor != 1 {
		return apistatus.New(http.StatusHTTPVersionNotSupported, "BadRequest", "this takes the connection over, which HTTP/2 has no way for; use HTTP/1.1")
	}
	// From here on: once the connection is taken over, the server's own end waits for it no more.
	ctx, leave := x.h.Tunnels.enter(ctx)
	defer leave()
	if err := x.readHijackBody(); err != nil {
		return err
	}
	upstream, err := x.engine.Dial(ctx)
	if err != nil {
		return cause(ctx, apistatus.FromEngine(err))
	}
	defer func() { _ = upstream.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = upstream.Close() })
	defer stop()
	resp, early, err := x.ask(ctx, upstream)
	if err != nil {
		return cause(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if !takesOver(resp) {
		return cause(ctx, x.answer(ctx, resp))
	}
	return x.tunnel(ctx, resp, upstream, early)
}

func (x *exchange) readHijackBody() error {
	if x.r.ContentLength == 0 || x.body != nil {
		return nil
	}
	if x.r.ContentLength < 0 && x.req.Upgrade == "" && len(x.r.TransferEncoding) == 0 {
		return nil
	}
	x.bodyDeadline()
	body, err := io.ReadAll(limit.Reader(x.w, x.r.Body, maxHijackBody))
	if errors.As(err, new(*http.MaxBytesError)) {
		return apistatus.New(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the body is longer than %d bytes", maxHijackBody)
	} else if err != nil {
		return apistatus.BadRequest("the body ended before its end")
	}
	x.body = body
	return nil
}

// ask writes the request and reads the answer's header. early is where the answer goes on.
func (x *exchange) ask(ctx context.Context, upstream net.Conn) (resp *http.Response, early *bufio.Reader, err error) {
	out := x.outgoing(ctx)
	if x.body == nil {
		out.Body, out.ContentLength = nil, 0
	}
	if x.req.Upgrade != "" {
		out.Header.Set("Connection", "Upgrade")
		out.Header.Set("Upgrade", x.req.Upgrade)
	}
	if x.req.Upgrade == "websocket" {
		pass(out.Header, x.r.Header, set(websocketHeaders...), nil)
	}
	_ = upstream.SetDeadline(time.Now().Add(headerPatience))
	if err := out.Write(upstream); err != nil {
		return nil, nil, brokenEngine(x, err)
	}
	limited := &io.LimitedReader{R: upstream, N: maxHeader}
	early = bufio.NewReader(limited)
	resp, err = http.ReadResponse(early, out)
	if err != nil {
		return nil, nil, brokenEngine(x, err)
	}
	limited.N = math.MaxInt64
	_ = upstream.SetDeadline(time.Time{})
	return resp, early, nil
}

func brokenEngine(x *exchange, err error) error {
	x.h.Log.V(1).Info("An engine's connection broke", "host", x.key.String(), "error", err.Error())
	return apistatus.FromEngine(engine.Errorf(engine.ClassUnreachable, engine.CauseDialFailed, "the connection to the engine of %s broke before it answered", x.key))
}

// takesOver tells whether the connection is raw from here on: after 101, and after the
// 200 that clients get which did not ask for an upgrade.
func takesOver(resp *http.Response) bool {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return true
	}
	return resp.StatusCode == http.StatusOK && isStreamType(resp.Header.Get("Content-Type")) &&
		resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
}

// tunnel hands the client's connection to the engine.
func (x *exchange) tunnel(ctx context.Context, resp *http.Response, upstream net.Conn, early *bufio.Reader) error {
	x.begin(resp)
	down, buffered, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return fmt.Errorf("taking the client's connection over: %w", err)
	}
	x.begun, x.hijacked = true, true
	// What net/http has read already, and then the connection itself: its own reader ends
	// the request's context at the end of the client's side, which is half an end only.
	ahead, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err != nil {
		return fmt.Errorf("taking the client's connection over: %w", err)
	}
	t := &tunnelled{r: x.r, down: down, in: io.MultiReader(bytes.NewReader(ahead), down), up: upstream, out: early}
	defer metrics.Open(ctx, metrics.Tunnel)()
	stop := context.AfterFunc(ctx, t.reset)
	defer stop()
	_ = down.SetDeadline(time.Time{})
	_ = conn.Patience(x.r, tunnelPatience)
	_ = conn.Fragile(x.r, true)
	if _, err := down.Write(x.head(resp)); err != nil {
		t.reset()
		return cause(ctx, clientGone{err})
	}
	err = t.run()
	x.detail.BytesOut, x.detail.BytesIn = t.sent, t.received
	if err != nil {
		t.reset()
		return cause(ctx, err)
	}
	_ = down.Close()
	return nil
}

// head spells the answer's header for a connection that net/http has let go of.
func (x *exchange) head(resp *http.Response) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", resp.StatusCode, http.StatusText(resp.StatusCode))
	h := x.w.Header().Clone()
	h.Del("Content-Length")
	if resp.StatusCode == http.StatusSwitchingProtocols {
		h.Set("Connection", "Upgrade")
		h.Set("Upgrade", resp.Header.Get("Upgrade"))
	} else {
		h.Set("Connection", "close")
	}
	_ = h.Write(&b) // a Buffer takes everything
	b.WriteString("\r\n")
	return b.Bytes()
}

// tunnelled is a client's and an engine's connection, joined.
type tunnelled struct {
	r    *http.Request
	down net.Conn  // the client
	in   io.Reader // what the client sends
	up   net.Conn  // the engine
	out  io.Reader // what the engine sends

	sent, received int64       // to the client, from it
	vanished       atomic.Bool // the client
}

// run copies both ways until the engine has ended. The error says what broke.
func (t *tunnelled) run() error {
	clientEnd := make(chan struct{})
	go func() { defer close(clientEnd); t.fromClient() }()
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	var err error
	t.sent, err = io.CopyBuffer(toClient{t.down}, onlyReader{t.out}, *buffer)
	if err != nil {
		if t.vanished.Load() {
			err = clientGone{err}
		}
		t.reset()
		<-clientEnd
		return err
	}
	_ = conn.Fragile(t.r, false)
	closeWrite(t.down)
	_ = t.down.SetReadDeadline(time.Now().Add(linger))
	<-clientEnd
	return nil
}

// fromClient carries the client's side to its end, and goes on reading when the engine
// takes no more.
func (t *tunnelled) fromClient() {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	n, err := io.CopyBuffer(onlyWriter{t.up}, onlyReader{t.in}, *buffer)
	t.received = n
	if err == nil {
		closeWrite(t.up)
		return
	}
	if _, readErr := io.CopyBuffer(onlyWriter{io.Discard}, onlyReader{t.in}, *buffer); readErr != nil {
		// The client vanished without a word: its session must not go on.
		t.vanished.Store(true)
		_ = t.up.Close()
	}
}

// reset ends both connections at once; the client's without a TLS close_notify.
func (t *tunnelled) reset() {
	_ = t.up.Close()
	_ = conn.Reset(t.r)
	_ = t.down.Close()
}

// onlyWriter hides ReadFrom, so that the buffer is used.
type onlyWriter struct{ io.Writer }

// toClient is onlyWriter where what fails is the client's failure, and not the engine's.
type toClient struct{ io.Writer }

// Write implements io.Writer.
func (w toClient) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = clientGone{err}
	}
	return n, err
}

// closeWrite ends one direction, where the connection can.
func closeWrite(c net.Conn) {
	if cw, ok := c.(interface{ CloseWrite() error }); ok {
		_ = cw.CloseWrite()
	}
}
