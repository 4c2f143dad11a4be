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
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/volume"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// callsByID has every method that takes an id.
func callsByID(t *testing.T, e engine.Engine) map[string]func(id string) error {
	ctx := t.Context()
	return map[string]func(string) error{
		"inspect":      func(id string) error { _, err := e.Inspect(ctx, engine.Containers, id); return err },
		"logs":         func(id string) error { _, err := e.Logs(ctx, id, engine.LogsOptions{}); return err },
		"stats":        func(id string) error { _, err := e.Stats(ctx, id); return err },
		"exec":         func(id string) error { _, err := e.ExecCreate(ctx, id, container.ExecCreateRequest{}); return err },
		"start":        func(id string) error { _, err := e.ExecStart(ctx, id, execStart()); return err },
		"inspect exec": func(id string) error { _, err := e.ExecInspect(ctx, id); return err },
		"resize":       func(id string) error { return e.ExecResize(ctx, id, engine.TTYSize{}) },
		"attach":       func(id string) error { _, err := e.Attach(ctx, id, engine.AttachOptions{}); return err },
		"run":          func(id string) error { return e.ContainerStart(ctx, id) },
		"stop":         func(id string) error { return e.ContainerStop(ctx, id, time.Second) },
		"stop, own":    func(id string) error { return e.ContainerStop(ctx, id, -1) },
		"restart":      func(id string) error { return e.ContainerRestart(ctx, id, time.Second) },
		"kill":         func(id string) error { return e.ContainerKill(ctx, id, "") },
		"pause":        func(id string) error { return e.ContainerPause(ctx, id) },
		"unpause":      func(id string) error { return e.ContainerUnpause(ctx, id) },
		"rename":       func(id string) error { return e.ContainerRename(ctx, id, "x") },
		"remove":       func(id string) error { return e.ContainerRemove(ctx, id, false, false) },
		"image":        func(id string) error { return e.ImageRemove(ctx, id, false) },
		"volume":       func(id string) error { return e.VolumeRemove(ctx, id, false) },
		"network":      func(id string) error { return e.NetworkRemove(ctx, id) },
		"update":       func(id string) error { return e.ServiceUpdate(ctx, id, 1, swarm.ServiceSpec{}) },
		"service":      func(id string) error { return e.ServiceRemove(ctx, id) },
	}
}

// recorder remembers the last request.
type recorder struct {
	mu            sync.Mutex
	request, body string
	reply         string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	b, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.request, r.body = req.Method+" "+req.RequestURI, strings.TrimSpace(string(b))
	_, _ = io.WriteString(w, r.reply)
}

func (r *recorder) last() (request, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.request, r.body
}

func TestWrites(t *testing.T) {
	r := &recorder{reply: `{"Id":"new","ID":"new"}`}
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{"/": r.ServeHTTP})))
	ctx := t.Context()
	tests := []struct {
		call func() error
		want string
	}{
		{func() error { return e.ContainerStart(ctx, "a") }, "POST /v1.41/containers/a/start"},
		{func() error { return e.ContainerStop(ctx, "a", 1500*time.Millisecond) }, "POST /v1.41/containers/a/stop?t=2"},
		{func() error { return e.ContainerStop(ctx, "a", 0) }, "POST /v1.41/containers/a/stop?t=0"},
		{func() error { return e.ContainerStop(ctx, "a", -1) }, "POST /v1.41/containers/a/stop"},
		{func() error { return e.ContainerRestart(ctx, "a", time.Second) }, "POST /v1.41/containers/a/restart?t=1"},
		{func() error { return e.ContainerKill(ctx, "a", "HUP") }, "POST /v1.41/containers/a/kill?signal=HUP"},
		{func() error { return e.ContainerPause(ctx, "a") }, "POST /v1.41/containers/a/pause"},
		{func() error { return e.ContainerUnpause(ctx, "a") }, "POST /v1.41/containers/a/unpause"},
		{func() error { return e.ContainerRename(ctx, "a", "b") }, "POST /v1.41/containers/a/rename?name=b"},
		{func() error { return e.ContainerRemove(ctx, "a", true, true) }, "DELETE /v1.41/containers/a?force=1&v=1"},
		{func() error { return e.ContainerRemove(ctx, "a", false, false) }, "DELETE /v1.41/containers/a"},
		{func() error { return e.ImageImport(ctx, "r.example/a:1", strings.NewReader("tar")) }, "POST /v1.41/images/create?fromSrc=-&repo=r.example%2Fa%3A1"},
		{func() error { return e.VolumeRemove(ctx, "v", true) }, "DELETE /v1.41/volumes/v?force=1"},
		{func() error { return e.NetworkRemove(ctx, "n") }, "DELETE /v1.41/networks/n"},
		{func() error { return e.ServiceUpdate(ctx, "s", 18446744073709551615, swarm.ServiceSpec{}) }, "POST /v1.41/services/s/update?version=18446744073709551615"},
		{func() error { return e.ServiceRemove(ctx, "s") }, "DELETE /v1.41/services/s"},
		{func() error { return e.ExecResize(ctx, "x", engine.TTYSize{Height: 40, Width: 120}) }, "POST /v1.41/exec/x/resize?h=40&w=120"},
	}
	for _, tt := range tests {
		if err := tt.call(); err != nil {
			t.Errorf("%s: %v", tt.want, err)
		}
		if got, _ := r.last(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

// TestRequestsAreWhole: each field of a request that the API has arrives, so
// that a field the SDK learns and we do not pass on is noticed.
func TestRequestsAreWhole(t *testing.T) {
	r := &recorder{reply: `{"Id":"new","ID":"new"}`}
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{"/": r.ServeHTTP})))
	ctx := t.Context()
	var create container.CreateRequest
	var exec container.ExecCreateRequest
	var vol volume.CreateRequest
	var net network.CreateRequest
	var spec swarm.ServiceSpec
	for _, v := range []any{&create, &exec, &vol, &net, &spec} {
		fill(reflect.ValueOf(v).Elem(), 0)
	}
	create.HostConfig.CapAdd, create.HostConfig.CapDrop = []string{"CAP_A"}, []string{"CAP_B"} // the SDK spells them so
	tests := map[string]struct {
		request any
		call    func() (string, error)
	}{
		"container": {create, func() (string, error) { return e.ContainerCreate(ctx, "n", create) }},
		"exec":      {exec, func() (string, error) { return e.ExecCreate(ctx, "c", exec) }},
		"volume":    {vol, func() (string, error) { return "new", e.VolumeCreate(ctx, vol) }},
		"network":   {net, func() (string, error) { return e.NetworkCreate(ctx, net) }},
		"service":   {spec, func() (string, error) { return e.ServiceCreate(ctx, spec) }},
		"update":    {spec, func() (string, error) { return "new", e.ServiceUpdate(ctx, "s", 7, spec) }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			id, err := tt.call()
			if err != nil || id != "new" {
				t.Fatalf("got %q, %v", id, err)
			}
			_, body := r.last()
			want, err := json.Marshal(tt.request)
			if err != nil {
				t.Fatal(err)
			}
			var a, b any
			if err := json.Unmarshal(want, &a); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(body), &b); err != nil {
				t.Fatal(err)
			}
			if name == "network" { // see NetworkCreate
				a.(map[string]any)["CheckDuplicate"] = true
			}
			if diff := cmp.Diff(a, b); diff != "" {
				t.Errorf("the request differs (-given +sent):\n%s", diff)
			}
		})
	}
}

