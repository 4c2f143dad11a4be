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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func TestListQueries(t *testing.T) {
	bodies := map[engine.Kind]string{
		engine.Containers: `[{"Id":"a","Names":["/n"]},{"Id":"b"}]`,
		engine.Images:     `[{"Id":"a","RepoTags":["r:1"]},{"Id":"b"}]`,
		engine.Volumes:    `{"Warnings":null,"Volumes":[{"Name":"a"},{"Name":"b"}],"More":{"x":[1,2]}}`,
		engine.Networks:   `[{"Id":"a"},{"Id":"b"}]`,
		engine.Services:   `[{"ID":"a"},{"ID":"b"}]`,
		engine.Tasks:      `[{"ID":"a"},{"ID":"b"}]`,
		engine.Nodes:      `[{"ID":"a"},{"ID":"b"}]`,
	}
	queries := map[engine.Kind]string{
		engine.Containers: `all=1&filters={"id":{"a":true}}`,
		engine.Images:     ``,
		engine.Volumes:    `filters={"name":{"a":true}}`,
		engine.Networks:   `filters={"id":{"a":true}}`,
		engine.Services:   `filters={"id":{"a":true}}`,
		engine.Tasks:      `filters={"id":{"a":true}}`,
		engine.Nodes:      `filters={"id":{"a":true}}`,
	}
	for _, kind := range append(append([]engine.Kind{}, engine.LocalKinds...), engine.SwarmKinds...) {
		t.Run(string(kind), func(t *testing.T) {
			var got []string
			handler := func(w http.ResponseWriter, r *http.Request) {
				var parts []string
				for _, key := range []string{"all", "filters"} {
					if v := r.URL.Query().Get(key); v != "" {
						parts = append(parts, key+"="+v)
					}
				}
				got = append(got, strings.Join(parts, "&"))
				_, _ = io.WriteString(w, bodies[kind])
			}
			e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{"GET " + listPaths[kind]: handler})))
			all, err := e.List(t.Context(), kind, engine.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if ids := idsOf(all); !slices.Equal(ids, []string{"a", "b"}) {
				t.Errorf("got %v, want a and b", ids)
			}
			if all[0].Kind != kind || !json.Valid(all[0].Raw) {
				t.Errorf("object is %+v", all[0])
			}
			one, err := e.List(t.Context(), kind, engine.ListOptions{IDs: []string{"a"}})
			if err != nil {
				t.Fatal(err)
			}
			// The engine here ignores filters, as it does with prefixes.
			if ids := idsOf(one); !slices.Equal(ids, []string{"a"}) {
				t.Errorf("got %v, want a", ids)
			}
			if got[1] != queries[kind] {
				t.Errorf("query is %s, want %s", got[1], queries[kind])
			}
		})
	}
}

func idsOf(objects []engine.Object) []string {
	var ids []string
	for _, o := range objects {
		ids = append(ids, o.ID)
	}
	return ids
}

// TestListManyIDs: URLs stay short, and every object comes once.
func TestListManyIDs(t *testing.T) {
	var ids []string
	for i := range 1000 {
		ids = append(ids, fmt.Sprintf("%064x", i))
	}
	requests := 0
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"GET /containers/json": func(w http.ResponseWriter, r *http.Request) {
			requests++
			if n := len(r.RequestURI); n > 8<<10 {
				t.Errorf("the URL has %d bytes", n)
			}
			var filters map[string]map[string]bool
			if err := json.Unmarshal([]byte(r.URL.Query().Get("filters")), &filters); err != nil {
				t.Error(err)
			}
			var items []map[string]string
			for id := range filters["id"] {
				items = append(items, map[string]string{"Id": id})
			}
			_ = writeJSON(w, items)
		},
	})))
	objects, err := e.List(t.Context(), engine.Containers, engine.ListOptions{IDs: append(ids, ids[0], "", strings.Repeat("x", 1<<20))})
	if err != nil {
		t.Fatal(err)
	}
	got := idsOf(objects)
	slices.Sort(got)
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("objects differ (-want +got):\n%s", diff)
	}
	if requests > 20 {
		t.Errorf("%d requests for 1,000 ids", requests)
	}
}

