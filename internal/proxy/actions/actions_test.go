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

package actions

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

func TestLifecycle(t *testing.T) {
	b, _ := simBed(t, sim.Options{Images: 1}, nil)
	var image struct{ RepoTags []string }
	raw, err := b.actions.opts.Hosts.List(prod, "images")
	if err != nil || len(raw.Items) == 0 {
		t.Fatal("no images:", err)
	}
	b.decode(raw.Items[0].Raw, &image)
	created := b.must(200, "POST", "containers", map[string]any{
		"name": "web", "start": true, "config": map[string]any{"Image": image.RepoTags[0], "Cmd": []string{"sleep", "1000"}},
	})
	id := string(created.status.Details.UID)
	if created.status.Status != "Success" || len(id) != 64 {
		t.Fatalf("the answer to a create is %s", created.body)
	}
	state := func() string {
		var c struct{ State struct{ Status string } }
		b.inspect("containers", "web", &c)
		return c.State.Status
	}
	steps := []struct{ action, query, state string }{
		{"pause", "", "paused"}, {"unpause", "", "running"}, {"stop", "?timeout=0", "exited"}, {"start", "", "running"},
		{"restart", "?timeout=0", "running"}, {"kill", "?signal=KILL", "exited"}, {"start", "", "running"},
	}
	for _, s := range steps {
		b.as("Operator", 200, "POST", "containers/web/"+s.action+s.query, nil)
		b.eventually("the container to be "+s.state, func() bool { return state() == s.state })
		if r := b.lastRecord(); r.Verb != s.action || r.Outcome != audit.Succeeded || r.Object.Name != "web" || r.Host.Name != "prod" || r.Actor.User != "Operator" {
			t.Errorf("after a %s the record is %+v", s.action, r)
		}
	}
	b.as("Operator", 200, "POST", "containers/web/rename", map[string]string{"name": "site"})
	b.as("Operator", 403, "POST", "containers/site/remove", nil)
	b.must(409, "POST", "containers/site/remove", nil)
	b.must(200, "DELETE", "containers/site?force=true&volumes=true", nil)
	b.must(404, "GET", "containers/site/inspect", nil)
	b.must(404, "POST", "containers/site/start", nil)
	a := b.must(404, "POST", "containers", map[string]any{"config": map[string]any{"Image": "localhost/none:1"}})
	if !strings.Contains(a.status.Message, "pull") {
		t.Errorf("a create from an image that is not there says %q", a.status.Message)
	}
}

// TestRights tries every action as every role.
func TestRights(t *testing.T) {
	b, _ := simBed(t, sim.Options{}, func(o *Options) { o.Masker = masker{} })
	for _, line := range table {
		if line.namespaced {
			continue
		}
		path := line.segment
		for _, part := range []string{line.object, map[bool]string{true: "none"}[line.named], line.action} {
			if part != "" {
				path += "/" + part
			}
		}
		var body any
		if line.segment == "prune" {
			body = map[string]any{"kinds": []string{"images"}}
			line.rights = right(access.Images, access.Delete)
		}
		for _, role := range []string{"Viewer", "Operator", "Admin", "nobody"} {
			may := !slices.ContainsFunc(line.rights, func(r access.Right) bool { return !access.Grants(access.Role(role), r) })
			before := len(b.recorder.Records())
			a := b.request(role, line.method, path, body)
			if (a.code != 403) != may {
				t.Errorf("%s %s as %s: %d %s; allowed by the table: %t", line.method, path, role, a.code, a.body, may)
			}
			if !may {
				after := b.recorder.Records()[before:]
				if len(after) != 1 || after[0].Outcome != audit.Denied || after[0].Actor.User != role || after[0].Verb == "" {
					t.Errorf("%s %s as %s was refused; on record is %+v", line.method, path, role, after)
				}
			}
		}
	}
}

