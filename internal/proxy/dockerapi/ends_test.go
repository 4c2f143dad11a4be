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
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
)

// TestNoAnswer: whoever gets none is told why, be it that the right to wait for one was lost,
// or that the engine broke after longer than the server gives its own answers; and one that
// comes as late as that is carried.
func TestNoAnswer(t *testing.T) {
	const answerTimeout = time.Second
	for name, tc := range map[string]struct {
		engine func(b *bed, c net.Conn)
		code   int
	}{
		"the right is revoked": {func(b *bed, _ net.Conn) { b.authz.revoke() }, http.StatusForbidden},
		"the engine dies late": {func(_ *bed, c net.Conn) { time.Sleep(2 * answerTimeout); _ = c.Close() }, http.StatusServiceUnavailable},
		"a late answer": {func(_ *bed, c net.Conn) {
			time.Sleep(2 * answerTimeout)
			_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}, http.StatusNoContent},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s HTTP/2:%t", name, http2), func(t *testing.T) {
				t.Parallel()
				b := newBed(t)
				b.engine.HandleFunc("POST /containers/a/stop", func(w http.ResponseWriter, _ *http.Request) {
					c, _, _ := http.NewResponseController(w).Hijack()
					t.Cleanup(func() { _ = c.Close() })
					tc.engine(b, c)
				})
				b.server.Close()
				b.server = httptest.NewUnstartedServer(http.HandlerFunc(b.serve))
				b.server.EnableHTTP2, b.server.Config.WriteTimeout, b.server.Config.ConnContext = http2, answerTimeout, conn.Context
				b.server.StartTLS()
				t.Cleanup(b.server.Close)
				b.client.Transport.(*http.Transport).ForceAttemptHTTP2 = http2
				resp, body, err := b.try("ada", "POST", "/containers/a/stop", "")
				if err != nil || resp.StatusCode != tc.code || (resp.ProtoMajor == 2) != http2 {
					t.Errorf("got %v %q, %v; want %d", resp, body, err, tc.code)
				}
			})
		}
	}
}

// noted is an answer that notes its last deadline.
type noted struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (w *noted) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

// TestQuietAnswers: no deadline waits for what is followed and silent, which would be its end
// over HTTP/2.
func TestQuietAnswers(t *testing.T) {
	w := &noted{ResponseRecorder: httptest.NewRecorder()}
	x := &exchange{w: w, r: httptest.NewRequest(http.MethodGet, "/events", nil), req: access.Request{Streams: true}}
	s := x.stream(t.Context(), http.StatusOK)
	defer s.close()
	s.head()
	if !w.deadline.IsZero() {
		t.Errorf("after the head the deadline is in %s", time.Until(w.deadline))
	}
	if _, err := s.Write([]byte("event")); err != nil || w.Body.String() != "event" || !w.deadline.IsZero() {
		t.Errorf("after %q, %v the deadline is in %s", w.Body, err, time.Until(w.deadline))
	}
}

// TestTunnelsAreCut: by a revoked right, a lost host and the end of the drain; none looks
// like an end.
func TestTunnelsAreCut(t *testing.T) {
	for name, cut := range map[string]func(b *bed){
		"the right is revoked": func(b *bed) { b.authz.revoke() },
		"the host is lost":     func(b *bed) { _ = b.hosts.engine.Close() },
		"the drain ends": func(b *bed) {
			ctx, cancel := context.WithCancel(b.t.Context())
			cancel()
			if n := b.Tunnels.Drain(ctx); n != 1 {
				b.t.Errorf("the drain ended %d tunnels", n)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.engine.HandleFunc("POST /containers/a/attach", hijack("101 UPGRADED", func(c *net.UnixConn, _ io.Reader) {
				_, _ = io.WriteString(c, "hello")
				_, _ = io.Copy(io.Discard, c)
			}))
			_, r, _ := b.raw("ada", "/containers/a/attach", "Connection", "Upgrade", "Upgrade", "tcp")
			if _, err := io.ReadFull(r, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			cut(b)
			if n, err := io.ReadAll(r); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("got %q, %v; want a cut", n, err)
			}
			eventually(t, "no tunnel left", func() bool { return b.Tunnels.Len() == 0 })
		})
	}
}

// TestVanishedClientOnRecord: it is no failure of the engine's, whichever way it shows.
func TestVanishedClientOnRecord(t *testing.T) {
	for name, script := range map[string]func(*net.UnixConn){
		"of a process that waits": func(c *net.UnixConn) { _, _ = io.Copy(io.Discard, c) },
		"of one that writes":      func(c *net.UnixConn) { _, _ = io.Copy(c, zeros{}) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.engine.HandleFunc("POST /containers/a/attach", hijack("101 UPGRADED", func(c *net.UnixConn, _ io.Reader) { script(c) }))
			c, _, _ := b.raw("ada", "/containers/a/attach", "Connection", "Upgrade", "Upgrade", "tcp")
			tcp := c.NetConn().(*net.TCPConn)
			_ = tcp.SetLinger(0)
			_ = tcp.Close()
			eventually(t, "the end is on record", func() bool { return len(b.lines()) == 2 })
			if end := b.lines()[1]; end != "ada attach Container a failed Canceled" {
				t.Errorf("on record is %q", end)
			}
		})
	}
}

func TestDrainWaits(t *testing.T) {
	b := newBed(t)
	end := make(chan struct{})
	b.engine.HandleFunc("POST /containers/a/attach", hijack("101 UPGRADED", func(c *net.UnixConn, _ io.Reader) {
		<-end
		_, _ = io.WriteString(c, "bye")
	}))
	_, r, _ := b.raw("ada", "/containers/a/attach", "Connection", "Upgrade", "Upgrade", "tcp")
	drained := make(chan int, 1)
	go func() { drained <- b.Tunnels.Drain(t.Context()) }()
	close(end)
	if got, err := io.ReadAll(r); string(got) != "bye" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if n := <-drained; n != 0 {
		t.Errorf("%d tunnels were cut", n)
	}
}

// TestDrainWaitsForWhatBegins: a tunnel whose engine has not answered yet is one, too; after
// the drain there is none.
func TestDrainWaitsForWhatBegins(t *testing.T) {
	b := newBed(t)
	begun, answer := make(chan struct{}), make(chan struct{})
	b.engine.HandleFunc("POST /containers/a/attach", func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-answer
		hijack("101 UPGRADED", func(c *net.UnixConn, _ io.Reader) { _, _ = io.WriteString(c, "bye") })(w, r)
	})
	got := make(chan string, 1)
	go func() {
		_, r, _ := b.raw("ada", "/containers/a/attach", "Connection", "Upgrade", "Upgrade", "tcp")
		text, _ := io.ReadAll(r)
		got <- string(text)
	}()
	<-begun
	drained := make(chan int, 1)
	go func() { drained <- b.Tunnels.Drain(t.Context()) }()
	select {
	case <-drained:
		t.Error("the drain did not wait")
	case <-time.After(200 * time.Millisecond): // nothing happens
	}
	close(answer)
	if text := <-got; text != "bye" {
		t.Errorf("got %q", text)
	}
	if n := <-drained; n != 0 {
		t.Errorf("%d tunnels were cut", n)
	}
	if _, _, resp := b.raw("ada", "/containers/a/attach", "Connection", "Upgrade", "Upgrade", "tcp"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after the drain: %d", resp.StatusCode)
	}
}
