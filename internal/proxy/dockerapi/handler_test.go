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

package dockerapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

func TestWhatCrosses(t *testing.T) {
	b := newBed(t)
	b.engine.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Api-Version", "1.41")
		h.Set("Docker-Experimental", "false")
		h.Set("Set-Cookie", "a=b")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Connection", "X-Docker-Own")
		h.Set("X-Docker-Own", "1")
		h.Set("Content-Type", "application/json")
		names := []string{}
		for name := range r.Header {
			names = append(names, name)
		}
		slices.Sort(names)
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %s %q", r.Method, r.RequestURI, strings.Join(names, ","), body)
	})
	resp, body := b.do("ada", "POST", "/v1.41/containers/a%20b/rename?name=c%2Fd", "", "Authorization", "Bearer x", "Cookie", "c=d",
		"X-Remote-User", "root", "X-Forwarded-For", "192.0.2.9", "X-Registry-Auth", "e30=", "User-Agent", "Docker-Client/28", "Proxy-Authorization", "y")
	if want := `POST /v1.41/containers/a%20b/rename?name=c%2Fd Accept-Encoding,Content-Length,User-Agent,X-Registry-Auth ""`; body != want {
		t.Errorf("the engine got %s\nwant %s", body, want)
	}
	got := map[string]string{}
	for _, name := range []string{"Api-Version", "Docker-Experimental", "Set-Cookie", "Access-Control-Allow-Origin", "X-Docker-Own"} {
		got[name] = resp.Header.Get(name)
	}
	want := map[string]string{"Api-Version": "1.41", "Docker-Experimental": "false", "Set-Cookie": "", "Access-Control-Allow-Origin": "", "X-Docker-Own": ""}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestRefusals(t *testing.T) {
	b := newBed(t)
	b.engine.HandleFunc("/", func(http.ResponseWriter, *http.Request) { t.Error("the engine was asked") })
	update := access.Right{Subresource: access.Containers, Verb: access.Update}
	b.authz.deny("viewer", update)
	for name, tc := range map[string]struct {
		who, method, path string
		headers           []string
		change            func()
		code              int
		message           string
	}{
		"no right":          {who: "viewer", method: "POST", path: "/containers/a/stop", code: 403, message: `user "viewer" cannot update dockerhosts/containers of "local" in the namespace "default": a HostPermission with the role Operator would give it`},
		"a cookie":          {who: "ada", method: "GET", path: "/version", headers: []string{"Test-Means", "cookie"}, code: 403, message: "a browser's session"},
		"dot segments":      {who: "ada", method: "GET", path: "/containers/../version", code: 400, message: "dot segment"},
		"an old version":    {who: "ada", method: "GET", path: "/v1.24/version", code: 400, message: "too old"},
		"a form":            {who: "ada", method: "POST", path: "/containers/create", headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, code: 400, message: "form"},
		"no such host":      {who: "ada", method: "GET", path: "/version", change: func() { b.hosts.state.Key.Name = "other" }, code: 404, message: "no DockerHost"},
		"no right, no host": {who: "viewer", method: "POST", path: "/containers/a/stop", change: func() { b.hosts.state.Key.Name = "other" }, code: 403, message: "cannot update"},
		"a lost host": {who: "ada", method: "GET", path: "/version", change: func() {
			b.hosts.state.Phase, b.hosts.state.Err = hostcache.PhaseDisconnected, engine.Errorf(engine.ClassTimeout, engine.CauseTimeout, "no answer in time")
		}, code: 503, message: "is not Ready (Timeout): no answer in time"},
		"a suspended host": {who: "ada", method: "GET", path: "/version", change: func() {
			b.hosts.state.Phase, b.hosts.state.Err = hostcache.PhaseSuspended, nil
		}, code: 503, message: "Suspended"},
		"nobody to ask": {who: "ada", method: "GET", path: "/version", change: func() { b.authz.err = apistatus.Unavailable("the kube-apiserver is away") }, code: 503, message: "away"},
		"too many":      {who: "ada", method: "GET", path: "/version", change: func() { b.Limit.(*fakeLimit).full = true }, code: 429, message: "too many"},
		"no audit":      {who: "ada", method: "POST", path: "/containers/a/stop", change: func() { b.trail.Fail(errors.New("disk full")) }, code: 503, message: "audit trail cannot be written"},
	} {
		t.Run(name, func(t *testing.T) {
			state := b.hosts.state
			if tc.change != nil {
				tc.change()
			}
			defer func() {
				b.hosts.state, b.authz.err, b.Limit.(*fakeLimit).full = state, nil, false
				b.trail.Fail(nil)
			}()
			resp, body := b.do(tc.who, tc.method, tc.path, "", tc.headers...)
			var status metav1.Status
			if err := json.Unmarshal([]byte(body), &status); err != nil || resp.StatusCode != tc.code || int(status.Code) != tc.code || !strings.Contains(status.Message, tc.message) {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			if tc.code == 503 && resp.Header.Get("Retry-After") == "" {
				t.Error("nothing says when to try again")
			}
		})
	}
	if d := cmp.Diff([]string{"viewer stop Container a denied Forbidden"}, slices.Compact(slices.DeleteFunc(b.lines(), func(l string) bool { return !strings.HasPrefix(l, "viewer") }))); d != "" {
		t.Error(d)
	}
}

// TestFiltersOfMaskedAnswers: an engine would confirm what a caller guesses of what is
// masked.
func TestFiltersOfMaskedAnswers(t *testing.T) {
	b := newBed(t)
	b.engine.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Query().Get("filters")) })
	b.authz.deny("viewer", access.Right{Subresource: access.Inspect, Verb: access.Get})
	for _, tc := range []struct {
		who, path, filters string
		code               int
		message            string
	}{
		{"viewer", "/containers/json", `{"label":["auth"]}`, 200, ""},
		{"viewer", "/containers/json", `{"label":["com.docker.compose.project=shop"]}`, 200, ""},
		{"viewer", "/containers/json", `{"label":["auth=guess"]}`, 403, `user "viewer" cannot get dockerhosts/inspect of "local" in the namespace "default": the filter "label" asks for a value of "auth", which only who may inspect sees: filter by the key alone, or ask for the role Operator by a HostPermission`},
		{"viewer", "/v1.41/nodes", `{"node.label":["zone=guess"]}`, 403, "filter by the key alone"},
		{"viewer", "/events", `{"event":["exec_create","exec_create: g"]}`, 403, "leave it out"},
		{"viewer", "/volumes", `{"label":`, 400, "JSON object of lists"},
		{"viewer", "/containers/a/stats", `{"label":["auth=guess"]}`, 200, ""}, // not masked: nothing filters there
		{"operator", "/containers/json", `{"label":["auth=guess"]}`, 200, ""},
		{"operator", "/volumes", `{"label":`, 200, ""}, // the engine's to refuse
	} {
		for _, name := range []string{"filters", "Filters"} {
			resp, body := b.do(tc.who, "GET", tc.path+"?"+url.Values{name: {tc.filters}}.Encode(), "")
			if resp.StatusCode != tc.code || !strings.Contains(strings.ReplaceAll(body, `\"`, `"`), tc.message) {
				t.Errorf("%s %s %s %s: got %d %s", tc.who, tc.path, name, tc.filters, resp.StatusCode, body)
			}
		}
	}
	want := []string{"viewer get Container  denied Forbidden", "viewer get Node  denied Forbidden", "viewer get Engine  denied Forbidden"}
	if d := cmp.Diff(want, slices.Compact(b.lines())); d != "" {
		t.Error(d)
	}
}

