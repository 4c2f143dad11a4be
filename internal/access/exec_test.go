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

package access

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
)

func TestExecID(t *testing.T) {
	key, id := []byte("key"), strings.Repeat("0a", 32)
	signed := Sign(key, "ann", "uid-1", id)
	if !strings.HasPrefix(signed, id+".") || strings.ContainsAny(signed, "/+=%?") {
		t.Errorf("signed id %q does not go into a path as it is", signed)
	}
	if got, ok := Open(key, "ann", "uid-1", signed); !ok || got != id {
		t.Errorf("opened it is %q, %v", got, ok)
	}
	last := "A"
	if strings.HasSuffix(signed, "A") {
		last = "B"
	}
	for name, forged := range map[string]struct {
		key                   string
		user, hostUID, signed string
	}{
		"another key":      {"other", "ann", "uid-1", signed},
		"no key":           {"", "ann", "uid-1", Sign(nil, "ann", "uid-1", id)},
		"another user":     {"key", "bob", "uid-1", signed},
		"another host":     {"key", "ann", "uid-2", signed},
		"shifted parts":    {"key", "annuid", "-1", signed},
		"another id":       {"key", "ann", "uid-1", "1" + signed},
		"no signature":     {"key", "ann", "uid-1", id},
		"empty signature":  {"key", "ann", "uid-1", id + "."},
		"another spelling": {"key", "ann", "uid-1", signed[:len(signed)-1] + last},
		"cut":              {"key", "ann", "uid-1", signed[:len(signed)-1]},
		"more":             {"key", "ann", "uid-1", signed + "A"},
		"signature first":  {"key", "ann", "uid-1", "." + signed},
		"nothing":          {"key", "ann", "uid-1", ""},
		"empty id":         {"key", "ann", "uid-1", Sign(key, "ann", "uid-1", "")},
		"too long":         {"key", "ann", "uid-1", Sign(key, "ann", "uid-1", strings.Repeat("a", 600))},
	} {
		if got, ok := Open([]byte(forged.key), forged.user, forged.hostUID, forged.signed); ok || got != "" {
			t.Errorf("%s opens as %q, %v", name, got, ok)
		}
	}
}

func TestExecCreateNeedsAdmin(t *testing.T) {
	for _, test := range []struct {
		body         string
		want, refuse bool
	}{
		{body: `{"Cmd":["sh"]}`},
		{body: `{"Cmd":["sh"],"Privileged":false}`},
		{body: `{"Cmd":["Privileged"],"Env":["Privileged=true"],"x":{"Privileged":true}}`},
		{body: `{"Privileged":null}`},
		{body: `{}` + "\n "},
		{body: `{"Privileged":true}`, want: true},
		{body: `{"PRIVILEGED":true}`, want: true},
		{body: `{"\u0070rivileged" : true}`, want: true},
		{body: `{"Privileged":true,"privileged":false}`, want: true},
		{body: `{"Privileged":false,"privileged":true}`, want: true},
		{body: `{"Privileged":"true"}`, want: true},
		{body: `{"Privileged":1}`, want: true},
		{body: ``, refuse: true},
		{body: `null`, refuse: true},
		{body: `[]`, refuse: true},
		{body: `{"Privileged":true`, refuse: true},
		{body: `{"Privileged"}`, refuse: true},
		{body: `{} {"Privileged":true}`, refuse: true},
		{body: `{}x`, refuse: true},
		{body: "\ufeff{}", refuse: true},
		{body: `{"a":"` + strings.Repeat("a", MaxExecCreateBody) + `"}`, refuse: true},
		{body: strings.Repeat(`{"a":`, 100_000), refuse: true},
	} {
		got, err := ExecCreateNeedsAdmin([]byte(test.body))
		var refused *RequestError
		if got != test.want || errors.As(err, &refused) != test.refuse || err != nil && refused.Part != "body" {
			t.Errorf("%.60s: %v, %v; want %v, refused %v", test.body, got, err, test.want, test.refuse)
		}
	}
}

// FuzzExecCreate compares with how the engine decodes the body.
func FuzzExecCreate(f *testing.F) {
	for _, body := range []string{`{"Cmd":["sh"]}`, `{"privileged":true}`, `{"Privileged":true,"PRIVILEGED":null}`, `{"Privileged":false} {"Privileged":true}`, "{\"Pr\xffivileged\":true}"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		needs, err := ExecCreateNeedsAdmin(body)
		if err != nil {
			if needs {
				t.Error("refused, and judged")
			}
			return
		}
		var engine container.ExecCreateRequest
		if err := json.Unmarshal(body, &engine); err == nil && engine.Privileged && !needs {
			t.Errorf("%q is privileged for the engine", body)
		}
	})
}
