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
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func TestSSHCallsShareOneConnection(t *testing.T) {
	s := newSSHServer(t)
	e := open(t, s.client(unixServer(t, fakeEngine(nil)).Endpoint.Path))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := e.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := s.links.Load(); n != 1 {
		t.Errorf("20 calls made %d ssh connections, want 1", n)
	}
}

// TestSSHKeyTypes: a server with two host keys is accepted whichever is known.
func TestSSHKeyTypes(t *testing.T) {
	s := newSSHServer(t)
	socket := unixServer(t, fakeEngine(nil)).Endpoint.Path
	for _, k := range s.hostKeys {
		cfg := s.client(socket)
		cfg.SSH.KnownHosts = s.knownHosts(k)
		if _, err := open(t, cfg).Ping(t.Context()); err != nil {
			t.Errorf("known_hosts with the %s key only: %v", k.PublicKey().Type(), err)
		}
	}
}

func TestSSHReconnects(t *testing.T) {
	s := newSSHServer(t)
	e := open(t, s.client(unixServer(t, fakeEngine(nil)).Endpoint.Path))
	if _, err := e.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.cut()
	eventually(t, "a ping after the cut", func() bool {
		_, err := e.Ping(t.Context())
		return err == nil
	})
	if n := s.links.Load(); n != 2 {
		t.Errorf("got %d ssh connections, want 2", n)
	}
}

func TestSSHErrors(t *testing.T) {
	tests := []struct {
		name  string
		cfg   func(*testing.T, *sshServer, engine.Config) engine.Config
		class engine.Class
		cause engine.Cause
		part  string
	}{
		{"wrong key", func(t *testing.T, _ *sshServer, cfg engine.Config) engine.Config {
			k, _ := newSSHKey(t)
			cfg.SSH.PrivateKey = privatePEM(t, k)
			return cfg
		}, engine.ClassAuth, engine.CauseAuthenticationFailed, "refused the user docker"},
		{"host key changed", func(t *testing.T, s *sshServer, cfg engine.Config) engine.Config {
			_, other := newSSHKey(t)
			cfg.SSH.KnownHosts = s.knownHosts(other)
			return cfg
		}, engine.ClassAuth, engine.CauseHostKeyMismatch, "is not the one in known_hosts"},
		{"host key of another type", func(t *testing.T, s *sshServer, cfg engine.Config) engine.Config {
			cfg.SSH.KnownHosts = s.knownHosts(signer(t, newKey(t)))
			return cfg
		}, engine.ClassAuth, engine.CauseHostKeyMismatch, "no host key of the types"},
		{"host unknown", func(_ *testing.T, _ *sshServer, cfg engine.Config) engine.Config {
			cfg.SSH.KnownHosts = []byte(strings.ReplaceAll(string(cfg.SSH.KnownHosts), "127.0.0.1", "127.0.0.2"))
			return cfg
		}, engine.ClassAuth, engine.CauseHostKeyMismatch, "is not in known_hosts"},
		{"host key revoked", func(_ *testing.T, s *sshServer, cfg engine.Config) engine.Config {
			for _, k := range s.hostKeys {
				cfg.SSH.KnownHosts = append(cfg.SSH.KnownHosts, "@revoked * "+string(ssh.MarshalAuthorizedKey(k.PublicKey()))...)
			}
			return cfg
		}, engine.ClassAuth, engine.CauseHostKeyMismatch, "revoked"},
		{"no socket", func(_ *testing.T, _ *sshServer, cfg engine.Config) engine.Config {
			cfg.Endpoint.Path = "/nonexistent/docker.sock"
			return cfg
		}, engine.ClassUnreachable, engine.CauseForwardingRefused, "AllowStreamLocalForwarding"},
		{"forwarding refused", func(_ *testing.T, s *sshServer, cfg engine.Config) engine.Config {
			s.refuse.Store(true)
			return cfg
		}, engine.ClassUnreachable, engine.CauseForwardingRefused, "no permission on the socket"},
		{"refused", func(t *testing.T, _ *sshServer, cfg engine.Config) engine.Config {
			return moved(cfg, closedPort(t))
		}, engine.ClassUnreachable, engine.CauseDialFailed, "refused the connection"},
		{"no such name", func(_ *testing.T, _ *sshServer, cfg engine.Config) engine.Config {
			cfg.SSH.KnownHosts = []byte(strings.Replace(string(cfg.SSH.KnownHosts), "[127.0.0.1]", "[no-such-host.invalid]", 1))
			cfg.Endpoint.Host = "no-such-host.invalid"
			return cfg
		}, engine.ClassUnreachable, engine.CauseNameNotResolved, "no-such-host.invalid"},
		{"forbidden", func(_ *testing.T, _ *sshServer, cfg engine.Config) engine.Config {
			cfg.Policy = engine.AddressPolicy{}
			return cfg
		}, engine.ClassForbidden, engine.CauseEndpointForbidden, "loopback"},
		{"says nothing", func(t *testing.T, _ *sshServer, cfg engine.Config) engine.Config {
			return slow(moved(cfg, rawServer(t, hold).Endpoint.Port))
		}, engine.ClassTimeout, engine.CauseTimeout, "did not finish the handshake"},
		{"hangs up", func(t *testing.T, _ *sshServer, cfg engine.Config) engine.Config {
			return moved(cfg, rawServer(t, func(net.Conn) {}).Endpoint.Port)
		}, engine.ClassUnreachable, engine.CauseDialFailed, "closed the connection during the ssh handshake"},
		{"an HTTP server", func(t *testing.T, _ *sshServer, cfg engine.Config) engine.Config {
			return moved(cfg, tcpServer(t, http.NotFoundHandler()).Endpoint.Port)
		}, engine.ClassUnreachable, engine.CauseDialFailed, "check that an ssh server listens there"},
		{"endless junk", func(t *testing.T, _ *sshServer, cfg engine.Config) engine.Config {
			return moved(cfg, rawServer(t, endless("")).Endpoint.Port)
		}, engine.ClassServer, engine.CauseEngineError, "is not an ssh server"},
		{"endless junk after the version", func(t *testing.T, _ *sshServer, cfg engine.Config) engine.Config {
			return moved(cfg, rawServer(t, endless("SSH-2.0-junk\r\n")).Endpoint.Port)
		}, engine.ClassServer, engine.CauseEngineError, "ssh handshake"},
		{"engine behind it is none", func(t *testing.T, _ *sshServer, cfg engine.Config) engine.Config {
			cfg.Endpoint.Path = unixServer(t, http.NotFoundHandler()).Endpoint.Path
			return cfg
		}, engine.ClassServer, engine.CauseEngineError, "does not answer as a Docker engine"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSSHServer(t)
			e := open(t, tt.cfg(t, s, s.client(unixServer(t, fakeEngine(nil)).Endpoint.Path)))
			_, first := e.Ping(t.Context())
			wantError(t, first, tt.class, tt.cause, tt.part)
			_, second := e.Ping(t.Context())
			if first == nil || second == nil || first.Error() != second.Error() {
				t.Errorf("the second attempt says %q, the first %q", second, first)
			}
		})
	}
}

