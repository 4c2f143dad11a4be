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
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/test/canary"
)

// viewerBed is a host with canaries everywhere, and somebody who may look.
type viewerBed struct {
	*bed
	canaries *canary.Bed
	viewer   *person
}

// TestViewer looks at an engine with the rights of a Viewer, in every way there is.
func TestViewer(t *testing.T) { inBothModes(t, testViewer) }

func testViewer(t *testing.T, begin begin) {
	b := &viewerBed{bed: newCluster(t), canaries: canary.Start(t, false)}
	b.connect(t, "unix://"+b.canaries.Socket())
	token := b.user(t, dcv1.HostViewer)
	midway := begin(b.bed, token)
	b.viewer = b.bearer(t, token)
	t.Run("docker CLI", b.testShown)
	t.Run("docker CLI, refused", b.testRefused)
	t.Run("docker attach, refused", b.testAttachRefused)
	t.Run("requests", func(t *testing.T) { b.testRequests(t, b.viewer) })
	// A Viewer reads no secrets and no swarm; a Role of another make may allow it.
	t.Run("requests without the right to inspect alone", func(t *testing.T) { b.testRequests(t, b.allButInspect(t)) })
	midway()
	b.viewer.http.CloseIdleConnections()
	t.Run("lists", b.testLists)
	t.Run("streams", b.testFollowed)
}

// wantNone fails where an answer holds a canary.
func (b *viewerBed) wantNone(t *testing.T, what string, answer []byte) {
	t.Helper()
	if left := b.canaries.Found(answer); len(left) > 0 {
		t.Errorf("%s shows the canaries of %q: %.2000s", what, left, answer)
	}
}

func (b *viewerBed) testShown(t *testing.T) {
	for _, tc := range []struct {
		command string
		shows   []string
	}{
		{"version", []string{"Server:"}},
		{"info", []string{"Server Version", "tier=(masked)"}},
		{"ps --all --no-trunc", []string{`"(masked)"`, "web"}},
		{"ps --filter label=com.docker.compose.project=shop --format {{.Names}}", []string{"web"}},
		{"ps --filter label=traefik.http.middlewares.auth.basicauth.users --format {{.Names}}", []string{"web"}},
		{"ps --format {{.Labels}}", []string{"com.docker.compose.project=shop"}},
		{"inspect web", []string{`"TOKEN=(masked)"`, `"Status": "running"`}},
		{"inspect failed", []string{`"Error": "(masked)"`}},
		{"logs --tail 5 web", nil},
		{"port web", nil},
		{"stats --no-stream web", []string{"web"}},
		{"images --all", []string{"localhost/masking"}},
		{"image inspect " + canary.Reference, []string{`"IMAGE_TOKEN=(masked)"`}},
		{"history " + canary.Reference, []string{"(masked)"}},
		{"volume ls", []string{"share"}},
		{"volume inspect share", []string{`"auth": "(masked)"`}},
		{"network inspect front", []string{`"auth": "(masked)"`}},
		{"events --since 0 --until 1s", []string{"exec_create: (masked)", "container start"}},
		{"events --since 0 --until 1s --filter event=exec_create", []string{"exec_create: (masked)"}},
		{"system df --verbose", []string{"web", "plain"}},
		{"node ls", []string{"Ready"}},
		{"node ps", []string{"web.1"}},
		{"service ps --no-trunc failing", []string{"(masked)"}},
		{"service inspect web", []string{`"TOKEN=(masked)"`, "PreviousSpec"}},
		{"config inspect config", []string{`"auth": "(masked)"`}},
	} {
		t.Run(tc.command, func(t *testing.T) {
			got := runCommand(t, b.viewer.cli.command(t, "docker", split(tc.command)...))
			if got.Code != 0 {
				t.Fatal(got)
			}
			for _, text := range tc.shows {
				if !strings.Contains(got.Stdout, text) {
					t.Errorf("there is no %s in: %s", text, got)
				}
			}
			b.wantNone(t, tc.command, []byte(got.String()))
		})
	}
}

