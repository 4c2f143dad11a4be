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

package limit

import (
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// MaxBody is what a request that does not stream may bring: as the kube-apiserver
// takes it, whose own bound is that of etcd twice.
const MaxBody = 3 << 20

// Body bounds the bodies of the requests that it passes on. One that says beforehand
// that it is longer is answered at once; reading beyond the bound is an
// *http.MaxBytesError, and ends the connection.
func Body(most int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > most {
			w.Header().Set("Connection", "close") // rather than to read what nobody wants
			apistatus.Write(w, TooLarge(most))
			return
		}
		r.Body = Reader(w, r.Body, most)
		next.ServeHTTP(w, r)
	})
}

// Reader is http.MaxBytesReader, which ends the connection only where it sees the server's
// own ResponseWriter: it gets that, whatever is around it.
func Reader(w http.ResponseWriter, body io.ReadCloser, most int64) io.ReadCloser {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return http.MaxBytesReader(w, body, most)
		}
		w = outer.Unwrap()
	}
}

// TooLarge says that a body is longer than what is taken: 413.
func TooLarge(most int64) *apierrors.StatusError {
	return apistatus.New(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge,
		"the request's body is too large: no more than %d bytes are taken here", most)
}
