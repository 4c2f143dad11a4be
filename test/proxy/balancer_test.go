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

package proxy

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// roundRobin lets a balancer choose.
const roundRobin = -1

// balancer hands TCP connections on to backends in turn, and passes over those that
// refuse them. What a backend does to a connection it does to the client's.
type balancer struct {
	address  string
	listener net.Listener
	group    sync.WaitGroup

	mu       sync.Mutex
	backends []string
	next     int
	pinned   int
	open     map[net.Conn]struct{}
	closed   bool
}

// startBalancer listens until the test ends.
func startBalancer(t *testing.T, backends ...string) *balancer {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{address: l.Addr().String(), listener: l, backends: backends, pinned: roundRobin, open: map[net.Conn]struct{}{}}
	b.group.Go(b.accept)
	t.Cleanup(b.close)
	return b
}

// pin sends all new connections to one backend, so that a test knows which it is, or
// with roundRobin to each in turn.
func (b *balancer) pin(backend int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pinned = backend
}

func (b *balancer) close() {
	_ = b.listener.Close()
	b.mu.Lock()
	b.closed = true
	for conn := range b.open {
		_ = conn.Close()
	}
	b.mu.Unlock()
	b.group.Wait()
}

func (b *balancer) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.group.Go(func() { b.serve(conn) })
	}
}

func (b *balancer) serve(client net.Conn) {
	defer b.hold(client)()
	backend := b.dial()
	if backend == nil {
		return
	}
	defer b.hold(backend)()
	var group sync.WaitGroup
	group.Go(func() { carry(backend, client) })
	carry(client, backend)
	group.Wait()
}

// hold keeps a connection where close finds it, and returns what ends it.
func (b *balancer) hold(conn net.Conn) (release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		_ = conn.Close()
	}
	b.open[conn] = struct{}{}
	return func() {
		_ = conn.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.open, conn)
	}
}

// dial tries each backend once; nil says that none is there.
func (b *balancer) dial() net.Conn {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	for _, backend := range b.candidates() {
		// A backend that is up but slow is not passed over: the client's patience decides.
		if conn, err := dialer.DialContext(context.Background(), "tcp", backend); err == nil {
			return conn
		}
	}
	return nil
}

// candidates are the backends in the order in which one connection tries them. It is fixed
// at once: connections that took turns while they dial could both get a dead one twice.
func (b *balancer) candidates() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pinned != roundRobin {
		return b.backends[b.pinned : b.pinned+1]
	}
	b.next = (b.next + 1) % len(b.backends)
	return slices.Concat(b.backends[b.next:], b.backends[:b.next])
}

// carry copies one direction. An end is passed on as an end of that direction, an error
// as an error of both.
func carry(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		for _, conn := range []net.Conn{to, from} {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
		return
	}
	_ = to.(*net.TCPConn).CloseWrite()
}
