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
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestPing(t *testing.T) {
	c := serve(t, Options{})
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		for _, path := range []string{"/_ping", "/v1.41/_ping", "/v1.40/_ping"} {
			resp, err := c.request(context.Background(), method, path, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			h := resp.Header
			if resp.StatusCode != http.StatusOK || h.Get("Api-Version") != "1.41" || h.Get("Docker-Experimental") != "false" ||
				h.Get("Ostype") != "linux" || !strings.HasPrefix(h.Get("Server"), "Docker/20.10") || h.Get("Swarm") != "" {
				t.Errorf("%s %s: status %d, headers %v", method, path, resp.StatusCode, h)
			}
		}
	}
}

func TestPingTellsSwarm(t *testing.T) {
	s := NewSwarm(SwarmOptions{})
	defer s.Close()
	for want, opts := range map[string]Options{
		"inactive":       {},
		"active/manager": {Name: "m", Swarm: s},
		"active/worker":  {Name: "w", Swarm: s, Role: "worker"},
	} {
		opts.APIVersion = "1.43"
		c := serve(t, opts)
		resp, err := c.request(context.Background(), http.MethodHead, "/_ping", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Swarm"); got != want {
			t.Errorf("Swarm is %q; want %q", got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	c := serve(t, Options{APIVersion: "1.56", MinAPIVersion: "1.40"})
	for path, want := range map[string]int{
		"/v1.39/info": 400, "/v1.40/info": 200, "/v1.56/info": 200, "/v1.57/info": 400, "/info": 200,
		"/v2.0/info": 400, "/v1.41/nothing": 404, "/nothing": 404, "/v1.41": 404,
	} {
		if got, body := c.call(http.MethodGet, path, nil); got != want {
			t.Errorf("GET %s: status %d, want %d: %s", path, got, want, body)
		}
	}
}

func TestInfo(t *testing.T) {
	c := serve(t, Options{Name: "box", Containers: 3, Images: 2})
	var info struct {
		ID, Name, SystemTime                  string
		Containers, ContainersRunning, Images int
	}
	c.read("/info", &info)
	if info.Name != "box" || info.ID != c.e.ID() || info.Containers != 3 || info.ContainersRunning != 3 || info.Images != 2 {
		t.Errorf("info is %+v", info)
	}
	if again := New(Options{Name: "box"}); again.ID() != info.ID {
		t.Error("the same name gives another ID")
	}
	if other := New(Options{Name: "box", Seed: "other"}); other.ID() == info.ID {
		t.Error("another seed gives the same ID")
	}
}

// TestErrors compares statuses and words with what dockerd 20.10 answers.
func TestErrors(t *testing.T) {
	c := serve(t, Options{Images: 1})
	id := c.create("c1", map[string]any{"Cmd": []string{"sleep", "1000"}})
	tests := []struct {
		method, path string
		body         any
		status       int
		message      string
	}{
		{"GET", "/nope", nil, 404, "page not found"},
		{"POST", "/containers/json", nil, 404, "page not found"},
		{"GET", "/containers/nope/json", nil, 404, "No such container: nope"},
		{"POST", "/containers/nope/start", nil, 404, "No such container: nope"},
		{"GET", "/containers/json?filters=zzz", nil, 500, "invalid character 'z' looking for beginning of value"},
		{"GET", `/containers/json?filters={"zz":["a"]}`, nil, 400, "Invalid filter 'zz'"},
		{"GET", "/containers/c1/top", nil, 409, "Container " + id + " is not running"},
		{"POST", "/containers/c1/pause", nil, 409, "Container " + id + " is not running"},
		{"POST", "/containers/c1/unpause", nil, 500, "Container " + id + " is not paused"},
		{"POST", "/containers/c1/kill", nil, 409, "Cannot kill container: c1: Container " + id + " is not running"},
		{"POST", "/containers/c1/kill?signal=FOO", nil, 400, "Invalid signal: FOO"},
		{"POST", "/containers/c1/stop", nil, 304, ""},
		{"POST", "/containers/c1/rename?name=", nil, 400, "Neither old nor new names may be empty"},
		{"POST", "/containers/c1/resize?h=a&w=1", nil, 400, `strconv.Atoi: parsing "a": invalid syntax`},
		{"POST", "/containers/c1/exec", map[string]any{"Cmd": []string{"ls"}}, 409, "Container " + id + " is not running"},
		{"GET", "/containers/c1/logs", nil, 400, "Bad parameters: you must choose at least one stream"},
		{"GET", "/containers/c1/logs?stdout=1&since=x", nil, 500, `strconv.ParseInt: parsing "x": invalid syntax`},
		{"POST", "/containers/create", map[string]any{}, 400, "Config cannot be empty in order to create a container"},
		{"POST", "/containers/create", strings.NewReader("{bad"), 500, "invalid character 'b' looking for beginning of object key string"},
		{"POST", "/containers/create?name=c2", map[string]any{"Image": "nope", "Cmd": []string{"true"}}, 404, "No such image: nope:latest"},
		{"POST", "/containers/create?name=c2", map[string]any{"Image": "app-0:1"}, 400, "No command specified"},
		{"POST", "/containers/create?name=c/3", map[string]any{"Image": "app-0:1", "Cmd": []string{"true"}}, 400, "Invalid container name (c/3), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"},
		{"POST", "/containers/create?name=c1", map[string]any{"Image": "app-0:1", "Cmd": []string{"true"}}, 409, `Conflict. The container name "/c1" is already in use by container "` + id + `". You have to remove (or rename) that container to be able to reuse that name.`},
		{"DELETE", "/images/nope", nil, 404, "No such image: nope:latest"},
		{"GET", "/volumes/nope", nil, 404, "get nope: no such volume"},
		{"DELETE", "/volumes/nope", nil, 404, "get nope: no such volume"},
		{"GET", "/networks/nope", nil, 404, "network nope not found"},
		{"DELETE", "/networks/bridge", nil, 403, "bridge is a pre-defined network and cannot be removed"},
		{"GET", "/exec/nope/json", nil, 404, "No such exec instance: nope"},
		{"GET", "/services", nil, 503, errNotManager.message},
		{"GET", "/nodes/x", nil, 503, errNotManager.message},
	}
	for _, test := range tests {
		status, body := c.call(test.method, strings.ReplaceAll(test.path, `"`, "%22"), test.body)
		want := `{"message":` + quote(test.message) + "}\n"
		if test.status == http.StatusNotModified {
			want = ""
		}
		if status != test.status || string(body) != want {
			t.Errorf("%s %s: %d %s; want %d %s", test.method, test.path, status, body, test.status, want)
		}
	}
}

func TestFilters(t *testing.T) {
	c := serve(t, Options{Containers: 4})
	c.must(204, "POST", "/containers/c1/kill", nil)
	for query, want := range map[string][]string{
		"":                                                  {"/c3", "/c2", "/c0"},
		"all=1":                                             {"/c3", "/c2", "/c1", "/c0"},
		`filters={"status":["exited"]}`:                     {"/c1"},
		`filters={"status":{"exited":true}}`:                {"/c1"},
		`filters={"name":["c[23]"]}`:                        {"/c3", "/c2"},
		`filters={"label":["app=app-0"]}`:                   {"/c3", "/c2", "/c0"},
		`filters={"label":["app=other"]}`:                   nil,
		`filters={"ancestor":["app-0"]}`:                    {"/c3", "/c2", "/c0"},
		`filters={"network":["bridge"]}`:                    {"/c3", "/c2", "/c0"},
		`filters={"exited":["137"]}&all=1`:                  {"/c1"},
		`filters={"before":["c2"]}`:                         {"/c0"},
		`filters={"since":["c0"]}&all=1`:                    {"/c3", "/c2", "/c1"},
		`limit=2`:                                           {"/c3", "/c2"},
		`filters={"id":["` + idOf(c, "c2")[:12] + `"]}`:     {"/c2"},
		`filters={"id":["` + idOf(c, "c2") + `"]}&all=1`:    {"/c2"},
		`filters={"status":["running"],"name":["c0","c1"]}`: {"/c0"},
	} {
		var list []struct{ Names []string }
		c.read("/containers/json?"+strings.ReplaceAll(query, `"`, "%22"), &list)
		var got []string
		for _, l := range list {
			got = append(got, l.Names...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s lists %v; want %v", query, got, want)
		}
	}
}

func idOf(c *client, name string) string {
	var out struct{ ID string }
	c.read("/containers/"+name+"/json", &out)
	return out.ID
}

func quote(s string) string {
	return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
}
