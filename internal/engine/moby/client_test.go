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
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func TestPing(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    engine.Ping
	}{
		{"20.10", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Api-Version", "1.41")
			w.Header().Set("Ostype", "linux")
		}, engine.Ping{APIVersion: "1.41", OSType: "linux"}},
		{"swarm manager", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Api-Version", "1.43")
			w.Header().Set("Swarm", "active/manager")
		}, engine.Ping{APIVersion: "1.43", SwarmState: "active", ControlAvailable: true}},
		{"swarm worker", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Api-Version", "1.43")
			w.Header().Set("Swarm", "active/worker")
		}, engine.Ping{APIVersion: "1.43", SwarmState: "active"}},
		{"no swarm", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Api-Version", "1.43")
			w.Header().Set("Swarm", "inactive")
		}, engine.Ping{APIVersion: "1.43", SwarmState: "inactive"}},
		{"no HEAD", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Api-Version", "1.40")
		}, engine.Ping{APIVersion: "1.40"}},
		{"header lost on the way", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/version" {
				_, _ = w.Write([]byte(`{"ApiVersion":"1.44"}`))
				return
			}
			_, _ = w.Write([]byte("OK"))
		}, engine.Ping{APIVersion: "1.44"}},
		{"control characters", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Api-Version", "1.41")
			w.Header()["Ostype"] = []string{"li\tnux\u200b"}
		}, engine.Ping{APIVersion: "1.41", OSType: "li nux"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := open(t, unixServer(t, tt.handler)).Ping(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.Latency <= 0 {
				t.Error("the latency is not measured")
			}
			got.Latency = 0
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestNegotiation: the path has the newest version that both speak, before any
// ping too, and follows an engine that was replaced.
func TestNegotiation(t *testing.T) {
	var server, path atomic.Value
	e := open(t, unixServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/_ping":
			w.Header().Set("Api-Version", server.Load().(string))
		case "/version":
			_, _ = w.Write([]byte(`{"ApiVersion":"1.60","MinAPIVersion":"1.44"}`))
		default:
			path.Store(r.URL.Path)
			_, _ = w.Write([]byte("{}"))
		}
	})))
	for _, tt := range []struct{ server, path string }{
		{"1.40", "/v1.40/info"}, {"1.41", "/v1.41/info"}, {"1.56", "/v1.56/info"}, {"1.60", "/v1.56/info"}, {"1.43", "/v1.43/info"},
	} {
		server.Store(tt.server)
		if tt.server != "1.40" { // the first is asked for by Info itself
			if _, err := e.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.Info(t.Context()); err != nil {
			t.Fatal(err)
		}
		if path.Load() != tt.path {
			t.Errorf("engine of %s: asked for %s, want %s", tt.server, path.Load(), tt.path)
		}
	}
}

// TestInfoIsLenient: fields of another type than dockerd's are left out.
func TestInfoIsLenient(t *testing.T) {
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"GET /info":    status(200, "application/json", `{"ID":"a","NCPU":"four","Swarm":{"NodeID":7,"LocalNodeState":"active"},"Containers":3}`),
		"GET /version": status(200, "application/json", `{"Version":"20.10","ApiVersion":"1.41","Platform":"x"}`),
	})))
	i, err := e.Info(t.Context())
	if err != nil || i.ID != "a" || i.Containers != 3 || i.Swarm.LocalNodeState != "active" {
		t.Errorf("got %+v, %v", i, err)
	}
	v, err := e.Version(t.Context())
	if err != nil || v.Version != "20.10" || v.APIVersion != "1.41" {
		t.Errorf("got %+v, %v", v, err)
	}
}

// TestClose: a call in flight, a dial in flight and later calls end.
func TestClose(t *testing.T) {
	ca := newAuthority(t)
	entered := make(chan struct{}, 10)
	silent := rawServer(t, func(c net.Conn) {
		entered <- struct{}{}
		hold(c)
	})
	withTLS := silent
	withTLS.TLS = ca.client()
	s := newSSHServer(t)
	overSSH := moved(s.client("/x"), silent.Endpoint.Port)
	for name, cfg := range map[string]engine.Config{"call": silent, "TLS handshake": withTLS, "ssh handshake": overSSH} {
		t.Run(name, func(t *testing.T) {
			cfg.Timeout = time.Minute
			e := open(t, cfg)
			errs := make(chan error)
			go func() {
				_, err := e.Ping(t.Context())
				errs <- err
			}()
			<-entered
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			select {
			case err := <-errs:
				wantError(t, err, engine.ClassCanceled, "", "was closed on our side")
			case <-time.After(30 * time.Second):
				t.Fatal("the call goes on")
			}
			_, err := e.Ping(t.Context())
			wantError(t, err, engine.ClassCanceled, "", "was closed on our side")
			_, err = e.Events(t.Context(), engine.EventsOptions{})
			wantError(t, err, engine.ClassCanceled, "", "was closed on our side")
			_, err = e.ExecStart(t.Context(), "x", execStart())
			wantError(t, err, engine.ClassCanceled, "", "was closed on our side")
			if n := e.(*client).Connections(); n != 0 {
				t.Errorf("%d connections are left", n)
			}
		})
	}
}

// TestRedirectIsNotFollowed also for GET, which net/http's client would.
func TestRedirectIsNotFollowed(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the redirect was followed to %s", r.URL)
	}))
	t.Cleanup(target.Close)
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
		},
	})))
	_, err := e.Info(t.Context())
	wantError(t, err, engine.ClassServer, engine.CauseEngineError, "redirects elsewhere")
	err = e.ContainerStart(t.Context(), "a")
	wantError(t, err, engine.ClassServer, engine.CauseEngineError, "redirects elsewhere")
}

// TestEngineRestarts: the connections of an engine that was restarted are not
// used again.
func TestEngineRestarts(t *testing.T) {
	path := socketDir(t) + "/engine.sock"
	serve := func() *httptest.Server {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(fakeEngine(nil))
		_ = s.Listener.Close()
		s.Listener = l
		s.Start()
		return s
	}
	first := serve()
	e := open(t, unixConfig(path))
	if _, err := e.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.CloseClientConnections()
	first.Close()
	_, err := e.Ping(t.Context())
	wantError(t, err, engine.ClassUnreachable, engine.CauseDialFailed, "socket")
	second := serve()
	defer second.Close()
	if _, err := e.Ping(t.Context()); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{"/": status(200, "application/json", `{"Id":"a"}`)})))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				_, _ = e.Ping(t.Context())
				_, _ = e.Info(t.Context())
				_ = e.ContainerStart(t.Context(), "a")
				_, _ = e.Inspect(t.Context(), engine.Networks, "a")
			}
		})
	}
	wg.Wait()
}
