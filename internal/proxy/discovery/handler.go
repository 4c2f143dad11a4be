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

package discovery

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

const (
	version   = "v1alpha1"
	groupPath = "/apis/" + access.EngineGroup
	// Prefix is where the group's paths begin.
	Prefix = groupPath + "/" + version

	plainJSON = "application/json"
	// aggregatedJSON is all of discovery in one document, which kube-apiservers ask for
	// since 1.30; older ones go on with the other documents.
	aggregatedJSON = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
)

// Handler serves the documents.
type Handler struct {
	documents  map[string]*document
	aggregated *document
}

// document is what is served at a path.
type document struct {
	contentType, etag string
	body              []byte
}

// New returns a Handler. It serves Paths, and 404 elsewhere.
func New() (*Handler, error) {
	h := &Handler{documents: map[string]*document{}}
	var err error
	if h.aggregated, err = newDocument(aggregatedJSON, aggregated()); err != nil {
		return nil, err
	}
	specification, err := newDocument(plainJSON, openAPIv3())
	if err != nil {
		return nil, err
	}
	for path, content := range map[string]any{
		"/apis":                groups(),
		groupPath:              group(),
		Prefix:                 resources(),
		"/openapi/v2":          openAPIv2(),
		"/openapi/v3":          openAPIv3Paths(strings.Trim(specification.etag, `"`)),
		"/openapi/v3" + Prefix: json.RawMessage(specification.body),
	} {
		if h.documents[path], err = newDocument(plainJSON, content); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Paths are those that the Handler serves, in alphabetical order.
func (h *Handler) Paths() []string {
	var paths []string
	for path := range h.documents {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

func newDocument(contentType string, content any) (*document, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("a discovery document: %w", err)
	}
	sum := sha256.Sum256(body)
	return &document{contentType: contentType, etag: `"` + hex.EncodeToString(sum[:16]) + `"`, body: body}, nil
}

// ServeHTTP answers with a document.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := h.documents[r.URL.EscapedPath()]
	switch {
	case d == nil:
		apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		apistatus.Write(w, apistatus.MethodNotAllowed(http.MethodGet, http.MethodHead))
		return
	case r.URL.EscapedPath() == "/apis" && wantsAggregated(r.Header.Values("Accept")):
		d = h.aggregated
	}
	header := w.Header()
	header.Set("Etag", d.etag)
	header.Set("Vary", "Accept")
	header.Set("Cache-Control", "no-cache, private") // ask each time; the Etag answers
	if r.Header.Get("If-None-Match") == d.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Type", d.contentType)
	_, _ = w.Write(d.body) // errors are the client's leaving
}

// wantsAggregated reports whether a client asks for all in one document before it asks for
// plain JSON. Who asks for neither gets plain JSON, which all understand.
func wantsAggregated(accept []string) bool {
	for clause := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		mediaType, parameters, err := mime.ParseMediaType(clause)
		if err != nil || mediaType != plainJSON {
			continue
		}
		if parameters["as"] == "" {
			return false
		}
		if parameters["as"] == "APIGroupDiscoveryList" && parameters["g"] == "apidiscovery.k8s.io" && parameters["v"] == "v2" {
			return true
		}
	}
	return false
}

func groups() *metav1.APIGroupList {
	return &metav1.APIGroupList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroupList"}, Groups: []metav1.APIGroup{*group()}}
}

func group() *metav1.APIGroup {
	only := metav1.GroupVersionForDiscovery{GroupVersion: access.EngineGroup + "/" + version, Version: version}
	return &metav1.APIGroup{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIGroup"},
		Name:     access.EngineGroup, Versions: []metav1.GroupVersionForDiscovery{only}, PreferredVersion: only,
	}
}
