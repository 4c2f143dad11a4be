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
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/cork"
)

// dialTLS connects with TLS, the handshake included.
func (d *dialer) dialTLS(ctx context.Context) (*conn, error) {
	if err := d.tls.check(time.Now()); err != nil {
		return nil, err
	}
	raw, err := d.dialTCP(ctx)
	if err != nil {
		return nil, err
	}
	t := tls.Client(raw, d.tls.config(d.endpoint.Host))
	if err := t.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, &handshakeError{err}
	}
	tcp, _ := raw.(*net.TCPConn)
	return &conn{Conn: &tlsConn{Conn: t, tcp: tcp}, raw: raw}, nil
}

// handshakeError is a failure after the connection was made.
type handshakeError struct{ error }

func (e *handshakeError) Unwrap() error { return e.error }

// tlsConn finds out why an engine hung up. With TLS 1.3 an engine refuses a
// client certificate after the handshake is over for the client: then a write
// fails with a broken pipe, or because the reader has closed the connection,
// while the alert that says why waits to be read or was read already.
type tlsConn struct {
	*tls.Conn
	tcp      *net.TCPConn // what lies under it
	answered atomic.Bool  // something was read
	alert    atomic.Pointer[error]
}

// alertWait bounds the wait for an alert of a connection that is already cut.
const alertWait = time.Second

// Read implements net.Conn.
func (c *tlsConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.answered.Store(true)
	}
	if isAlert(err) {
		c.alert.Store(&err)
	}
	return n, err
}

// Write implements net.Conn.
func (c *tlsConn) Write(p []byte) (int, error) {
	n, err := cork.Write(c.tcp, len(p), func() (int, error) { return c.Conn.Write(p) })
	if err != nil && !c.answered.Load() {
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			_ = c.Conn.SetReadDeadline(time.Now().Add(alertWait))
			_, _ = c.Read(make([]byte, 1))
		}
		if alert := c.alert.Load(); alert != nil {
			err = *alert
		}
	}
	return n, err
}

// isAlert reports whether err is a TLS alert that the other side sent.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}
