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
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// flushed writes s and lets it go.
func flushed(w http.ResponseWriter, s string) {
	_, _ = io.WriteString(w, s)
	_ = http.NewResponseController(w).Flush()
}

// untilGone waits for the client to leave, which a server notices once it has
// read the request.
func untilGone(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestEvents(t *testing.T) {
	queries := make(chan url.Values, 2)
	e := open(t, slow(unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"GET /events": func(w http.ResponseWriter, r *http.Request) {
			queries <- r.URL.Query()
			flushed(w, `{"Type":"container","Action":"start","Actor":{"ID":"a"},"time":5,"timeNano":5000000001}`+"\n")
			// Longer than the timeout of unary calls: a stream has none.
			time.Sleep(impatience * 3 / 2)
			flushed(w, `{"Type":"container","Action":"die","Actor":{"ID":"a"},"time":6}`)
		},
	}))))
	s, err := e.Events(t.Context(), engine.EventsOptions{Since: time.Unix(5, 42).UTC()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, want := range []string{"start", "die"} {
		ev, err := s.Next()
		if err != nil || string(ev.Action) != want || ev.Actor.ID != "a" || !strings.Contains(string(ev.Raw), want) {
			t.Fatalf("got %+v, %v, want %s", ev, err, want)
		}
	}
	if _, err := s.Next(); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
	if got := (<-queries).Get("since"); got != "5.000000042" {
		t.Errorf("since is %q", got)
	}
	s2, err := e.Events(t.Context(), engine.EventsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s2.Close() }()
	if got := <-queries; len(got) != 0 {
		t.Errorf("the query is %v, want none", got)
	}
}

func TestStreamsFail(t *testing.T) {
	tests := []struct {
		name   string
		events http.HandlerFunc
		class  engine.Class
		part   string
	}{
		{"junk", func(w http.ResponseWriter, r *http.Request) {
			flushed(w, "junk")
			untilGone(r)
		}, engine.ClassServer, "does not answer as a Docker engine"},
		{"of another form", func(w http.ResponseWriter, r *http.Request) {
			flushed(w, `{"Type":{}}`+"\n")
			untilGone(r)
		}, engine.ClassServer, "does not answer as a Docker engine"},
		{"too large", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"Type":"`+strings.Repeat("x", maxEventBytes+1)+`"}`)
		}, engine.ClassServer, "does not answer as a Docker engine"},
		{"cut", func(w http.ResponseWriter, _ *http.Request) {
			flushed(w, `{"Type":`)
			panic(http.ErrAbortHandler)
		}, engine.ClassUnreachable, "broke before the answer was complete"},
		{"cut between events", func(w http.ResponseWriter, _ *http.Request) {
			flushed(w, "\n")
			panic(http.ErrAbortHandler)
		}, engine.ClassUnreachable, "broke before the answer was complete"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{"GET /events": tt.events, "GET /containers/a/stats": tt.events})))
			s, err := e.Events(t.Context(), engine.EventsOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			_, err = s.Next()
			wantError(t, err, tt.class, engine.CauseOf(err), tt.part)
		})
	}
}

// TestStreamsEnd: a blocked read ends with the context, with Close of the
// stream, and with Close of the engine.
func TestStreamsEnd(t *testing.T) {
	quiet := func(w http.ResponseWriter, r *http.Request) {
		flushed(w, "")
		untilGone(r)
	}
	handlers := map[string]http.HandlerFunc{
		"GET /events": quiet, "GET /containers/a/stats": quiet, "GET /containers/a/logs": quiet,
		"GET /containers/late/logs": func(_ http.ResponseWriter, r *http.Request) { untilGone(r) },
		"/containers/a/json":        status(200, "application/json", `{"Config":{}}`),
		"/containers/late/json":     status(200, "application/json", `{"Config":{}}`),
		"POST /exec/x/start":        hijacked(func(_ *bufio.ReadWriter) {}),
		"POST /containers/a/attach": hijacked(func(_ *bufio.ReadWriter) {}),
	}
	type opened struct {
		read  func() error
		close func() error
	}
	streams := map[string]func(context.Context, engine.Engine) (opened, error){
		"events": func(ctx context.Context, e engine.Engine) (opened, error) {
			s, err := e.Events(ctx, engine.EventsOptions{})
			if err != nil {
				return opened{}, err
			}
			return opened{func() error { _, err := s.Next(); return err }, s.Close}, nil
		},
		"stats": func(ctx context.Context, e engine.Engine) (opened, error) {
			s, err := e.Stats(ctx, "a")
			if err != nil {
				return opened{}, err
			}
			return opened{func() error { _, err := s.Next(); return err }, s.Close}, nil
		},
		"logs": func(ctx context.Context, e engine.Engine) (opened, error) {
			s, err := e.Logs(ctx, "a", engine.LogsOptions{Follow: true, Stdout: true})
			return opened{readOne(s), func() error { return s.Close() }}, err
		},
		"logs without a header": func(ctx context.Context, e engine.Engine) (opened, error) {
			s, err := e.Logs(ctx, "late", engine.LogsOptions{Follow: true, Stdout: true})
			return opened{readOne(s), func() error { return s.Close() }}, err
		},
		"exec": func(ctx context.Context, e engine.Engine) (opened, error) {
			s, err := e.ExecStart(ctx, "x", execStart())
			return opened{readOne(s), func() error { return s.Close() }}, err
		},
		"attach": func(ctx context.Context, e engine.Engine) (opened, error) {
			s, err := e.Attach(ctx, "a", engine.AttachOptions{Stdout: true})
			return opened{readOne(s), func() error { return s.Close() }}, err
		},
	}
	for name, openStream := range streams {
		for _, how := range []string{"context", "stream", "engine"} {
			for _, scheme := range []string{"unix", "ssh"} {
				t.Run(name+" by "+how+" over "+scheme, func(t *testing.T) {
					cfg := unixServer(t, fakeEngine(handlers))
					if scheme == "ssh" {
						cfg = newSSHServer(t).client(cfg.Endpoint.Path)
					}
					e := open(t, cfg)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					s, err := openStream(ctx, e)
					if err != nil {
						t.Fatal(err)
					}
					ended := make(chan error)
					go func() { ended <- s.read() }()
					switch how {
					case "context":
						cancel()
					case "stream":
						_ = s.close()
					case "engine":
						_ = e.Close()
					}
					select {
					case err := <-ended:
						if engine.ClassOf(err) != engine.ClassCanceled {
							t.Errorf("got %v of class %q, want canceled", err, engine.ClassOf(err))
						}
					case <-time.After(30 * time.Second):
						t.Fatal("the read goes on")
					}
					_ = s.close()
					eventually(t, "end of the connections", func() bool {
						return how != "engine" || e.(*client).Connections() == 0
					})
				})
			}
		}
	}
}

func readOne(r io.Reader) func() error {
	return func() error {
		_, err := r.Read(make([]byte, 1))
		return err
	}
}

// TestStreamsNeedNoUnaryConnection: streams have connections beside those of
// unary calls, and give them back.
func TestStreamsNeedNoUnaryConnection(t *testing.T) {
	cfg := unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"GET /events": func(w http.ResponseWriter, r *http.Request) {
			flushed(w, "")
			untilGone(r)
		},
	}))
	cfg.MaxConnections = 1
	e := open(t, cfg).(*client)
	var streams []engine.EventStream
	for range 10 {
		s, err := e.Events(t.Context(), engine.EventsOptions{})
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	if _, err := e.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := e.Connections(); n != 11 {
		t.Errorf("%d connections, want 10 of streams and 1", n)
	}
	for _, s := range streams {
		_ = s.Close()
	}
	eventually(t, "end of the streams' connections", func() bool { return e.Connections() == 1 })
}

// hanging serves containers that answer no inspection before release is closed,
// and tells of each inspection on busy.
func hanging(t *testing.T) (cfg engine.Config, busy chan struct{}, release func()) {
	t.Helper()
	busy = make(chan struct{}, 100)
	released := make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	cfg = unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"GET /containers/{id}/json": func(w http.ResponseWriter, r *http.Request) {
			busy <- struct{}{}
			select {
			case <-released:
			case <-r.Context().Done():
			}
			_, _ = io.WriteString(w, "{}")
		},
		"GET /version": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ApiVersion":"1.41"}`) },
		"GET /info":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ID":"x"}`) },
		"GET /containers/json": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "[]")
		},
		"GET /events": func(w http.ResponseWriter, r *http.Request) {
			flushed(w, "")
			untilGone(r)
		},
	}))
	t.Cleanup(release)
	return cfg, busy, release
}