func TestChangesAreOnRecord(t *testing.T) {
	b := newBed(t)
	b.engine.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "missing") {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"message":"No such container: missing"}`)
		}
	})
	for _, line := range []string{
		"GET /containers/json", "POST /containers/a/start", "POST /containers/a/wait", "DELETE /v1.41/containers/missing", "POST /images/create?fromImage=x",
		"POST /images/create?fromSrc=-", "GET /containers/a/archive?path=%2F", "HEAD /containers/a/archive?path=%2F", "POST /commit?container=a", "POST /new/thing", "POST /containers/create?name=n",
	} {
		method, path, _ := strings.Cut(line, " ")
		b.do("ada", method, path, "")
	}
	want := []string{
		"ada start Container a allowed", "ada start Container a succeeded",
		"ada remove Container missing allowed", "ada remove Container missing failed NotFound",
		"ada pull Image x allowed", "ada pull Image x succeeded",
		"ada import Image  allowed", "ada import Image  succeeded",
		"ada copy-out Container a allowed", "ada copy-out Container a succeeded",
		"ada commit Image a allowed", "ada commit Image a succeeded",
		"ada post Raw  allowed", "ada post Raw  succeeded",
		"ada create Container n allowed", "ada create Container n succeeded",
	}
	if d := cmp.Diff(want, b.lines()); d != "" {
		t.Error(d)
	}
}

func TestMasking(t *testing.T) {
	b := newBed(t)
	answers := map[string]string{"whole": `{"a":"secret"}`, "early": "broken", "late": ""}
	b.engine.HandleFunc("/containers/{name}/json", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") != "late" {
			_, _ = io.WriteString(w, answers[r.PathValue("name")])
			return
		}
		_, _ = io.WriteString(w, `{"a":"secret",`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	b.engine.HandleFunc("/containers/gone/json", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"No such container: gone"}`)
	})
	b.authz.deny("viewer", access.Right{Subresource: access.Inspect, Verb: access.Get})
	if _, body := b.do("ada", "GET", "/containers/whole/json", ""); body != `{"a":"secret"}` {
		t.Errorf("with the right to inspect: %s", body)
	}
	if resp, body := b.do("viewer", "GET", "/containers/whole/json", "", "Accept-Encoding", "gzip"); body != `{"a":"masked"}` || resp.StatusCode != http.StatusOK {
		t.Errorf("without: %d %s", resp.StatusCode, body)
	}
	if resp, body := b.do("viewer", "GET", "/containers/early/json", ""); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("an answer that cannot be masked: %d %s", resp.StatusCode, body)
	}
	if resp, body := b.do("viewer", "GET", "/containers/gone/json", ""); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "No such container") {
		t.Errorf("an error: %d %s", resp.StatusCode, body)
	}
}