// TestTableAgreesWithPassThrough: the same change must not take less by one way than by
// the other.
func TestTableAgreesWithPassThrough(t *testing.T) {
	same := map[string]string{
		"POST containers/x/start": "POST /containers/x/start", "POST containers/x/stop": "POST /containers/x/stop",
		"POST containers/x/restart": "POST /containers/x/restart", "POST containers/x/kill": "POST /containers/x/kill",
		"POST containers/x/pause": "POST /containers/x/pause", "POST containers/x/unpause": "POST /containers/x/unpause",
		"POST containers/x/rename": "POST /containers/x/rename", "POST containers/x/resize": "POST /containers/x/resize",
		"POST containers/x/remove": "DELETE /containers/x", "DELETE containers/x": "DELETE /containers/x", "POST containers": "POST /containers/create",
		"GET containers/x/inspect": "GET /containers/x/json", "GET containers/x/top": "GET /containers/x/top", "GET containers/x/changes": "GET /containers/x/changes",
		"POST images/pull": "POST /images/create?fromImage=x", "POST images/x/remove": "DELETE /images/x", "DELETE images/x": "DELETE /images/x",
		"POST images/x/tag": "POST /images/x/tag", "GET images/x/inspect": "GET /images/x/json", "GET images/x/history": "GET /images/x/history",
		"POST volumes": "POST /volumes/create", "POST volumes/x/remove": "DELETE /volumes/x", "DELETE volumes/x": "DELETE /volumes/x", "GET volumes/x/inspect": "GET /volumes/x",
		"POST networks": "POST /networks/create", "POST networks/x/remove": "DELETE /networks/x", "DELETE networks/x": "DELETE /networks/x",
		"POST networks/x/connect": "POST /networks/x/connect", "POST networks/x/disconnect": "POST /networks/x/disconnect", "GET networks/x/inspect": "GET /networks/x",
		"GET services/x/inspect": "GET /services/x", "GET tasks/x/inspect": "GET /tasks/x", "POST nodes/x": "POST /nodes/x/update", "GET nodes/x/inspect": "GET /nodes/x",
		"GET system/df": "GET /system/df",
	}
	typed := []string{"POST containers/x/recreate", "POST services/x/scale", "POST services/x/rollback", "POST services/x/force", "POST prune", "POST test"}
	for _, line := range table {
		name := line.method + " " + line.segment
		for _, part := range []string{line.object, map[bool]string{true: "x"}[line.named], line.action} {
			if part != "" {
				name += "/" + part
			}
		}
		if slices.Contains(typed, name) {
			continue
		}
		method, path, _ := strings.Cut(same[name], " ")
		path, query, _ := strings.Cut(path, "?")
		req, err := access.Classify(method, path, query, access.Headers{})
		if err != nil || len(line.rights) != 1 || line.rights[0] != req.Right {
			t.Errorf("%s takes %v; %q takes %v, %v", name, line.rights, same[name], req.Right, err)
		}
	}
}

// TestCanceledJob: the one who cancels is told so, and not how the engine's call ended.
func TestCanceledJob(t *testing.T) {
	b, _ := simBed(t, sim.Options{}, nil)
	r := httptest.NewRequest(http.MethodPost, hostPath+"images/pull", nil)
	at, _, err := route.Parse(r.URL.Path)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	c := &call{
		a: b.actions, w: w, r: r, ctx: t.Context(), line: &action{verb: "pull", kind: kindImage}, route: at,
		who: &caller.Caller{User: &user.DefaultInfo{Name: "Admin", UID: "uid of Admin"}},
	}
	err = c.submit(jobPull, "web", func(ctx context.Context, _ *jobs.Progress) (any, error) {
		<-ctx.Done()
		return nil, engine.Errorf(engine.ClassCanceled, "", "the call was given up")
	})
	if err != nil {
		t.Fatal(err)
	}
	begun := answer{body: w.Body.Bytes()}
	var v jobs.View
	b.decode(begun.body, &v)
	b.must(202, "DELETE", "jobs/"+v.Metadata.Name, nil)
	if v = b.wait(begun); v.State != jobs.Canceled || v.Error == nil || v.Error.Code != 409 || v.Error.Message != jobs.ErrCanceled.Error() {
		t.Errorf("the job is %s, %+v", v.State, v.Error)
	}
}

// TestLateAnswer: an action may take longer than the server gives an answer, over HTTP/2 too.
func TestLateAnswer(t *testing.T) {
	b, _ := simBed(t, sim.Options{}, nil)
	const answerTimeout = time.Second
	for _, http2 := range []bool{false, true} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := &call{
				a: b.actions, w: w, r: r, ctx: r.Context(), line: &action{verb: "stop", kind: kindContainer},
				who: &caller.Caller{User: &user.DefaultInfo{Name: "Admin"}},
			}
			err := c.do("web", func(context.Context) error { time.Sleep(2 * answerTimeout); return nil })
			if err == nil {
				err = c.succeeded("web", "", "stopped")
			}
			if err != nil {
				t.Error(err)
			}
		}))
		server.EnableHTTP2, server.Config.WriteTimeout = http2, answerTimeout
		server.StartTLS()
		resp, err := server.Client().Post(server.URL, "", nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("HTTP/2: %t: got %v, %v", http2, resp, err)
		}
		if err == nil {
			_ = resp.Body.Close()
		}
		server.Close()
	}
}

