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

package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/dockercontrol/dockercontrol/web"
)

var testPages = fstest.MapFS{
	"index.html":         {Data: []byte("<!doctype html><title>Docker Control Platform</title>")},
	"assets/app-1234.js": {Data: []byte("console.log('hello')")},
	"icon.svg":           {Data: []byte("<svg/>")},
}

// running is a Server that runs, and what a client needs.
type running struct {
	*Server
	api  *fakeAPI
	stop func() error // ends Start and returns its error
}

// start runs a server until the test ends, and waits until it listens.
func start(t *testing.T, change ...func(*Options)) *running {
	t.Helper()
	api := newFakeAPI(t)
	o := Options{
		Address: "127.0.0.1:0", RESTConfig: api.restConfig(), Console: testPages,
		Version: version.Info{GitVersion: "v0.1.0"}, Log: logr.Discard(),
	}
	for _, c := range change {
		c(&o)
	}
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	stopped := false
	r := &running{Server: s, api: api, stop: func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(30 * time.Second):
			return errors.New("the server did not end in 30 s")
		}
	}}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	select {
	case <-s.Listening():
	case err := <-ended:
		t.Fatalf("the server ended before it listened: %v", err)
	}
	return r
}

// client returns a client that trusts whoever answers, with a certificate if any.
func client(t *testing.T, certs ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, Certificates: certs},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("redirected")
	}}
}

// reply is an answer that was read to its end.
type reply struct {
	StatusCode, ProtoMajor int
	Header                 http.Header
}

// do sends a request and returns the answer and its body.
func (r *running) do(t *testing.T, c *http.Client, method, path string, headers ...string) (reply, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+r.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{StatusCode: resp.StatusCode, ProtoMajor: resp.ProtoMajor, Header: resp.Header}, string(body)
}

// eventually waits for what happens in another goroutine.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("after 30 s: still not %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestPathsAndTheirAnswers(t *testing.T) {
	r := start(t, func(o *Options) {
		o.Ready = map[string]healthz.Checker{"cache": func(*http.Request) error { return errors.New("secret detail") }}
	})
	r.api.set(map[string]string{})
	eventually(t, "ready", func() bool { return r.ReadyCheck(nil) == nil })
	c := client(t)
	for _, tc := range []struct {
		method, path string
		headers      []string
		code         int
		kind, body   string // Content-Type, and a part of the body
		policy       string
	}{
		{method: "GET", path: "/", code: 200, kind: "text/html; charset=utf-8", body: "Docker Control Platform", policy: pagePolicy},
		{method: "HEAD", path: "/", code: 200, kind: "text/html; charset=utf-8", policy: pagePolicy},
		{method: "GET", path: "/index.html", code: 200, kind: "text/html; charset=utf-8", body: "Docker", policy: pagePolicy},
		{method: "GET", path: "/assets/app-1234.js", code: 200, kind: "text/javascript; charset=utf-8", body: "hello", policy: pagePolicy},
		{method: "GET", path: "/icon.svg", code: 200, kind: "image/svg+xml", body: "svg", policy: pagePolicy},
		{method: "GET", path: "/hosts/default/my.host", headers: []string{"Accept", "text/html,*/*;q=0.8"}, code: 200, kind: "text/html; charset=utf-8", body: "Docker", policy: pagePolicy},
		{method: "GET", path: "/hosts/default/local", headers: []string{"Accept", "*/*"}, code: 404, kind: "application/json", body: `"NotFound"`, policy: apiPolicy},
		{method: "GET", path: "/assets/old-0000.js", headers: []string{"Accept", "text/html"}, code: 404, kind: "application/json", body: `"NotFound"`, policy: apiPolicy},
		{method: "GET", path: "/assets", code: 404, kind: "application/json", body: `"NotFound"`, policy: apiPolicy},
		{method: "GET", path: "/assets/", code: 404, kind: "application/json", body: `"NotFound"`, policy: apiPolicy},
		{method: "GET", path: "/assets/..%2findex.html", code: 404, kind: "application/json", policy: apiPolicy},
		{method: "GET", path: "/%2e%2e/%2e%2e/etc/passwd", code: 404, kind: "application/json", policy: apiPolicy},
		{method: "POST", path: "/", code: 405, kind: "application/json", body: `"MethodNotAllowed"`, policy: apiPolicy},
		{method: "GET", path: "/healthz", code: 200, kind: "text/plain; charset=utf-8", body: "ok\n", policy: apiPolicy},
		{method: "DELETE", path: "/healthz", code: 405, kind: "application/json", policy: apiPolicy},
		{method: "GET", path: "/readyz", code: 503, kind: "text/plain; charset=utf-8", body: "not ready: cache\n", policy: apiPolicy},
		{method: "GET", path: "/version", code: 200, kind: "application/json", body: `"gitVersion":"v0.1.0"`, policy: apiPolicy},
		{method: "GET", path: "/apis", code: 401, kind: "application/json", body: `"Unauthorized"`, policy: apiPolicy},
		{method: "GET", path: "/apis/", headers: []string{"Accept", "text/html"}, code: 401, kind: "application/json", body: `"Unauthorized"`, policy: apiPolicy},
		{method: "GET", path: "/api/v1/namespaces", code: 401, kind: "application/json", body: `"Unauthorized"`, policy: apiPolicy},
		{method: "POST", path: "/apis//x/../y", code: 401, kind: "application/json", body: `"Unauthorized"`, policy: apiPolicy},
		{method: "GET", path: "/stream", code: 401, kind: "application/json", body: `"Unauthorized"`, policy: apiPolicy},
	} {
		t.Run(tc.method+" "+tc.path, func(t *testing.T) {
			resp, body := r.do(t, c, tc.method, tc.path, tc.headers...)
			if resp.StatusCode != tc.code || resp.Header.Get("Content-Type") != tc.kind || !strings.Contains(body, tc.body) {
				t.Errorf("got %d, %s, %q", resp.StatusCode, resp.Header.Get("Content-Type"), body)
			}
			if got := resp.Header.Get("Content-Security-Policy"); got != tc.policy {
				t.Errorf("Content-Security-Policy: got %q", got)
			}
			for header, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "",
			} {
				if got := resp.Header.Get(header); got != want {
					t.Errorf("%s: got %q, want %q", header, got, want)
				}
			}
			if resp.Header.Get("Audit-Id") == "" {
				t.Error("the answer has no request id")
			}
			if tc.code >= 400 && tc.kind == "application/json" && tc.method != "HEAD" {
				checkStatus(t, body, tc.code)
			}
		})
	}
}

