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

package dockerapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit/audittest"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

const (
	namespace = "default"
	hostName  = "local"
	patient   = time.Minute
)

// bed is a proxy in front of a scripted engine.
type bed struct {
	*Handler
	t      *testing.T
	engine *http.ServeMux
	hosts  *fakeHosts
	authz  *fakeAuthz
	trail  *audittest.Recorder
	mask   *fakeMask
	server *httptest.Server
	client *http.Client
}

func newBed(t *testing.T) *bed {
	b := &bed{t: t, engine: http.NewServeMux(), authz: &fakeAuthz{denied: map[string]map[access.Right]bool{}}, trail: &audittest.Recorder{}, mask: &fakeMask{}}
	b.hosts = &fakeHosts{state: hostcache.State{Key: types.NamespacedName{Namespace: namespace, Name: hostName}, UID: "uid-1", Phase: hostcache.PhaseConnected}}
	b.hosts.engine = serveEngine(t, b.engine)
	b.Handler = &Handler{
		Hosts: b.hosts, Authz: b.authz, Audit: b.trail, Mask: b.mask, Keys: fakeKeys{}, Limit: &fakeLimit{},
		Tunnels: NewTunnels(), Log: logr.Discard(),
	}
	b.server = b.listen(false)
	t.Cleanup(b.server.Close)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	b.client = &http.Client{Transport: transport, Timeout: patient}
	return b
}

// listen serves, with the deadlines of the proxy's own server made short: what streams has
// to move them.
func (b *bed) listen(http2 bool) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(b.serve))
	server.EnableHTTP2 = http2
	server.Config.ConnContext = conn.Context
	server.Config.WriteTimeout, server.Config.ReadTimeout = 30*time.Second, 30*time.Second
	server.StartTLS()
	return server
}

// serve stands for the proxy's own authentication and routes: the user is in a header.
func (b *bed) serve(w http.ResponseWriter, r *http.Request) {
	who := &caller.Caller{
		User: &user.DefaultInfo{Name: r.Header.Get("Test-User")}, Means: caller.Means(r.Header.Get("Test-Means")),
		Source: "192.0.2.1", RequestID: "request-1",
	}
	parsed, ok, err := route.Parse(r.URL.EscapedPath())
	if !ok || err != nil {
		http.Error(w, "no route", http.StatusTeapot)
		return
	}
	b.ServeHTTP(w, r.WithContext(route.With(caller.With(r.Context(), who), parsed)))
}

// url is the address of a path of the engine.
func (b *bed) url(path string) string {
	return b.server.URL + route.Prefix + "/namespaces/" + namespace + "/dockerhosts/" + hostName + "/proxy" + path
}

// do sends a request as a user and returns the answer with its whole body.
func (b *bed) do(who, method, path, body string, headers ...string) (*http.Response, string) {
	b.t.Helper()
	resp, text, err := b.try(who, method, path, body, headers...)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, text
}

func (b *bed) try(who, method, path, body string, headers ...string) (*http.Response, string, error) {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url(path), reader)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Test-User", who)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

// serveEngine runs a scripted engine and connects to it.
func serveEngine(t *testing.T, mux http.Handler) engine.Engine {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: patient}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	prepared, err := moby.Connector{}.Prepare(engine.Config{Endpoint: engine.Endpoint{Scheme: engine.SchemeUnix, Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	live := prepared.Open()
	t.Cleanup(func() { _ = live.Close(); _ = server.Close(); <-done })
	return live
}

type fakeHosts struct {
	state  hostcache.State
	engine engine.Engine
}

func (h *fakeHosts) State(key hostcache.Key) (hostcache.State, bool) {
	return h.state, key == h.state.Key
}

func (h *fakeHosts) Engine(hostcache.Key) (engine.Engine, error) { return h.engine, nil }

// fakeAuthz allows what is not denied, and ends guards on demand.
type fakeAuthz struct {
	mu     sync.Mutex
	denied map[string]map[access.Right]bool
	guards []context.CancelCauseFunc
	err    error
}

func (a *fakeAuthz) deny(who string, rights ...access.Right) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.denied[who] = map[access.Right]bool{}
	for _, right := range rights {
		a.denied[who][right] = true
	}
}

func (a *fakeAuthz) Authorize(ctx context.Context, who user.Info, host authz.Host, right access.Right) error {
	ok, err := a.Allowed(ctx, who, host, right)
	if err == nil && !ok {
		err = apistatus.Forbidden(who.GetName(), host, right)
	}
	return err
}

func (a *fakeAuthz) Allowed(_ context.Context, who user.Info, _ authz.Host, right access.Right) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.denied[who.GetName()][right], a.err
}

func (a *fakeAuthz) Guard(ctx context.Context, _ *caller.Caller, _ ...authz.Right) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.guards = append(a.guards, cancel)
	return ctx, func() { cancel(nil) }
}

func (a *fakeAuthz) revoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, cancel := range a.guards {
		cancel(authz.ErrRevoked)
	}
}

type fakeKeys struct{}

func (fakeKeys) All() [][]byte {
	return [][]byte{[]byte("0123456789abcdef0123456789abcdef"), []byte("an older key, of 32 bytes or more")}
}

type fakeLimit struct{ full bool }

func (l *fakeLimit) Acquire(string) (func(), bool) { return func() {}, !l.full }

// lines are the records as "user verb Kind object outcome reason".
func (b *bed) lines() []string {
	var lines []string
	for _, r := range b.trail.Records() {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s %s", r.Actor.User, r.Verb, r.Object.Kind, r.Object.Name, r.Outcome, r.Reason)))
	}
	return lines
}

// fakeMask turns "secret" into "masked", and fails at "broken".
type fakeMask struct{}

func (fakeMask) Copy(operation string, dst io.Writer, src io.Reader) error {
	buffer := make([]byte, 1024)
	for {
		n, err := src.Read(buffer)
		text := string(buffer[:n])
		if strings.Contains(text, "broken") {
			return errors.New("no JSON: " + operation)
		}
		if n > 0 {
			if _, err := io.WriteString(dst, strings.ReplaceAll(text, "secret", "masked")); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
