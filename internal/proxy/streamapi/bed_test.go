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

package streamapi

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit/audittest"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// patient is how long a test waits for what takes milliseconds on a quiet machine.
const patient = 30 * time.Second

// lasting is how long all of an answer may take that a test reads while other things happen.
const lasting = 10 * patient

// bed is a Handler behind TLS, over a started cache.
type bed struct {
	*testing.T
	cache    *hostcache.Cache
	rights   *rights
	trail    *audittest.Recorder
	handler  *Handler
	server   *httptest.Server
	client   *http.Client
	streams  *limit.Counter
	stopping chan struct{}
}

func newBed(t *testing.T, change ...func(*Options)) *bed {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := dcv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := &bed{T: t, rights: &rights{denied: map[string]bool{}}, trail: &audittest.Recorder{}, streams: limit.NewCounter(100), stopping: make(chan struct{})}
	b.cache = hostcache.New(hostcache.Options{Connector: moby.Connector{}, Log: logr.Discard()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.cache.Start(ctx) }()
	options := Options{
		Authorizer: b.rights, Hosts: b.cache, Declared: fake.NewClientBuilder().WithScheme(scheme).Build(), Recorder: b.trail, Masker: plain{},
		Streams: b.streams, Limits: stream.Limits{Linger: 100 * time.Millisecond}, Replica: "r1", Stopping: b.stopping, Log: logr.Discard(),
	}
	for _, fn := range change {
		fn(&options)
	}
	b.streams = options.Streams
	var err error
	if b.handler, err = New(options); err != nil {
		t.Fatal(err)
	}
	b.server = httptest.NewUnstartedServer(http.HandlerFunc(b.serve))
	b.server.Config.ConnContext = conn.Context
	b.server.EnableHTTP2 = true // for clients that force it
	b.server.StartTLS()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	b.client = &http.Client{Transport: transport, Timeout: lasting}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ended, cut := context.WithTimeout(context.Background(), patient)
		defer cut()
		b.handler.Close(ended)
		b.server.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Start: %v", err)
		}
	})
	return b
}

// serve stands for the proxy's own authentication and routes: the user is in a header.
func (b *bed) serve(w http.ResponseWriter, r *http.Request) {
	ctx := caller.With(r.Context(), &caller.Caller{
		User: &user.DefaultInfo{Name: r.Header.Get("Test-User"), UID: "uid of " + r.Header.Get("Test-User")}, Source: "192.0.2.1", RequestID: "request-1",
	})
	if r.URL.Path == Path {
		b.handler.ServeMany(w, r.WithContext(ctx))
		return
	}
	at, ok, err := route.Parse(r.URL.EscapedPath())
	if !ok || err != nil || !Serves(at) {
		apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
		return
	}
	b.handler.ServeHTTP(w, r.WithContext(route.With(ctx, at)))
}

// declare makes a host of the engine at an endpoint, and waits until it is connected.
func (b *bed) declare(name, endpoint string) hostcache.Key {
	b.Helper()
	ep, err := engine.ParseEndpoint(endpoint)
	if err != nil {
		b.Fatal(err)
	}
	key := hostcache.Key{Namespace: "prod", Name: name}
	b.cache.Set(hostcache.Host{
		Key: key, UID: "uid-of-host", Config: engine.Config{Endpoint: ep, Timeout: patient, IdleTimeout: time.Second},
		Health: hostcache.HealthCheck{Interval: time.Second, Timeout: 5 * time.Second, FailureThreshold: 3, SuccessThreshold: 1},
	})
	b.eventually("the host is connected", func() bool {
		state, _ := b.cache.State(key)
		_, err := b.cache.List(key, engine.Containers)
		return state.Connected() && err == nil
	})
	return key
}

// simulate serves a simulated engine, and declares it.
func (b *bed) simulate(name string, o sim.Options) (*sim.Engine, hostcache.Key) {
	b.Helper()
	dir, err := os.MkdirTemp("", "engine") // a socket's path must be short
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	o.Name, o.Images = name, 1
	e := sim.New(o)
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "unix", filepath.Join(dir, "s"))
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = e.Serve(l) }()
	b.Cleanup(func() { e.Close(); <-served })
	return e, b.declare(name, "unix://"+filepath.Join(dir, "s"))
}