func TestListBodies(t *testing.T) {
	tests := []struct {
		name, body string
		kind       engine.Kind
		ids        []string
		bad        bool
	}{
		{"empty", `[]`, engine.Containers, nil, false},
		{"null", `null`, engine.Containers, nil, false},
		{"no volumes", `{"Volumes":null,"Warnings":null}`, engine.Volumes, nil, false},
		{"null volumes", `null`, engine.Volumes, nil, false},
		{"volumes as Podman lists none", `{"Volumes":[],"Warnings":[]}`, engine.Volumes, nil, false},
		{"an item of another form", `[{"Id":"a"},7,{"Id":[1]},{"Id":"b"},{},null]`, engine.Containers, []string{"a", "b"}, false},
		{"control characters in a name", `[{"Id":"a","Names":["/\u0000\u001b[31m"]}]`, engine.Containers, []string{"a"}, false},
		{"numbers beyond float64", `[{"Id":"a","X":123456789012345678901234567890}]`, engine.Containers, []string{"a"}, false},
		{"HTML", `<html>`, engine.Containers, nil, true},
		{"an object", `{"message":"hello"}`, engine.Containers, nil, true},
		{"a list of volumes", `[{"Name":"a"}]`, engine.Volumes, nil, true},
		{"cut short", `[{"Id":"a"},{"Id":`, engine.Containers, nil, true},
		{"not closed", `[{"Id":"a"}`, engine.Containers, nil, true},
		{"wrong bracket", `[{"Id":"a"}}`, engine.Containers, nil, true},
		{"nothing", ``, engine.Containers, nil, true},
		{"deep", strings.Repeat(`[`, 100_000), engine.Containers, nil, true},
		{"a huge item", `[{"Id":"` + strings.Repeat("x", maxItemBytes+1) + `"}]`, engine.Containers, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
				"GET " + listPaths[tt.kind]: status(200, "application/json", tt.body),
			})))
			objects, err := e.List(t.Context(), tt.kind, engine.ListOptions{})
			if tt.bad {
				wantError(t, err, engine.ClassServer, engine.CauseEngineError, "does not answer as a Docker engine")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if ids := idsOf(objects); !slices.Equal(ids, tt.ids) {
				t.Errorf("got %v, want %v", ids, tt.ids)
			}
		})
	}
}

func TestListTooLong(t *testing.T) {
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"GET /containers/json": func(w http.ResponseWriter, _ *http.Request) {
			_, err := io.WriteString(w, "[0")
			for ; err == nil; _, err = io.WriteString(w, strings.Repeat(",0", 10_000)) {
			}
		},
	})))
	_, err := e.List(t.Context(), engine.Containers, engine.ListOptions{})
	wantError(t, err, engine.ClassServer, engine.CauseEngineError, "does not answer as a Docker engine")
}

// TestJunkIsCheap: an endless answer of any kind ends soon, in little memory.
func TestJunkIsCheap(t *testing.T) {
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.docker.multiplexed-stream")
			_, err := io.WriteString(w, `{"Id":"`)
			for junk := strings.Repeat("x", 1<<20); err == nil; _, err = io.WriteString(w, junk) {
			}
		},
	})))
	ctx := t.Context()
	calls := map[string]func() error{
		"version": func() error { _, err := e.Version(ctx); return err },
		"info":    func() error { _, err := e.Info(ctx); return err },
		"inspect": func() error { _, err := e.Inspect(ctx, engine.Images, "x"); return err },
		"volumes": func() error { _, err := e.List(ctx, engine.Volumes, engine.ListOptions{}); return err },
		"start":   func() error { return e.ContainerStop(ctx, "x", -1) },
		"service": func() error { return e.ServiceRemove(ctx, "x") },
		"events": func() error {
			s, err := e.Events(ctx, engine.EventsOptions{})
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			_, err = s.Next()
			return err
		},
		"stats": func() error {
			s, err := e.Stats(ctx, "x")
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			_, err = s.Next()
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := call()
			runtime.ReadMemStats(&after)
			var e *engine.Error
			if name != "service" && !errors.As(err, &e) { // its answer is not read
				t.Errorf("got %v, want an *engine.Error", err)
			}
			// All that was ever allocated: a growing buffer is copied into twice
			// its size, and the server here takes its part.
			if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 8*maxBodyBytes>>20 {
				t.Errorf("the call allocated %d MiB", mb)
			}
		})
	}
}

