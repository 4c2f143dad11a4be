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
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

// TestCertificateOfTheSameTime has a pair whose files are as old and as large as those before.
func TestCertificateOfTheSameTime(t *testing.T) {
	ca := newTestCA(t, "server CA")
	dir, next := t.TempDir(), t.TempDir()
	certFile, keyFile := ca.serverFiles(t, dir, "first")
	files, err := newCertFile(certFile, keyFile, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	stat := func(name string) os.FileInfo {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	other, _ := ca.serverFiles(t, next, "other")
	for range 1000 { // signatures differ by a byte or two
		if stat(other).Size() == stat(certFile).Size() {
			break
		}
		ca.serverFiles(t, next, "other")
	}
	for _, name := range []string{"tls.key", "tls.crt"} {
		from, to := filepath.Join(next, name), filepath.Join(dir, name)
		if err := errors.Join(os.Chtimes(from, time.Time{}, stat(to).ModTime()), os.Rename(from, to)); err != nil {
			t.Fatal(err)
		}
	}
	files.checked = time.Time{}
	if got, err := files.GetCertificate(nil); err != nil || got.Leaf.Subject.CommonName != "other" {
		t.Errorf("after the change got %v, %v", got.Leaf.Subject, err)
	}
}