// run starts a container in a simulated engine, and waits until the inventory has it.
func (b *bed) run(e *sim.Engine, key hostcache.Key, name string, command ...string) (id string) {
	b.Helper()
	id, _, err := e.Do("create", name, "", command)
	if err == nil {
		_, _, err = e.Do("start", id, "", nil)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.eventually("the inventory has "+name, func() bool {
		listing, err := b.cache.List(key, engine.Containers)
		return err == nil && slices.ContainsFunc(listing.Items, func(o engine.Object) bool { return o.ID == id })
	})
	return id
}

// ran is run for a command that ends by itself: it waits until the inventory has the end,
// and thus the engine all that the command wrote.
func (b *bed) ran(e *sim.Engine, key hostcache.Key, name string, command ...string) (id string) {
	b.Helper()
	id = b.run(e, key, name, command...)
	b.eventually(name+" has ended", func() bool {
		listing, _ := b.cache.List(key, engine.Containers)
		return slices.ContainsFunc(listing.Items, func(o engine.Object) bool { return o.ID == id && o.State == "exited" })
	})
	return id
}

func (b *bed) eventually(what string, f func() bool) {
	b.Helper()
	deadline := time.Now().Add(patient)
	for !f() {
		if time.Now().After(deadline) {
			b.Fatalf("waited %s for: %s", patient, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// path is below a host's.
func (b *bed) path(key hostcache.Key, rest string) string {
	return route.Prefix + "/namespaces/" + key.Namespace + "/dockerhosts/" + key.Name + "/" + rest
}

// get sends a request as a user.
func (b *bed) get(who, path string) *http.Response {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, b.server.URL+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Test-User", who)
	resp, err := b.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// read returns a whole answer.
func (b *bed) read(resp *http.Response) string {
	b.Helper()
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Errorf("reading an answer: %v", err)
	}
	return string(text)
}

// status expects a refusal.
func (b *bed) status(resp *http.Response, code int) metav1.Status {
	b.Helper()
	text := b.read(resp)
	var s metav1.Status
	if err := json.Unmarshal([]byte(text), &s); err != nil || resp.StatusCode != code || int(s.Code) != code || s.Message == "" {
		b.Errorf("got %d %s, want a Status of %d", resp.StatusCode, text, code)
	}
	return s
}

// dial opens a WebSocket as a user.
func (b *bed) dial(who, path string) *socket {
	b.Helper()
	s, resp, err := b.tryDial(who, path)
	if err != nil {
		b.Fatalf("dialling %s: %v, %v", path, err, resp)
	}
	return s
}

func (b *bed) tryDial(who, path string) (*socket, *http.Response, error) {
	d := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, HandshakeTimeout: patient, Subprotocols: []string{Protocol}}
	ws, resp, err := d.DialContext(b.Context(), "wss://"+strings.TrimPrefix(b.server.URL, "https://")+path, http.Header{"Test-User": {who}})
	if err != nil {
		return nil, resp, err
	}
	b.Cleanup(func() { _ = ws.Close() })
	_ = ws.SetReadDeadline(time.Now().Add(patient))
	return &socket{t: b.T, ws: ws}, resp, nil
}

// socket is a client of the protocol.
type socket struct {
	t  *testing.T
	ws *websocket.Conn
}

// said is a message of the server's: a word, or data.
type said struct {
	reply
	kind         frameKind
	subscription uint32
	header       logHeader
	body         []byte
	length       int
}

// read reads a message.
func (s *socket) read() (said, error) {
	kind, data, err := s.ws.ReadMessage()
	if err != nil {
		return said{}, err
	}
	m := said{length: len(data)}
	if kind == websocket.TextMessage {
		return m, json.Unmarshal(data, &m.reply)
	}
	if len(data) < prefixLength {
		return m, fmt.Errorf("a message of %d bytes", len(data))
	}
	m.kind, m.subscription = frameKind(data[0]), be32(data[1:])
	rest := data[prefixLength:]
	n := int(be32(data[5:]))
	if n > len(rest) {
		return m, fmt.Errorf("a header of %d bytes in a message of %d", n, len(data))
	}
	if n > 0 {
		if err := json.Unmarshal(rest[:n], &m.header); err != nil {
			return m, err
		}
	}
	m.body = rest[n:]
	return m, nil
}

// next reads a message that must come.
func (s *socket) next() said {
	s.t.Helper()
	_ = s.ws.SetReadDeadline(time.Now().Add(patient))
	m, err := s.read()
	if err != nil {
		s.t.Fatalf("reading from a WebSocket: %v", err)
	}
	return m
}

func (s *socket) send(message any) {
	s.t.Helper()
	if err := s.ws.WriteJSON(message); err != nil {
		s.t.Fatalf("writing to a WebSocket: %v", err)
	}
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// records takes a body apart.
func records(t *testing.T, body []byte) (lines []stream.Line) {
	t.Helper()
	for len(body) > 0 {
		if len(body) < recordHeader || len(body) < recordHeader+int(be32(body[4:])) {
			t.Fatalf("a record is cut: %q", body)
		}
		n := int(be32(body[4:]))
		l := stream.Line{
			Kind: stream.LineKind(body[0]), Stream: stream.Stream(body[1]), Source: uint32(body[2])<<8 | uint32(body[3]),
			Time: int64(be32(body[8:]))<<32 | int64(be32(body[12:])), Text: body[recordHeader : recordHeader+n],
		}
		if l.Kind == stream.LineGap {
			l.Lost = uint64(be32(body[16:]))
		}
		lines = append(lines, l)
		body = body[recordHeader+n:]
	}
	return lines
}

// rights allows what is not denied, and ends guards on demand.
type rights struct {
	mu     sync.Mutex
	denied map[string]bool // "user namespace/host subresource"
	guards []guarded
	nudges []func()
}

type guarded struct {
	who    string
	cancel context.CancelCauseFunc
}

// deny takes a right on a host from a user, and tells those who look.
func (g *rights) deny(who string, host hostcache.Key, what access.Subresource, denied bool) {
	g.mu.Lock()
	g.denied[who+" "+host.String()+" "+string(what)] = denied
	nudges := slices.Clone(g.nudges)
	g.mu.Unlock()
	for _, fn := range nudges {
		if fn != nil {
			fn()
		}
	}
}

// revoke ends what somebody has open.
func (g *rights) revoke(who string, why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, open := range g.guards {
		if open.who == who {
			open.cancel(why)
		}
	}
}

func (g *rights) Authorize(ctx context.Context, who user.Info, host authz.Host, right access.Right) error {
	if ok, _ := g.Allowed(ctx, who, host, right); !ok {
		return apistatus.Forbidden(who.GetName(), host, right)
	}
	return nil
}

func (g *rights) Allowed(_ context.Context, who user.Info, host authz.Host, right access.Right) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.denied[who.GetName()+" "+host.String()+" "+string(right.Subresource)], nil
}

func (g *rights) Hosts(ctx context.Context, c *caller.Caller, right access.Right, hosts []authz.Host) (allowed []authz.Host, err error) {
	for _, host := range hosts {
		if ok, _ := g.Allowed(ctx, c.User, host, right); ok {
			allowed = append(allowed, host)
		}
	}
	return allowed, nil
}

func (g *rights) Guard(ctx context.Context, c *caller.Caller, _ ...authz.Right) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guards = append(g.guards, guarded{c.User.GetName(), cancel})
	return ctx, func() { cancel(nil) }
}

func (g *rights) OnGrantsChanged(fn func()) (cancel func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := len(g.nudges)
	g.nudges = append(g.nudges, fn)
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.nudges[i] = nil
	}
}

// plain masks nothing.
type plain struct{}

func (plain) Mask(_ string, answer []byte) ([]byte, error) { return answer, nil }

func (plain) AppendMasked(dst []byte, _ engine.Kind, item []byte) ([]byte, error) {
	return append(dst, item...), nil
}
