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
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func unixConfig(path string) engine.Config {
	return engine.Config{Endpoint: engine.Endpoint{Scheme: engine.SchemeUnix, Path: path}, Timeout: 30 * time.Second}
}

// impatience is the timeout of tests that wait for it: long enough to connect on a
// busy machine.
const impatience = 2 * time.Second

// slow makes a test of a timeout short.
func slow(cfg engine.Config) engine.Config {
	cfg.Timeout = impatience
	return cfg
}

func tcpServer(t testing.TB, h http.Handler) engine.Config {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return tcpConfig(s.Listener.Addr())
}

// tlsServer is an engine with a certificate of signer that lets in clients of
// clients.
func tlsServer(t testing.TB, signer, clients *authority, options ...func(*x509.Certificate)) engine.Config {
	t.Helper()
	return tlsServerMax(t, 0, signer, clients, options...)
}

func tlsServerMax(t testing.TB, version uint16, signer, clients *authority, options ...func(*x509.Certificate)) engine.Config {
	t.Helper()
	return tlsHandler(t, version, fakeEngine(nil), signer, clients, options...)
}

func tlsHandler(t testing.TB, version uint16, h http.Handler, signer, clients *authority, options ...func(*x509.Certificate)) engine.Config {
	t.Helper()
	pair, err := tls.X509KeyPair(signer.issue(options...))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    x509.NewCertPool(),
		MinVersion:   tls.VersionTLS10,
		MaxVersion:   version,
	}
	s.TLS.ClientCAs.AddCert(clients.cert)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return tcpConfig(s.Listener.Addr())
}

func status(code int, mediaType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// say reads a little of a request, answers, and waits for the other side.
func say(c net.Conn, s string) {
	sayAndGo(c, s)
	hold(c)
}

func sayAndGo(c net.Conn, s string) {
	_, _ = c.Read(make([]byte, 4096))
	_, _ = io.WriteString(c, s)
}

// endless answers begin and then junk for as long as somebody reads it.
func endless(begin string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		flood(begin)(c)
	}
}

// flood is endless without waiting for a request.
func flood(begin string) func(net.Conn) {
	return func(c net.Conn) {
		_, err := io.WriteString(c, begin)
		for junk := strings.Repeat("x", 64<<10); err == nil; {
			_, err = io.WriteString(c, junk)
		}
	}
}

func writeJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

func execStart() container.ExecStartRequest { return container.ExecStartRequest{} }
