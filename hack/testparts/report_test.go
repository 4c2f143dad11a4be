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
	"errors"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	skipped := testID{modulePath + "/internal/x", "TestNeedsIPVS"}
	allowed := map[string]string{"internal/x TestNeedsIPVS": "no kernel module"}
	tests := map[string]struct {
		done    []outcome
		allowed map[string]string
		good    bool
		says    []string
	}{
		"all passed": {
			done: []outcome{{name: "unit", passed: 3}, {name: "e2e", passed: 4}},
			good: true,
			says: []string{"7 passed, 0 failed, 0 skipped\n"},
		},
		"a failed test": {
			done: []outcome{{name: "unit", passed: 3, failed: []testID{{"p", "TestA"}}, err: errors.New("1 failed")}},
			says: []string{"3 passed, 1 failed, 0 skipped\n", "p TestA"},
		},
		"a part that failed without a test": {
			done: []outcome{{name: "unit", err: errors.New("no test ran")}},
			says: []string{"no test ran"},
		},
		"a skip that is allowed": {
			done:    []outcome{{name: "unit", passed: 1, skipped: []testID{skipped}}},
			allowed: allowed,
			good:    true,
			says:    []string{"1 passed, 0 failed, 1 skipped\n", "no kernel module"},
		},
		"a skip that is not": {
			done: []outcome{{name: "unit", passed: 1, skipped: []testID{skipped}}},
			says: []string{"1 passed, 0 failed, 1 skipped\n", "gives no reason"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if good := report(&out, test.done, test.allowed); good != test.good {
				t.Errorf("report says %v, want %v", good, test.good)
			}
			for _, want := range test.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the report lacks %q:\n%s", want, &out)
				}
			}
		})
	}
}

func TestParseSkips(t *testing.T) {
	allowed, err := parseSkips("# comment\n\ninternal/x  TestA/sub # why\ninternal/y TestB* # other\n")
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[testID]string{
		{modulePath + "/internal/x", "TestA/sub"}: "why",
		{modulePath + "/internal/x", "TestA"}:     "",
		{modulePath + "/internal/y", "TestB/sub"}: "other",
	} {
		if got, ok := skipReason(allowed, id); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v; want %q", id, got, ok, want)
		}
	}
	for _, bad := range []string{"internal/x TestA", "internal/x # why", "internal/x TestA # "} {
		if _, err := parseSkips(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if _, err := parseSkips(skipsText); err != nil {
		t.Error(err)
	}
}
