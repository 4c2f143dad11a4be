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

package deptest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/dockercontrol/dockercontrol"

// goPackage is what "go list -json" says of a package, as far as the rules need it.
type goPackage struct {
	ImportPath string
	Imports    []string // of the package itself, test files left out
	Deps       []string // everything it pulls in
}

func TestImports(t *testing.T) {
	packages := listPackages(t)
	if len(packages) == 0 {
		t.Fatal("go list found no package")
	}
	for _, broken := range check(rules, packages) {
		t.Error(broken)
	}
}

// TestRulesFire gives each rule a package that breaks it, so that no rule is a dead letter, and checks
// that what is allowed passes.
func TestRulesFire(t *testing.T) {
	for _, r := range rules {
		from := strings.TrimSuffix(r.from[0], "$")
		if from == "" {
			from = "internal/anything"
		}
		bad := []string{"example.com/unheard-of"}
		if r.allowed == nil {
			bad = nil
			for _, denied := range r.denied {
				bad = append(bad, local(strings.TrimSuffix(denied, "$")))
			}
		}
		for _, path := range bad {
			pkg := goPackage{ImportPath: local(from), Imports: []string{path}, Deps: []string{path}}
			if len(check([]rule{r}, []goPackage{pkg})) == 0 {
				t.Errorf("rule %q lets %s import %s", r.why, from, path)
			}
		}
	}
	fine := goPackage{
		ImportPath: local("internal/engine"),
		Imports:    []string{"context", "github.com/moby/moby/api/types/container"},
		Deps:       []string{"context", "github.com/moby/moby/api/types/container"},
	}
	if broken := check(rules, []goPackage{fine}); len(broken) > 0 {
		t.Errorf("what is allowed is refused: %v", broken)
	}
}

// check returns a sentence for each import that a rule forbids.
func check(rules []rule, packages []goPackage) []string {
	var broken []string
	for _, r := range rules {
		for _, pkg := range packages {
			name := short(pkg.ImportPath)
			if !covers(r.from, name) || covers(r.except, name) {
				continue
			}
			imports := pkg.Imports
			if r.deep {
				imports = pkg.Deps
			}
			for _, path := range imports {
				if r.forbids(path) {
					broken = append(broken, fmt.Sprintf("%s imports %s: %s", name, short(path), r.why))
				}
			}
		}
	}
	slices.Sort(broken)
	return broken
}

func (r rule) forbids(path string) bool {
	if covers(r.denied, short(path)) {
		return true
	}
	return r.allowed != nil && !standard(path) && !covers(r.allowed, short(path))
}

// standard tells whether a package is the standard library's: the first element of others has a dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// short names a package of the module by its folder, and leaves others as they are.
func short(path string) string {
	return strings.TrimPrefix(path, module+"/")
}

// local is short's inverse for names in rules: those of our folders get the module's path.
func local(name string) string {
	for _, folder := range []string{"api", "cmd", "controllers", "internal", "test"} {
		if name == folder || strings.HasPrefix(name, folder+"/") {
			return module + "/" + name
		}
	}
	return name
}

// listPackages asks the go command for the module's packages.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,Deps", module+"/...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	decoder := json.NewDecoder(out)
	for {
		var pkg goPackage
		err := decoder.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read the answer of go list: %v", err)
		}
		packages = append(packages, pkg)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	return packages
}
