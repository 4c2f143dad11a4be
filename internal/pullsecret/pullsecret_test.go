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

package pullsecret

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
)

func TestAuth(t *testing.T) {
	entry := func(user string) string {
		return `{"auth":"` + base64.StdEncoding.EncodeToString([]byte(user+":pass:word")) + `"}`
	}
	tests := map[string]struct{ auths, image, user, says string }{
		"host":                 {`"r.example.com":` + entry("a"), "r.example.com/x:1", "a", ""},
		"host with port":       {`"r.example.com:5000":` + entry("a") + `,"r.example.com":` + entry("b"), "r.example.com:5000/x", "a", ""},
		"URL":                  {`"https://r.example.com/v1/":` + entry("a"), "r.example.com/x", "a", ""},
		"URL of v2":            {`"http://R.example.com/v2":` + entry("a"), "r.example.com/x", "a", ""},
		"Docker Hub's index":   {`"https://index.docker.io/v1/":` + entry("a"), "busybox", "a", ""},
		"Docker Hub by name":   {`"docker.io":` + entry("a"), "team/app", "a", ""},
		"the longest path":     {`"r.example.com":` + entry("a") + `,"r.example.com/team":` + entry("b") + `,"r.example.com/team/app":` + entry("c"), "r.example.com/team/app:1", "c", ""},
		"a path of others":     {`"r.example.com/team":` + entry("b"), "r.example.com/teams/app", "", "no credentials for r.example.com"},
		"another registry":     {`"r.example.com":` + entry("a"), "r.example.org/x", "", "no credentials for r.example.org"},
		"a look-alike":         {`"r.example.com.evil.org":` + entry("a"), "r.example.com/x", "", "no credentials"},
		"user and password":    {`"r.example.com":{"username":"u","password":"p"}`, "r.example.com/x", "u", ""},
		"auth that is garbage": {`"r.example.com":{"auth":"canary"}`, "r.example.com/x", "", "cannot be read"},
	}
	for name, tt := range tests {
		image, err := reference.ParseNormalizedNamed(tt.image)
		if err != nil {
			t.Fatal(err)
		}
		secret := &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{` + tt.auths + `}}`)}}
		header, problem := Auth(secret, image)
		var auth struct{ Username, Password, ServerAddress string }
		if header != "" {
			raw, err := base64.URLEncoding.DecodeString(header)
			if err != nil || json.Unmarshal(raw, &auth) != nil {
				t.Errorf("%s: the header cannot be read", name)
			}
		}
		if auth.Username != tt.user || tt.says == "" && problem != "" || !strings.Contains(problem, tt.says) || strings.Contains(problem, "canary") {
			t.Errorf("%s: user %q, %q; want %q, %q", name, auth.Username, problem, tt.user, tt.says)
		}
		if tt.user != "" && tt.user != "u" && auth.Password != "pass:word" {
			t.Errorf("%s: the password is cut", name)
		}
	}
	for _, secret := range []*corev1.Secret{{}, {Type: corev1.SecretTypeOpaque, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{}`)}},
		{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`canary`)}}} {
		image, _ := reference.ParseNormalizedNamed("busybox")
		if _, problem := Auth(secret, image); problem == "" || strings.Contains(problem, "canary") {
			t.Errorf("a Secret that is none is answered with %q", problem)
		}
	}
}