func (b *viewerBed) testRefused(t *testing.T) {
	for command, missing := range map[string]string{
		"top web":                             "get inspect Operator",
		"diff web":                            "get inspect Operator",
		"logs --details web":                  "get inspect Operator",
		"exec web true":                       "create exec Operator",
		"cp web:/etc/passwd .":                "get copy Operator",
		"cp in.txt web:/in.txt":               "create copy Operator",
		"stop web":                            "update containers Operator",
		"kill web":                            "update containers Operator",
		"rename web other":                    "update containers Operator",
		"pull localhost:1/no-such":            "create images Operator",
		"rm --force web":                      "delete containers Admin",
		"update --cpus 1 web":                 "patch containers Admin",
		"run " + canary.Reference + " true":   "create containers Admin",
		"tag " + canary.Reference + " a:b":    "update images Admin",
		"rmi " + canary.Reference:             "delete images Admin",
		"save --output x " + canary.Reference: "get export Admin",
		"export --output x web":               "get export Admin",
		"commit web":                          "update images Admin",
		"network create net":                  "create networks Admin",
		"volume rm share":                     "delete volumes Admin",
		"container prune --force":             "delete containers Admin",
		"secret ls":                           "get secrets Admin",
		"swarm join-token worker":             "get swarm Admin",
		"service scale --detach web=2":        "patch services Admin",
		"node update --availability drain " + b.canaries.Node: "update nodes Admin",
		// It always asks for details, where a log driver may put values of the environment.
		"service logs web": "get inspect Operator",
		// What filters tell of what is masked.
		"ps --filter label=traefik.http.middlewares.auth.basicauth.users=guess": "get inspect Operator",
		"node ls --filter node.label=zone=guess":                                "get inspect Operator",
	} {
		t.Run(command, func(t *testing.T) {
			writeFile(t, b.viewer.cli.dir+"/in.txt", []byte("copied\n"))
			got := runCommand(t, b.viewer.cli.command(t, "docker", split(command)...))
			part := strings.Fields(missing)
			right := "cannot " + part[0] + " dockerhosts/" + part[1] + ` of "prod"`
			if got.Code == 0 || !strings.Contains(got.Stderr, right) || !strings.Contains(got.Stderr, "the role "+part[2]) {
				t.Errorf("it does not say %q and the role %s: %s", right, part[2], got)
			}
			b.wantNone(t, command, []byte(got.String()))
		})
	}
}

// testAttachRefused: the docker CLI does not print what an answer says that is no upgrade.
func (b *viewerBed) testAttachRefused(t *testing.T) {
	got := runCommand(t, b.viewer.cli.command(t, "docker", "attach", "--no-stdin", "web"))
	if got.Code == 0 || !strings.Contains(got.Stderr, "403") {
		t.Error(got)
	}
}

// testRequests makes every request that is masked, and those that are not because nobody's
// input is in the answer.
func (b *viewerBed) testRequests(t *testing.T, who *person) {
	asked := 0
	all := b.canaries.Questions()
	for _, path := range []string{"/version", "/_ping", "/containers/web/stats?stream=0", "/containers/web/logs?stdout=1&stderr=1&tail=5"} {
		all = append(all, canary.Question{Path: path, Into: func([]byte) error { return nil }})
	}
	for _, q := range all {
		path, query, _ := strings.Cut(q.Path, "?")
		request, err := access.Classify(http.MethodGet, path, query, access.Headers{})
		if err != nil {
			t.Fatal(err)
		}
		may := who != b.viewer || access.Grants(access.Viewer, request.Right)
		code, head, body := who.get(t, b.path()+q.Path)
		var headers strings.Builder
		if err := head.Write(&headers); err != nil {
			t.Fatal(err)
		}
		b.wantNone(t, q.Path, append([]byte(headers.String()), body...))
		switch {
		case !may:
			if code != http.StatusForbidden {
				t.Errorf("%s: %d %s, want 403", q.Path, code, body)
			}
		case code != http.StatusOK:
			t.Errorf("%s: %d %s", q.Path, code, body)
		default:
			asked++
			if err := q.Into(body); err != nil {
				t.Errorf("%s cannot be read: %v: %.500s", q.Path, err, body)
			}
		}
	}
	if asked < 25 {
		t.Errorf("%d requests were answered only", asked)
	}
}

// allButInspect is somebody who may get everything but what is masked.
func (b *viewerBed) allButInspect(t *testing.T) *person {
	t.Helper()
	who := b.bearer(t, b.account(t, "looker"))
	var resources []string
	for _, s := range access.Subresources() {
		if s != access.Inspect {
			resources = append(resources, access.Resource+"/"+string(s))
		}
	}
	meta := metav1.ObjectMeta{Namespace: b.namespace, Name: "looker"}
	b.Create(t, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{access.Group}, Resources: resources, Verbs: []string{"get"}}}})
	b.Create(t, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "looker"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: b.namespace, Name: "looker"}},
	})
	who.waitAllowed(t, b.path()+"/secrets")
	return who
}

