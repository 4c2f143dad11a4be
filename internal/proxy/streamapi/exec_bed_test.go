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
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/gorilla/websocket"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit/audittest"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	protocol "github.com/dockercontrol/dockercontrol/internal/proxy/remotecommand"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
	"github.com/dockercontrol/dockercontrol/internal/stream"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// execPatience bounds every wait for what takes milliseconds on a quiet machine.
const execPatience = 30 * time.Second

// busybox is an image with every command of busybox.
const busybox = "localhost/streamapi:1"

var execHost = types.NamespacedName{Namespace: "default", Name: "prod"}

// execBed is a proxy's handler before a real engine. Users' tokens are their names.
type execBed struct {
	*Handler
	engine *testbed.Dockerd
	client engine.Engine
	// box is the id of a container that runs, named box.
	box    string
	authz  *execAuthz
	hosts  *execHosts
	trail  *audittest.Recorder
	server *httptest.Server
}

// newExecBed starts an engine.
func newExecBed(t *testing.T) *execBed {
	t.Helper()
	b := &execBed{engine: testbed.StartDockerd(t, testbed.DockerdOptions{})}
	b.engine.ImportBusybox(t, busybox)
	b.box = b.engine.RunContainer(t, "box", busybox, "sleep", "100000")
	endpoint, err := engine.ParseEndpoint(b.engine.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := moby.Connector{}.Prepare(engine.Config{Endpoint: endpoint, Timeout: execPatience})
	if err != nil {
		t.Fatal(err)
	}
	b.client = prepared.Open()
	t.Cleanup(func() { _ = b.client.Close() })
	if _, err := b.client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// serve is a bed of the same engine with a handler of its own.
func (b *execBed) serve(t *testing.T, opts stream.ExecOptions, change ...func(*Handler)) *execBed {
	t.Helper()
	c := &execBed{
		engine: b.engine, client: b.client, box: b.box,
		authz: &execAuthz{denied: map[string]access.Right{}}, hosts: &execHosts{engine: b.client}, trail: &audittest.Recorder{},
	}
	var err error
	c.Handler, err = New(Options{
		Authorizer: c.authz, Hosts: c.hosts, Declared: fake.NewClientBuilder().Build(), Recorder: c.trail, Masker: execMasker{},
		Streams: limit.NewCounter(10), Exec: opts, Replica: "one", Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(c.Handler)
	}
	c.server = httptest.NewUnstartedServer(http.HandlerFunc(c.authenticated))
	c.server.Config.ConnContext = conn.Context
	c.server.StartTLS()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), execPatience)
		defer cancel()
		c.Close(ctx)
		c.server.Close()
	})
	return c
}

// authenticated stands for the proxy's own authentication and routes.
func (b *execBed) authenticated(w http.ResponseWriter, r *http.Request) {
	name, uid, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "/")
	who := &caller.Caller{User: &user.DefaultInfo{Name: name, UID: uid}, Means: caller.Token, Source: "192.0.2.1", RequestID: "request-1"}
	at, ok, err := route.Parse(r.URL.EscapedPath())
	if !ok || err != nil || !Serves(at) {
		apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
		return
	}
	b.ServeHTTP(w, r.WithContext(route.With(caller.With(r.Context(), who), at)))
}

// at is an address. The query is written as "command=a&command=b".
func (b *execBed) at(path, query string) string {
	return b.server.URL + route.Prefix + "/namespaces/default/dockerhosts/prod/" + path + "?" + query
}

// sh is the query of a shell's script.
func sh(script string) string {
	return "command=sh&command=-c&command=" + url.QueryEscape(script)
}

// run drives a session with the executor of kubectl.
func (b *execBed) run(ctx context.Context, t *testing.T, address string, o remotecommand.StreamOptions) error {
	t.Helper()
	config := &rest.Config{Host: b.server.URL, BearerToken: "ada", TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	executor, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, address)
	if err != nil {
		t.Fatal(err)
	}
	return executor.StreamWithContext(ctx, o)
}

