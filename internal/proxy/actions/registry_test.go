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

package actions

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// testRegistry serves images by the pull half of the distribution specification, to those who
// know its password.
type testRegistry struct {
	address        string
	user, password string

	mu        sync.Mutex
	blobs     map[string][]byte
	manifests map[string][]byte // by repository:tag and repository@digest
	refused   int
}

// newRegistry listens at an address of this machine.
func newRegistry(t testing.TB, ip string) *testRegistry {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	g := &testRegistry{address: l.Addr().String(), blobs: map[string][]byte{}, manifests: map[string][]byte{}}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: g}}
	server.Start()
	t.Cleanup(server.Close)
	return g
}

// ServeHTTP serves /v2/.
func (g *testRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if user, password, _ := r.BasicAuth(); g.password != "" && (user != g.user || password != g.password) {
		g.refused++
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`))
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	if path == "" {
		return
	}
	if repository, ref, ok := strings.Cut(path, "/manifests/"); ok {
		separator := ":"
		if strings.HasPrefix(ref, "sha256:") {
			separator = "@"
		}
		if m, ok := g.manifests[repository+separator+ref]; ok {
			w.Header().Set("Content-Type", manifestType)
			w.Header().Set("Docker-Content-Digest", digest(m))
			_, _ = w.Write(m)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`))
		return
	}
	if _, sum, ok := strings.Cut(path, "/blobs/"); ok && g.blobs[sum] != nil {
		_, _ = w.Write(g.blobs[sum])
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// push makes an image of layers, which are tars, and gives it a tag in the place of an
// older one.
func (g *testRegistry) push(t testing.TB, name string, config map[string]any, layers ...[]byte) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	var diffs []string
	var descriptors, history []map[string]any
	for _, layer := range layers {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(layer); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		diffs = append(diffs, digest(layer))
		history = append(history, map[string]any{"created_by": "test"})
		descriptors = append(descriptors, g.blob(b.Bytes(), "application/vnd.docker.image.rootfs.diff.tar.gzip"))
	}
	image, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": config, "history": history,
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": g.blob(image, "application/vnd.docker.container.image.v1+json"), "layers": descriptors,
	})
	if err != nil {
		t.Fatal(err)
	}
	repository, _, _ := strings.Cut(name, ":")
	g.manifests[name] = manifest
	g.manifests[repository+"@"+digest(manifest)] = manifest
}

func (g *testRegistry) blob(b []byte, mediaType string) map[string]any {
	g.blobs[digest(b)] = b
	return map[string]any{"mediaType": mediaType, "size": len(b), "digest": digest(b)}
}

// fileTar is a tar of one file.
func fileTar(t testing.TB, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
