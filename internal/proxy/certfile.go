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
	seen    [2]fileVersion
}

// fileVersion tells one content of a file from another. Secrets are mounted as links to a
// directory of their own, so that a new content has another time.
type fileVersion struct {
	modified time.Time
	size     int64
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
	if seen := c.versions(); seen != c.seen {
		// Half of a pair may be there: the old one holds until the new one is whole.
		if err := c.read(now, seen); err != nil {
			c.log.Error(err, "The proxy's new certificate cannot be used; the one before stays in use", "certificate", c.cert, "key", c.key)
		}
	}
	return c.current, nil
}

func (c *certFile) read(now time.Time, seen [2]fileVersion) error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	c.checked, c.seen = now, seen
	if err != nil {
		return err
	}
	if c.current != nil {
		c.log.Info("The proxy's certificate was read again", "certificate", c.cert, "notAfter", pair.Leaf.NotAfter)
	}
	c.current = &pair
	return nil
}

// versions are those of the files; of one that is not there, none.
func (c *certFile) versions() (v [2]fileVersion) {
	for i, name := range []string{c.cert, c.key} {
		if info, err := os.Stat(name); err == nil {
			v[i] = fileVersion{info.ModTime(), info.Size()}
		}
	}
	return v
}