func TestInspect(t *testing.T) {
	var path string
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, r *http.Request) {
			path = r.URL.EscapedPath()
			_, _ = io.WriteString(w, ` {"Id":"a", "N":1234567890123456789012} `)
		},
	})))
	for _, tt := range []struct {
		kind     engine.Kind
		id, path string
	}{
		{engine.Containers, "a", "/containers/a/json"},
		{engine.Images, "registry.example:5000/team/app:1", "/images/registry.example:5000/team/app:1/json"},
		{engine.Images, "sha256:00", "/images/sha256:00/json"},
		{engine.Volumes, "v", "/volumes/v"},
		{engine.Volumes, "v?force=1", "/volumes/v%3Fforce=1"},
		{engine.Networks, "n", "/networks/n"},
		{engine.Services, "s", "/services/s"},
		{engine.Tasks, "t", "/tasks/t"},
		{engine.Nodes, "n", "/nodes/n"},
	} {
		raw, err := e.Inspect(t.Context(), tt.kind, tt.id)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, tt.path) {
			t.Errorf("asked for %s, want %s", path, tt.path)
		}
		if got := strings.TrimSpace(string(raw)); got != `{"Id":"a", "N":1234567890123456789012}` {
			t.Errorf("the JSON was changed: %s", got)
		}
	}
}

// TestBadIDs: no id reaches another path than its own.
func TestBadIDs(t *testing.T) {
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"/": func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) },
	})))
	if _, err := e.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", ".", "..", "../images/x", "a/../b", "/a", "a/", "a//b", "a\nb", "a\x00", strings.Repeat("x", 2000)} {
		for name, call := range callsByID(t, e) {
			if name == "image" && id == "a/b" {
				continue
			}
			err := call(id)
			if engine.ClassOf(err) != engine.ClassInvalid {
				t.Errorf("%s %q: got %v, want an error of class invalid", name, id, err)
			}
		}
	}
	_, err := e.Inspect(t.Context(), "plugins", "x")
	wantError(t, err, engine.ClassInvalid, "", "not a kind")
	_, err = e.List(t.Context(), "plugins", engine.ListOptions{})
	wantError(t, err, engine.ClassInvalid, "", "not a kind")
}

func TestSwarmless(t *testing.T) {
	e := open(t, unixServer(t, fakeEngine(nil)))
	for _, kind := range engine.SwarmKinds {
		_, err := e.List(t.Context(), kind, engine.ListOptions{})
		wantError(t, err, engine.ClassConflict, "", "not a swarm manager")
	}
	_, err := e.List(t.Context(), engine.Containers, engine.ListOptions{})
	if !engine.IsNotFound(err) {
		t.Errorf("got %v, want not found", err)
	}
}

func FuzzParseList(f *testing.F) {
	f.Add(uint8(0), []byte(`[{"Id":"a","Names":["/n"],"Created":1,"Labels":{"a":"b"}}]`))
	f.Add(uint8(2), []byte(`{"Volumes":[{"Name":"a"}],"Warnings":null}`))
	f.Add(uint8(5), []byte(`[{"ID":"a","Version":{"Index":1},"Status":{"State":"running"}}]`))
	kinds := append(append([]engine.Kind{}, engine.LocalKinds...), engine.SwarmKinds...)
	f.Fuzz(func(t *testing.T, n uint8, body []byte) {
		kind := kinds[int(n)%len(kinds)]
		objects, err := parseList(kind, strings.NewReader(string(body)), nil)
		if err != nil {
			return
		}
		for _, o := range objects {
			if o.ID == "" || o.Kind != kind || !json.Valid(o.Raw) {
				t.Errorf("an object that is none: %+v", o)
			}
			if cap(o.Raw) > 2*len(o.Raw)+64 {
				t.Errorf("an object of %d bytes holds %d", len(o.Raw), cap(o.Raw))
			}
		}
	})
}

func BenchmarkParseList(b *testing.B) {
	item := `{"Id":"%064x","Names":["/name"],"Image":"busybox","Command":"sleep","Created":1700000000,"State":"running","Status":"Up","Ports":[],"Labels":{` +
		strings.TrimSuffix(strings.Repeat(`"com.example.label":"a value of some length",`, 20), ",") + `},"NetworkSettings":{"Networks":{}},"Mounts":[]}`
	var items []string
	for i := range 1000 {
		items = append(items, fmt.Sprintf(item, i))
	}
	body := "[" + strings.Join(items, ",") + "]"
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseList(engine.Containers, strings.NewReader(body), nil); err != nil {
			b.Fatal(err)
		}
	}
}
