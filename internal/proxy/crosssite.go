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
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

// sameSite says why a request that a browser may have sent by itself is not to be
// served: pages of other sites can make a browser send cookies and certificates, but
// no tokens. Programs, which send neither Sec-Fetch-Site nor Origin, pass.
func (s *Server) sameSite(r *http.Request, means caller.Means) *apierrors.StatusError {
	if means == caller.Token {
		return nil
	}
	if err := s.crossOrigin.Check(r); err != nil {
		return errCrossSite("a page of another site")
	}
	if r.Header.Get("Upgrade") == "" {
		return nil
	}
	// A WebSocket is opened by GET, which the check above takes for safe, and its
	// answers can be read from any site.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return errCrossSite("a page of another site")
	}
	origin := r.Header.Get("Origin")
	switch {
	case means == caller.FrontProxy: // which has another name than the one in Origin
		return nil
	case means == caller.Certificate && origin == "":
		return nil
	case !strings.EqualFold(origin, "https://"+r.Host):
		return errCrossSite("a page of another origin, or of none")
	}
	return nil
}

func errCrossSite(from string) *apierrors.StatusError {
	return apistatus.New(http.StatusForbidden, metav1.StatusReasonForbidden,
		"the request comes from %s: only the console's own pages may use its session or a certificate; send a bearer token instead", from)
}

// queryTokens are the names under which people put tokens into addresses.
var queryTokens = []string{"token", "access_token"}

// noQueryTokens refuses tokens in a query, before anything looks at it.
func noQueryTokens(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, _ := url.ParseQuery(r.URL.RawQuery) // what can be read of it
		for _, name := range queryTokens {
			if query.Has(name) {
				apistatus.Write(w, apistatus.BadRequest("there is a token in the query (%s): addresses end up in logs and histories. "+
					"Send it as Authorization: Bearer, and take this one back if it was real", name))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// isPassThrough reports whether a path is one of an engine's own API, where what an
// engine answers could be a page: no cookie is taken there.
func isPassThrough(path string) bool {
	// apis/GROUP/VERSION/namespaces/NS/dockerhosts/HOST/proxy
	parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 9)
	return len(parts) >= 8 && parts[0] == "apis" && parts[5] == "dockerhosts" && parts[7] == "proxy"
}
