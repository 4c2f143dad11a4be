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

package swarm

import (
	"regexp"
	"strings"
	"testing"
)

// swarmName is what swarm takes as the name of a secret or config, of 64 characters at most.
var swarmName = regexp.MustCompile(`^[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?$`)

func TestNames(t *testing.T) {
	key, content := []byte("key"), []byte("content")
	name := SecretName(key, "uid", "web", content)
	if name != SecretName(key, "uid", "web", content) {
		t.Error("the same content has two names")
	}
	if !strings.HasPrefix(name, "web-") {
		t.Errorf("name %q does not tell whose it is", name)
	}
	seen := map[string]string{name: "web"}
	for what, other := range map[string]string{
		"another key":     SecretName([]byte("other"), "uid", "web", content),
		"another owner":   SecretName(key, "uid2", "web", content),
		"another content": SecretName(key, "uid", "web", []byte("content2")),
		"no content":      SecretName(key, "uid", "web", nil),
		"a config":        ConfigName(key, "uid", "web", content),
		"a moved border":  SecretName(key, "uidc", "web", []byte("ontent")),
	} {
		if before, twice := seen[other]; twice {
			t.Errorf("%s has the name of %s", what, before)
		}
		seen[other] = what
	}
}

func TestNamesAreValid(t *testing.T) {
	for _, service := range []string{"", "web", "-._", "_x_", "ünïcode", "a/b c", strings.Repeat("n", 31), strings.Repeat("n", 32), strings.Repeat("n", 63), strings.Repeat("-", 63), strings.Repeat("n", 30) + ".x"} {
		name := SecretName([]byte("key"), "uid", service, []byte("x"))
		if len(name) > 64 || !swarmName.MatchString(name) {
			t.Errorf("for %q: %q", service, name)
		}
	}
}