func TestMaxConnections(t *testing.T) {
	cfg, busy, release := hanging(t)
	cfg.MaxConnections = 3
	cfg.Timeout = time.Minute
	e := open(t, cfg).(*client)
	if _, err := e.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	for range 9 {
		go func() {
			_, err := e.Inspect(t.Context(), engine.Containers, "a")
			errs <- err
		}()
	}
	for range 3 {
		<-busy
	}
	if n := e.Connections(); n > 4 { // the ping's may not have been idle again yet
		t.Errorf("%d connections, want 4 at most", n)
	}
	release()
	for range 9 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestUpkeepNeedsNoUnaryConnection: callers who fill all connections keep one
// another waiting, but not what tells whether the engine is well.
func TestUpkeepNeedsNoUnaryConnection(t *testing.T) {
	cfg, busy, release := hanging(t)
	cfg.MaxConnections = 1
	cfg.Timeout = time.Minute
	e := open(t, cfg)
	first := make(chan error, 1)
	go func() {
		_, err := e.Inspect(t.Context(), engine.Containers, "a")
		first <- err
	}()
	<-busy
	if _, err := e.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
	if _, err := e.Version(t.Context()); err != nil {
		t.Errorf("version: %v", err)
	}
	if _, err := e.Info(t.Context()); err != nil {
		t.Errorf("info: %v", err)
	}
	if _, err := e.List(t.Context(), engine.Containers, engine.ListOptions{}); err != nil {
		t.Errorf("list: %v", err)
	}
	s, err := e.Events(t.Context(), engine.EventsOptions{})
	if err != nil {
		t.Fatalf("events: %v", err)
	}
	_ = s.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = e.Inspect(ctx, engine.Containers, "b")
	wantError(t, err, engine.ClassTimeout, engine.CauseTimeout, "all 1 connections")
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	_, err = e.Inspect(gone, engine.Containers, "b")
	wantError(t, err, engine.ClassCanceled, "", "given up")
	if len(busy) > 0 {
		t.Error("a call without a connection reached the engine")
	}
	release()
	if err := <-first; err != nil {
		t.Error(err)
	}
	if _, err := e.Inspect(t.Context(), engine.Containers, "b"); err != nil {
		t.Errorf("the connection was not given back: %v", err)
	}
}

// TestFailuresGiveConnectionsBack: whatever becomes of a call, the next one has
// its connection.
func TestFailuresGiveConnectionsBack(t *testing.T) {
	cfg := unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"GET /containers/refused/json": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"message":"no"}`, http.StatusConflict) },
		"GET /containers/broken/json":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"GET /containers/junk/json":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{") },
		"POST /containers/refused/":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"message":"no"}`, http.StatusConflict) },
		"POST /containers/a/start":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"POST /containers/b/start":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) },
	}))
	cfg.MaxConnections = 1
	cfg.Timeout = 30 * time.Second
	e := open(t, cfg).(*client)
	for range 3 {
		for _, id := range []string{"refused", "broken", "junk"} {
			if _, err := e.Inspect(t.Context(), engine.Containers, id); err == nil || engine.ClassOf(err) == engine.ClassTimeout {
				t.Errorf("inspect %s: %v", id, err)
			}
		}
		for _, id := range []string{"a", "b"} {
			if err := e.ContainerStart(t.Context(), id); err != nil {
				t.Errorf("start %s: %v", id, err)
			}
		}
		if err := e.ContainerStart(t.Context(), "refused"); engine.ClassOf(err) != engine.ClassConflict {
			t.Errorf("start: %v", err)
		}
	}
	if n := len(e.slots); n != 0 {
		t.Errorf("%d slots are taken by nobody", n)
	}
}

