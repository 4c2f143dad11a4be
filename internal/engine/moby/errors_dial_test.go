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
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// TestDialErrors maps what cannot be made to happen in a unit test.
func TestDialErrors(t *testing.T) {
	tcp := engine.Endpoint{Scheme: engine.SchemeTCP, Host: "h.example", Port: 2376}
	unix := engine.Endpoint{Scheme: engine.SchemeUnix, Path: "/run/docker.sock"}
	sys := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
	}
	read := &net.OpError{
		Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 53210}, Addr: &net.TCPAddr{Port: 2376},
		Err: os.NewSyscallError("read", syscall.ECONNRESET),
	}
	tests := []struct {
		name  string
		ep    engine.Endpoint
		err   error
		class engine.Class
		cause engine.Cause
		part  string
	}{
		{"permission", unix, sys(syscall.EACCES), engine.ClassUnreachable, engine.CauseDialFailed, "permission denied on the socket /run/docker.sock"},
		{"no route", tcp, sys(syscall.EHOSTUNREACH), engine.ClassUnreachable, engine.CauseDialFailed, "there is no way to tcp://h.example:2376"},
		{"no network", tcp, sys(syscall.ENETUNREACH), engine.ClassUnreachable, engine.CauseDialFailed, "there is no way to tcp://h.example:2376"},
		{"too many files", tcp, sys(syscall.EMFILE), engine.ClassUnreachable, engine.CauseDialFailed, "too many open files"},
		{"kernel's timeout", tcp, sys(syscall.ETIMEDOUT), engine.ClassTimeout, engine.CauseTimeout, "in time"},
		{"reset", tcp, read, engine.ClassUnreachable, engine.CauseDialFailed, "closed the connection"},
		{"anything", tcp, errors.New("read tcp 127.0.0.1:53210->127.0.0.1:2376: oops"), engine.ClassUnreachable, engine.CauseDialFailed, "read tcp 127.0.0.1:2376: oops"},
		{"no such name", tcp, &net.DNSError{Err: "no such host", Name: "h.example", IsNotFound: true}, engine.ClassUnreachable, engine.CauseNameNotResolved, "the name h.example does not exist"},
		{"no DNS server", tcp, &net.DNSError{Err: "server misbehaving", Name: "h.example", Server: "10.0.0.1:53"}, engine.ClassUnreachable, engine.CauseNameNotResolved, "cannot be resolved now"},
		{"slow DNS server", tcp, &net.DNSError{Err: "timeout", Name: "h.example", IsTimeout: true}, engine.ClassUnreachable, engine.CauseNameNotResolved, "cannot be resolved now"},
		{"deadline", tcp, context.DeadlineExceeded, engine.ClassTimeout, engine.CauseTimeout, "no connection to tcp://h.example:2376 in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := dialError(t.Context(), tt.ep, tt.err)
			wantError(t, err, tt.class, tt.cause, tt.part)
			checkErrorText(t, err)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, dialError(ctx, tcp, sys(syscall.ECONNREFUSED)), engine.ClassCanceled, "", "was given up")
}

// TestAlerts has the texts of TLS alerts as engines of all ages send them.
func TestAlerts(t *testing.T) {
	for alert, cause := range map[string]engine.Cause{
		"bad certificate":                engine.CauseAuthenticationFailed, // 20.10, for every reason
		"certificate required":           engine.CauseAuthenticationFailed,
		"unknown certificate authority":  engine.CauseAuthenticationFailed,
		"revoked certificate":            engine.CauseAuthenticationFailed,
		"handshake failure":              engine.CauseAuthenticationFailed,
		"access denied":                  engine.CauseAuthenticationFailed,
		"expired certificate":            engine.CauseCertificateExpired,
		"unrecognized name":              engine.CauseCertificateUntrusted,
		"protocol version not supported": engine.CauseEngineError,
		"internal error":                 engine.CauseEngineError,
	} {
		err := fmt.Errorf("wrapped: %w", &net.OpError{Op: "remote error", Err: errors.New("tls: " + alert)})
		got := alertError("tcp://h:2376", err)
		if engine.CauseOf(got) != cause {
			t.Errorf("%s: cause %q, want %q", alert, engine.CauseOf(got), cause)
		}
		checkErrorText(t, got)
	}
	if err := alertError("x", &net.OpError{Op: "local error", Err: errors.New("tls: bad certificate")}); err != nil {
		t.Errorf("an alert of our own is %v", err)
	}
}