func TestBadRequests(t *testing.T) {
	b, _ := simBed(t, sim.Options{Containers: 1}, nil)
	list, err := b.actions.opts.Hosts.List(prod, "containers")
	if err != nil {
		t.Fatal(err)
	}
	c := "containers/" + list.Items[0].ID
	tests := []struct {
		method, path string
		body         any
		code         int
		says         string
	}{
		{"POST", c + "/remove", `{"forse": true}`, 400, `unknown field "forse"`},
		{"POST", c + "/remove?forse=true", nil, 400, `"forse"`},
		{"POST", c + "/remove?force=true&force=false", nil, 400, "twice"},
		{"POST", c + "/remove?force=maybe", nil, 400, "true or false"},
		{"POST", c + "/stop", `{"timeout": "secret"}`, 400, `"timeout"`},
		{"POST", c + "/stop", `{"timeout": -1}`, 400, "seconds"},
		{"POST", c + "/stop", `{} {}`, 400, "goes on"},
		{"POST", c + "/stop", `nonsense`, 400, "not JSON"},
		{"POST", c + "/stop", `[]`, 400, "object"},
		{"POST", c + "/stop", `{"x":"` + strings.Repeat("x", maxBody) + `"}`, 413, "larger"},
		{"POST", c + "/kill?signal=;reboot", nil, 400, ""},
		{"POST", c + "/kill?signal=SIG%20X", nil, 400, "signal"},
		{"POST", c + "/kill?signal=0", nil, 400, "signal"},
		{"POST", c + "/rename", `{"name": "a b"}`, 400, "name"},
		{"POST", c + "/resize?height=1", nil, 400, "width"},
		{"POST", "containers", `{"config": {"Image": "x", "HostConfig": {"Privileg": true}}}`, 400, `config has the unknown field "Privileg"`},
		{"POST", "containers", `{"config": {}}`, 400, "Image"},
		{"POST", "volumes", `{"Name": "v", "Diver": "local"}`, 400, `unknown field "Diver"`},
		{"POST", "networks", `{}`, 400, "Name"},
		{"POST", "images/pull", `{}`, 400, "ref"},
		{"POST", "images/pull", `{"ref": "Not A Ref"}`, 400, "ref"},
		{"POST", "images/pull", `{"ref": "x", "platform": "a b"}`, 400, "platform"},
		{"POST", "images/pull", `{"ref": "x", "pullSecret": "../x"}`, 400, "pullSecret"},
		{"POST", "images/pull", `{"ref": "x", "pullSecret": "none"}`, 404, "none"},
		{"POST", "images/x/tag", `{"ref": "x@sha256:` + strings.Repeat("0", 64) + `"}`, 400, "digest"},
		{"POST", "prune", `{"kinds": []}`, 400, "kinds"},
		{"POST", "prune", `{"kinds": ["images", "secrets"]}`, 400, "kinds"},
		{"POST", "prune", `{"kinds": ["images"], "filters": {"dangling": ["false"]}}`, 400, "all"},
		{"POST", "services/x/scale", `{}`, 400, "replicas"},
		{"POST", "services/x/scale", `{"replicas": 1}`, 409, "swarm"},
		{"POST", "nodes/x", `{}`, 400, "nothing to change"},
		{"POST", "nodes/x", `{"availability": "gone"}`, 400, "drain"},
		{"POST", c + "/recreate", `{"watchSeconds": 100000}`, 400, "watchSeconds"},
		{"GET", c + "/start", nil, 405, "POST"},
		{"PUT", c + "/remove", nil, 405, "POST"},
		{"POST", c + "/nonsense", nil, 404, "nothing is served"},
		{"GET", "jobs/manager-1.00000000000000000000000000000000", nil, 404, "manager-1"},
		{"GET", "jobs/manager-0.00000000000000000000000000000000", nil, 404, "no such job"},
		{"GET", "jobs/x", nil, 404, "not a job's id"},
	}
	for _, tt := range tests {
		before := len(b.recorder.Records())
		a := b.request("Admin", tt.method, tt.path, tt.body)
		if a.code != tt.code || !strings.Contains(a.status.Message, tt.says) {
			t.Errorf("%s %s %.60v: %d %.200s; want %d and %q", tt.method, tt.path, tt.body, a.code, a.body, tt.code, tt.says)
		}
		if strings.Contains(a.status.Message, "secret") {
			t.Errorf("%s repeats a value: %s", tt.path, a.body)
		}
		if after := b.recorder.Records()[before:]; tt.code == 400 && len(after) > 0 {
			t.Errorf("%s %s is malformed, and on record as %+v", tt.method, tt.path, after)
		}
	}
}

