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

package testbed

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

// Registry serves images by the pull half of the distribution specification, in plain
// HTTP, to those who know its password.
type Registry struct {
	// Address is the first part of its images' names.
	Address string

	mu             sync.Mutex
	user, password string
	blobs          map[string][]byte
	manifests      map[string][]byte // by repository:tag and repository@digest
}

// RegistryArgs are the arguments of an engine that pulls from a Registry.
func RegistryArgs() []string { return []string{"--insecure-registry", "198.18.0.0/15"} }

// StartRegistry serves until the test ends, where an engine with TCP and RegistryArgs
// reaches it.
func (d *Dockerd) StartRegistry(t testing.TB) *Registry {
	t.Helper()
	here, _ := d.machine.slot.addresses()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(here, "0"))
	if err != nil {
		t.Fatal(err)
	}
	return serveRegistry(t, l)
}

// StartRegistry serves until the test ends, where the engines of the network with
// RegistryArgs reach it, as those of StartSwarm do.
func (n *Network) StartRegistry(t testing.TB) *Registry {
	t.Helper()
	return serveRegistry(t, n.machine.listen(t, n.address+":0"))
}

func serveRegistry(t testing.TB, l net.Listener) *Registry {
	g := &Registry{Address: l.Addr().String(), blobs: map[string][]byte{}, manifests: map[string][]byte{}}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: g}}
	server.Start()
	t.Cleanup(server.Close)
	return g
}

// Protect lets in who knows a password only; an empty one is none.
func (g *Registry) Protect(user, password string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.user, g.password = user, password
}

// ServeHTTP serves /v2/.
func (g *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if user, password, _ := r.BasicAuth(); g.password != "" && (user != g.user || password != g.password) {
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

// Push makes an image of layers, which are tars, and gives it a tag in the place of an
// older one.
func (g *Registry) Push(t testing.TB, name string, config map[string]any, layers ...[]byte) {
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

func (g *Registry) blob(b []byte, mediaType string) map[string]any {
	g.blobs[digest(b)] = b
	return map[string]any{"mediaType": mediaType, "size": len(b), "digest": digest(b)}
}

// FileTar is a tar of one file.
func FileTar(t testing.TB, name, content string) []byte {
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
