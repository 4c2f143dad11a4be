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

package testbed

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// searchPath is where Debian's packages put programs; a user's PATH may lack the
// system ones.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// requireRoot fails the test where namespaces cannot be made.
func requireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("real daemons in namespaces of their own need root: run the tests as root")
	}
}

// require returns the path of a program, or fails with the Debian package that
// has it.
func require(t testing.TB, program, debianPackage string) string {
	t.Helper()
	if p, err := exec.LookPath(program); err == nil {
		return p
	}
	for dir := range strings.SplitSeq(searchPath, ":") {
		p := dir + "/" + program
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p
		}
	}
	t.Fatalf("the program %s is missing: install Debian's package %s (hack/install-deps.sh test installs all that the tests need)", program, debianPackage)
	return ""
}

// environment is what daemons see: little, so that no setting of the developer's
// changes a test.
func environment(home string) []string {
	return []string{"PATH=" + searchPath, "HOME=" + home, "LANG=C.UTF-8"}
}

// run runs a short command to its end and fails the test where it fails.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := tryRun(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// tryRun runs a short command to its end.
func tryRun(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = environment("/")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Eventually calls f until it returns true, and fails the test where it has not
// within limit. what completes the sentence "waited ... for ...".
func Eventually(t testing.TB, limit time.Duration, what string, f func() bool) {
	t.Helper()
	if !within(limit, f) {
		t.Fatalf("waited %v for %s", limit, what)
	}
}

// within polls f until it returns true or limit is over.
func within(limit time.Duration, f func() bool) bool {
	deadline := time.Now().Add(limit)
	for !f() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return true
}