// testLists reads the typed lists, every item of theirs, and what an engine says of each.
func (b *viewerBed) testLists(t *testing.T) {
	namespace := group + "/namespaces/" + b.namespace
	host := namespace + "/dockerhosts/prod"
	for _, kind := range append(append([]engine.Kind{}, engine.LocalKinds...), engine.SwarmKinds...) {
		for _, path := range []string{namespace + "/" + string(kind), group + "/" + string(kind), host + "/" + string(kind)} {
			_, table := b.wantAnswer(t, path, "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
			if !strings.Contains(string(table), `"kind":"Table"`) {
				t.Errorf("%s is no Table: %.200s", path, table)
			}
			b.wantAnswer(t, path)
		}
		_, list := b.wantAnswer(t, host+"/"+string(kind))
		var items struct {
			Items []struct{ Metadata struct{ UID string } }
		}
		if err := json.Unmarshal(list, &items); err != nil || len(items.Items) == 0 {
			t.Errorf("%s: %d items, %v", kind, len(items.Items), err)
		}
		for _, item := range items.Items {
			path := host + "/" + string(kind) + "/" + url.PathEscape(item.Metadata.UID)
			b.wantAnswer(t, path)
			b.wantAnswer(t, path+"/inspect")
		}
	}
	for _, path := range []string{"/info", "/system/df", "/images/" + url.PathEscape(canary.Reference) + "/history"} {
		b.wantAnswer(t, host+path)
	}
	for _, path := range []string{"/containers/web/top", "/containers/web/changes"} {
		if code, _, body := b.viewer.get(t, host+path); code != http.StatusForbidden || !strings.Contains(message(body), "the role Operator") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

// wantAnswer reads a whole answer of 200 without canaries.
func (b *viewerBed) wantAnswer(t *testing.T, path string, headers ...string) (http.Header, []byte) {
	t.Helper()
	code, head, body := b.viewer.get(t, path, headers...)
	if code != http.StatusOK {
		t.Errorf("%s: %d %s", path, code, body)
	}
	b.wantNone(t, path, body)
	return head, body
}

// testFollowed follows everything that can be followed while things change.
func (b *viewerBed) testFollowed(t *testing.T) {
	namespace := group + "/namespaces/" + b.namespace
	watches := map[string]*following{}
	for _, path := range []string{
		b.path() + "/events", namespace + "/dockerhosts/prod/containers?watch=true", namespace + "/containers?watch=true",
		namespace + "/dockerhosts/prod/services?watch=true", namespace + "/tasks?watch=true",
	} {
		watches[path] = b.viewer.watch(t, path)
	}
	late := canary.Decode[canary.Created](t, b.canaries, http.MethodPost, "/containers/create?name=late", canary.Object{
		"Image": canary.Reference, "Entrypoint": []string{"sh", "-c", "sleep 1000 # " + b.canaries.Canary("late command")}, "StopSignal": "SIGKILL",
		"Env": []string{"TOKEN=" + b.canaries.Canary("late env")}, "Labels": canary.Object{"auth": b.canaries.Canary("late label")},
	}).ID
	b.canaries.Call(t, http.MethodPost, "/containers/"+late+"/start", nil)
	exec := canary.Decode[canary.Created](t, b.canaries, http.MethodPost, "/containers/"+late+"/exec", canary.Object{"Cmd": []string{"echo", b.canaries.Canary("late exec")}})
	b.canaries.Call(t, http.MethodPost, "/exec/"+exec.ID+"/start", canary.Object{"Detach": true})
	for path, f := range watches {
		signs := []string{"initial-events-end"}
		switch {
		case strings.HasSuffix(path, "/events"):
			signs = []string{`exec_create: (masked)`, `exec_start: (masked)`}
		case strings.Contains(path, "/containers"):
			signs = []string{fmt.Sprintf(`"uid":%q`, late)}
		}
		for _, sign := range signs {
			for _, line := range f.through(t, sign) {
				b.wantNone(t, path, []byte(line))
			}
		}
	}
	b.canaries.RemoveContainer(t, late)
}
