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
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshPool holds an engine's one ssh connection and dials it again after it died.
type sshPool struct {
	ctx   context.Context // ends with the engine
	d     *dialer
	creds *sshCredentials

	keepAlive, keepAliveWait time.Duration

	mu      sync.Mutex
	current *sshLink
	pending *sshAttempt
	closed  bool
}

// sshLink is one ssh connection.
type sshLink struct {
	client *ssh.Client
	dead   chan struct{} // closed when the connection has ended
}

// sshAttempt is a dial in flight, shared by all who wait for it.
type sshAttempt struct {
	done chan struct{}
	link *sshLink
	err  error
}

func newSSHPool(ctx context.Context, d *dialer, creds *sshCredentials) *sshPool {
	return &sshPool{ctx: ctx, d: d, creds: creds, keepAlive: sshKeepAlive, keepAliveWait: sshKeepAliveWait}
}

// dial opens a channel to the engine's socket. A connection that turns out to be
// dead is replaced once.
func (p *sshPool) dial(ctx context.Context, path string) (*conn, error) {
	for retry := true; ; retry = false {
		link, err := p.link(ctx)
		if err != nil {
			return nil, err
		}
		ch, err := link.client.DialContext(ctx, "unix", path)
		if err == nil {
			c := newSSHConn(ch, link)
			return &conn{Conn: c, raw: c}, nil
		}
		var refused *ssh.OpenChannelError
		if !retry || errors.As(err, &refused) || ctx.Err() != nil {
			return nil, err
		}
		select {
		case <-link.dead:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// link returns the living connection, or waits for one to be dialled. The
// attempt outlives a caller that gives up, for the others that wait.
func (p *sshPool) link(ctx context.Context) (*sshLink, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	if p.current != nil && !isDone(p.current.dead) {
		defer p.mu.Unlock()
		return p.current, nil
	}
	a := p.pending
	if a == nil {
		a = &sshAttempt{done: make(chan struct{})}
		p.pending = a
		go p.attempt(a, p.d.deadline(ctx))
	}
	p.mu.Unlock()
	select {
	case <-a.done:
		return a.link, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *sshPool) attempt(a *sshAttempt, deadline time.Time) {
	ctx, cancel := context.WithDeadline(p.ctx, deadline)
	defer cancel()
	defer close(a.done)
	client, err := p.connect(ctx)
	if err == nil {
		a.link = &sshLink{client: client, dead: make(chan struct{})}
		go a.link.wait()
		go a.link.keepAlive(p.keepAlive, p.keepAliveWait)
	}
	a.err = err
	p.mu.Lock()
	p.pending, p.current = nil, a.link
	closed := p.closed
	p.mu.Unlock()
	if closed && a.link != nil {
		_ = client.Close()
	}
}

// connect dials and shakes hands within ctx.
func (p *sshPool) connect(ctx context.Context) (*ssh.Client, error) {
	address := p.d.endpoint.Address()
	algorithms := p.creds.known.algorithms(address)
	switch {
	case len(p.creds.known.of(address)) == 0:
		return nil, &hostKeyError{reason: hostUnknown}
	case len(algorithms) == 0:
		return nil, &hostKeyError{reason: hostKeyUnsafe}
	}
	raw, err := p.d.dialTCP(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	c, chans, reqs, err := ssh.NewClientConn(raw, address, &ssh.ClientConfig{
		User:              p.d.endpoint.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(p.creds.signer)},
		HostKeyCallback:   p.creds.known.callback(address),
		HostKeyAlgorithms: algorithms,
		ClientVersion:     "SSH-2.0-" + userAgent,
	})
	if !stop() {
		// The deadline closed the connection, whatever NewClientConn made of it.
		if err == nil {
			_ = c.Close()
		}
		return nil, &handshakeError{ctx.Err()}
	}
	if err != nil {
		_ = raw.Close()
		return nil, &handshakeError{err}
	}
	return ssh.NewClient(c, chans, reqs), nil
}

func (p *sshPool) close() {
	p.mu.Lock()
	p.closed = true
	current := p.current
	p.mu.Unlock()
	if current != nil {
		_ = current.client.Close()
	}
}

func (l *sshLink) wait() {
	_ = l.client.Wait()
	close(l.dead)
}

// keepAlive closes the connection when the server does not answer any more.
func (l *sshLink) keepAlive(every, wait time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-l.dead:
			return
		case <-tick.C:
		}
		timer := time.AfterFunc(wait, func() { _ = l.client.Close() })
		ok := l.answers()
		timer.Stop()
		if !ok {
			return
		}
	}
}

// answers asks the server for a sign of life. It also tells the end of a channel
// from that of the connection: to a channel both are io.EOF.
func (l *sshLink) answers() bool {
	_, _, err := l.client.SendRequest("keepalive@openssh.com", true, nil)
	return err == nil
}

// sshConn is a channel whose Read and Close need no word from the server: a
// channel's own Read ends only when the server has confirmed the close.
type sshConn struct {
	net.Conn
	pipe *io.PipeReader
	once sync.Once
}

func newSSHConn(ch net.Conn, link *sshLink) *sshConn {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, struct{ io.Reader }{ch})
		if err == nil && !link.answers() {
			err = io.ErrUnexpectedEOF
		}
		w.CloseWithError(err) // nil becomes io.EOF
	}()
	return &sshConn{Conn: ch, pipe: r}
}

// Read implements net.Conn.
func (c *sshConn) Read(p []byte) (int, error) { return c.pipe.Read(p) }

// Close implements net.Conn. The channel is closed beside: that writes to the
// connection, which may be stuck until keepAlive ends it.
func (c *sshConn) Close() error {
	c.once.Do(func() {
		_ = c.pipe.CloseWithError(net.ErrClosed)
		go func() { _ = c.Conn.Close() }()
	})
	return nil
}

// CloseWrite implements the half-close that Docker's sessions use.
func (c *sshConn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
