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

package discovery_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/discovery"
)

func get(t *testing.T, method, path string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	handler, err := discovery.New()
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for name, values := range header {
		request.Header[name] = values
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

func decode[T any](t *testing.T, recorder *httptest.ResponseRecorder) T {
	t.Helper()
	var into T
	if err := json.Unmarshal(recorder.Body.Bytes(), &into); err != nil || recorder.Code != http.StatusOK {
		t.Fatalf("got %d %s: %v", recorder.Code, recorder.Body, err)
	}
	return into
}

func TestPaths(t *testing.T) {
	handler, err := discovery.New()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/apis", "/apis/engine.dockercontrol.dev", "/apis/engine.dockercontrol.dev/v1alpha1",
		"/openapi/v2", "/openapi/v3", "/openapi/v3/apis/engine.dockercontrol.dev/v1alpha1",
	}
	if got := handler.Paths(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	for _, path := range want {
		first := get(t, http.MethodGet, path, nil)
		if first.Code != http.StatusOK || first.Header().Get("Content-Type") != "application/json" || !json.Valid(first.Body.Bytes()) {
			t.Errorf("%s: got %d %s", path, first.Code, first.Body)
		}
		if again := get(t, http.MethodGet, path, http.Header{"If-None-Match": {first.Header().Get("Etag")}}); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s again: got %d %s", path, again.Code, again.Body)
		}
		if post := get(t, http.MethodPost, path, nil); post.Code != http.StatusMethodNotAllowed || post.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: got %d", path, post.Code)
		}
	}
	for _, path := range []string{"/apis/", "/apis/apps", "/apis/engine.dockercontrol.dev/v2", "/openapi", "/%61pis"} {
		if got := get(t, http.MethodGet, path, nil); got.Code != http.StatusNotFound {
			t.Errorf("%s: got %d", path, got.Code)
		}
	}
}

// TestNothingIsDeletable: the deletion of a namespace deletes what discovery calls
// deletable, and the garbage collector watches what can be listed and watched.
func TestNothingIsDeletable(t *testing.T) {
	list := decode[metav1.APIResourceList](t, get(t, http.MethodGet, discovery.Prefix, nil))
	if len(list.APIResources) == 0 {
		t.Fatal("no resources")
	}
	for _, r := range list.APIResources {
		subresource, ok := strings.CutPrefix(r.Name, "dockerhosts/")
		if !ok || !slices.Contains(slices.Concat(access.Subresources(), access.Doors()), access.Subresource(subresource)) {
			t.Errorf("%s is neither a right on DockerHosts nor a door", r.Name)
		}
		for _, verb := range r.Verbs {
			if verb != "get" && verb != "create" {
				t.Errorf("%s has the verb %s", r.Name, verb)
			}
		}
		if r.Kind == "" || !r.Namespaced {
			t.Errorf("%s has no kind, or no namespace", r.Name)
		}
	}
}

func TestAggregatedDiscovery(t *testing.T) {
	const v2, beta = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
	for accept, want := range map[string]bool{
		"":                                      false,
		v2:                                      true,
		beta:                                    false,
		"*/*":                                   false,
		"text/html":                             false,
		v2 + "," + beta + ",application/json":   true,
		beta + ", " + v2 + ", application/json": true,
		"application/json, " + v2:               false,
		"application/vnd.kubernetes.protobuf;as=APIGroupDiscoveryList, " + v2:  true,
		strings.Replace(v2, "apidiscovery", "other", 1) + ", application/json": false,
	} {
		got := get(t, http.MethodGet, "/apis", http.Header{"Accept": {accept}})
		if is := strings.Contains(got.Header().Get("Content-Type"), "APIGroupDiscoveryList"); is != want {
			t.Errorf("Accept %q: got %s", accept, got.Header().Get("Content-Type"))
		}
	}
	all := decode[apidiscoveryv2.APIGroupDiscoveryList](t, get(t, http.MethodGet, "/apis", http.Header{"Accept": {v2}}))
	list := decode[metav1.APIResourceList](t, get(t, http.MethodGet, discovery.Prefix, nil))
	var names []string
	for _, r := range all.Items[0].Versions[0].Resources {
		if len(r.Verbs) > 0 {
			t.Errorf("%s has verbs of its own", r.Resource)
		}
		for _, s := range r.Subresources {
			names = append(names, r.Resource+"/"+s.Subresource)
		}
	}
	if len(names) != len(list.APIResources) || all.Items[0].Name != access.EngineGroup {
		t.Errorf("%v in one document, %v in the other", names, list.APIResources)
	}
}

// TestOpenAPI checks what the two forms have to have.
func TestOpenAPI(t *testing.T) {
	type parameter struct {
		Name, In, Type string
		Required       bool
		Schema         *struct{ Type string }
	}
	type spec struct {
		OpenAPI, Swagger string
		Info             struct{ Title, Version string }
		Paths            map[string]map[string]json.RawMessage
	}
	index := decode[struct {
		Paths map[string]struct{ ServerRelativeURL string }
	}](t, get(t, http.MethodGet, "/openapi/v3", nil))
	for path, want := range map[string]string{"/openapi/v2": "2.0", index.Paths["apis/engine.dockercontrol.dev/v1alpha1"].ServerRelativeURL: "3.0.0"} {
		s := decode[spec](t, get(t, http.MethodGet, path, nil))
		if s.OpenAPI+s.Swagger != want || s.Info.Title == "" || s.Info.Version == "" || len(s.Paths) == 0 {
			t.Errorf("%s: got %+v", path, s)
		}
		ids := map[string]bool{}
		for template, item := range s.Paths {
			if !strings.HasPrefix(template, discovery.Prefix+"/") {
				t.Errorf("%s is not of the group", template)
			}
			var parameters []parameter
			if err := json.Unmarshal(item["parameters"], &parameters); err != nil {
				t.Error(err)
			}
			for _, p := range parameters {
				if !strings.Contains(template, "{"+p.Name+"}") || !p.Required || p.In != "path" || (p.Schema == nil) == (want == "3.0.0") || (p.Type == "") == (want == "2.0") {
					t.Errorf("%s: %+v", template, p)
				}
			}
			if len(parameters) != strings.Count(template, "{") {
				t.Errorf("%s has %d parameters", template, len(parameters))
			}
			for method, raw := range item {
				var o struct {
					OperationID string
					Responses   map[string]struct{ Description string }
				}
				if method == "parameters" {
					continue
				}
				if err := json.Unmarshal(raw, &o); err != nil || o.OperationID == "" || ids[o.OperationID] || o.Responses["200"].Description == "" {
					t.Errorf("%s %s: %s (%v)", method, template, raw, err)
				}
				ids[o.OperationID] = true
			}
		}
	}
}