// checkStatus checks that a body is a whole Kubernetes Status.
func checkStatus(t *testing.T, body string, code int) metav1.Status {
	t.Helper()
	var s metav1.Status
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatalf("%q is no Status: %v", body, err)
	}
	if s.Kind != "Status" || s.APIVersion != "v1" || s.Status != metav1.StatusFailure || int(s.Code) != code || s.Message == "" || s.Reason == "" {
		t.Errorf("not a whole Status: %s", body)
	}
	return s
}

func TestStrictTransportIsForNames(t *testing.T) {
	r := start(t)
	c := client(t)
	for host, want := range map[string]string{
		"docker.example.com": strictTransport, "docker.example.com:8443": strictTransport, "localhost": "", "LOCALHOST:8443": "",
		"app.localhost:8443": "", "127.0.0.1:8443": "", "[::1]:8443": "", "[::1]": "",
	} {
		resp, _ := r.do(t, c, "GET", "/healthz", "Host", host)
		if got := resp.Header.Get("Strict-Transport-Security"); got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}

func TestCachingOfPages(t *testing.T) {
	r := start(t)
	c := client(t)
	for path, want := range map[string]string{"/": "no-cache", "/assets/app-1234.js": "public, max-age=31536000, immutable"} {
		resp, _ := r.do(t, c, "GET", path)
		if got := resp.Header.Get("Cache-Control"); got != want {
			t.Errorf("%s: Cache-Control %q, want %q", path, got, want)
		}
		again, body := r.do(t, c, "GET", path, "If-None-Match", resp.Header.Get("Etag"))
		if again.StatusCode != http.StatusNotModified || body != "" {
			t.Errorf("%s: asked again, got %d %q, want 304", path, again.StatusCode, body)
		}
	}
	resp, _ := r.do(t, c, "GET", "/", "If-None-Match", `"another"`)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("with another Etag got %d", resp.StatusCode)
	}
}

