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
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRunTests runs the go command on a small module: one test that passes, one that fails, one skipped,
// and a package that does not build.
func TestRunTests(t *testing.T) {
	root, logs := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"go.mod":               "module " + modulePath + "\n\ngo 1.26.0\n",
		"mixed/x_test.go":      "package mixed\n\nimport \"testing\"\n\nfunc TestGood(*testing.T) {}\nfunc TestBad(t *testing.T) { t.Error(\"it is bad\") }\nfunc TestSkipped(t *testing.T) { t.Skip(\"for a reason\") }\n",
		"broken/x_test.go":     "package broken\n\nfunc x() { undefined() }\n",
		"panicky/x_test.go":    "package panicky\n\nimport \"testing\"\n\nfunc TestPanic(*testing.T) { panic(\"boom\") }\n",
		"untested/x.go":        "package untested\n",
		"test/bench/b_test.go": "package bench\n\nimport \"testing\"\n\nfunc TestOutside(t *testing.T) { t.Error(\"outside\") }\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root) // "make test" runs in the root, too
	var out strings.Builder
	r := &runner{root: ".", logs: logs, out: &out}

	o := r.runPart(t.Context(), part{name: "unit", tests: &goTests{}})

	if o.err == nil || o.passed != 1 || len(o.skipped) != 1 || len(o.failed) != 3 {
		t.Errorf("got %d passed, failed %v, skipped %v, error %v; want 1, 3, 1 and an error", o.passed, o.failed, o.skipped, o.err)
	}
	for _, want := range []string{"it is bad", "undefined: undefined", "panic: boom"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &out)
		}
	}
	if log, err := os.ReadFile(o.log); err != nil || !strings.Contains(string(log), "for a reason") {
		t.Errorf("the log lacks the skipped test's reason (%v):\n%s", err, log)
	}
}

func TestRunCommand(t *testing.T) {
	var out strings.Builder
	r := &runner{root: t.TempDir(), logs: t.TempDir(), out: &out}
	t.Setenv("TESTPARTS_ANSWER", "before")

	o := r.runPart(t.Context(), part{name: "answer", command: []string{"sh", "-c", "echo 42; echo progress >&2"}, sets: "TESTPARTS_ANSWER"})
	if o.err != nil || os.Getenv("TESTPARTS_ANSWER") != "42" {
		t.Errorf("error %v, answer %q", o.err, os.Getenv("TESTPARTS_ANSWER"))
	}
	if !strings.Contains(out.String(), "progress") {
		t.Errorf("progress is not shown:\n%s", &out)
	}

	o = r.runPart(t.Context(), part{name: "bad", command: []string{"false"}, checks: 1})
	if o.err == nil || o.passed != 0 || len(o.failed) != 1 {
		t.Errorf("a command that failed counts as %+v", o)
	}
}

// TestRunTestsWithoutAny checks that a part that tests nothing fails.
func TestRunTestsWithoutAny(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module x\n\ngo 1.26.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	r := &runner{root: root, logs: t.TempDir(), out: &out}
	if o := r.runPart(t.Context(), part{name: "unit", tests: &goTests{}}); o.err == nil {
		t.Errorf("a part without a test passed:\n%s", &out)
	}
}

// TestInterruptReachesGrandchildren interrupts a part whose command waits for a child, as "go test" does
// for the tests.
func TestInterruptReachesGrandchildren(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &firstWrite{done: cancel}
	r := &runner{root: t.TempDir(), logs: t.TempDir(), out: out}
	const script = `trap : INT; sh -c 'trap "exit 7" INT; echo started; while :; do sleep 0.05; done'; echo "the child ended with $?"`

	o := r.runPart(ctx, part{name: "waits", command: []string{"sh", "-c", script}, checks: 1})

	if o.took > killDelay/2 || !strings.Contains(out.String(), "the child ended with 7") {
		t.Errorf("the part ended after %v with %v:\n%s", o.took, o.err, out)
	}
}

// firstWrite calls done at the first write.
type firstWrite struct {
	strings.Builder
	done func()
}

func (w *firstWrite) Write(p []byte) (int, error) {
	w.done()
	return w.Builder.Write(p)
}
