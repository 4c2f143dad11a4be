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
	"encoding/json"
	"strings"
)

// event is one line of "go test -json", as "go doc test2json" describes it.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

// keptOutput bounds what is kept of one test's output until it is known to have failed; the log file has
// all of it. 256 KiB is more than anyone reads on a terminal.
const keptOutput = 256 << 10

// testID names one test or subtest; with an empty name, the package itself.
type testID struct{ pkg, name string }

// results collects the events of one run of "go test".
type results struct {
	status map[testID]string // pass, fail or skip
	output map[testID]*strings.Builder
	broken map[string]bool // packages that failed to build
	order  []testID        // of status
}

func newResults() *results {
	return &results{
		status: map[testID]string{},
		output: map[testID]*strings.Builder{},
		broken: map[string]bool{},
	}
}

// add takes one line. It returns the event, and false for a line that is none: the go command reports
// what is wrong with its arguments in plain text.
func (r *results) add(line []byte) (event, bool) {
	var e event
	if err := json.Unmarshal(line, &e); err != nil || e.Action == "" {
		return event{Output: string(line) + "\n"}, false
	}
	id := testID{e.Package, e.Test}
	switch e.Action {
	case "output":
		r.keep(id, e.Output)
	case "build-output":
		r.keep(testID{pkg: e.ImportPath}, e.Output)
	case "build-fail":
		r.broken[e.ImportPath] = true
	case "pass", "fail", "skip":
		if e.Test == "" && e.Action != "fail" {
			return e, true // a package that passed, or has no tests
		}
		r.status[id] = e.Action
		r.order = append(r.order, id)
		if e.Action == "pass" {
			delete(r.output, id)
		}
	}
	return e, true
}

func (r *results) keep(id testID, text string) {
	b := r.output[id]
	if b == nil {
		b = &strings.Builder{}
		r.output[id] = b
	}
	if b.Len() < keptOutput {
		b.WriteString(text)
	}
}

// text returns what a test printed.
func (r *results) text(id testID) string {
	if b := r.output[id]; b != nil {
		return b.String()
	}
	return ""
}

// summary is the leaves of the tree of tests: a test with subtests counts through them.
type summary struct {
	passed          int
	failed, skipped []testID
}

// summarise counts. A parent counts only where it failed by itself, with no failed subtest to blame; a
// package only where it failed without a failed test: it did not build, panicked, leaked or timed out.
func (r *results) summarise() summary {
	parent := map[testID]bool{}
	blamed := map[testID]bool{}
	for id, status := range r.status {
		for up, ok := id.parent(); ok; up, ok = up.parent() {
			if up.name != "" {
				parent[up] = true
			}
			if status == "fail" {
				blamed[up] = true
			}
		}
	}
	var s summary
	for _, id := range r.order {
		switch status := r.status[id]; {
		case status == "fail" && !blamed[id]:
			s.failed = append(s.failed, id)
		case status == "fail" || parent[id]:
		case status == "skip":
			s.skipped = append(s.skipped, id)
		default:
			s.passed++
		}
	}
	return s
}

// parent returns the test that a subtest belongs to, then the package.
func (id testID) parent() (testID, bool) {
	if id.name == "" {
		return testID{}, false
	}
	i := strings.LastIndexByte(id.name, '/')
	if i < 0 {
		return testID{pkg: id.pkg}, true
	}
	return testID{id.pkg, id.name[:i]}, true
}

func (id testID) String() string {
	short := strings.TrimPrefix(id.pkg, modulePath+"/")
	if id.name == "" {
		return short
	}
	return short + " " + id.name
}