// dial opens a WebSocket; the Status is of what prevented it.
func (b *execBed) dial(t *testing.T, who, address string) *execSocket {
	t.Helper()
	c, resp, err := b.tryDial(t, who, address)
	if err != nil {
		text := ""
		if resp != nil {
			body, _ := io.ReadAll(resp.Body)
			text = string(body)
		}
		t.Fatalf("%s: %v %s", address, err, text)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &execSocket{Conn: c, t: t}
}

func (b *execBed) tryDial(t *testing.T, who, address string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	dialer := websocket.Dialer{
		Subprotocols: []string{protocol.Protocol}, HandshakeTimeout: execPatience, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	return dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(address, "http"), http.Header{"Authorization": {"Bearer " + who}})
}

// execSocket is a client that reads and writes messages by itself.
type execSocket struct {
	*websocket.Conn
	t *testing.T
}

func (s *execSocket) send(channel byte, text string) {
	s.t.Helper()
	if err := s.WriteMessage(websocket.BinaryMessage, append([]byte{channel}, text...)); err != nil {
		s.t.Fatalf("sending on channel %d: %v", channel, err)
	}
}

// next reads one message.
func (s *execSocket) next() (channel byte, data []byte, err error) {
	_ = s.SetReadDeadline(time.Now().Add(execPatience))
	_, data, err = s.ReadMessage()
	if err != nil {
		return 0, nil, err
	}
	return data[0], data[1:], nil
}

// until reads a channel until it has said text, and returns all that it said.
func (s *execSocket) until(channel byte, text string) string {
	s.t.Helper()
	var said strings.Builder
	for !strings.Contains(said.String(), text) {
		on, data, err := s.next()
		if err != nil {
			s.t.Fatalf("after %q: %v; want %q", said.String(), err, text)
		}
		if on == channel {
			said.Write(data)
		}
	}
	return said.String()
}

// end reads to the end: what stdout said, the Status, and the close.
func (s *execSocket) end() (out, status string, closed *websocket.CloseError) {
	s.t.Helper()
	var said, last strings.Builder
	for {
		on, data, err := s.next()
		switch {
		case errors.As(err, &closed):
			return said.String(), last.String(), closed
		case err != nil:
			s.t.Fatalf("it ended with %v; want a close frame", err)
		case on == protocol.Stdout:
			said.Write(data)
		case on == 3:
			last.Write(data)
		}
	}
}

// processes tells whether a command line is among the box's processes.
func (b *execBed) runs(t *testing.T, command string) bool {
	t.Helper()
	return strings.Contains(string(b.engine.Call(t, http.MethodGet, "/containers/box/top", nil)), command)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testbed.Eventually(t, execPatience, what, ok)
}

// records waits for the records of an ended session, and spells them.
func (b *execBed) records(t *testing.T, n int) []string {
	t.Helper()
	eventually(t, "the records", func() bool { return len(b.trail.Records()) >= n })
	var lines []string
	for _, r := range b.trail.Records() {
		lines = append(lines, strings.TrimSpace(strings.Join([]string{r.Actor.User, r.Verb, r.Object.Kind, r.Object.Name, string(r.Outcome), r.Reason}, " ")))
	}
	return lines
}

// held is what must not grow: file descriptors, connections to the engine.
func (b *execBed) held(t *testing.T) (files, connections int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open), b.client.(interface{ Connections() int }).Connections()
}

type execHosts struct {
	engine engine.Engine
	items  []engine.Object
}

func (h *execHosts) State(key hostcache.Key) (hostcache.State, bool) {
	return hostcache.State{Key: execHost, UID: "uid-1", Phase: hostcache.PhaseConnected}, key == execHost
}
func (h *execHosts) Engine(hostcache.Key) (engine.Engine, error) { return h.engine, nil }
func (h *execHosts) List(hostcache.Key, engine.Kind) (hostcache.Listing, error) {
	return hostcache.Listing{Items: h.items}, nil
}
func (*execHosts) Watch(context.Context, hostcache.Key, ...engine.Kind) (iter.Seq[hostcache.WatchEvent], error) {
	return nil, errors.New("nobody watches here")
}
func (*execHosts) Events(context.Context, hostcache.Key) (iter.Seq[hostcache.FeedItem], error) {
	return nil, errors.New("nobody follows events here")
}
func (*execHosts) Notify(func(hostcache.Change)) func()               { return func() {} }
func (*execHosts) SwarmOf(hostcache.Key) (s hostcache.Swarm, ok bool) { return s, false }
func (*execHosts) FollowTasks(hostcache.SwarmKey) func()              { return func() {} }

type execMasker struct{}

func (execMasker) Mask(_ string, answer []byte) ([]byte, error) { return answer, nil }
func (execMasker) AppendMasked(dst []byte, _ engine.Kind, item []byte) ([]byte, error) {
	return append(dst, item...), nil
}

// execAuthz allows what is not denied, and ends guards on demand.
type execAuthz struct {
	mu     sync.Mutex
	denied map[string]access.Right
	guards map[*context.CancelCauseFunc]string
}

func (a *execAuthz) deny(who string, right access.Right) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.denied[who] = right
}

func (a *execAuthz) Authorize(ctx context.Context, who user.Info, host authz.Host, right access.Right) error {
	if ok, _ := a.Allowed(ctx, who, host, right); !ok {
		return apistatus.Forbidden(who.GetName(), host, right)
	}
	return nil
}

func (a *execAuthz) Allowed(_ context.Context, who user.Info, _ authz.Host, right access.Right) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.denied[who.GetName()] != right, nil
}

func (*execAuthz) Hosts(context.Context, *caller.Caller, access.Right, []authz.Host) ([]authz.Host, error) {
	return nil, nil
}

func (a *execAuthz) Guard(ctx context.Context, c *caller.Caller, _ ...authz.Right) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.guards == nil {
		a.guards = map[*context.CancelCauseFunc]string{}
	}
	a.guards[&cancel] = c.User.GetName()
	return ctx, func() {
		cancel(nil)
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.guards, &cancel)
	}
}

func (*execAuthz) OnGrantsChanged(func()) func() { return func() {} }

// revoke ends the guards of all.
func (a *execAuthz) revoke(why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for cancel := range a.guards {
		(*cancel)(why)
	}
}

// guarded is how many guards there are.
func (a *execAuthz) guarded() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.guards)
}