// moved points a configuration, known_hosts included, at another port.
func moved(cfg engine.Config, port int) engine.Config {
	_, old, _ := net.SplitHostPort(cfg.Endpoint.Address())
	cfg.Endpoint.Port = port
	_, now, _ := net.SplitHostPort(cfg.Endpoint.Address())
	cfg.SSH.KnownHosts = []byte(strings.ReplaceAll(string(cfg.SSH.KnownHosts), ":"+old+" ", ":"+now+" "))
	return cfg
}

// TestSSHConnCloses: Read ends with Close although the server says nothing.
func TestSSHConnCloses(t *testing.T) {
	s := newSSHServer(t)
	l, err := net.Listen("unix", socketDir(t)+"/quiet.sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	e := open(t, s.client(l.Addr().String())).(*client)
	c, err := e.dialer.DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if n := e.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	done := make(chan error)
	go func() {
		_, err := io.ReadAll(c)
		done <- err
	}()
	_ = c.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a read of a closed connection succeeded")
		}
	case <-time.After(30 * time.Second):
		t.Error("Read goes on after Close")
	}
	if n := e.Connections(); n != 0 {
		t.Errorf("%d connections after Close, want 0", n)
	}
}

// TestSSHKeepAlive: a server that does not answer any more is left.
func TestSSHKeepAlive(t *testing.T) {
	s := newSSHServer(t)
	e := open(t, s.client(unixServer(t, fakeEngine(nil)).Endpoint.Path)).(*client)
	e.dialer.ssh.keepAlive, e.dialer.ssh.keepAliveWait = 20*time.Millisecond, 2*time.Second
	if _, err := e.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.dialer.ssh.mu.Lock()
	link := e.dialer.ssh.current
	e.dialer.ssh.mu.Unlock()
	s.mute.Store(true)
	select {
	case <-link.dead:
	case <-time.After(30 * time.Second):
		t.Error("the connection outlives its server's silence")
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within 30 s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
