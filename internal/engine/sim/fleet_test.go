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

package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func fleet(t testing.TB, opts FleetOptions) *Fleet {
	t.Helper()
	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		t.Fatal(err)
	}
	opts.Dir = filepath.Join(dir, "sockets")
	f, err := NewFleet(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if left, _ := os.ReadDir(opts.Dir); len(left) > 0 {
			t.Errorf("%d sockets are left", len(left))
		}
		_ = os.RemoveAll(dir)
	})
	return f
}

// ask sends one call to a socket.
func ask(t testing.TB, socket, method, path string, body string) (int, []byte) {
	t.Helper()
	h := http.Client{Timeout: limit, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	req, err := http.NewRequest(method, "http://sim"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := h.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

func TestFleet(t *testing.T) {
	f := fleet(t, FleetOptions{Hosts: 20, SwarmSize: 10, Engine: Options{Containers: 2}})
	ids := map[string]bool{}
	for i := range f.Hosts() {
		status, body := ask(t, f.Path(i), http.MethodGet, "/info", "")
		var info struct {
			ID, Name   string
			Containers int
			Swarm      struct {
				ControlAvailable bool
				LocalNodeState   string
			}
		}
		if err := json.Unmarshal(body, &info); err != nil || status != 200 {
			t.Fatalf("host %d: %d %s", i, status, body)
		}
		if ids[info.ID] || info.Name != "sim-"+hostName(i) || info.Containers != 2 || info.Swarm.LocalNodeState != "active" || info.Swarm.ControlAvailable != (i%10 < 3) {
			t.Errorf("host %d is %+v", i, info)
		}
		ids[info.ID] = true
	}
}

func TestBadFleets(t *testing.T) {
	dir := t.TempDir()
	for _, opts := range []FleetOptions{
		{Dir: dir}, {Hosts: 1}, {Dir: dir, Hosts: maxHosts + 1}, {Dir: dir, Hosts: 1, Churn: -1}, {Dir: dir, Hosts: 1, SwarmSize: -1},
		{Dir: filepath.Join(dir, string(bytes.Repeat([]byte("x"), 200))), Hosts: 1},
	} {
		if f, err := NewFleet(opts); err == nil {
			_ = f.Close()
			t.Errorf("%+v is no error", opts)
		}
	}
	f := fleet(t, FleetOptions{Hosts: 1})
	if _, err := NewFleet(FleetOptions{Dir: f.opts.Dir, Hosts: 1}); err == nil {
		t.Error("two fleets share a socket")
	}
}

func TestChurn(t *testing.T) {
	f := fleet(t, FleetOptions{Hosts: 2, Churn: 500, Engine: Options{Containers: 5}})
	eventually(t, "events", func() bool {
		f.Engine(0).bus.mu.Lock()
		defer f.Engine(0).bus.mu.Unlock()
		return len(f.Engine(0).bus.ring) == eventHistory
	})
}

func TestControl(t *testing.T) {
	f := fleet(t, FleetOptions{Hosts: 3, Engine: Options{Containers: 1}})
	srv := httptest.NewServer(f.Control())
	defer srv.Close()
	call := func(want int, method, path, body string) map[string]any {
		t.Helper()
		req, err := http.NewRequest(method, srv.URL+path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%s %s: %d %s, %v; want %d", method, path, resp.StatusCode, b, err, want)
		}
		out := map[string]any{}
		if len(b) > 0 {
			if err := json.Unmarshal(b, &out); err != nil {
				t.Fatalf("%s %s: %s: %v", method, path, b, err)
			}
		}
		return out
	}
	if got := call(200, "GET", "/hosts", ""); got["hosts"] != 3.0 {
		t.Errorf("the hosts are %v", got)
	}
	call(204, "PUT", "/hosts/0001/fault", `{"mode":"error","latency":"1ms"}`)
	if status, _ := ask(t, f.Path(1), "GET", "/_ping", ""); status != 500 {
		t.Errorf("a faulty host says %d", status)
	}
	if got := call(200, "GET", "/hosts/0001", ""); got["name"] != "sim-0001" || got["fault"].(map[string]any)["mode"] != "error" {
		t.Errorf("the host is %v", got)
	}
	call(204, "DELETE", "/hosts/0000-0002/fault", "")
	if status, _ := ask(t, f.Path(1), "GET", "/_ping", ""); status != 200 {
		t.Errorf("a healed host says %d", status)
	}
	ask(t, f.Path(2), "GET", "/v1.41/_ping", "")
	if got := call(200, "GET", "/hosts/0000-0002/calls", ""); len(got) != 1 || got["GET /_ping"] != 2.0 {
		t.Errorf("the calls are %v, want the two that no fault answered", got)
	}
	before := time.Now()
	id := call(200, "POST", "/hosts/0002/containers", `{"name":"web"}`)["id"]
	for _, action := range []string{"start", "pause", "unpause", "restart", "stop", "start", "kill", "remove"} {
		got := call(200, "POST", "/hosts/0002/containers/web/"+action, "")
		at, err := time.Parse(time.RFC3339Nano, got["time"].(string))
		if err != nil || got["id"] != id || got["action"] != action || at.Before(before) || at.After(time.Now().Add(time.Second)) {
			t.Errorf("%s says %v", action, got)
		}
	}
	call(204, "POST", "/hosts/0001/cut", "")
	call(204, "POST", "/hosts/0001/restart", `{"off":"1ms","seed":"new"}`)
	for path, want := range map[string]int{
		"/hosts/9999/cut": 404, "/hosts/x/cut": 404, "/hosts/0002-0001/cut": 404, "/hosts/0000-0001/containers": 400,
		"/hosts/0000/containers/nope/start": 404, "/hosts/0000/containers/c0/jump": 404, "/hosts/0000/containers/c0/create": 404,
		"/hosts/0000/containers/c0/start": 409,
	} {
		call(want, "POST", path, "")
	}
	call(400, "PUT", "/hosts/0000/fault", `{"mode":"nope"}`)
	call(400, "PUT", "/hosts/0000/fault", `{`)
}

// BenchmarkIdleEngine tells what an engine with 50 containers costs while nobody
// asks it anything.
func BenchmarkIdleEngine(b *testing.B) {
	before := heap()
	f := fleet(b, FleetOptions{Hosts: 500, Engine: Options{Containers: 50}})
	for b.Loop() {
	}
	b.ReportMetric(float64(heap()-before)/float64(f.Hosts()), "bytes/engine")
	b.ReportMetric(float64(runtime.NumGoroutine())/float64(f.Hosts()), "goroutines/engine")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
