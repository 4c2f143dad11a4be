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
	"errors"
	"strings"
	"testing"
)

func TestCheckFilters(t *testing.T) {
	for filters, want := range map[string]string{
		``: "", `{}`: "", `{"label":[]}`: "", `{"label":["auth"]}`: "", `{"label":{"auth":true}}`: "",
		`{"label":["com.docker.compose.project=shop","com.docker.compose.oneoff=False"],"status":["running"]}`: "",
		`{"label":{"com.docker.stack.namespace=shop":true}}`:                                                   "",
		`{"name":["a=b"],"id":["x"],"network":["n"]}`:                                                          "",
		`{"event":["start","health_status: healthy","exec_create"]}`:                                           "",
		`{"volume":["data"]}`: "",

		`{"label":["auth=guess"]}`:                            `"auth"`,
		`{"label":["auth="]}`:                                 `"auth"`,
		`{"label":{"auth=guess":true}}`:                       `"auth"`,
		`{"label":{"auth=guess":false}}`:                      `"auth"`,
		`{"label!":["auth=guess"]}`:                           `"label!"`,
		`{"node.label":["zone=guess"]}`:                       `"zone"`,
		`{"label":["com.docker.compose.config-hash=guess"]}`:  "config-hash",
		`{"label":["auth=guess"],"label":["auth"]}`:           `"auth"`,
		`{"label":["auth"],"label":["auth=guess"]}`:           `"auth"`,
		`{"\u006cabel":["a\u0075th=guess"]}`:                  `"auth"`,
		`{"annotation":["com.example.auth=guess"]}`:           `"annotation"`,
		`{"command":["sh"]}`:                                  `"command"`,
		`{"event":["exec_create: sh -c guess"]}`:              `"event"`,
		`{"event":["exec_create","exec_create: s"]}`:          `"event"`,
		`{"volume":["/srv/guess"]}`:                           `"volume"`,
		`{"status":["running"],"invented":["guess"]}`:         `"invented"`,
		`{"com.docker.compose.project":["guess"],"LABEL":[]}`: `"com.docker.compose.project"`,

		`x`: "malformed", `[]`: "malformed", `null`: "malformed", `"label"`: "malformed", `{"label":"a=b"}`: "malformed", `{"label":[["a=b"]]}`: "malformed",
		`{"label":["a"]} {"label":["a=b"]}`: "malformed", `{"label":["a"]`: "malformed", `{"label":{"a=b":"x"}}`: "malformed", `{"label":["a"]},`: "malformed",
	} {
		err := CheckFilters(filters)
		var hidden *HiddenFilterError
		switch {
		case want == "":
			if err != nil {
				t.Errorf("%s: %v", filters, err)
			}
		case want == "malformed":
			if !errors.Is(err, ErrFilters) {
				t.Errorf("%s: %v, want ErrFilters", filters, err)
			}
		case !errors.As(err, &hidden) || !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want that it names %s", filters, err, want)
		case strings.Contains(err.Error(), "guess"):
			t.Errorf("%s: the error quotes the guess: %v", filters, err)
		}
	}
}
