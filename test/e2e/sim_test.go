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

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// serve answers on a unix socket until the test ends, and returns its endpoint.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e") // t.TempDir may be longer than a socket's path can be
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}}
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		_ = os.RemoveAll(dir)
	})
	return "unix://" + socket
}

// TestManyContainers is on a simulated engine: 30,000 real containers need more
// disk and minutes than a test has.
func TestManyContainers(t *testing.T) {
	b := newBed(t)
	full := sim.New(sim.Options{Name: "full", Containers: 30_000, Images: 1})
	t.Cleanup(full.Close)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	host := testenv.NewHost(b.namespace, "full", serve(t, full))
	// With the race detector on a busy machine the list alone has taken half a minute.
	host.Spec.HealthCheck.Timeout = &metav1.Duration{Duration: time.Minute}
	b.Create(t, host)
	t.Logf("counted after %s", b.WaitCounts(t, host, 30_000, 0, 3*time.Minute))
	runtime.GC()
	runtime.ReadMemStats(&after)
	// A summary in an engine's list is about 800 bytes; the inventory keeps it and
	// the fields it is found by.
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 30_000*6<<10 {
		t.Errorf("the heap grew by %d MiB for 30,000 containers", grown>>20)
	}
}

// TestControlCharactersInNames is on a simulated engine whose list is changed on
// the way: real engines refuse such names.
func TestControlCharactersInNames(t *testing.T) {
	b := newBed(t)
	box := sim.New(sim.Options{Name: "box", Containers: 1, Images: 1})
	t.Cleanup(box.Close)
	evil := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/containers/json") && !strings.HasSuffix(r.URL.Path, "/info") {
			box.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		box.ServeHTTP(rec, r)
		body := bytes.ReplaceAll(rec.Body.Bytes(), []byte(`"Names":["/`), []byte(`"Names":["/\u0000\u001b[2J\u202e`))
		body = bytes.ReplaceAll(body, []byte(`"Name":"box"`), []byte(`"Name":"\u001b]0;owned\u0007\nbox"`))
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
	host := testenv.NewHost(b.namespace, "evil", serve(t, evil))
	b.Create(t, host)
	b.WaitCounts(t, host, 1, 0, promptly)
	b.WaitHost(t, host, promptly, func(h *dcv1.DockerHost) error {
		if name := h.Status.Engine.Name; strings.ContainsAny(name, "\x1b\x07\n") || !strings.HasSuffix(name, "box") {
			return fmt.Errorf("engine name in the status is %q", name)
		}
		return nil
	})
}
