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
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func TestMain(m *testing.M) {
	// net/http logs what engines of these tests send unasked.
	log.SetOutput(io.Discard)
	goleak.VerifyTestMain(m)
}

// fakeEngine answers /_ping as an engine of API 1.41 does and leaves the rest to
// the handlers, whose patterns have no API version.
func fakeEngine(handlers map[string]http.HandlerFunc) http.Handler {
	return versioned("1.41", handlers)
}

func versioned(api string, handlers map[string]http.HandlerFunc) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", api)
		w.Header().Set("Ostype", "linux")
		_, _ = w.Write([]byte("OK"))
	})
	for pattern, h := range handlers {
		mux.HandleFunc(pattern, h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/v"+api); ok {
			r.URL.Path = rest
		}
		mux.ServeHTTP(w, r)
	})
}

// unixServer serves h on a socket.
func unixServer(t testing.TB, h http.Handler) engine.Config {
	t.Helper()
	path := filepath.Join(socketDir(t), "engine.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return engine.Config{Endpoint: engine.Endpoint{Scheme: engine.SchemeUnix, Path: path}, Timeout: 30 * time.Second}
}

// socketDir is short: a socket's path has 107 bytes at most.
func socketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "moby")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// tcpConfig is the configuration for a server on the loopback.
func tcpConfig(addr net.Addr) engine.Config {
	tcp := addr.(*net.TCPAddr)
	return engine.Config{
		Endpoint: engine.Endpoint{Scheme: engine.SchemeTCP, Host: "127.0.0.1", Port: tcp.Port},
		Timeout:  30 * time.Second,
		Policy:   engine.AddressPolicy{Loopback: true},
	}
}

// rawServer gives each connection on a tcp port to serve, which need not close it.
func rawServer(t testing.TB, serve func(net.Conn)) engine.Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _ = c.Close() })
			go func() {
				defer func() { _ = c.Close() }()
				serve(c)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		cancel()
		<-done
	})
	return tcpConfig(l.Addr())
}

// hold keeps a connection open without a word until the other side closes it.
func hold(c net.Conn) {
	buf := make([]byte, 4096)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

func open(t testing.TB, cfg engine.Config) engine.Engine {
	t.Helper()
	p, err := Connector{}.Prepare(cfg)
	if err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	e := p.Open()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return e
}

// check reads and judges credentials.
func check(cfg engine.Config) (engine.CredentialInfo, error) {
	p, err := Connector{}.Prepare(cfg)
	if err != nil {
		return engine.CredentialInfo{}, err
	}
	return p.CheckCredentials(time.Now())
}

// wantError checks an error's class, cause and a part of its message.
func wantError(t testing.TB, err error, class engine.Class, cause engine.Cause, part string) {
	t.Helper()
	var e *engine.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T) is no *engine.Error", err, err)
	}
	if e.Class != class || e.Cause != cause {
		t.Errorf("got class %q, cause %q, want %q, %q (%v; raw: %v)", e.Class, e.Cause, class, cause, e, e.Err)
	}
	if errors.Is(err, io.EOF) {
		t.Errorf("the error %v would pass for a clean end", err)
	}
	if !strings.Contains(e.Message, part) {
		t.Errorf("message %q does not contain %q", e.Message, part)
	}
}

// authority signs certificates for tests.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t testing.TB, options ...func(*x509.Certificate)) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	tmpl := template("test CA")
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	tmpl.ExtKeyUsage = nil
	for _, o := range options {
		o(tmpl)
	}
	a.pem, a.cert = sign(t, tmpl, tmpl, &a.key.PublicKey, a.key)
	return a
}

// issue makes a certificate and its key in PEM.
func (a *authority) issue(options ...func(*x509.Certificate)) (cert, key []byte) {
	a.t.Helper()
	k := newKey(a.t)
	tmpl := template("test")
	for _, o := range options {
		o(tmpl)
	}
	cert, _ = sign(a.t, tmpl, a.cert, &k.PublicKey, a.key)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// client is a client's side signed by a.
func (a *authority) client(options ...func(*x509.Certificate)) *engine.TLSConfig {
	cert, key := a.issue(append([]func(*x509.Certificate){forClients}, options...)...)
	return &engine.TLSConfig{CA: a.pem, Cert: cert, Key: key}
}

func forClients(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }

func forServers(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
}

func wasValid(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
}

func willBeValid(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  time.Now().Add(time.Hour),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
}

func sign(t testing.TB, tmpl, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) ([]byte, *x509.Certificate) {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	tmpl.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), cert
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func prefix(t testing.TB, s string) netip.Prefix {
	t.Helper()
	p, err := netip.ParsePrefix(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
