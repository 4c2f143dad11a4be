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

package mask

import (
	"strings"
	"testing"
)

func TestEventAttributes(t *testing.T) {
	id := strings.Repeat("0a", 32)
	tests := map[string]string{ // the attribute: what is seen of it
		`"name":"web"`:                     `"name":"web"`,
		`"image":"nginx:1"`:                `"image":"nginx:1"`,
		`"exitCode":"137"`:                 `"exitCode":"137"`,
		`"signal":"15"`:                    `"signal":"15"`,
		`"signal":"hunter2"`:               `"signal":"(masked)"`,
		`"exitCode":"123456789012"`:        `"exitCode":"(masked)"`,
		`"container":"` + id + `"`:         `"container":"` + id + `"`,
		`"container":"hunter2"`:            `"container":"(masked)"`,
		`"type":"bridge"`:                  `"type":"bridge"`,
		`"type":"hunter2"`:                 `"type":"(masked)"`,
		`"driver":"local"`:                 `"driver":"local"`,
		`"state.new":"down"`:               `"state.new":"down"`,
		`"state.new":"hunter2"`:            `"state.new":"(masked)"`,
		`"execID":"` + id + `"`:            `"execID":"(masked)"`,
		`"com.docker.stack.namespace":"s"`: `"com.docker.stack.namespace":"s"`,
		`"auth":"hunter2"`:                 `"auth":"(masked)"`,
		`"auth":7`:                         `"auth":0`,
	}
	p, _ := For("GET /events")
	for in, want := range tests {
		in, want = `{"Actor":{"Attributes":{`+in+`}}}`, `{"Actor":{"Attributes":{`+want+`}}}`
		if got, err := p.Append(nil, []byte(in)); err != nil || string(got) != want {
			t.Errorf("%s came out as %s, %v; want %s", in, got, err, want)
		}
	}
}

func TestTaskErrors(t *testing.T) {
	for text, seen := range map[string]bool{
		"task: non-zero exit (1)":                                                    true,
		"task: non-zero exit (137): dockerexec: unhealthy container":                 true,
		"task: non-zero exit (1): hunter2":                                           false,
		"no suitable node (scheduling constraints not satisfied on 1 node)":          true,
		"no suitable node (insufficient resources on 2 nodes; 1 node not available)": true,
		`no suitable node (\"hunter2\")`:                                             false,
		"No such image: localhost/hunter2":                                           false,
		`starting container failed: exec: \"hunter2\": not found`:                    false,
	} {
		want := Mark
		if seen {
			want = text
		}
		if got := string(taskError(nil, []byte(`"`+text+`"`))); got != `"`+want+`"` {
			t.Errorf("%q came out as %s", text, got)
		}
	}
}
