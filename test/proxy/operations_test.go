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
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// attempt is a request of an operation and what it asks for.
type attempt struct {
	method, path, query, body string
	// rights are needed, all of them.
	rights []access.Right
	// execID says that the object is an exec's.
	execID bool
	// silent says that nothing is on record though it went through.
	silent bool
}

// silent are the operations that ask for more than get and change nothing, or are a part of
// a session that is on record.
var silent = []string{
	"POST /containers/{name}/wait", "POST /containers/{name}/resize", "POST /exec/{name}/resize", "GET /exec/{id}/json", "HEAD /containers/{name}/archive",
}

var variable = regexp.MustCompile(`\{[a-z]+\}`)

// attempts are one of each operation of the table, and those whose query or body asks for
// more, and those that no table knows.
func attempts() []attempt {
	var all []attempt
	for name, right := range access.Operations() {
		method, path, _ := strings.Cut(name, " ")
		a := attempt{
			method: method, path: variable.ReplaceAllString(path, "nosuch"), query: "z=1&a=%7e", rights: []access.Right{right},
			execID: strings.HasPrefix(path, "/exec/"),
			silent: right.Verb == access.Get && right.Subresource != access.Copy && right.Subresource != access.Export || slices.Contains(silent, name),
		}
		switch name {
		case "POST /images/create":
			a.query = "fromImage=nosuch&a=%7e" // without, it is an import
		case "POST /containers/{name}/exec":
			a.body = `{"Cmd":["true"]}`
		}
		all = append(all, a)
	}
	more := func(method, path, query, body string, quiet bool, rights ...access.Right) {
		all = append(all, attempt{method: method, path: path, query: query, body: body, rights: rights, silent: quiet})
	}
	for _, path := range []string{"/containers/nosuch/logs", "/services/nosuch/logs", "/tasks/nosuch/logs"} {
		more("GET", path, "details=1&stdout=1", "", true, access.Right{Subresource: access.Inspect, Verb: access.Get})
	}
	more("POST", "/images/create", "fromSrc=-&repo=nosuch", "", false, access.Right{Subresource: access.Images, Verb: access.Update})
	more("POST", "/containers/nosuch/start", "checkpoint=nosuch", "", false, access.Right{Subresource: access.Raw, Verb: access.Create})
	more("POST", "/containers/nosuch/exec", "", `{"Cmd":["true"],"privileged":true}`, false,
		access.Right{Subresource: access.Exec, Verb: access.Create}, access.Right{Subresource: access.Containers, Verb: access.Create})
	for method, verb := range map[string]access.Verb{"GET": access.Get, "POST": access.Create, "PUT": access.Update, "PATCH": access.Patch, "DELETE": access.Delete} {
		more(method, "/invented/nosuch", "", "", verb == access.Get, access.Right{Subresource: access.Raw, Verb: verb})
	}
	return all
}

// granted says whether a role has all that the attempt needs; the empty role has nothing.
func (a attempt) granted(role access.Role) bool {
	return !slices.ContainsFunc(a.rights, func(r access.Right) bool { return !access.Grants(role, r) })
}

// target is what reaches the engine: one spelling, whatever was sent.
func (a attempt) target() string {
	if a.query == "" {
		return a.method + " /v1.41" + a.path
	}
	parameters := strings.Split(strings.ReplaceAll(a.query, "%7e", "~"), "&")
	slices.Sort(parameters)
	return a.method + " /v1.41" + a.path + "?" + strings.Join(parameters, "&")
}

// sent is another spelling of the target.
func (a attempt) sent(object string) string {
	path := "/v1.41" + strings.ReplaceAll(a.path, "nosuch", object)
	if a.query == "" {
		return path
	}
	return path + "?" + a.query
}

// TestEveryOperationWithEveryRole sends each operation as each role and as nobody, and
// looks what reaches the engine and what is on record.
func TestEveryOperationWithEveryRole(t *testing.T) { inBothModes(t, testEveryOperation) }

