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
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// TestPingErrors makes each failure to connect happen, twice: the message of the
// second is that of the first.
func TestPingErrors(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	tests := []struct {
		name  string
		cfg   func(*testing.T) engine.Config
		class engine.Class
		cause engine.Cause
		part  string
	}{
		{"no such socket", func(t *testing.T) engine.Config {
			return unixConfig(filepath.Join(t.TempDir(), "none.sock"))
		}, engine.ClassUnreachable, engine.CauseDialFailed, "there is no socket"},
		{"a file that is no socket", func(t *testing.T) engine.Config {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return unixConfig(path)
		}, engine.ClassUnreachable, engine.CauseDialFailed, "nobody listens on the socket"},
		{"socket path too long", func(*testing.T) engine.Config {
			return unixConfig("/" + strings.Repeat("x", 200))
		}, engine.ClassUnreachable, engine.CauseDialFailed, "cannot connect to unix:///xxx"},
		{"refused", func(t *testing.T) engine.Config {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			_ = l.Close()
			return tcpConfig(l.Addr())
		}, engine.ClassUnreachable, engine.CauseDialFailed, "refused the connection"},
		{"no such name", func(*testing.T) engine.Config {
			cfg := tcpConfig(&net.TCPAddr{Port: 2375})
			cfg.Endpoint.Host = "no-such-host.invalid"
			return cfg
		}, engine.ClassUnreachable, engine.CauseNameNotResolved, "no-such-host.invalid"},
		{"loopback forbidden", func(t *testing.T) engine.Config {
			cfg := tcpServer(t, fakeEngine(nil))
			cfg.Policy = engine.AddressPolicy{}
			return cfg
		}, engine.ClassForbidden, engine.CauseEndpointForbidden, "may not be dialled: loopback addresses"},
		{"a name of a forbidden address", func(t *testing.T) engine.Config {
			cfg := tcpServer(t, fakeEngine(nil))
			cfg.Endpoint.Host = "localhost"
			cfg.Policy = engine.AddressPolicy{}
			return cfg
		}, engine.ClassForbidden, engine.CauseEndpointForbidden, "may not be dialled: loopback addresses"},
		{"outside the prefixes", func(t *testing.T) engine.Config {
			cfg := tcpConfig(&net.TCPAddr{Port: 2375})
			cfg.Endpoint.Host = "192.0.2.1"
			cfg.Policy.Allowed = append(cfg.Policy.Allowed, prefix(t, "10.0.0.0/8"))
			return cfg
		}, engine.ClassForbidden, engine.CauseEndpointForbidden, "--endpoint-cidrs"},
		{"accepts and says nothing", func(t *testing.T) engine.Config { return slow(rawServer(t, hold)) },
			engine.ClassTimeout, engine.CauseTimeout, "did not answer in time"},
		{"accepts and hangs up", func(t *testing.T) engine.Config { return rawServer(t, func(net.Conn) {}) },
			engine.ClassUnreachable, engine.CauseDialFailed, "broke before the answer was complete"},
		{"no HTTP", func(t *testing.T) engine.Config {
			return rawServer(t, func(c net.Conn) { say(c, "SSH-2.0-OpenSSH_9.2\r\n") })
		}, engine.ClassServer, engine.CauseEngineError, "does not answer as a Docker engine does"},
		{"endless header", func(t *testing.T) engine.Config { return rawServer(t, endless("HTTP/1.1 200 OK\r\nX-Junk: ")) },
			engine.ClassServer, engine.CauseEngineError, "does not answer as a Docker engine does"},
		{"endless junk", func(t *testing.T) engine.Config { return rawServer(t, endless("")) },
			engine.ClassServer, engine.CauseEngineError, "does not answer as a Docker engine does"},
		{"endless body", func(t *testing.T) engine.Config { return rawServer(t, endless("HTTP/1.1 200 OK\r\n\r\n")) },
			engine.ClassServer, engine.CauseEngineError, "does not answer as a Docker engine does"},
		{"endless body of an error", func(t *testing.T) engine.Config {
			return rawServer(t, endless("HTTP/1.1 500 No\r\nConnection: close\r\n\r\n"))
		},
			engine.ClassServer, engine.CauseEngineError, "the engine says: xxx"},
		{"HTML", func(t *testing.T) engine.Config {
			return tcpServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html><body>Welcome") }))
		}, engine.ClassServer, engine.CauseEngineError, "does not answer as a Docker engine does (it sent text/html)"},
		{"HTML with a status", func(t *testing.T) engine.Config {
			return tcpServer(t, status(500, "text/html", "<html>"))
		}, engine.ClassServer, engine.CauseEngineError, "does not answer as a Docker engine does (it sent text/html)"},
		{"nothing at that path", func(t *testing.T) engine.Config { return tcpServer(t, http.NotFoundHandler()) },
			engine.ClassServer, engine.CauseEngineError, "does not answer as a Docker engine does"},
		{"redirect", func(t *testing.T) engine.Config {
			return tcpServer(t, http.RedirectHandler("http://127.0.0.1:1/", http.StatusMovedPermanently))
		}, engine.ClassServer, engine.CauseEngineError, "redirects elsewhere"},
		{"engine fails", func(t *testing.T) engine.Config {
			return tcpServer(t, status(500, "application/json", `{"message":"disk is full"}`))
		}, engine.ClassServer, engine.CauseEngineError, "the engine says: disk is full"},
		{"password asked", func(t *testing.T) engine.Config { return tcpServer(t, status(401, "text/plain", "who are you?")) },
			engine.ClassAuth, engine.CauseAuthenticationFailed, "refused the request (HTTP 401)"},
		{"engine too old", func(t *testing.T) engine.Config { return tcpServer(t, versioned("1.39", nil)) },
			engine.ClassServer, engine.CauseAPIVersion, "at least 1.40 is needed"},
		{"engine too new", func(t *testing.T) engine.Config {
			return tcpServer(t, versioned("1.99", map[string]http.HandlerFunc{
				"GET /version": status(200, "application/json", `{"ApiVersion":"1.99","MinAPIVersion":"1.60"}`),
			}))
		}, engine.ClassServer, engine.CauseAPIVersion, "upgrade this program"},
		{"version is junk", func(t *testing.T) engine.Config { return tcpServer(t, versioned("1.x\x1b[31m", nil)) },
			engine.ClassServer, engine.CauseEngineError, "does not answer as a Docker engine does"},

		{"TLS without credentials", func(t *testing.T) engine.Config {
			cfg := tlsServer(t, ca, ca, forServers)
			cfg.TLS = nil
			return cfg
		}, engine.ClassServer, engine.CauseEngineError, "speaks TLS only"},
		{"TLS record to plain HTTP", func(t *testing.T) engine.Config {
			return rawServer(t, func(c net.Conn) { sayAndGo(c, "\x15\x03\x01\x00\x02\x02\x46") })
		}, engine.ClassServer, engine.CauseEngineError, "speaks TLS only"},
		{"credentials without TLS", func(t *testing.T) engine.Config {
			cfg := tcpServer(t, fakeEngine(nil))
			cfg.TLS = ca.client()
			return cfg
		}, engine.ClassServer, engine.CauseEngineError, "does not speak TLS"},
		{"server of another CA", func(t *testing.T) engine.Config {
			cfg := tlsServer(t, other, ca, forServers)
			cfg.TLS = ca.client()
			return cfg
		}, engine.ClassAuth, engine.CauseCertificateUntrusted, "not signed by the CA in ca.crt"},
		{"server of another name", func(t *testing.T) engine.Config {
			cfg := tlsServer(t, ca, ca, forServers)
			cfg.TLS = ca.client()
			cfg.TLS.ServerName = "engine.example"
			return cfg
		}, engine.ClassAuth, engine.CauseCertificateUntrusted, "another name than engine.example"},
		{"server without the address", func(t *testing.T) engine.Config {
			cfg := tlsServer(t, ca, ca, func(c *x509.Certificate) { c.DNSNames = []string{"engine.example"} })
			cfg.TLS = ca.client()
			return cfg
		}, engine.ClassAuth, engine.CauseCertificateUntrusted, "another name than 127.0.0.1"},
		{"server expired", func(t *testing.T) engine.Config {
			cfg := tlsServer(t, ca, ca, forServers, wasValid)
			cfg.TLS = ca.client()
			return cfg
		}, engine.ClassAuth, engine.CauseCertificateExpired, "the server certificate of"},
		{"server certificate for clients", func(t *testing.T) engine.Config {
			cfg := tlsServer(t, ca, ca, forServers, forClients)
			cfg.TLS = ca.client()
			return cfg
		}, engine.ClassAuth, engine.CauseCertificateUntrusted, "cannot be used"},
		{"client expired", func(t *testing.T) engine.Config {
			cfg := tlsServer(t, ca, ca, forServers)
			cfg.TLS = ca.client(wasValid)
			return cfg
		}, engine.ClassAuth, engine.CauseCertificateExpired, "the client certificate in tls.crt has expired"},
		{"client refused, TLS 1.3", func(t *testing.T) engine.Config {
			cfg := tlsServer(t, ca, ca, forServers)
			cfg.TLS = other.client()
			cfg.TLS.CA = ca.pem
			return cfg
		}, engine.ClassAuth, engine.CauseAuthenticationFailed, "refused our client certificate"},
		{"client refused, TLS 1.2", func(t *testing.T) engine.Config {
			cfg := tlsServerMax(t, tls.VersionTLS12, ca, ca, forServers)
			cfg.TLS = other.client()
			cfg.TLS.CA = ca.pem
			return cfg
		}, engine.ClassAuth, engine.CauseAuthenticationFailed, "refused our client certificate"},
		{"TLS too old", func(t *testing.T) engine.Config {
			cfg := tlsServerMax(t, tls.VersionTLS11, ca, ca, forServers)
			cfg.TLS = ca.client()
			return cfg
		}, engine.ClassServer, engine.CauseEngineError, "speaks no TLS 1.2 or later"},
		{"TLS handshake without an answer", func(t *testing.T) engine.Config {
			cfg := slow(rawServer(t, hold))
			cfg.TLS = ca.client()
			return cfg
		}, engine.ClassTimeout, engine.CauseTimeout, "did not finish the handshake in time"},
		{"TLS handshake hung up", func(t *testing.T) engine.Config {
			cfg := rawServer(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 100)) })
			cfg.TLS = ca.client()
			return cfg
		}, engine.ClassUnreachable, engine.CauseDialFailed, "TLS handshake"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := open(t, tt.cfg(t))
			_, first := e.Ping(t.Context())
			wantError(t, first, tt.class, tt.cause, tt.part)
			_, second := e.Ping(t.Context())
			if first == nil || second == nil || first.Error() != second.Error() {
				t.Errorf("the second attempt says %q, the first %q", second, first)
			}
			if len(first.Error()) > maxErrorText+200 {
				t.Errorf("the message has %d bytes", len(first.Error()))
			}
		})
	}
}

