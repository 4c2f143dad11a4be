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
	"crypto/tls"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// recheck is how often the files of a certificate are looked at: two stat calls a second
// at most, and only while somebody connects.
const recheck = time.Second

// certFile is a certificate in files, read again when they have changed. It looks at them
// when somebody connects and watches nothing: a machine has 128 inotify instances for a
// user by default, each engine's log follower takes one, and a server that could not have
// one would not start.
type certFile struct {
	cert, key string
	log       logr.Logger

	mu      sync.Mutex // held for two stat calls, and while a new pair is read
	current *tls.Certificate
	checked time.Time
	seen    fileVersions // of current
	told    fileVersions // of the last pair that could not be used
}

// fileVersions tell one content of a pair of files from another; of one that is not there
// there is none. Secrets are mounted as links to a directory of their own, so that a new
// content is another file: times alone may be equal, for kernels take them from a clock that
// stands still between two of its ticks.
type fileVersions [2]os.FileInfo

func (v fileVersions) same(other fileVersions) bool {
	for i, a := range v {
		b := other[i]
		if a == nil || b == nil {
			if a != b {
				return false
			}
			continue
		}
		if !os.SameFile(a, b) || !a.ModTime().Equal(b.ModTime()) || a.Size() != b.Size() {
			return false
		}
	}
	return true
}

// newCertFile reads the pair, which has to be good.
func newCertFile(cert, key string, log logr.Logger) (*certFile, error) {
	c := &certFile{cert: cert, key: key, log: log}
	return c, c.read(time.Now(), c.versions())
}

// GetCertificate is for tls.Config.
func (c *certFile) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.checked) < recheck {
		return c.current, nil
	}
	c.checked = now
	if seen := c.versions(); !seen.same(c.seen) {
		// Half of a pair may be there, or no descriptor to read it with: the old one holds until
		// the new one is read, which is tried again and complained about once.
		if err := c.read(now, seen); err != nil && !seen.same(c.told) {
			c.told = seen
			c.log.Error(err, "The proxy's new certificate cannot be used; the one before stays in use", "certificate", c.cert, "key", c.key)
		}
	}
	return c.current, nil
}

func (c *certFile) read(now time.Time, seen fileVersions) error {
	c.checked = now
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	if c.current != nil {
		c.log.Info("The proxy's certificate was read again", "certificate", c.cert, "notAfter", pair.Leaf.NotAfter)
	}
	c.current, c.seen = &pair, seen
	return nil
}

// versions are those of the files at present.
func (c *certFile) versions() (v fileVersions) {
	for i, name := range []string{c.cert, c.key} {
		if info, err := os.Stat(name); err == nil {
			v[i] = info
		}
	}
	return v
}
