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
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

const (
	indexPage = "index.html"
	// assets is the folder whose files have a hash of their content in their names:
	// Vite's doing.
	assets = "assets/"
)

// console serves the pages' files. What is no file, and is asked for as a page, is
// index.html: the pages route themselves.
type console struct {
	files fs.FS
	// etags has every file that is served, by name. The files have no times of their
	// own, being compiled in.
	etags map[string]string
}

func newConsole(files fs.FS) (*console, error) {
	if files == nil {
		return nil, errors.New("the proxy has no console to serve")
	}
	c := &console{files: files, etags: map[string]string{}}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		c.etags[name], err = etag(files, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the console's files: %w", err)
	}
	if c.etags[indexPage] == "" {
		return nil, fmt.Errorf("the console has no %s", indexPage)
	}
	return c, nil
}

func etag(files fs.FS, name string) (string, error) {
	f, err := files.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return `"` + hex.EncodeToString(h.Sum(nil)[:16]) + `"`, nil
}

func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = indexPage
	}
	if c.etags[name] == "" {
		if strings.HasPrefix(name, assets) || !strings.Contains(r.Header.Get("Accept"), "text/html") {
			apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
			return
		}
		name = indexPage
	}
	f, err := c.files.Open(name)
	if err != nil {
		apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
		return
	}
	defer f.Close()
	content, ok := f.(io.ReadSeeker)
	if !ok { // embed.FS's files always are
		apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
		return
	}
	h := w.Header()
	h.Set("Etag", c.etags[name])
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cache-Control", "no-cache") // ask each time; the Etag answers
	if strings.HasPrefix(name, assets) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, name, time.Time{}, content)
}