func TestDialWithoutAnswer(t *testing.T) {
	// A listener whose queue is full drops what comes: a black hole without
	// touching the network's configuration.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	fillBacklog(t, l.Addr().String())
	e := open(t, slow(tcpConfig(l.Addr())))
	for range 2 {
		_, err := e.Ping(t.Context())
		wantError(t, err, engine.ClassTimeout, engine.CauseTimeout, "no connection to tcp://127.0.0.1:")
	}
}

// fillBacklog connects until nothing gets through: three dials in a row, for one alone may
// be late for the machine's sake.
func fillBacklog(t *testing.T, addr string) {
	t.Helper()
	failed := 0
	for range 10_000 {
		d := net.Dialer{Timeout: 700 * time.Millisecond}
		c, err := d.DialContext(t.Context(), "tcp", addr)
		if err == nil {
			failed = 0
			t.Cleanup(func() { _ = c.Close() })
		} else if failed++; failed == 3 {
			return
		}
	}
	t.Fatal("the queue of the listener has no end")
}

func TestCallerGivesUp(t *testing.T) {
	e := open(t, rawServer(t, hold))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := e.Ping(ctx)
	wantError(t, err, engine.ClassCanceled, "", "was given up")

	ctx, cancel = context.WithTimeout(t.Context(), impatience)
	defer cancel()
	_, err = e.Ping(ctx)
	wantError(t, err, engine.ClassTimeout, engine.CauseTimeout, "did not answer in time")
}