func TestProtocols(t *testing.T) {
	r := start(t)
	resp, _ := r.do(t, client(t), "GET", "/healthz")
	if resp.ProtoMajor != 2 {
		t.Errorf("got HTTP/%d, want HTTP/2", resp.ProtoMajor)
	}
	plain := client(t)
	plain.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	if resp, _ := r.do(t, plain, "GET", "/healthz"); resp.ProtoMajor != 1 {
		t.Errorf("got HTTP/%d, want HTTP/1.1", resp.ProtoMajor)
	}
	for v, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", r.Addr(), &tls.Config{InsecureSkipVerify: true, MinVersion: v, MaxVersion: v})
		if err == nil {
			err = conn.Handshake()
			conn.Close()
		}
		if (err == nil) != ok {
			t.Errorf("%s: got %v, want it to work: %v", tls.VersionName(v), err, ok)
		}
	}
}

func TestOversizedHeadersAreRefused(t *testing.T) {
	r := start(t)
	c := client(t)
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	resp, _ := r.do(t, c, "GET", "/healthz", "X-Large", strings.Repeat("x", maxHeaderBytes+8192))
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d, want 431", resp.StatusCode)
	}
	if resp, _ := r.do(t, c, "GET", "/healthz", "X-Large", strings.Repeat("x", maxHeaderBytes-8192)); resp.StatusCode != http.StatusOK {
		t.Errorf("headers below the bound: got %d", resp.StatusCode)
	}
}