func TestUnavailable(t *testing.T) {
	b, e := simBed(t, sim.Options{Containers: 1}, nil)
	other := strings.Replace(hostPath, "/prod/", "/other/", 1)
	if a := b.requestAt("nobody", "POST", other+"containers/x/start", nil); a.code != 403 {
		t.Errorf("without a right an unknown host is %d; want 403", a.code)
	}
	if a := b.requestAt("Admin", "POST", other+"containers/x/start", nil); a.code != 404 {
		t.Errorf("an unknown host is %d; want 404", a.code)
	}
	b.recorder.Fail(errors.New("disk full"))
	if a := b.request("Admin", "POST", "containers/x/start", nil); a.code != 503 || !strings.Contains(a.status.Message, "audit") {
		t.Errorf("without an audit trail: %d %s", a.code, a.body)
	}
	if a := b.request("Admin", "POST", "prune", `{"kinds": ["images"]}`); a.code != 503 || !strings.Contains(a.status.Message, "audit") {
		t.Errorf("without an audit trail a job is: %d %s", a.code, a.body)
	}
	b.recorder.Fail(nil)
	e.Close()
	b.eventually("the host to be lost", func() bool {
		st, _ := b.actions.opts.Hosts.State(prod)
		return !st.Connected()
	})
	a := b.request("Admin", "POST", "containers/x/start", nil)
	if a.code != 503 || a.header.Get("Retry-After") == "" || len(a.status.Details.Causes) != 1 || a.status.Details.Causes[0].Type == "" {
		t.Errorf("a lost host is answered with %s", a.body)
	}
}

// masker replaces everything.
type masker struct{}

func (masker) Mask(operation string, _ []byte) ([]byte, error) {
	return []byte(`{"masked":"` + operation + `"}`), nil
}

func TestMasking(t *testing.T) {
	b, _ := simBed(t, sim.Options{Containers: 1}, func(o *Options) { o.Masker = masker{} })
	list, _ := b.actions.opts.Hosts.List(prod, "containers")
	path := "containers/" + list.Items[0].ID + "/inspect"
	if a := b.as("Viewer", 200, "GET", path, nil); string(a.body) != `{"masked":"GET /containers/{name}/json"}` {
		t.Errorf("a Viewer gets %s", a.body)
	}
	a := b.as("Operator", 200, "GET", path, nil)
	if strings.Contains(string(a.body), "masked") || a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Content-Security-Policy") != "sandbox" {
		t.Errorf("an Operator gets %s, %v", a.body, a.header)
	}
	b.actions.opts.Masker = nil
	b.as("Viewer", 403, "GET", path, nil)
	b.as("Viewer", 403, "GET", "containers/x/top", nil)
}

// TestServes: what lists are asked for is not ours.
func TestServes(t *testing.T) {
	b, _ := simBed(t, sim.Options{}, nil)
	for request, ours := range map[string]bool{
		"GET containers": false, "POST containers": true, "GET containers/x": false, "DELETE containers/x": true, "GET containers/x/inspect": true,
		"GET containers/x/start": true, "GET log/x": false, "GET jobs": true, "GET jobs/x": true, "GET jobs/x/y": false, "GET images/pull": false, "GET prune": true, "GET nodes/x": false,
	} {
		method, path, _ := strings.Cut(request, " ")
		rt, _, err := route.Parse(hostPath + path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(route.With(t.Context(), rt), method, hostPath+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.actions.Serves(r); got != ours {
			t.Errorf("%s is served here: %t; want %t", request, got, ours)
		}
	}
}
