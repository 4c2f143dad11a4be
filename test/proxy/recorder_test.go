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
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
)

// marker is what the User-Agent of a test's requests begins with; the manager's own have
// another.
const marker = "test/"

// recordingEngine does nothing of what a test asks for, and remembers it. What the manager
// asks of its own accord is answered by a simulated engine.
type recordingEngine struct {
	sim    *sim.Engine
	socket string

	mu      sync.Mutex
	reached map[string][]string // User-Agent -> "METHOD target"
}

func startRecordingEngine(t *testing.T) *recordingEngine {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	e := &recordingEngine{sim: sim.New(sim.Options{}), socket: filepath.Join(dir, "s"), reached: map[string][]string{}}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", e.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: e, ReadHeaderTimeout: patient}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		e.sim.Close()
		_ = os.RemoveAll(dir)
	})
	return e
}

// ServeHTTP implements http.Handler.
func (e *recordingEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	agent := r.Header.Get("User-Agent")
	if strings.HasSuffix(r.URL.Path, "/exec/nosuch/json") && !strings.HasPrefix(agent, marker) {
		// The proxy asks what an exec is before it starts it.
		_, _ = io.WriteString(w, `{"ID":"nosuch","ContainerID":"nosuch","ProcessConfig":{"entrypoint":"true"}}`)
		return
	}
	if !strings.HasPrefix(agent, marker) {
		e.sim.ServeHTTP(w, r)
		return
	}
	e.mu.Lock()
	e.reached[agent] = append(e.reached[agent], r.Method+" "+r.RequestURI)
	e.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"Id":"nosuch"}`)
}

// of returns what reached the engine of the requests with a User-Agent.
func (e *recordingEngine) of(agent string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.reached[agent])
}
