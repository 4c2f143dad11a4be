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
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// onBothEngines runs a test against a simulated engine and a real one, on which a container
// named "web" writes numbered lines of 4 KB, about 1,000 a second.
func onBothEngines(t *testing.T, test func(b *bed, key hostcache.Key)) {
	const script = `x=0; i=0; while true; do i=$((i+1)); echo "$i PAD"; SLEEP; done`
	pad := strings.Repeat("x", 4<<10)
	t.Run("simulated", func(t *testing.T) {
		b := newFaultBed(t)
		e, key := b.simulate("one", sim.Options{})
		b.run(e, key, "web", "sh", "-c", strings.NewReplacer("PAD", pad, "SLEEP", "sleep 0.001").Replace(script))
		test(b, key)
	})
	t.Run("real", func(t *testing.T) {
		d := testbed.StartDockerd(t, testbed.DockerdOptions{})
		d.ImportBusybox(t, "busybox:test")
		b := newFaultBed(t)
		key := b.declare("one", d.Endpoint())
		d.RunContainer(t, "web", "busybox:test", "sh", "-c", strings.NewReplacer("PAD", pad, "SLEEP", "[ $((i%100)) = 0 ] && sleep 0.1").Replace(script))
		b.eventually("the inventory has the container", func() bool {
			listing, err := b.cache.List(key, engine.Containers)
			return err == nil && len(listing.Items) == 1
		})
		test(b, key)
	})
}

func newFaultBed(t *testing.T) *bed {
	t.Helper()
	return newBed(t, func(o *Options) {
		o.Streams, o.Limits.Viewers = limit.NewCounter(10_000), 10_000
		o.Limits.QueueBytes = 64 << 20 // 16 s: who is steady is not slow because this machine is
	})
}

// steady is a viewer that does nothing wrong, and must not notice those who do.
type steady struct {
	lines atomic.Int64
	stop  func() error
}

// watch begins to follow a log.
func (b *bed) watch(key hostcache.Key) *steady {
	b.Helper()
	s := b.dial("steady", b.path(key, "log/web?follow&tailLines=0"))
	_ = s.ws.SetReadDeadline(time.Time{})
	v := &steady{}
	done := make(chan error, 1)
	go func() {
		for next := 0; ; {
			m, err := s.read()
			if err != nil {
				done <- err
				return
			}
			if m.kind != frameLog {
				continue
			}
			for _, l := range records(b.T, m.body) {
				number, _, _ := strings.Cut(string(l.Text), " ")
				n, err := strconv.Atoi(number)
				if err != nil || next != 0 && n != next {
					done <- fmt.Errorf("line %d came as %.20q of kind %d", next, l.Text, l.Kind)
					return
				}
				next = n + 1
				v.lines.Add(1)
			}
		}
	}()
	v.stop = func() error {
		_ = s.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(patient))
		err := <-done
		if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			err = nil
		}
		_ = s.ws.Close()
		return err
	}
	return v
}

// inUse is what must not grow: goroutines and file descriptors of this process, which has
// server, clients and the connections to the engine.
func inUse(t *testing.T) (goroutines, descriptors int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return runtime.NumGoroutine(), len(entries)
}

// leavesNothing runs something beside a steady viewer, and expects that it loses nothing and
// that everything is as before in the end.
func (b *bed) leavesNothing(key hostcache.Key, run func()) {
	b.Helper()
	v := b.watch(key)
	b.eventually("the steady viewer has lines", func() bool { return v.lines.Load() > 100 })
	b.client.CloseIdleConnections()
	goroutines, descriptors := inUse(b.T)
	run()
	b.eventually("what was opened is closed", func() bool {
		b.client.CloseIdleConnections()
		g, d := inUse(b.T)
		// One connection to the engine may be on its way, for a probe.
		return g <= goroutines+6 && d <= descriptors+3 && b.handler.logs.Upstreams() == 1
	})
	lines := v.lines.Load()
	b.eventually("the steady viewer has more lines", func() bool { return v.lines.Load() > lines+100 })
	if err := v.stop(); err != nil {
		b.Errorf("the steady viewer noticed: %v", err)
	}
}

// TestOpensAndCloses opens 5,000 streams of all kinds and closes them in all ways.
func TestOpensAndCloses(t *testing.T) {
	onBothEngines(t, func(b *bed, key hostcache.Key) {
		b.leavesNothing(key, func() {
			const opens, side = 5_000, 50
			var group sync.WaitGroup
			for worker := range side {
				group.Go(func() {
					for i := range opens / side {
						if err := b.openAndClose(key, worker+i); err != nil {
							b.Errorf("open %d: %v", i, err)
							return
						}
					}
				})
			}
			group.Wait()
		})
	})
}

