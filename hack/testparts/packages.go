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

package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// testedPackage is a package that has test files.
type testedPackage struct {
	path   string // import path
	folder string // relative to its module, "." for the module's own
}

// listPackages lists the packages of a module that have test files.
func listPackages(ctx context.Context, root, module string) ([]testedPackage, error) {
	dir, err := filepath.Abs(filepath.Join(root, module))
	if err != nil {
		return nil, err
	}
	const format = `{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}	{{.Dir}}{{end}}`
	cmd := exec.CommandContext(ctx, "go", "list", "-e", "-f", format, "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages of %s: %w\n%s", dir, err, stderr.String())
	}
	var found []testedPackage
	for line := range strings.Lines(string(out)) {
		path, at, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok {
			continue
		}
		folder, err := filepath.Rel(dir, at)
		if err != nil {
			return nil, fmt.Errorf("package %s is not below %s: %w", path, dir, err)
		}
		found = append(found, testedPackage{path: path, folder: filepath.ToSlash(folder)})
	}
	return found, nil
}

// assign returns the import paths that belong to the part called name. A package goes to every part that
// shares it, and to one of the others: the last that claims it, so that the narrower claims stand after
// the wider, or, where none does, the one without claims.
func assign(all []part, name string, packages []testedPackage) []string {
	var mine *goTests
	for _, p := range all {
		if p.name == name {
			mine = p.tests
		}
	}
	var paths []string
	for _, pkg := range packages {
		if outside(pkg.folder) {
			continue
		}
		if mine.shared && mine.claims(pkg.folder) || !mine.shared && owner(all, mine.module, pkg.folder) == mine {
			paths = append(paths, pkg.path)
		}
	}
	return paths
}

// owner returns the part that a folder of a module belongs to; shared claims do not count.
func owner(all []part, module, folder string) *goTests {
	var found *goTests
	for _, p := range all {
		t := p.tests
		if t == nil || t.module != module || t.shared {
			continue
		}
		if t.claims == nil && found == nil || t.claims != nil && t.claims(folder) {
			found = t
		}
	}
	return found
}
