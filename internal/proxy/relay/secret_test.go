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

package relay

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestSecretAnswersHoldNoData: whatever comes back, neither the data of a Secret nor an
// annotation that repeats it is handed on.
func TestSecretAnswersHoldNoData(t *testing.T) {
	const canary = "Y2FuYXJ5"
	asked := make(chan http.Header, 1)
	for name, tc := range map[string]struct {
		code   int
		answer string
		want   int
		has    string
	}{
		"metadata": {
			200, `{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","metadata":{"name":"engine-tls","uid":"u1","resourceVersion":"7",` +
				`"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"` + canary + `"},"labels":{"a":"` + canary + `"},` +
				`"managedFields":[{"manager":"` + canary + `"}]},"data":{"a":"` + canary + `"}}`, 200, `"resourceVersion":"7"`,
		},
		"the whole Secret": {200, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{"a":"` + canary + `"}}`, 502, ""},
		"a Status":         {409, `{"apiVersion":"v1","kind":"Status","code":409,"reason":"Conflict","message":"two managers","data":"` + canary + `"}`, 409, "two managers"},
		"metadata and 500": {500, `{"kind":"PartialObjectMetadata","metadata":{"name":"` + canary + `"}}`, 502, ""},
		"a lying Status":   {200, `{"apiVersion":"v1","kind":"Status","code":500,"message":"` + canary + `"}`, 502, ""},
		"no JSON":          {200, canary, 502, ""},
		"nothing":          {200, "", 502, ""},
		"too much":         {200, `{"kind":"PartialObjectMetadata","a":"` + strings.Repeat("x", maxNames) + `"}`, 502, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, func(w http.ResponseWriter, r *http.Request) {
				asked <- r.Header
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tc.code)
				_, _ = io.WriteString(w, tc.answer)
			})
			resp, body := b.ask(t, "PATCH "+secretPath+"?fieldManager=console", "apiVersion: v1", http.Header{
				"Content-Type": {applyYAML}, "Accept": {"application/json"}, "Accept-Encoding": {"gzip"},
			})
			if resp.StatusCode != tc.want || !strings.Contains(body, tc.has) {
				t.Errorf("got %d %s, want %d with %s", resp.StatusCode, body, tc.want, tc.has)
			}
			if strings.Contains(body, canary) {
				t.Errorf("the answer tells: %s", body)
			}
			if h := <-asked; h.Get("Accept") != namesOnly || h.Get("Accept-Encoding") != "" {
				t.Errorf("the kube-apiserver was asked for %v", h)
			}
		})
	}
}