func TestEnginesThatMisbehave(t *testing.T) {
	b := newBed(t)
	b.engine.HandleFunc("/version", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://192.0.2.1/", http.StatusTemporaryRedirect)
	})
	b.engine.HandleFunc("/info", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html><script>alert(1)</script>")
	})
	if resp, body := b.do("ada", "GET", "/version", ""); resp.StatusCode != http.StatusBadGateway || resp.Header.Get("Location") != "" || !strings.Contains(body, "redirects") {
		t.Errorf("a redirect: %d %s", resp.StatusCode, body)
	}
	if resp, _ := b.do("ada", "GET", "/info", ""); resp.Header.Get("Content-Type") != "" {
		t.Errorf("HTML without a type got the type %q", resp.Header.Get("Content-Type"))
	}
}

func TestExecIDs(t *testing.T) {
	b := newBed(t)
	b.engine.HandleFunc("POST /containers/{name}/exec", func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), "Cmd") {
			t.Errorf("the engine got %q", body)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"Id":"e1"}`)
	})
	b.engine.HandleFunc("GET /exec/{id}/json", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.PathValue("id")) })
	b.authz.deny("operator", access.PrivilegedExec)
	if resp, body := b.do("operator", "POST", "/containers/a/exec", `{"Cmd":["sh"],"privileged":true}`); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "Admin") {
		t.Errorf("a privileged exec: %d %s", resp.StatusCode, body)
	}
	resp, body := b.do("operator", "POST", "/containers/a/exec", `{"Cmd":["sh"]}`)
	var created struct{ ID string }
	if err := json.Unmarshal([]byte(body), &created); err != nil || resp.StatusCode != http.StatusCreated || !strings.HasPrefix(created.ID, "e1.") {
		t.Fatalf("got %d %s", resp.StatusCode, body)
	}
	for _, tc := range []struct {
		who, id string
		code    int
	}{{"operator", created.ID, 200}, {"ada", created.ID, 404}, {"operator", "e1", 404}, {"operator", created.ID + "x", 404}} {
		if resp, body := b.do(tc.who, "GET", "/exec/"+tc.id+"/json", ""); resp.StatusCode != tc.code || tc.code == 200 && body != "e1" {
			t.Errorf("%s with %s: %d %s", tc.who, tc.id, resp.StatusCode, body)
		}
	}
	b.hosts.state.UID = "uid-2"
	if resp, _ := b.do("operator", "GET", "/exec/"+created.ID+"/json", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("on another host of that name: %d", resp.StatusCode)
	}
}
