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
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	protocol "github.com/dockercontrol/dockercontrol/internal/proxy/remotecommand"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

func newCounter(most int) *limit.Counter { return limit.NewCounter(most) }

// bystander is a session that has to stay quick whatever others do.
type bystander struct{ *execSocket }

func (b *execBed) bystander(t *testing.T) bystander {
	t.Helper()
	return bystander{b.dial(t, "bob", b.at("exec/box", "command=cat&stdin=true"))}
}

// notices fails the test where an echo takes long.
func (b bystander) notices(what string) {
	b.t.Helper()
	began := time.Now()
	b.send(0, what)
	b.until(protocol.Stdout, what)
	if took := time.Since(began); took > 5*time.Second { // some 0.3 ms on a quiet machine
		b.t.Errorf("%s: an echo of another session took %s", what, took)
	}
}

// testMistakes: each is answered by its close code, and ends its session alone.
func testMistakes(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	b.Handler.options.Streams = newCounter(100) // they end later than others begin
	other := b.bystander(t)
	for what, tc := range map[string]struct {
		messageType int
		data        string
		code        int
	}{
		"text":                {websocket.TextMessage, "\x00hello", websocket.CloseUnsupportedData},
		"no channel":          {websocket.BinaryMessage, "", websocket.CloseProtocolError},
		"stdout":              {websocket.BinaryMessage, "\x01hello", websocket.CloseProtocolError},
		"the status":          {websocket.BinaryMessage, "\x03{}", websocket.CloseProtocolError},
		"news":                {websocket.BinaryMessage, "\x05{}", websocket.CloseProtocolError},
		"no such channel":     {websocket.BinaryMessage, "\x09hello", websocket.CloseProtocolError},
		"a size of 0":         {websocket.BinaryMessage, "\x04{\"Width\":0,\"Height\":24}", websocket.CloseProtocolError},
		"a size of 65,536":    {websocket.BinaryMessage, "\x04{\"Width\":80,\"Height\":65536}", websocket.CloseProtocolError},
		"no size":             {websocket.BinaryMessage, "\x04[]", websocket.CloseProtocolError},
		"an end of stderr":    {websocket.BinaryMessage, "\xff\x02", websocket.CloseProtocolError},
		"over the limit":      {websocket.BinaryMessage, "\x00" + strings.Repeat("x", protocol.MaxMessage), websocket.CloseMessageTooBig},
		"a frame that is not": {0, "\xff\xff\xff\xff", websocket.CloseProtocolError},
		"no mask":             {0, "\x82\x02\x00a", websocket.CloseProtocolError},
	} {
		c := b.dial(t, "ada", b.at("exec/box", "command=sh&stdin=true&tty=true"))
		if tc.messageType == 0 {
			if _, err := c.NetConn().Write([]byte(tc.data)); err != nil {
				t.Fatal(err)
			}
		} else if err := c.WriteMessage(tc.messageType, []byte(tc.data)); err != nil {
			t.Fatal(err)
		}
		if _, status, closed := c.end(); status != "" || closed.Code != tc.code {
			t.Errorf("%s: it ended with %q, %v; want %d", what, status, closed, tc.code)
		}
		_ = c.Close()
	}
	other.notices("after all mistakes")
	eventually(t, "the others' end", func() bool { return len(b.sessions.List("")) == 1 })
}

// testSlowClients: one never reads, one reads a byte now and then. Both are ended once they
// took nothing for too long, and so are their processes; nobody else notices.
func testSlowClients(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{}, func(h *Handler) { h.patience = 4 * time.Second })
	other := b.bystander(t)
	never := b.dial(t, "ada", b.at("exec/box", "command=yes&command=never"))
	eventually(t, "the first to run", func() bool { return b.runs(t, "yes never") }) // it is ended soon
	slow := b.dial(t, "ada", b.at("exec/box", "command=yes&command=slow"))
	stop, reading := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(reading)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for one := make([]byte, 1); ; {
			select {
			case <-tick.C:
			case <-stop:
				return
			}
			if _, err := slow.NetConn().Read(one); err != nil {
				return
			}
		}
	}()
	eventually(t, "the second to run", func() bool { return b.runs(t, "yes slow") })
	other.notices("while others take nothing")
	eventually(t, "their end", func() bool { return len(b.sessions.List("")) == 1 })
	other.notices("after their end")
	if b.runs(t, "yes never") || b.runs(t, "yes slow") {
		t.Error("their processes run on")
	}
	close(stop)
	<-reading
	_, _ = never.Close(), slow.Close()
	for _, r := range b.trail.Records() {
		if r.Outcome == "failed" && r.Reason != "Vanished" {
			t.Errorf("a session of one that takes nothing ended as %s", r.Reason)
		}
	}
}

// wire is a TCP connection in between, which can fall silent in both directions without an
// end.
type wire struct {
	silent   atomic.Bool
	listener net.Listener
	group    sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l}
	w.group.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, near, far)
			w.mu.Unlock()
			w.group.Go(func() { w.carry(near, far) })
			w.group.Go(func() { w.carry(far, near) })
		}
	})
	t.Cleanup(w.close)
	return w
}