func testEveryOperation(t *testing.T, begin begin) {
	b := newCluster(t)
	e := startRecordingEngine(t)
	b.connect(t, "unix://"+e.socket)
	tokens := map[access.Role]string{"": b.account(t, "nobody")}
	for _, role := range access.Roles() {
		tokens[role] = b.user(t, dcv1.HostRole(role))
	}
	midway := begin(b, tokens[access.Viewer])
	all := attempts()
	if len(all) < 120 {
		t.Fatalf("there are %d attempts only", len(all))
	}
	want := map[string][]string{} // Audit-ID -> outcomes
	for i, role := range append(access.Roles(), "") {
		if i == 2 {
			b.wantOutcomes(t, want) // an outcome is recorded after its answer
			midway()
		}
		who := b.bearer(t, tokens[role])
		exec := "no%73uch"
		if access.Grants(role, access.Right{Subresource: access.Exec, Verb: access.Create}) {
			exec = who.createExec(t)
		}
		for n, a := range all {
			agent := fmt.Sprintf("%s%s/%d", marker, role, n)
			object := "no%73uch"
			if a.execID {
				object = exec
			}
			id := who.attempt(t, agent, a, object, a.granted(role))
			var reached []string
			if a.granted(role) {
				reached = []string{a.target()}
			}
			if d := cmp.Diff(reached, e.of(agent)); d != "" {
				t.Errorf("%q: what reached the engine of %s %s (-want +got):\n%s", role, a.method, a.sent(object), d)
			}
			switch {
			case !a.granted(role):
				want[id] = []string{string(audit.Denied)}
			case !a.silent:
				want[id] = []string{string(audit.Allowed), string(audit.Succeeded)}
			default:
				want[id] = nil
			}
		}
	}
	b.wantOutcomes(t, want)
}

// attempt sends a, and returns the request's id. A refusal names the right and the role.
func (p *person) attempt(t *testing.T, agent string, a attempt, object string, granted bool) (id string) {
	t.Helper()
	var body io.Reader
	if a.body != "" {
		body = strings.NewReader(a.body)
	}
	resp, err := p.send(t.Context(), a.method, p.b.path()+a.sent(object), body, "User-Agent", agent, "Content-Type", "application/json")
	if err != nil {
		t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	if granted {
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s %s %s: %d %s", agent, a.method, a.sent(object), resp.StatusCode, answer)
		}
		return resp.Header.Get("Audit-Id")
	}
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("%s %s %s: %d %s, want 403", agent, a.method, a.sent(object), resp.StatusCode, answer)
	}
	if a.method == http.MethodHead {
		return resp.Header.Get("Audit-Id")
	}
	explained := slices.ContainsFunc(a.rights, func(r access.Right) bool {
		least, _ := access.LeastRole(r)
		text := message(answer)
		return strings.Contains(text, fmt.Sprintf("cannot %s dockerhosts/%s", r.Verb, r.Subresource)) && strings.Contains(text, "the role "+string(least))
	})
	if !explained {
		t.Errorf("%s %s %s: the refusal does not say what is missing: %s", agent, a.method, a.sent(object), answer)
	}
	return resp.Header.Get("Audit-Id")
}

// createExec returns the id of an exec of the person's own.
func (p *person) createExec(t *testing.T) string {
	t.Helper()
	resp, err := p.send(t.Context(), http.MethodPost, p.b.path()+"/containers/nosuch/exec", strings.NewReader("{}"), "User-Agent", marker, "Content-Type", "application/json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var created struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&created); err != nil || !strings.HasPrefix(created.ID, "nosuch.") {
		t.Fatalf("creating an exec: %s %q %v", resp.Status, created.ID, err)
	}
	return created.ID
}

// wantOutcomes compares the trail with the outcomes that each request is to have. That of a
// change is written after the client has its answer.
func (b *bed) wantOutcomes(t *testing.T, want map[string][]string) {
	t.Helper()
	got := map[string][]string{}
	read := func() bool {
		clear(got)
		pending := 0
		for id := range want {
			got[id] = nil
		}
		for _, r := range b.records(t, audit.Filter{Namespace: b.namespace, Host: "prod"}) {
			if _, mine := want[r.RequestID]; !mine {
				continue
			}
			got[r.RequestID] = append(got[r.RequestID], string(r.Outcome))
			switch r.Outcome {
			case audit.Allowed:
				pending++
			case audit.Succeeded, audit.Failed:
				pending--
			}
			if r.Actor.User == "" || r.Verb == "" || r.Host.UID != string(b.host.UID) || r.Object.Kind == "" || r.Source != "127.0.0.1" {
				t.Errorf("a record lacks something: %+v", r.Record)
			}
		}
		return pending == 0
	}
	testenv.Eventually(t, patient, func(context.Context) error {
		if !read() {
			return errors.New("an outcome is not on record")
		}
		return nil
	})
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the records differ (-want +got):\n%s", d)
	}
}
