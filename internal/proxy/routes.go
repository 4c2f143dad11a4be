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

package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/limit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
)

// apiPrefixes are the paths that answer with a Status and never with a page: those
// that a Kubernetes client may ask for, and those that the proxy keeps for itself.
var apiPrefixes = []string{"/api", "/apis", "/audit", "/openapi", "/stream"}

// routes is the one place where a path finds its handler. It compares paths as they
// came: no redirect to a cleaned one, for what is decided on must be what is served.
func (s *Server) routes(pages http.Handler) http.Handler {
	api := s.authenticated(limit.Body(limit.MaxBody, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
	})))
	if s.engines != nil {
		api = s.authenticated(s.engines)
	}
	who := s.authenticated(http.HandlerFunc(s.serveSession))
	return metrics.Handler(secure(withRequestID(noQueryTokens(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		switch {
		case slices.ContainsFunc(apiPrefixes, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") }):
			api.ServeHTTP(w, r)
		case path == "/login" && r.Method == http.MethodPost:
			s.serveLogin(w, r)
		case path == "/logout" && r.Method == http.MethodPost:
			s.serveLogout(w, r)
		case path == "/session":
			readOnly(w, r, func() { who.ServeHTTP(w, r) })
		case path == "/healthz":
			readOnly(w, r, func() { writeText(w, http.StatusOK, "ok") })
		case path == "/readyz":
			readOnly(w, r, func() { s.serveReady(w, r) })
		case path == "/version":
			readOnly(w, r, func() { apistatus.WriteJSON(w, http.StatusOK, s.options.Version) })
		default:
			readOnly(w, r, func() { pages.ServeHTTP(w, r) })
		}
	})))))
}

// readOnly serves GET and HEAD.
func readOnly(w http.ResponseWriter, r *http.Request, serve func()) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		apistatus.Write(w, apistatus.MethodNotAllowed(http.MethodGet, http.MethodHead))
		return
	}
	serve()
}

// ReadyCheck says why this replica should get no requests; nil when it should. It is
// a healthz.Checker.
func (s *Server) ReadyCheck(*http.Request) error {
	select {
	case <-s.listening:
	default:
		return errors.New("not listening yet")
	}
	if s.draining.Load() {
		return errors.New("shutting down")
	}
	return s.auth.Ready()
}

// serveReady names the checks that fail, and tells their errors to the log only:
// anybody may ask.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	checks := map[string]func(*http.Request) error{"proxy": s.ReadyCheck}
	for name, check := range s.options.Ready {
		checks[name] = check
	}
	var failed []string
	for name, check := range checks {
		if err := check(r); err != nil {
			s.options.Log.V(1).Info("Not ready", "check", name, "error", err.Error())
			failed = append(failed, name)
		}
	}
	if len(failed) > 0 {
		slices.Sort(failed)
		writeText(w, http.StatusServiceUnavailable, "not ready: "+strings.Join(failed, ", "))
		return
	}
	writeText(w, http.StatusOK, "ok")
}

func writeText(w http.ResponseWriter, code int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-cache, private")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, text)
}

type requestIDKey struct{}

// withRequestID gives each request an id of ours, for the log, the audit trail and,
// as Audit-ID, the client. One that the client sent is not taken: it could repeat
// another's.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := uuid.NewString()
		w.Header().Set("Audit-Id", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
