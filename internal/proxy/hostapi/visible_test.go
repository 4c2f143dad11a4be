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

package hostapi

import (
	"fmt"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/hostapi/selector"
)

// TestSelectorsSeeMaskedLabels tries each place where a kind has its labels.
func TestSelectorsSeeMaskedLabels(t *testing.T) {
	const labels = `"Labels":{"com.docker.compose.project":"My \"Proj\"","secret":"canary"}`
	for segment, raw := range map[string]string{
		"containers": `{"Id":"x",` + labels + `}`,
		"images":     `{"Id":"x",` + labels + `}`,
		"volumes":    `{"Name":"x",` + labels + `}`,
		"networks":   `{"Id":"x",` + labels + `}`,
		"services":   `{"ID":"x","Spec":{` + labels + `}}`,
		"tasks":      `{"ID":"x",` + labels + `}`,
		"nodes":      `{"ID":"x","Spec":{` + labels + `}}`,
	} {
		kind := kinds[segment]
		o, err := engine.ParseObject(kind.kind, []byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]bool{
			`com.docker.compose.project="My \"Proj\""`: true,
			`com.docker.compose.project=other`:         false,
			"secret=canary":                            false,
			"secret!=canary,secret":                    true,
			"secret=(masked)":                          true,
			"!secret":                                  false,
			"none":                                     false,
			"!none,none!=x":                            true,
			"com.docker.compose.project,secret notin (x,canary)": true,
		} {
			s, err := selector.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			e := encoder{kind: kind, masker: hider{}, labels: s}
			for _, again := range []bool{false, true} {
				docker, matches, err := e.visible(origin{source: source{masked: true}}, &o)
				if err != nil || matches != want || matches != (docker != nil) {
					t.Errorf("%s %s: %t, %v, want %t (again: %t)", segment, text, matches, err, want, again)
				}
			}
			if _, matches, _ := e.visible(origin{}, &o); text == "secret=canary" && !matches {
				t.Errorf("%s: who may inspect selects by what is there", segment)
			}
		}
	}
	if got := fmt.Sprint(selector.Selector(nil).Keys()); got != "[]" {
		t.Errorf("keys of nothing: %s", got)
	}
}
