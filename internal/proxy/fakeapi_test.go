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
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// fakeAPI is a kube-apiserver of two resources: the ConfigMap that says whose
// certificates to take, and TokenReviews.
type fakeAPI struct {
	server *httptest.Server

	mu      sync.Mutex
	config  *corev1.ConfigMap // nil: there is none
	version int
	changed chan struct{} // closed and replaced at each change of config
	tokens  map[string]authenticationv1.UserInfo
	reviews int
	down    bool          // reviews are answered with 503
	held    chan struct{} // reviews wait until it is closed; nil: they do not
	waits   int           // reviews that wait
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{changed: make(chan struct{}), tokens: map[string]authenticationv1.UserInfo{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/namespaces/kube-system/configmaps", f.serveConfigMaps)
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", f.serveReviews)
	f.server = httptest.NewServer(mux)
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeAPI) restConfig() *rest.Config { return &rest.Config{Host: f.server.URL} }

// set replaces the ConfigMap's data.
func (f *fakeAPI) set(data map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	f.config = &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: trustNamespace, Name: trustConfigMap, ResourceVersion: strings.Repeat("1", f.version),
		},
		Data: data,
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// addToken makes a token that belongs to somebody.
func (f *fakeAPI) addToken(token string, who authenticationv1.UserInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens[token] = who
}

func (f *fakeAPI) deleteToken(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tokens, token)
}

func (f *fakeAPI) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *fakeAPI) reviewCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reviews
}

// hold makes reviews wait until release is called.
func (f *fakeAPI) hold() (release func()) {
	held := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = held
	return sync.OnceFunc(func() { close(held) })
}

// waiting is how many reviews wait.
func (f *fakeAPI) waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waits
}

// wait is a review's.
func (f *fakeAPI) wait(ctx context.Context) {
	f.mu.Lock()
	held := f.held
	if held != nil {
		f.waits++
	}
	f.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
		}
	}
}

func (f *fakeAPI) state() (*corev1.ConfigMap, int, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.config, f.version, f.changed
}

func (f *fakeAPI) serveConfigMaps(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	q := r.URL.Query()
	switch {
	case q.Get("fieldSelector") != "metadata.name="+trustConfigMap:
		// The Role lets this one object be read, and no list of all.
		w.WriteHeader(http.StatusForbidden)
		return
	case q.Get("sendInitialEvents") == "true": // an older server: the client lists instead
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
			Status:   metav1.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid,
		})
		return
	case q.Get("watch") == "":
		config, version, _ := f.state()
		list := corev1.ConfigMapList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMapList"},
			ListMeta: metav1.ListMeta{ResourceVersion: "0" + strings.Repeat("1", version)},
		}
		if config != nil {
			list.Items = append(list.Items, *config)
		}
		_ = json.NewEncoder(w).Encode(list)
		return
	}
	seen := len(strings.TrimPrefix(q.Get("resourceVersion"), "0"))
	for {
		config, version, changed := f.state()
		if version > seen {
			kind := "MODIFIED"
			if seen == 0 {
				kind = "ADDED"
			}
			seen = version
			_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "object": config})
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func (f *fakeAPI) serveReviews(w http.ResponseWriter, r *http.Request) {
	f.wait(r.Context())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reviews++
	w.Header().Set("Content-Type", "application/json")
	review := authenticationv1.TokenReview{}
	if f.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&review); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	who, ok := f.tokens[review.Spec.Token]
	review.Status = authenticationv1.TokenReviewStatus{Authenticated: ok, User: who}
	if !ok {
		review.Status.Error = "invalid bearer token"
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(review)
}