// fill sets every field it can to something else than zero.
func fill(v reflect.Value, depth int) {
	if depth > 12 || !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(3 + depth))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(3 + depth))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(0.5)
	case reflect.String:
		v.SetString(fmt.Sprintf("text:%d", depth))
	case reflect.Pointer:
		if depth < 8 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), depth+1)
		}
	case reflect.Slice:
		if _, isText := v.Interface().(interface{ MarshalText() ([]byte, error) }); !isText {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0), depth+1)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		key := reflect.New(v.Type().Key()).Elem()
		if key.Kind() == reflect.String {
			value := reflect.New(v.Type().Elem()).Elem()
			fill(key, depth+1)
			fill(value, depth+1)
			v.Set(reflect.MakeMap(v.Type()))
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), depth+1)
			}
		}
	}
}

// TestSpecIsNotChanged: what the caller shares with others stays as it is.
func TestSpecIsNotChanged(t *testing.T) {
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{"/": status(200, "application/json", `{"ID":"s"}`)})))
	spec := swarm.ServiceSpec{TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: "busybox"}}}
	if _, err := e.ServiceCreate(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if got := spec.TaskTemplate.ContainerSpec.Image; got != "busybox" {
		t.Errorf("the image is %q now", got)
	}
}

func TestAnswersWithoutAnID(t *testing.T) {
	for _, reply := range []string{`{}`, `[]`, `null`, `"x"`, `<html>`, ``, `{"Id":7}`} {
		e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{"/": status(201, "application/json", reply)})))
		ctx := t.Context()
		for name, call := range map[string]func() (string, error){
			"container": func() (string, error) {
				return e.ContainerCreate(ctx, "", container.CreateRequest{Config: &container.Config{Image: "x"}})
			},
			"exec":    func() (string, error) { return e.ExecCreate(ctx, "c", container.ExecCreateRequest{}) },
			"network": func() (string, error) { return e.NetworkCreate(ctx, network.CreateRequest{}) },
			"service": func() (string, error) { return e.ServiceCreate(ctx, swarm.ServiceSpec{}) },
		} {
			id, err := call()
			if id != "" {
				t.Errorf("%s, reply %s: id %q", name, reply, id)
			}
			wantError(t, err, engine.ClassServer, engine.CauseEngineError, "does not answer as a Docker engine")
		}
	}
}

func TestNotModifiedIsSuccess(t *testing.T) {
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) },
	})))
	if err := e.ContainerStart(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if err := e.ContainerStop(t.Context(), "a", 0); err != nil {
		t.Error(err)
	}
}

// TestStopMayTakeItsGrace: a stop waits longer than other calls.
func TestStopMayTakeItsGrace(t *testing.T) {
	cfg := slow(unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"/containers/a/json":       status(200, "application/json", `{"Config":{"StopTimeout":30}}`),
		"/containers/default/json": status(200, "application/json", `{"Config":{}}`),
		"/":                        func(http.ResponseWriter, *http.Request) { time.Sleep(impatience * 3 / 2) },
	})))
	e := open(t, cfg)
	for name, call := range map[string]func() error{
		"given":     func() error { return e.ContainerStop(t.Context(), "a", 30*time.Second) },
		"own":       func() error { return e.ContainerStop(t.Context(), "a", -1) },
		"default":   func() error { return e.ContainerRestart(t.Context(), "default", -1) },
		"too short": func() error { return e.ContainerKill(t.Context(), "a", "") },
	} {
		err := call()
		if got, want := engine.ClassOf(err) == engine.ClassTimeout, name == "too short"; got != want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestImportFails(t *testing.T) {
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"POST /images/create": status(200, "application/json", `{"status":"x"}`+"\n"+`{"errorDetail":{"message":"no space"},"error":"no space"}`),
	})))
	err := e.ImageImport(t.Context(), "a:1", strings.NewReader("tar"))
	wantError(t, err, engine.ClassServer, engine.CauseEngineError, "no space")
}