func (w *wire) carry(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if w.silent.Load() {
			if err != nil {
				return
			}
			continue
		}
		if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
			_ = to.Close()
			return
		}
	}
}

func (w *wire) close() {
	_ = w.listener.Close()
	w.mu.Lock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.mu.Unlock()
	w.group.Wait()
}

// testVanish: by an end, by a reset, and without a word, which only the missing signs of
// life tell; also while the process takes no input, so that nobody reads from the client.
func testVanish(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{}, func(h *Handler) { h.ping, h.patience = time.Second, 2*time.Second })
	other := bed.serve(t, stream.ExecOptions{}).bystander(t)
	address := strings.TrimPrefix(b.server.URL, "https://")
	for how, vanish := range map[string]func(*execSocket, *wire){
		"an end":  func(c *execSocket, _ *wire) { _ = c.Close() },
		"a reset": func(c *execSocket, _ *wire) { c.reset() },
		"no word": func(_ *execSocket, w *wire) { w.silent.Store(true) },
	} {
		for what, query := range map[string]string{"quiet": "command=sleep&command=6543", "blocked": "command=sleep&command=6543&stdin=true", "terminal": "command=sh&tty=true&stdin=true"} {
			var w *wire
			to := address
			if how == "no word" {
				if what == "blocked" {
					continue // of a client that is not read TCP tells, and this wire acknowledges all
				}
				w = newWire(t, address)
				to = w.listener.Addr().String()
			}
			c := b.dial(t, "ada", strings.Replace(b.at("exec/box", query), address, to, 1))
			if what == "blocked" {
				c.flood()
			}
			eventually(t, "the session", func() bool { return len(b.sessions.List("")) == 1 })
			vanish(c, w)
			eventually(t, "the end of a session ("+what+") whose client vanished by "+how, func() bool { return len(b.sessions.List("")) == 0 })
		}
	}
	other.notices("after all that vanished")
	if b.runs(t, "sleep 6543") {
		t.Error("a process runs on")
	}
}

// reset ends the connection without a farewell of any kind.
func (s *execSocket) reset() {
	below := s.NetConn().(*tls.Conn).NetConn()
	_ = below.(*net.TCPConn).SetLinger(0)
	_ = below.Close()
}

// flood sends more than anybody takes, until it stands still.
func (s *execSocket) flood() {
	s.t.Helper()
	data := make([]byte, 32<<10)
	for range 1000 {
		_ = s.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		if err := s.WriteMessage(websocket.BinaryMessage, data); err != nil {
			return
		}
	}
	s.t.Fatal("32 MB went to a process that reads nothing")
}

// opens is how many sessions are opened and closed by so many openers at once; execs is how
// many of them are commands, which cost an engine more.
const opens, openers, execs = 2000, 8, 60

// testManyOpens opens and closes sessions in every way there is.
func testManyOpens(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{Grace: 100 * time.Millisecond})
	b.Handler.options.Streams = newCounter(opens + 1) // they end later than others begin
	other := b.bystander(t)
	other.notices("before")
	files, connections := b.held(t)
	before := runtime.NumGoroutine()
	var group sync.WaitGroup
	var opened atomic.Int64
	for worker := range openers {
		group.Go(func() {
			for i := worker; i < opens; i += openers {
				query := []string{"attach/box", "stdout=true"}
				switch {
				case i%(opens/execs) == 0:
					query = []string{"exec/box", "command=sleep&command=8765"}
				case i%7 == 0:
					query = []string{"attach/box", "stdout=true&reattach=true"}
				case i%11 == 0:
					query = []string{"exec/none", "command=true"} // refused
				}
				c, resp, err := b.tryDial(t, "ada", b.at(query[0], query[1]))
				if resp != nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				if err != nil {
					if resp == nil || resp.StatusCode != http.StatusNotFound {
						t.Errorf("%v: %v", query, err)
						return
					}
					continue
				}
				opened.Add(1)
				if i%3 == 0 {
					_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(execPatience))
				}
				_ = c.Close()
			}
		})
	}
	group.Wait()
	other.notices("after all")
	t.Logf("%d sessions were opened", opened.Load())
	eventually(t, "their ends", func() bool { return len(b.sessions.List("")) == 1 })
	eventually(t, "all that they had to be given back", func() bool {
		b.server.Client().CloseIdleConnections()
		nowFiles, nowConnections := b.held(t)
		// What is idle is kept for the next call: as many connections to the engine as were
		// needed at once, of two goroutines each.
		idle := nowConnections - connections
		return idle <= 2*openers && nowFiles <= files+idle+openers && runtime.NumGoroutine() <= before+2*idle+openers && b.authz.guarded() == 1
	})
	if b.runs(t, "sleep 8765") {
		t.Error("a process runs on")
	}
}
