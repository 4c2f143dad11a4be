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
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/mux"
)

// engine routes requests as the engine does: the same routes in the same order, each with the version's
// prefix and without, and its answer to everything else. A handler answers with its route in X-Route
// and with the object in X-Object. There is one router a method, which saves trying the other methods' routes.
type engine map[string]http.Handler

func (e engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if router, ok := e[r.Method]; ok {
		router.ServeHTTP(w, r)
		return
	}
	http.NotFound(w, r)
}

func newEngine(t testing.TB) engine {
	e := engine{}
	for _, method := range []string{"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"} {
		e[method] = newRouter(t, method)
	}
	return e
}

func newRouter(t testing.TB, only string) http.Handler {
	const version = "/v{version:[0-9.]+}"
	router := mux.NewRouter()
	for _, line := range readLines(t, "testdata/moby/routes.txt") {
		method, path, _ := strings.Cut(line, " ")
		if method != only {
			continue
		}
		handler := func(w http.ResponseWriter, r *http.Request) {
			vars := mux.Vars(r)
			w.Header().Set("X-Route", strings.NewReplacer(":.*}", "}", ":.+}", "}").Replace(line))
			w.Header().Set("X-Object", vars["name"]+vars["id"]+vars["anyroute"])
			w.Header().Set("X-Version", vars["version"])
		}
		router.Path(version + path).Methods(method).HandlerFunc(handler)
		router.Path(path).Methods(method).HandlerFunc(handler)
	}
	notFound := http.NotFoundHandler()
	router.Handle(version+"/{path:.*}", notFound)
	router.NotFoundHandler, router.MethodNotAllowedHandler = notFound, notFound
	return router
}

// routed is what an engine makes of a request that was forwarded.
func routed(t testing.TB, router http.Handler, request Request) *httptest.ResponseRecorder {
	t.Helper()
	upstream, err := http.NewRequest(request.Method, "http://engine"+request.Path+"?"+request.Query, nil)
	if err != nil {
		t.Fatalf("the canonical form %s?%s is no URL: %v", request.Path, request.Query, err)
	}
	answer := httptest.NewRecorder()
	router.ServeHTTP(answer, upstream)
	return answer
}

// checkForwarded holds a classified request to what the package promises.
func checkForwarded(t testing.TB, router http.Handler, request Request) {
	t.Helper()
	path := strings.ToLower(request.Path)
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			t.Errorf("%s holds a dot segment", request.Path)
		}
	}
	for _, never := range []string{"//", "%2f", "%2e", "%5c", "%25", "%00", "\\", "?", "#"} {
		if strings.Contains(path, never) {
			t.Errorf("%s holds %s", request.Path, never)
		}
	}
	again, err := Classify(request.Method, request.Path, request.Query, Headers{})
	request.Upgrade, again.Upgrade = "", ""
	if strings.HasSuffix(request.Operation, " raw") {
		request.Hijacks, again.Hijacks = false, false // by the headers
	}
	if err != nil || again != request {
		t.Errorf("classified again: %+v, %v\nfirst: %+v", again, err, request)
	}
	answer := routed(t, router, request)
	if strings.HasSuffix(request.Operation, " raw") {
		if answer.Code != http.StatusNotFound {
			t.Errorf("%s %s is raw here and %d, %q for the engine", request.Method, request.Path, answer.Code, answer.Header().Get("X-Route"))
		}
		return
	}
	if route := answer.Header().Get("X-Route"); answer.Code != http.StatusOK || route != request.Operation {
		t.Errorf("%s %s is %q here and %d, %q for the engine", request.Method, request.Path, request.Operation, answer.Code, route)
	}
	if version := answer.Header().Get("X-Version"); version != request.Version {
		t.Errorf("%s has version %q here and %q for the engine", request.Path, request.Version, version)
	}
	if object := answer.Header().Get("X-Object"); request.objectStart > 0 && object != request.Object {
		t.Errorf("%s is about %q here and %q for the engine", request.Path, request.Object, object)
	}
}

// TestEngineRoutesTheSame puts each route's path behind each that takes slashes, where one operation can look
// like another.
func TestEngineRoutesTheSame(t *testing.T) {
	router := newEngine(t)
	fill := strings.NewReplacer("{name...}", "a", "{id...}", "a", "{anyroute...}", "a", "{name}", "a", "{id}", "a", "{checkpoint}", "c")
	accepted := 0
	for i := range operations {
		method, first := operations[i].method, fill.Replace(operations[i].path)
		if !operations[i].template.eatsSlash {
			continue
		}
		for j := range operations {
			last := fill.Replace(operations[j].path)
			if operations[j].method != method {
				continue
			}
			for _, path := range []string{first + last, "/v1.44" + first + strings.TrimPrefix(last, "/containers/a"), first + strings.ReplaceAll(last, "/a", "%2fa")} {
				request, err := Classify(method, path, "", Headers{})
				if err != nil {
					continue
				}
				accepted++
				checkForwarded(t, router, request)
			}
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	if accepted < 5_000 {
		t.Errorf("only %d requests were classified", accepted)
	}
}

func FuzzClassify(f *testing.F) {
	router := newEngine(f)
	for _, method := range []string{"GET", "POST", "DELETE"} {
		for _, path := range []string{
			"/v1.41/containers/a%2Fb/json", "/images/x/../y/json", "/containers//a/json", "/networks/", "/v1.41.0/info", "/v1..4/info",
			"/containers/%2e%2e/exec", "/exec/a/b/start", "/%76%31.44/info", "/volumes/a%3Fb%23c", "/images/a:b@c+d&e=f,g;h/json", "/v1.44/v1.44/info",
		} {
			f.Add(method, path, "fromImage=a&fromSrc=b&names=1&names=2", "")
		}
	}
	f.Add("POST", "/containers/a/attach", "stream=1", "tcp")
	f.Fuzz(func(t *testing.T, method, path, query, upgrade string) {
		headers := Headers{}
		if upgrade != "" {
			headers.Upgrade = []string{upgrade}
		}
		request, err := Classify(method, path, query, headers)
		if err != nil {
			if request != (Request{}) {
				t.Errorf("refused with %v, and classified as %+v", err, request)
			}
			return
		}
		checkForwarded(t, router, request)
		if request.Subresource == "" || request.Verb == "" {
			t.Errorf("%s %s asks for no right", method, path)
		}
	})
}

// FuzzQuery compares the decision of an image's creation with how the engine reads the forwarded query.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{"fromImage=a", "fromSrc=-", "fromImage=a&fromSrc=-", "fromImage=a&fromImage=", "from%49mage=a", "FROMSRC=1&fromImage=x", "a;b", "fromImage=a&platform=1&platform=2"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		request, err := Classify("POST", "/images/create", query, Headers{})
		if err != nil {
			return
		}
		upstream := httptest.NewRequest(http.MethodPost, "/images/create?"+request.Query, nil)
		if err := upstream.ParseForm(); err != nil {
			t.Fatalf("the engine cannot read %q: %v", request.Query, err)
		}
		if pull := upstream.Form.Get("fromImage") != ""; !pull && request.Right != (Right{Images, Update}) {
			t.Errorf("%q imports for the engine, and asks for %v", request.Query, request.Right)
		}
		for key, values := range upstream.Form {
			if strings.EqualFold(key, "fromSrc") && len(values) > 0 && request.Right != (Right{Images, Update}) {
				t.Errorf("%q names a source, and asks for %v", request.Query, request.Right)
			}
		}
	})
}
