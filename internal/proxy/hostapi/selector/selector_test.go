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

package selector

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSelectorMatches(t *testing.T) {
	labels := map[string]string{
		"com.docker.compose.project":              "My Proj",
		"com.docker.compose.project.config_files": "/srv/a b/compose.yaml,/srv/override.yaml",
		"traefik.http.routers.x/y.rule":           "Host(`a.example`) && Path=(/)",
		"env":                                     "prod",
		"empty":                                   "",
		`quo"ted`:                                 `a\b"c`,
		"with space":                              "x",
	}
	for text, want := range map[string]bool{
		"":                                    true,
		" ":                                   true,
		"env":                                 true,
		"!env":                                false,
		"! none":                              true,
		"none":                                false,
		"env=prod":                            true,
		"env==prod":                           true,
		" env = prod ":                        true,
		"env!=prod":                           false,
		"env != dev , env":                    true,
		"none!=x":                             true,
		"empty=":                              true,
		"none=":                               false,
		"env in (dev, prod)":                  true,
		"env in(dev,prod)":                    true,
		"env notin (dev)":                     true,
		"env notin (dev,prod)":                false,
		"none notin (a)":                      true,
		"empty in (a,)":                       true,
		"com.docker.compose.project=My Proj":  true,
		"com.docker.compose.project=My  Proj": false,
		`com.docker.compose.project.config_files="/srv/a b/compose.yaml,/srv/override.yaml"`: true,
		"traefik.http.routers.x/y.rule=Host(`a.example`) && Path=(/)":                        true,
		`"quo\"ted"="a\\b\"c"`: true,
		"with space=x":         true,
		"with space in (x)":    true,
		"with space":           true,
		"env=prod,none":        false,
	} {
		s, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if s.Matches(labels) != want {
			t.Errorf("%s: %t, want %t", text, !want, want)
		}
	}
}

func TestSelectorRefuses(t *testing.T) {
	for _, text := range []string{
		",", "a,", ",a", "a,,b", "=a", "!", "!=a", "!a=b", "a in (b", "a in (b,c", `"a`, `a="b`, `"a" b`, `a="b"c`, `"a"!b`,
		strings.Repeat("a", maxSelector+1), strings.Repeat("a,", maxRequirements) + "a",
	} {
		if s, err := Parse(text); err == nil {
			t.Errorf("%.60s is read as %s", text, s)
		}
	}
}

func FuzzSelector(f *testing.F) {
	for _, seed := range []string{"a", "!a", "a=b", "a!=b", "a in (b,c)", "a notin (b)", `"a,\"b"="c\\"`, "com.docker.compose.project=My Proj,x", "a in in (b)", "a  in\t( )"} {
		f.Add(seed, "a", "b")
	}
	f.Fuzz(func(t *testing.T, text, key, value string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		canonical := s.String()
		labels := map[string]string{key: value}
		if len(canonical) > maxSelector {
			s.Matches(labels)
			return
		}
		again, err := Parse(canonical)
		if err != nil {
			t.Fatalf("%q was written as %q: %v", text, canonical, err)
		}
		if diff := cmp.Diff(s, again, cmp.AllowUnexported(requirement{})); diff != "" {
			t.Fatalf("%q is another once written: %s", text, diff)
		}
		if s.Matches(labels) != again.Matches(labels) {
			t.Fatalf("%q matches otherwise once written", text)
		}
	})
}

// FuzzSelectorValues holds that any label can be asked for.
func FuzzSelectorValues(f *testing.F) {
	f.Add("com.docker.compose.project", "My Proj")
	f.Add(`a,"b`, `c\)`)
	f.Add(" ", "\x00\n")
	f.Fuzz(func(t *testing.T, key, value string) {
		for _, op := range []operator{exists, absent, equals, notEquals, oneOf, noneOf} {
			r := requirement{key: key, op: op}
			if !slices.Contains([]operator{exists, absent}, op) {
				r.values = []string{value}
			}
			text := Selector{r}.String()
			if len(text) > maxSelector {
				return
			}
			s, err := Parse(text)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			want := op == exists || op == equals || op == oneOf
			if s.Matches(map[string]string{key: value}) != want {
				t.Fatalf("%q does not match its own label as it should", text)
			}
		}
	})
}