func TestStatuses(t *testing.T) {
	tests := []struct {
		code    int
		message string
		class   engine.Class
		cause   engine.Cause
		part    string
	}{
		{400, "bad parameter", engine.ClassInvalid, "", "the engine says: bad parameter"},
		{400, "client version 1.56 is too new. Maximum supported API version is 1.41", engine.ClassServer, engine.CauseAPIVersion, "too new"},
		{400, "client version 1.41 is too old. Minimum supported API version is 1.44", engine.ClassServer, engine.CauseAPIVersion, "too old"},
		{401, "no", engine.ClassAuth, engine.CauseAuthenticationFailed, "HTTP 401"},
		{403, "network n1 id x has active endpoints", engine.ClassConflict, "", "active endpoints"},
		{403, "bridge is a pre-defined network and cannot be removed", engine.ClassConflict, "", "pre-defined"},
		{403, "The network x cannot be used with services. Only networks scoped to the swarm can be used.", engine.ClassConflict, "", "The network x"},
		{500, "Container x is not paused", engine.ClassConflict, "", "not paused"},
		{500, "can only kill running containers: container state improper", engine.ClassConflict, "", "state improper"},
		{403, "authorization denied by plugin", engine.ClassAuth, engine.CauseAuthenticationFailed, "denied by plugin"},
		{404, "No such container: x", engine.ClassNotFound, "", "No such container: x"},
		{405, "", engine.ClassInvalid, "", "Method Not Allowed"},
		{406, "This node is not part of a swarm", engine.ClassConflict, "", "swarm"},
		{409, "container x is paused", engine.ClassConflict, "", "is paused"},
		{418, "", engine.ClassInvalid, "", "teapot"},
		{500, "rpc error: code = Unknown desc = update out of sequence", engine.ClassConflict, "", "out of sequence"},
		{500, "Could not attach to network x: rpc error: code = NotFound desc = network x not found", engine.ClassNotFound, "", "network x"},
		{500, "x not found: layer not known", engine.ClassNotFound, "", "layer not known"},
		{500, "read udp 127.0.0.1:53210->127.0.0.53:53: i/o timeout", engine.ClassServer, engine.CauseEngineError, "read udp 127.0.0.53:53: i/o timeout"},
		{500, "a\x00b\x1b[31mc\u202e\nd", engine.ClassServer, engine.CauseEngineError, "ab[31mc d"},
		{501, "no", engine.ClassServer, engine.CauseEngineError, "no"},
		{503, "This node is not a swarm manager. Use \"docker swarm init\"", engine.ClassConflict, "", "not a swarm manager"},
		{503, "The swarm does not have a leader", engine.ClassServer, engine.CauseEngineError, "leader"},
		{504, "context deadline exceeded", engine.ClassTimeout, engine.CauseTimeout, "deadline"},
		{302, "", engine.ClassServer, engine.CauseEngineError, "redirects elsewhere"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.code, " ", tt.message), func(t *testing.T) {
			e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
				"/": func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					w.Header().Set("Location", "http://127.0.0.1:1/")
					w.WriteHeader(tt.code)
					_ = writeJSON(w, map[string]string{"message": tt.message})
				},
			})))
			// Reads are ours, writes the SDK's: both say the same.
			_, err := e.Inspect(t.Context(), engine.Containers, "x")
			wantError(t, err, tt.class, tt.cause, tt.part)
			err = e.ContainerKill(t.Context(), "x", "")
			wantError(t, err, tt.class, tt.cause, tt.part)
			_, err = e.Events(t.Context(), engine.EventsOptions{})
			wantError(t, err, tt.class, tt.cause, tt.part)
			_, err = e.ExecStart(t.Context(), "x", execStart())
			wantError(t, err, tt.class, tt.cause, tt.part)
		})
	}
}