func TestCertificateIsReloaded(t *testing.T) {
	ca := newTestCA(t, "server CA")
	dir := t.TempDir()
	certFile, keyFile := ca.serverFiles(t, dir, "first")
	r := start(t, func(o *Options) { o.CertFile, o.KeyFile = certFile, keyFile })
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	served := func() string {
		conn, err := tls.Dial("tcp", r.Addr(), &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := served(); got != "first" {
		t.Fatalf("got certificate %q", got)
	}
	// As kubelet changes a Secret's files: beside the old ones, then renamed over them.
	next := t.TempDir()
	ca.serverFiles(t, next, "second")
	for _, name := range []string{"tls.key", "tls.crt"} {
		if err := os.Rename(filepath.Join(next, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "served with the second certificate", func() bool { return served() == "second" })
	if err := os.WriteFile(certFile, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := served(); got != "second" {
		t.Errorf("with junk in the file, got certificate %q, want the last good one", got)
	}
}

func TestSelfSignedCertificate(t *testing.T) {
	r := start(t)
	conn, err := tls.Dial("tcp", r.Addr(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cert := conn.ConnectionState().PeerCertificates[0]
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := cert.VerifyHostname(name); err != nil {
			t.Errorf("not for %s: %v", name, err)
		}
	}
	own := &selfSigned{names: []string{"localhost"}, log: logr.Discard()}
	first, err := own.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := own.GetCertificate(nil); second != first {
		t.Error("each handshake makes a certificate")
	}
	old := *first.Leaf
	old.NotAfter = time.Now().Add(selfSignedRenew - time.Hour)
	first.Leaf = &old
	if third, _ := own.GetCertificate(nil); third == first {
		t.Error("a certificate near its end is not replaced")
	}
}

func TestCertificateNames(t *testing.T) {
	for address, want := range map[string]bool{"docker.example.com:8443": true, "192.0.2.7:8443": true, ":8443": false, "0.0.0.0:8443": false, "[::]:8443": false, "127.0.0.1:8443": false} {
		host, _, _ := net.SplitHostPort(address)
		got := certificateNames(address)
		if has := slices.Contains(got[3:], host) && host != ""; has != want {
			t.Errorf("%s: got names %q", address, got)
		}
	}
}

func TestNewServerRefuses(t *testing.T) {
	ca := newTestCA(t, "CA")
	certFile, keyFile := ca.serverFiles(t, t.TempDir(), "a")
	_, otherKey := ca.serverFiles(t, t.TempDir(), "b")
	for name, tc := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"an address without a port":   {func(o *Options) { o.Address = "127.0.0.1" }, "not host:port"},
		"a certificate without a key": {func(o *Options) { o.CertFile = certFile }, "go together"},
		"a missing file":              {func(o *Options) { o.CertFile, o.KeyFile = certFile+".no", keyFile }, "no such file"},
		"a key of another":            {func(o *Options) { o.CertFile, o.KeyFile = certFile, otherKey }, "private key does not match"},
		"no kube-apiserver":           {func(o *Options) { o.RESTConfig = nil }, "needs a kube-apiserver"},
		"no console":                  {func(o *Options) { o.Console = nil }, "no console"},
		"a console without a page":    {func(o *Options) { o.Console = fstest.MapFS{"a.js": {}} }, "no index.html"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Address: ":0", RESTConfig: newFakeAPI(t).restConfig(), Console: testPages}
			tc.change(&o)
			if _, err := NewServer(o); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something of %q", err, tc.want)
			}
		})
	}
}

func TestStartSaysWhyItCannotListen(t *testing.T) {
	r := start(t)
	certFile, keyFile := newTestCA(t, "CA").serverFiles(t, t.TempDir(), "server")
	s, err := NewServer(Options{Address: r.Addr(), RESTConfig: r.api.restConfig(), Console: testPages, CertFile: certFile, KeyFile: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

// TestShutdown ends a server while a request is under way and another hangs.
func TestShutdown(t *testing.T) {
	for name, finishes := range map[string]bool{"a request that ends": true, "a request that hangs": false} {
		t.Run(name, func(t *testing.T) {
			entered, release := make(chan struct{}), make(chan struct{})
			r := start(t, func(o *Options) {
				o.ShutdownTimeout = 10 * time.Second
				if !finishes {
					o.ShutdownTimeout = 50 * time.Millisecond
				}
				o.Ready = map[string]healthz.Checker{"slow": func(req *http.Request) error {
					close(entered)
					select {
					case <-release:
						return nil
					case <-req.Context().Done():
						return req.Context().Err()
					}
				}}
			})
			type answer struct {
				code int
				err  error
			}
			answers := make(chan answer, 1)
			c := client(t)
			go func() {
				resp, err := c.Get("https://" + r.Addr() + "/readyz")
				if err != nil {
					answers <- answer{err: err}
					return
				}
				resp.Body.Close()
				answers <- answer{code: resp.StatusCode}
			}()
			<-entered
			stopped := make(chan error, 1)
			go func() { stopped <- r.stop() }()
			eventually(t, "not ready", func() bool {
				err := r.ReadyCheck(nil)
				return err != nil && strings.Contains(err.Error(), "shutting down")
			})
			if finishes {
				close(release)
			}
			if err := <-stopped; err != nil {
				t.Errorf("the server ended with %v", err)
			}
			got := <-answers
			if finishes && (got.err != nil || got.code != http.StatusServiceUnavailable) {
				t.Errorf("the request under way got %+v", got)
			}
			if !finishes && got.err == nil && got.code == http.StatusOK {
				t.Errorf("the hanging request got %+v", got)
			}
			if conn, err := net.Dial("tcp", r.Addr()); err == nil {
				conn.Close()
				t.Error("the server still listens")
			}
		})
	}
}

// TestRealConsole serves what the binary has compiled in.
func TestRealConsole(t *testing.T) {
	r := start(t, func(o *Options) { o.Console = web.Files() })
	resp, body := r.do(t, client(t), "GET", "/")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "Docker Control Platform") {
		t.Errorf("got %d %.200q", resp.StatusCode, body)
	}
}

// TestRawPaths sends what http.Client would not.
func TestRawPaths(t *testing.T) {
	r := start(t)
	r.api.set(map[string]string{})
	eventually(t, "ready", func() bool { return r.ReadyCheck(nil) == nil })
	for request, want := range map[string]string{
		"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":                                               "404",
		"GET //apis HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":                                                          "404",
		"GET http://elsewhere.example.com/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":                                   "200",
		"CONNECT elsewhere.example.com:443 HTTP/1.1\r\nHost: elsewhere.example.com:443\r\nConnection: close\r\n\r\n":           "405",
		"GET / HTTP/1.1\r\nConnection: close\r\n\r\n":                                                                          "400",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\n0\r\n\r\n":     "501",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\r\n\r\n":       "400",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example.com\r\nConnection: close\r\n\r\n":                       "200",
		"OPTIONS /apis HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example.com\r\nConnection: close\r\n\r\n":                   "401",
		"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Remote-User: system:admin\r\n\r\n": "200",
	} {
		conn, err := tls.Dial("tcp", r.Addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := fmt.Fprint(conn, request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%q: %v", request, err)
		} else {
			if got := resp.Status[:3]; got != want {
				t.Errorf("%q: got %s, want %s", request, resp.Status, want)
			}
			if diff := cmp.Diff("", resp.Header.Get("Access-Control-Allow-Origin")); diff != "" {
				t.Errorf("%q: lets another origin read: %s", request, diff)
			}
			resp.Body.Close()
		}
		conn.Close()
	}
}