func TestIdleConnectionsEnd(t *testing.T) {
	cfg := unixServer(t, fakeEngine(nil))
	cfg.IdleTimeout = 50 * time.Millisecond
	e := open(t, cfg).(*client)
	if _, err := e.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of the idle connection", func() bool { return e.Connections() == 0 })
}

func TestStreamHeaderTimeout(t *testing.T) {
	e := open(t, slow(unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"/": func(_ http.ResponseWriter, r *http.Request) { untilGone(r) },
	}))))
	_, err := e.Events(t.Context(), engine.EventsOptions{})
	wantError(t, err, engine.ClassTimeout, engine.CauseTimeout, "did not answer in time")
	_, err = e.Stats(t.Context(), "a")
	wantError(t, err, engine.ClassTimeout, engine.CauseTimeout, "did not answer in time")
	_, err = e.ExecStart(t.Context(), "a", execStart())
	wantError(t, err, engine.ClassTimeout, engine.CauseTimeout, "did not answer in time")
}

func TestStats(t *testing.T) {
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"GET /containers/a/stats": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery != "stream=1" {
				t.Errorf("query is %s", r.URL.RawQuery)
			}
			flushed(w, `{"memory_stats":{"usage":7},"pids_stats":{"current":"three"}}`+"\n"+`{"memory_stats":{"usage":8}}`+"\n")
		},
	})))
	s, err := e.Stats(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, want := range []uint64{7, 8} {
		v, err := s.Next()
		if err != nil || v.MemoryStats.Usage != want {
			t.Errorf("got %d, %v, want %d", v.MemoryStats.Usage, err, want)
		}
	}
	if _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want EOF", err)
	}
}
