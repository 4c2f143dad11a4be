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
	"slices"
	"testing"
)

// TestEveryPackageBelongsToOnePart checks the assignment on folders of each kind, one nobody named among
// them.
func TestEveryPackageBelongsToOnePart(t *testing.T) {
	folders := map[string][]string{ // folder: the parts that test it
		".":                    {"unit"},
		"api/v1alpha1":         {"unit"},
		"internal/engine":      {"unit", "contract"},
		"internal/engine/moby": {"unit", "contract"},
		"internal/enginery":    {"unit"},
		"internal/hostcache":   {"unit"},
		"controllers":          {"controllers"},
		"a/new/folder":         {"unit"},
		"test/testbed":         {"e2e"},
		"test/e2e":             {"e2e"},
		"test/swarm":           {"e2e"},
		"test/compose":         {"compose"},
		"test/bench":           nil,
	}
	for folder, want := range folders {
		var got []string
		for _, p := range parts() {
			if p.tests == nil || p.tests.module != "" {
				continue
			}
			if len(assign(parts(), p.name, []testedPackage{{folder: folder}})) > 0 {
				got = append(got, p.name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is tested by %v, want %v", folder, got, want)
		}
	}
}

func TestChoose(t *testing.T) {
	chosen, err := choose(parts(), "lint,verify")
	if err != nil || len(chosen) != 2 || chosen[0].name != "verify" || chosen[1].name != "lint" {
		t.Errorf("got %v, %v; want verify, then lint", chosen, err)
	}
	if _, err := choose(parts(), "lint,nonsense"); err == nil {
		t.Error("a part that does not exist was accepted")
	}
}