// openAndClose opens a stream and closes it, in one of several ways.
func (b *bed) openAndClose(key hostcache.Key, way int) error {
	switch way % 5 {
	case 0: // chunked, and left in the middle
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.URL+b.path(key, "log/web?follow&tailLines=1"), nil)
		if err != nil {
			return err
		}
		resp, err := b.client.Do(req)
		if err != nil {
			return err
		}
		_, err = resp.Body.Read(make([]byte, 10))
		_ = resp.Body.Close()
		return err
	case 1: // refused
		resp, err := b.client.Get(b.server.URL + b.path(key, "log/nobody"))
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.Body.Close()
	}
	path := Path
	if way%5 == 2 { // a WebSocket of its own
		path = b.path(key, "log/web?follow&tailLines=1")
	}
	d := websocket.Dialer{TLSClientConfig: b.client.Transport.(*http.Transport).TLSClientConfig, HandshakeTimeout: patient, Subprotocols: []string{Protocol}}
	ws, resp, err := d.DialContext(b.Context(), "wss://"+strings.TrimPrefix(b.server.URL, "https://")+path, http.Header{"Test-User": {"ann"}})
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	defer func() { _ = ws.Close() }() // without a farewell
	if way%5 == 2 {
		_, _, err = ws.ReadMessage()
		return err
	}
	for id := range uint32(5) {
		if err := ws.WriteJSON(subscribeLog(id, key, "web", map[string]any{"tailLines": 1})); err != nil {
			return err
		}
	}
	if way%5 == 4 { // gone before it was answered
		return nil
	}
	if err := ws.WriteJSON(map[string]any{"type": "unsubscribe", "id": 1}); err != nil {
		return err
	}
	_, _, err = ws.ReadMessage()
	return err
}

// TestBadClients: clients that never read, read a byte a second, or vanish without a word
// are ended, on a WebSocket within the write's 10 s or the missed pongs.
func TestBadClients(t *testing.T) {
	onBothEngines(t, func(b *bed, key hostcache.Key) {
		b.leavesNothing(key, func() {
			b.handler.ping = time.Second // for those to come; the steady viewer has the time that all have
			w := &vanishing{backend: strings.TrimPrefix(b.server.URL, "https://")}
			address := w.listen(t)
			var clients []net.Conn
			for _, path := range []string{b.path(key, "log/web?follow&tailLines=0"), Path} {
				clients = append(clients, b.raw(b.server.Listener.Addr().String(), path, key), b.raw(b.server.Listener.Addr().String(), path, key), b.raw(address, path, key))
			}
			ended := make(chan struct{})
			var group sync.WaitGroup
			for i, c := range clients {
				if i%3 == 1 { // one byte a second
					group.Go(func() { trickle(c, ended) })
				}
			}
			w.vanish()
			b.eventually("all six are ended", func() bool { return b.openStreams("ann") == 0 })
			close(ended)
			group.Wait()
			for _, c := range clients {
				_ = c.Close()
			}
			w.close()
		})
	})
}

// openStreams is how many streams of a user are open, until their handlers have returned.
func (b *bed) openStreams(who string) int {
	free := 0
	for {
		release, ok := b.streams.Acquire(who)
		if !ok {
			return b.streams.Most() - free
		}
		defer release()
		free++
	}
}

// raw opens a WebSocket by hand over a connection with small buffers, and reads nothing but
// the answer's head.
func (b *bed) raw(address, path string, key hostcache.Key) net.Conn {
	b.Helper()
	plain, err := (&net.Dialer{Timeout: patient}).DialContext(b.Context(), "tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	_ = plain.(*net.TCPConn).SetReadBuffer(16 << 10)
	c := tls.Client(plain, &tls.Config{InsecureSkipVerify: true})
	b.Cleanup(func() { _ = c.Close() })
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nTest-User: ann\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Protocol: %s\r\n\r\n", path, Protocol)
	head := make([]byte, 1)
	for text := ""; !strings.HasSuffix(text, "\r\n\r\n"); text += string(head) {
		if _, err := io.ReadFull(c, head); err != nil {
			b.Fatalf("after %q: %v", text, err)
		}
		if len(text) > 4<<10 {
			b.Fatalf("the answer is %q", text)
		}
	}
	if path == Path {
		message := fmt.Sprintf(`{"type":"subscribe","id":1,"topic":"log","namespace":%q,"host":%q,"containers":["web"],"tailLines":0}`, key.Namespace, key.Name)
		frame := append([]byte{0x81, 0x80 | 126, byte(len(message) >> 8), byte(len(message)), 0, 0, 0, 0}, message...) // masked with zeros
		if _, err := c.Write(frame); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

// trickle reads a byte a second.
func trickle(c net.Conn, ended <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case <-ticker.C:
		}
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// vanishing carries connections until vanish, and then nothing more in either direction, not
// even an end: what a pulled cable looks like, but for the kernel's acknowledgements.
type vanishing struct {
	backend  string
	listener net.Listener
	group    sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
	gone     atomic.Bool
	released chan struct{}
}

func (v *vanishing) listen(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v.listener, v.released = l, make(chan struct{})
	v.group.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", v.backend)
			if err != nil {
				_ = client.Close()
				return
			}
			v.mu.Lock()
			v.conns = append(v.conns, client, server)
			v.mu.Unlock()
			v.group.Go(func() { v.carry(server, client) })
			v.group.Go(func() { v.carry(client, server) })
		}
	})
	return l.Addr().String()
}

func (v *vanishing) carry(to, from net.Conn) {
	buffer := make([]byte, 4<<10)
	for {
		n, err := from.Read(buffer)
		if v.gone.Load() {
			<-v.released
			return
		}
		if err != nil {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (v *vanishing) vanish() { v.gone.Store(true) }

func (v *vanishing) close() {
	_ = v.listener.Close()
	close(v.released)
	v.mu.Lock()
	for _, c := range v.conns {
		_ = c.Close()
	}
	v.mu.Unlock()
	v.group.Wait()
}
