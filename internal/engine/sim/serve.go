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

package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

// networking is the engine's side of its connections: whether it can be reached,
// and all that is open, so that a fault can close it.
type networking struct {
	mu        sync.Mutex
	down      bool
	changed   chan struct{} // closed at the next change of down, where somebody waits
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]struct{}
}

// setDown closes everything open, or lets the listeners come back.
func (n *networking) setDown(down bool) {
	n.mu.Lock()
	if n.down == down {
		n.mu.Unlock()
		return
	}
	n.down = down
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
	n.mu.Unlock()
	if down {
		n.closeListeners(true)
		n.closeConns()
	}
}

// closeListeners closes the listeners; stale leaves the files of unix sockets.
func (n *networking) closeListeners(stale bool) {
	n.mu.Lock()
	open := slices.Collect(maps.Keys(n.listeners))
	clear(n.listeners)
	n.mu.Unlock()
	for _, l := range open {
		if u, ok := l.(*net.UnixListener); ok && stale {
			u.SetUnlinkOnClose(false)
		}
		_ = l.Close()
	}
}

func (n *networking) closeConns() {
	n.mu.Lock()
	open := slices.Collect(maps.Keys(n.conns))
	n.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

// Cut closes every connection to the engine, streams and hijacked ones too. The
// listeners stay.
func (e *Engine) Cut() { e.net.closeConns() }

// Restart stops the engine for a while and starts it again: its listeners and
// connections close, its events are forgotten, its containers live on. A new
// seed, where it is not empty, gives the engine another ID.
func (e *Engine) Restart(ctx context.Context, off time.Duration, seed string) error {
	was := e.Fault()
	down := was
	down.Mode = Refuse
	if err := e.SetFault(down); err != nil {
		return err
	}
	defer func() {
		if was.Mode == Refuse {
			was.Mode = Healthy
		}
		_ = e.SetFault(was)
	}()
	e.bus.forget()
	if seed != "" {
		e.mu.Lock()
		e.id = engineID(seed)
		e.mu.Unlock()
	}
	timer := time.NewTimer(off)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.ctx.Done():
		return e.ctx.Err()
	}
}

// Serve answers on l until the engine closes, and closes l. While the engine
// refuses connections l is closed; afterwards it is opened again at the same
// address, which works for TCP and unix sockets. A refusing unix socket leaves
// its file, as a killed engine does.
func (e *Engine) Serve(l net.Listener) error { return e.serve(l, nil) }

// ServeTLS is Serve with TLS over l.
func (e *Engine) ServeTLS(l net.Listener, config *tls.Config) error { return e.serve(l, config) }

func (e *Engine) serve(l net.Listener, config *tls.Config) error {
	e.mu.Lock()
	if e.ctx.Err() != nil {
		e.mu.Unlock()
		return l.Close()
	}
	e.group.Add(1)
	e.mu.Unlock()
	defer e.group.Done()
	addr := l.Addr()
	for {
		err := e.serveOnce(l, config)
		if e.ctx.Err() != nil {
			return nil
		}
		if !e.net.closedByFault(l) {
			return err
		}
		if l, err = e.comeBack(addr); err != nil || l == nil {
			return err
		}
	}
}

// closedByFault reports whether a listener was closed from here, and not by its
// owner or an error of its own. It forgets the listener.
func (n *networking) closedByFault(l net.Listener) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, tracked := n.listeners[l]
	delete(n.listeners, l)
	return !tracked
}

// comeBack waits for the end of the refusal and listens again; nil means that
// the engine has closed.
func (e *Engine) comeBack(addr net.Addr) (net.Listener, error) {
	for {
		e.net.mu.Lock()
		if !e.net.down {
			e.net.mu.Unlock()
			break
		}
		if e.net.changed == nil {
			e.net.changed = make(chan struct{})
		}
		changed := e.net.changed
		e.net.mu.Unlock()
		select {
		case <-changed:
		case <-e.ctx.Done():
			if addr.Network() == "unix" {
				_ = os.Remove(addr.String())
			}
			return nil, nil
		}
	}
	if addr.Network() == "unix" {
		if err := os.Remove(addr.String()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("listen again: %w", err)
		}
	}
	l, err := net.Listen(addr.Network(), addr.String())
	if err != nil {
		return nil, fmt.Errorf("listen again: %w", err)
	}
	return l, nil
}

// quiet keeps what clients do wrong out of the process's log.
var quiet = log.New(io.Discard, "", 0)

// serveOnce serves l until it closes.
func (e *Engine) serveOnce(l net.Listener, config *tls.Config) error {
	if !e.net.track(l) {
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
		_ = l.Close()
		return net.ErrClosed
	}
	stop := context.AfterFunc(e.ctx, func() {
		e.net.closeListeners(false)
		e.net.closeConns()
	})
	defer stop()
	inner := net.Listener(&gatedListener{Listener: l, e: e})
	if config != nil {
		inner = tls.NewListener(inner, config)
	}
	srv := &http.Server{Handler: e, ErrorLog: quiet, ReadHeaderTimeout: time.Minute}
	err := srv.Serve(inner)
	_ = srv.Close()
	return err
}

// track remembers a listener; false means that it must not be open now.
func (n *networking) track(l net.Listener) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return false
	}
	if n.listeners == nil {
		n.listeners, n.conns = map[net.Listener]struct{}{}, map[net.Conn]struct{}{}
	}
	n.listeners[l] = struct{}{}
	return true
}

// gatedListener makes connections that a black hole silences.
type gatedListener struct {
	net.Listener
	e *Engine
}

func (l *gatedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g := &gatedConn{Conn: c, e: l.e, closed: make(chan struct{})}
		l.e.net.mu.Lock()
		down := l.e.net.down
		if !down {
			l.e.net.conns[g] = struct{}{}
		}
		l.e.net.mu.Unlock()
		if !down {
			return g, nil
		}
		_ = c.Close()
	}
}

// gatedConn is a connection that neither gives nor takes anything while the
// engine is a black hole.
type gatedConn struct {
	net.Conn
	e      *Engine
	once   sync.Once
	closed chan struct{}
}

func (c *gatedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.e.waitOut(c.closed) {
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *gatedConn) Write(p []byte) (int, error) {
	if !c.e.waitOut(c.closed) {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

func (c *gatedConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.e.net.mu.Lock()
		delete(c.e.net.conns, c)
		c.e.net.mu.Unlock()
	})
	return c.Conn.Close()
}
