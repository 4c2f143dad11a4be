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

package access

import (
	"bufio"
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the vendored test data anew")

const published = "testdata/moby/openapi"

func readLines(t testing.TB, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// TestTableHasTheEnginesRoutes compares the table with the engine's routes, one to one and in order.
func TestTableHasTheEnginesRoutes(t *testing.T) {
	eating := regexp.MustCompile(`:\.[*+]}`)
	var got []string
	for _, o := range operations {
		got = append(got, o.method+" "+o.path)
	}
	var want []string
	for _, line := range readLines(t, "testdata/moby/routes.txt") {
		want = append(want, eating.ReplaceAllString(line, "...}"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table differs from the engine's routes (-engine +table):\n%s", diff)
	}
}

// TestEveryPublishedOperationHasARow walks the engine's own OpenAPI files.
func TestEveryPublishedOperationHasARow(t *testing.T) {
	files, err := filepath.Glob(published + "/v1.*.txt")
	if err != nil || len(files) < 17 {
		t.Fatalf("found %d files in %s, want those of 1.40 to 1.56 at least: %v", len(files), published, err)
	}
	variable := regexp.MustCompile(`\{[^}]*\}`)
	for _, file := range files {
		version := strings.TrimSuffix(filepath.Base(file), ".txt")
		lines := readLines(t, file)
		if len(lines) < 100 {
			t.Errorf("%s has %d operations only", file, len(lines))
		}
		for _, line := range lines {
			method, path, _ := strings.Cut(line, " ")
			for _, prefix := range []string{"", "/" + version} {
				got, err := Classify(method, prefix+variable.ReplaceAllString(path, "0a1b"), "", Headers{})
				if err != nil {
					t.Errorf("%s %s: %v", version, line, err)
					continue
				}
				shape := variable.ReplaceAllString(got.Operation, "{}")
				if want := method + " " + variable.ReplaceAllString(path, "{}"); shape != want {
					t.Errorf("%s %s is classified as %q: it has no row", version, line, got.Operation)
				}
				if got.Version != strings.TrimPrefix(prefix, "/v") {
					t.Errorf("%s%s has version %q", prefix, path, got.Version)
				}
			}
		}
	}
}

// TestPublishedOperations compares the vendored files with those of the module that go.mod names, so that a newer API
// cannot come in with operations that nobody classified.
func TestPublishedOperations(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/moby/moby/api").Output()
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		t.Fatalf("where is github.com/moby/moby/api: %q %v", out, err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "docs", "v1.*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, file := range files {
		version := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if _, _, err := splitVersion("/" + version + "/"); err != nil {
			continue // older than what is served
		}
		compared++
		want := operationsOf(t, file)
		vendored := filepath.Join(published, version+".txt")
		if *update {
			if err := os.WriteFile(vendored, []byte(strings.Join(want, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, readLines(t, vendored)); diff != "" {
			t.Errorf("%s differs from the module's (run with -update, then classify what is new) (-module +vendored):\n%s", vendored, diff)
		}
	}
	if compared < 17 {
		t.Errorf("compared %d files, want those of 1.40 to 1.56 at least", compared)
	}
}

// operationsOf reads "paths:" of an OpenAPI file as its maintainers indent it.
func operationsOf(t *testing.T, file string) []string {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	topLevel := regexp.MustCompile(`^[a-zA-Z]`)
	pathLine := regexp.MustCompile(`^  "?(/[^":]*)"?:`)
	methodLine := regexp.MustCompile(`^    (get|head|post|put|patch|delete|options):`)
	var found []string
	path, inPaths := "", false
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if topLevel.MatchString(line) {
			inPaths = line == "paths:"
		}
		if !inPaths {
			continue
		}
		if m := pathLine.FindStringSubmatch(line); m != nil {
			path = m[1]
		} else if m := methodLine.FindStringSubmatch(line); m != nil {
			found = append(found, strings.ToUpper(m[1])+" "+path)
		}
	}
	return found
}

// TestWhoMayDoWhat spells out what a Viewer and an Operator may do, by reading and not by rule: whatever is missing
// here is an Admin's. "*" marks answers that are masked without Inspect.
func TestWhoMayDoWhat(t *testing.T) {
	want := map[Role][]string{
		Viewer: {
			"GET /_ping", "HEAD /_ping", "GET /version", "GET /info *", "GET /system/df *", "GET /events *",
			"GET /containers/json *", "GET /containers/{name}/json *", "GET /containers/{name}/logs", "GET /containers/{name}/stats",
			"GET /images/json *", "GET /images/{name}/json *", "GET /images/{name}/history *",
			"GET /volumes *", "GET /volumes/{name} *", "GET /networks *", "GET /networks/ *", "GET /networks/{id} *",
			"GET /services *", "GET /services/{id} *", "GET /services/{id}/logs", "GET /configs *", "GET /configs/{id} *",
			"GET /tasks *", "GET /tasks/{id} *", "GET /tasks/{id}/logs", "GET /nodes *", "GET /nodes/{id} *",
		},
		Operator: {
			"GET /containers/{name}/top", "GET /containers/{name}/changes", "GET /images/{name}/attestations",
			"HEAD /containers/{name}/archive", "GET /containers/{name}/archive", "PUT /containers/{name}/archive",
			"POST /containers/{name}/start", "POST /containers/{name}/stop", "POST /containers/{name}/restart", "POST /containers/{name}/kill",
			"POST /containers/{name}/pause", "POST /containers/{name}/unpause", "POST /containers/{name}/wait",
			"POST /containers/{name}/rename", "POST /containers/{name}/resize",
			"POST /containers/{name}/attach", "GET /containers/{name}/attach/ws", "POST /containers/{name}/exec",
			"POST /exec/{name}/start", "POST /exec/{name}/resize", "GET /exec/{id}/json",
		},
	}
	got := map[Role][]string{}
	for i := range operations {
		o := &operations[i]
		right := Right{o.subresource, o.verb}
		if o.special != nil {
			if special := o.special(&facts{}); special != nil {
				right = *special // what a request without parameters asks for
			}
		}
		role, ok := LeastRole(right)
		if !ok {
			t.Errorf("%s asks for %v, which no role has", o.name(), right)
		}
		if role == Admin {
			continue
		}
		name := o.name()
		if o.flags&masked != 0 {
			name += " *"
		}
		got[role] = append(got[role], name)
	}
	for role, names := range want {
		slices.Sort(names)
		slices.Sort(got[role])
		if diff := cmp.Diff(names, got[role]); diff != "" {
			t.Errorf("what a %s may do (-want +got):\n%s", role, diff)
		}
	}
}