func TestErrorTextIsBounded(t *testing.T) {
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_ = writeJSON(w, map[string]string{"message": strings.Repeat("é", 20_000)})
		},
	})))
	_, err := e.Info(t.Context())
	wantError(t, err, engine.ClassServer, engine.CauseEngineError, "éé")
	if n := len(err.Error()); n > maxErrorText+100 {
		t.Errorf("the message has %d bytes", n)
	}
}

func TestNoProxyFromTheEnvironment(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the proxy was asked")
	}))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	e := open(t, unixServer(t, fakeEngine(nil)))
	if _, err := e.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func FuzzStatus(f *testing.F) {
	f.Add(404, "application/json", []byte(`{"message":"No such container"}`))
	f.Add(500, "text/html", []byte("<html>"))
	f.Add(400, "", []byte{0xff, 0, 0x1b})
	f.Fuzz(func(t *testing.T, code int, mediaType string, raw []byte) {
		c := &client{name: "unix:///x", ctx: context.Background()}
		err := c.statusError(&http.Response{
			StatusCode: code,
			Header:     http.Header{"Content-Type": {mediaType}},
			Body:       io.NopCloser(strings.NewReader(string(raw))),
		})
		if code/100 == 2 || code == http.StatusNotModified {
			if err != nil {
				t.Fatalf("%d is no failure: %v", code, err)
			}
			return
		}
		checkErrorText(t, err)
	})
}

func FuzzCallError(f *testing.F) {
	f.Add("read tcp 127.0.0.1:53210->127.0.0.1:2375: read: connection reset by peer")
	f.Add(`malformed HTTP response "\x15\x03\x01"`)
	f.Fuzz(func(t *testing.T, text string) {
		c := &client{name: "tcp://h:1", ctx: context.Background(), dialer: &dialer{endpoint: engine.Endpoint{Scheme: "tcp", Host: "h", Port: 1}}}
		err := errors.New(text)
		for _, err := range []error{
			c.callError(t.Context(), err, true),
			c.callError(t.Context(), &net.OpError{Op: "remote error", Err: err}, true),
			c.sdkError(t.Context(), err),
			dialError(t.Context(), c.dialer.endpoint, err),
			dialError(t.Context(), c.dialer.endpoint, &handshakeError{err}),
			sshError(c.dialer.endpoint, err),
		} {
			checkErrorText(t, err)
		}
	})
}

func checkErrorText(t *testing.T, err error) {
	t.Helper()
	var e *engine.Error
	if !errors.As(err, &e) || e.Class == "" || e.Message == "" {
		t.Fatalf("%#v is no complete *engine.Error", err)
	}
	if len(e.Message) > maxErrorText+500 || strings.ContainsFunc(e.Message, isControl) || localAddress.MatchString(e.Message) {
		t.Fatalf("the message is not fit for a status: %q", e.Message)
	}
}
