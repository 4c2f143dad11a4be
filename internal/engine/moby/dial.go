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
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// dialer makes the connections of one engine: whatever the scheme, what it
// returns speaks plain HTTP to the engine.
type dialer struct {
	ctx      context.Context // ends with the engine
	endpoint engine.Endpoint
	timeout  time.Duration
	policy   engine.AddressPolicy
	tls      *tlsCredentials
	ssh      *sshPool
	conns    connSet
}

func newDialer(ctx context.Context, p *prepared) *dialer {
	d := &dialer{ctx: ctx, endpoint: p.cfg.Endpoint, timeout: p.cfg.Timeout, policy: p.cfg.Policy, tls: p.tls}
	if p.ssh != nil {
		d.ssh = newSSHPool(ctx, d, p.ssh)
	}
	return d
}

// DialContext connects to the engine, whatever address it is asked for. Its
// errors are *engine.Error.
func (d *dialer) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, d.deadline(ctx))
	defer cancel()
	stop := context.AfterFunc(d.ctx, cancel)
	defer stop()

	c, err := d.connect(ctx)
	if err != nil {
		if d.ctx.Err() != nil {
			return nil, closedError(d.endpoint.String())
		}
		return nil, dialError(ctx, d.endpoint, err)
	}
	if !d.conns.add(c) {
		_ = c.Close()
		return nil, closedError(d.endpoint.String())
	}
	return c, nil
}

// callDeadline is the key of a call's deadline in the context of its dial, which
// http.Transport frees of the call's own.
type callDeadline struct{}

// deadline leaves a tenth of a call's time unused, so that a dial that gets no
// answer says itself how far it came, and the call says the same every time.
func (d *dialer) deadline(ctx context.Context) time.Time {
	left := d.timeout
	if t, ok := ctx.Value(callDeadline{}).(time.Time); ok {
		left = min(left, time.Until(t))
	}
	if t, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(t))
	}
	return time.Now().Add(left - left/10)
}

func (d *dialer) connect(ctx context.Context) (*conn, error) {
	switch {
	case d.ssh != nil:
		return d.ssh.dial(ctx, d.endpoint.Path)
	case d.tls != nil:
		return d.dialTLS(ctx)
	case d.endpoint.Scheme == engine.SchemeUnix:
		var nd net.Dialer
		raw, err := nd.DialContext(ctx, "unix", d.endpoint.Path)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: raw, raw: raw}, nil
	}
	raw, err := d.dialTCP(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: raw, raw: raw}, nil
}

// dialTCP connects to the endpoint's host and port, where the policy lets it.
func (d *dialer) dialTCP(ctx context.Context) (net.Conn, error) {
	nd := net.Dialer{
		ControlContext: d.checkAddress,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount,
		},
	}
	return nd.DialContext(ctx, "tcp", d.endpoint.Address())
}

// policyError is the address policy's refusal.
type policyError struct{ error }

// checkAddress is called with each address that is about to be dialled.
func (d *dialer) checkAddress(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return policyError{errors.New("the address is not an IP address")}
	}
	if err := d.policy.Check(ap.Addr().WithZone("")); err != nil {
		return policyError{err}
	}
	return nil
}

func (d *dialer) close() {
	if d.ssh != nil {
		d.ssh.close()
	}
	d.conns.closeAll()
}

// conn is a connection that its engine can end.
type conn struct {
	net.Conn
	// raw is what lies under TLS: closing it needs no word from the other side.
	raw net.Conn
	set *connSet
}

// Close ends the connection and forgets it.
func (c *conn) Close() error {
	if c.set != nil {
		c.set.remove(c)
	}
	return c.Conn.Close()
}

// CloseWrite tells the other side that nothing more will be written.
func (c *conn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

// connSet holds an engine's open connections.
type connSet struct {
	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
}

// add takes c in; false means that the set is closed.
func (s *connSet) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.conns == nil {
		s.conns = map[*conn]struct{}{}
	}
	s.conns[c] = struct{}{}
	c.set = s
	return true
}

func (s *connSet) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *connSet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// closeAll ends all connections, and those that come later.
func (s *connSet) closeAll() {
	s.mu.Lock()
	conns := s.conns
	s.conns, s.closed = nil, true
	s.mu.Unlock()
	for c := range conns {
		_ = c.raw.Close()
	}
}
