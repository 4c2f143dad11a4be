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

import "strings"

// part is one row of the table. Either command or tests is set.
type part struct {
	name string
	// required ends the whole run where the part fails: the others stand on it.
	required bool
	// command is run in the repository's root. It counts as the given number of checks.
	command []string
	checks  int
	// sets names the environment variable that takes the command's standard output, for later parts.
	sets string
	// tests says what to run "go test" on.
	tests *goTests
}

// goTests is a run of "go test" over packages of one module.
type goTests struct {
	module string // folder of the go.mod, relative to the root
	// claims tells whether a package belongs here, by its folder relative to the module.
	claims func(folder string) bool
	// shared leaves the claimed packages to another part as well, which runs other tests of them.
	shared bool
	args   []string
	race   bool
}

// contract matches the tests that drive a real engine through the contract suite. They are a part of
// their own: they are slow, and worth a number of their own.
const contract = "^TestContract"

// parts are all parts in the order they run: what fails fast and often first.
func parts() []part {
	return []part{
		{name: "setup", required: true, command: []string{"hack/install-deps.sh", "test"}},
		{name: "control plane", required: true, command: []string{"hack/envtest-assets.sh"}, sets: "KUBEBUILDER_ASSETS"},
		{name: "modern engine", required: true, command: []string{"hack/modern-engine.sh"}},
		{name: "build", command: []string{"make", "--no-print-directory", "build"}, checks: 1},
		{name: "verify", command: []string{"make", "--no-print-directory", "verify"}, checks: 1},
		{name: "lint", command: []string{"make", "--no-print-directory", "lint"}, checks: 1},
		{name: "unit", tests: &goTests{race: true, claims: nil, args: []string{"-skip=" + contract}}},
		{name: "contract", tests: &goTests{race: true, claims: under("internal/engine"), shared: true,
			args: []string{"-run=" + contract}}},
		{name: "controllers", tests: &goTests{race: true, claims: under("controllers")}},
		{name: "standalone", tests: &goTests{module: "standalone"}}, // a race build of kube-apiserver takes a quarter of an hour
		{name: "e2e", tests: &goTests{race: true, claims: under("test")}},
		{name: "compose", tests: &goTests{claims: under("test/compose")}},
	}
}

// outside are folders whose tests "make test" leaves out. The file .ci/run names them.
var outside = under("test/bench")

// under claims a folder and everything below it.
func under(root string) func(string) bool {
	return func(folder string) bool {
		return folder == root || strings.HasPrefix(folder, root+"/")
	}
}
