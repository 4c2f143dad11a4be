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

package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	// UserTimeout is how long sent data may stay unacknowledged: longer than a
	// mobile client takes to change its network.
	UserTimeout = 30 * time.Second
	// keepAliveIdle, keepAliveInterval and keepAliveCount find within 30 s that an idle
	// client has vanished.
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 5 * time.Second
	keepAliveCount    = 3
)

// Listen listens for connections that are probed, and cut when the client has vanished.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	config := net.ListenConfig{
		// Accepted connections inherit it.
		Control: func(_, _ string, c syscall.RawConn) error { return setUserTimeout(c, UserTimeout) },
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount,
		},
	}
	return config.Listen(ctx, "tcp", address)
}

type key struct{}

// Context is for http.Server.ConnContext.
func Context(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// errUnknown is for requests that no server of ours took.
var errUnknown = errors.New("the request's TCP connection is not known")

// tcp finds the TCP connection below TLS.
func tcp(r *http.Request) (*net.TCPConn, error) {
	c, _ := r.Context().Value(key{}).(net.Conn)
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		return t, nil
	}
	return nil, errUnknown
}

// Reset ends the request's connection by a TCP reset, without the close_notify that
// would make a cut answer look like a whole one. The handler then has to panic with
// http.ErrAbortHandler. Over HTTP/2 that panic alone resets the request's stream, and
// the connection, which others share, is left. A hijacked connection is reset too.
func Reset(r *http.Request) error {
	if r.ProtoMajor > 1 {
		return nil
	}
	c, err := tcp(r)
	if err != nil {
		return err
	}
	// With data not sent yet, or none: no lingering makes Close a reset.
	if err := c.SetLinger(0); err != nil {
		return fmt.Errorf("resetting a client's connection: %w", err)
	}
	return c.Close()
}

// Fragile makes the request's connection end by a reset where this process dies, until it
// is told otherwise. Without it the kernel ends the connections of a process that was
// killed in good order, and a client of raw bytes takes that for the end of them.
func Fragile(r *http.Request, fragile bool) error {
	c, err := tcp(r)
	if err != nil {
		return err
	}
	linger := -1 // the kernel's own
	if fragile {
		linger = 0
	}
	if err := c.SetLinger(linger); err != nil {
		return fmt.Errorf("choosing how a client's connection ends: %w", err)
	}
	return nil
}

// Patience is how long the client may read nothing, from now to the end of its
// connection: others that share it by HTTP/2 are waited for as long.
func Patience(r *http.Request, d time.Duration) error {
	c, err := tcp(r)
	if err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("being patient with a client: %w", err)
	}
	return setUserTimeout(raw, d)
}

// TCP returns the connection below TLS that the request came by; nil where it is not known.
func TCP(r *http.Request) *net.TCPConn {
	c, err := tcp(r)
	if err != nil {
		return nil
	}
	return c
}
