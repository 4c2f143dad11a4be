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
	"fmt"
	"slices"
	"strings"
	"testing"
)

// feed makes results of lines like "fail pkg TestA/b".
func feed(t *testing.T, lines ...string) *results {
	t.Helper()
	r := newResults()
	for _, line := range lines {
		fields := append(strings.Fields(line), "", "")
		json := fmt.Sprintf(`{"Action":%q,"Package":%q,"Test":%q}`, fields[0], fields[1], fields[2])
		if _, ok := r.add([]byte(json)); !ok {
			t.Fatalf("%s is no event", json)
		}
	}
	return r
}

func TestSummarise(t *testing.T) {
	tests := map[string]struct {
		lines           []string
		passed          int
		failed, skipped []testID
	}{
		"a test with subtests counts through them": {
			lines:  []string{"pass p TestA/x", "pass p TestA/y", "pass p TestA", "pass p TestB", "pass p"},
			passed: 3,
		},
		"a failed subtest fails once": {
			lines:  []string{"fail p TestA/x", "pass p TestA/y", "fail p TestA", "fail p"},
			passed: 1,
			failed: []testID{{"p", "TestA/x"}},
		},
		"a parent that fails by itself counts": {
			lines:  []string{"pass p TestA/x", "fail p TestA", "fail p"},
			passed: 1,
			failed: []testID{{"p", "TestA"}},
		},
		"a package that fails without a failed test counts": {
			lines:  []string{"pass p TestA", "fail p", "pass q TestB", "pass q"},
			passed: 2,
			failed: []testID{{"p", ""}},
		},
		"a skipped subtest is a skip, its parent no pass": {
			lines:   []string{"skip p TestA/x", "pass p TestA", "pass p"},
			skipped: []testID{{"p", "TestA/x"}},
		},
		"a package without tests is nothing": {
			lines: []string{"skip p"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := feed(t, test.lines...).summarise()
			if got.passed != test.passed || !slices.Equal(got.failed, test.failed) || !slices.Equal(got.skipped, test.skipped) {
				t.Errorf("got %+v, want passed %d, failed %v, skipped %v", got, test.passed, test.failed, test.skipped)
			}
		})
	}
}

func TestOutputIsKeptOfFailuresOnlyAndBounded(t *testing.T) {
	r := newResults()
	chunk := strings.Repeat("x", 1<<10)
	for _, test := range []string{"TestGood", "TestBad"} {
		for range 1 << 10 {
			r.add(fmt.Appendf(nil, `{"Action":"output","Package":"p","Test":%q,"Output":%q}`, test, chunk))
		}
	}
	r.add([]byte(`{"Action":"pass","Package":"p","Test":"TestGood"}`))
	r.add([]byte(`{"Action":"fail","Package":"p","Test":"TestBad"}`))
	if text := r.text(testID{"p", "TestGood"}); text != "" {
		t.Errorf("kept %d bytes of a test that passed", len(text))
	}
	if n := len(r.text(testID{"p", "TestBad"})); n < keptOutput || n > keptOutput+len(chunk) {
		t.Errorf("kept %d bytes of a test that failed, want about %d", n, keptOutput)
	}
}

func TestPlainTextIsShown(t *testing.T) {
	e, ok := newResults().add([]byte("no Go files in here"))
	if ok || e.Output != "no Go files in here\n" {
		t.Errorf("got %+v, %v", e, ok)
	}
}
