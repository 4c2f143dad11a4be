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

package controllers

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// digestAge is how long a registry's answer serves other services of the same image: many
// that are changed at once ask once.
const digestAge = time.Second

// digests are what registries said a moment ago.
type digests struct {
	mu  sync.Mutex // never held across I/O
	all map[digestKey]*registryAnswer
}

// digestKey names a question: with other credentials it is another one.
type digestKey struct {
	swarm       hostcache.SwarmKey
	image       string
	credentials [sha256.Size]byte
}

type registryAnswer struct {
	once   sync.Once
	at     time.Time
	digest string
	err    error
}

// of returns the answer to a question that was asked less than digestAge ago, or asks. Who
// comes while it is asked waits for the same answer.
func (d *digests) of(key digestKey, now time.Time, ask func() (string, error)) (string, error) {
	d.mu.Lock()
	maps.DeleteFunc(d.all, func(_ digestKey, a *registryAnswer) bool { return now.Sub(a.at) >= digestAge })
	a := d.all[key]
	if a == nil {
		a = &registryAnswer{at: now}
		if d.all == nil {
			d.all = map[digestKey]*registryAnswer{}
		}
		d.all[key] = a
	}
	d.mu.Unlock()
	a.once.Do(func() { a.digest, a.err = ask() })
	return a.digest, a.err
}
