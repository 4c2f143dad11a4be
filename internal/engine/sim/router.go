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

package sim

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// request is one API call: the parsed parts that handlers need.
type request struct {
	*http.Request
	// version is the API version that the path named, or the engine's own.
	version string
	// name is what stood for {name} in the route.
	name  string
	query url.Values
}

// before reports whether the call speaks an API older than v.
func (r *request) before(v string) bool { return compareVersions(r.version, v) < 0 }

// flag reads a boolean query value as the engine does: anything but an empty
// string, 0, no, false and none is true.
func (r *request) flag(name string) bool {
	switch strings.ToLower(strings.TrimSpace(r.query.Get(name))) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}

// handler answers a call or returns the error to answer with. Once it has
// written anything it returns nil.
type handler func(e *Engine, w http.ResponseWriter, r *request) error

// route is a method and a path. {name} stands for one or more characters,
// slashes included: image names have them.
type route struct {
	method, prefix, suffix string
	// pattern is the method and the path as they were given.
	pattern string
	exact   bool
	handle  handler
}

func on(method, pattern string, h handler) route {
	prefix, suffix, named := strings.Cut(pattern, "{name}")
	return route{method: method, prefix: prefix, suffix: suffix, pattern: method + " " + pattern, exact: !named, handle: h}
}

func (rt *route) match(method, path string) (name string, ok bool) {
	if rt.method != method && !(rt.method == http.MethodGet && method == http.MethodHead && rt.prefix == "/_ping") {
		return "", false
	}
	if rt.exact {
		return "", path == rt.prefix
	}
	if len(path) <= len(rt.prefix)+len(rt.suffix) || !strings.HasPrefix(path, rt.prefix) || !strings.HasSuffix(path, rt.suffix) {
		return "", false
	}
	return path[len(rt.prefix) : len(path)-len(rt.suffix)], true
}

var versioned = regexp.MustCompile(`^/v([0-9]+\.[0-9]+)(/.*)$`)

// split takes the API version off a path.
func split(path string) (version, rest string) {
	if m := versioned.FindStringSubmatch(path); m != nil {
		return m[1], m[2]
	}
	return "", path
}

// ServeHTTP serves the Docker Engine API, or what is wrong with the engine.
func (e *Engine) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, path := split(req.URL.Path)
	if w := e.faulty(w, req, path); w != nil {
		e.answer(w, req)
	}
}

// answer serves the API.
func (e *Engine) answer(w http.ResponseWriter, req *http.Request) {
	version, path := split(req.URL.Path)
	rt, name := find(req.Method, path)
	if rt == nil {
		writeError(w, "", errorf(http.StatusNotFound, "page not found"))
		return
	}
	e.calls.count(rt.pattern)
	oldest, newest := e.apiVersions()
	header := w.Header()
	header.Set("Server", fmt.Sprintf("Docker/%s (linux)", e.opts.Version))
	header.Set("Api-Version", newest)
	header.Set("Ostype", "linux")
	switch {
	case version == "":
		version = newest
	case compareVersions(version, newest) > 0:
		writeError(w, version, errorf(http.StatusBadRequest, "client version %s is too new. Maximum supported API version is %s", version, newest))
		return
	case compareVersions(version, oldest) < 0:
		writeError(w, version, errorf(http.StatusBadRequest, "client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", version, oldest))
		return
	}
	header.Set("Docker-Experimental", strconv.FormatBool(false))
	r := &request{Request: req, version: version, name: name, query: req.URL.Query()}
	if err := rt.handle(e, w, r); err != nil {
		writeError(w, version, err)
	}
}

func find(method, path string) (*route, string) {
	for i := range routes {
		if name, ok := routes[i].match(method, path); ok {
			return &routes[i], name
		}
	}
	return nil, ""
}

// serveNothing answers as a path does that is not there.
func serveNothing(*Engine, http.ResponseWriter, *request) error {
	return errorf(http.StatusNotFound, "page not found")
}

func compareVersions(a, b string) int { return engine.CompareAPIVersions(a, b) }
