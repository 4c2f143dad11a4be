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

package keyring

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// readInterval is how often the Secret is read again.
	readInterval = 10 * time.Second
	// settle is how long the Secret has to be unchanged before a new version signs:
	// two readings by every replica, and 10 s for clocks that differ.
	settle = 30 * time.Second
	// readTimeout bounds one reading, and loadTimeout the wait of a start.
	readTimeout = 10 * time.Second
	loadTimeout = 30 * time.Second
)

// Keyring has the keys. It is safe for concurrent use; its methods never wait for
// the network.
type Keyring struct {
	client    client.Client // not a cached one
	namespace string
	log       logr.Logger
	clock     clock.PassiveClock

	mu      sync.RWMutex // never held across I/O
	keys    *set
	signing string // the ID of the version that signs
	trouble string // why the last reading was of no use, "" where it was
}

// Options say where the keys are.
type Options struct {
	// Client reads and makes the Secret. It must not be a cached one: the cache holds
	// no Secrets.
	Client client.Client
	// Namespace is the manager's own.
	Namespace string
	Log       logr.Logger
	// Clock is the time; nil is the system's.
	Clock clock.PassiveClock
}

// Load reads the Secret, or makes it, and returns its keys. Start keeps them current.
func Load(ctx context.Context, o Options) (*Keyring, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	k := &Keyring{client: o.Client, namespace: o.Namespace, log: o.Log, clock: o.Clock}
	if k.clock == nil {
		k.clock = clock.RealClock{}
	}
	secret, err := readOrMake(ctx, o.Client, o.Namespace)
	if err != nil {
		return nil, err
	}
	keys, err := parse(secret)
	if err != nil {
		return nil, err
	}
	k.keys, k.signing = keys, keys.versions[0].ID
	if len(keys.versions) > 1 && !k.settled(secret) {
		k.signing = keys.versions[1].ID // what the others sign with
	}
	return k, nil
}

// Start reads the Secret again and again, until ctx ends.
func (k *Keyring) Start(ctx context.Context) error {
	ticker := time.NewTicker(readInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			k.refresh(ctx)
		}
	}
}

// NeedLeaderElection says that every replica needs the keys.
func (k *Keyring) NeedLeaderElection() bool { return false }

// Current returns the key that signs. It is the newest version's, but for the first
// seconds after that was added.
func (k *Keyring) Current(p Purpose) Key {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys.of(p)[k.keys.index(k.signing)]
}

// All returns the keys that verify, the newest first.
func (k *Keyring) All(p Purpose) []Key {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return append([]Key(nil), k.keys.of(p)...)
}

// Find returns the key of that ID, if there is one.
func (k *Keyring) Find(p Purpose, id string) (Key, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	i := k.keys.index(id)
	if i < 0 {
		return Key{}, false
	}
	return k.keys.of(p)[i], true
}

// refresh reads the Secret once.
func (k *Keyring) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	secret, err := read(ctx, k.client, k.namespace)
	var keys *set
	if err == nil {
		keys, err = parse(secret)
	}
	if ctx.Err() != nil {
		return // stopped, or an API server that hangs: the next reading will tell
	}
	if k.noteTrouble(err) {
		return
	}
	k.take(keys, k.settled(secret))
}

// noteTrouble says what is wrong, once, and reports whether anything is. Errors of a
// connection differ in their text each time: one line is enough for them too.
func (k *Keyring) noteTrouble(err error) bool {
	k.mu.Lock()
	before := k.trouble
	k.trouble = ""
	if err != nil {
		k.trouble = err.Error()
	}
	k.mu.Unlock()
	switch {
	case err != nil && before == "":
		k.log.Error(err, "The replicas' shared keys could not be read again; those read before stay in use")
	case err == nil && before != "":
		k.log.Info("The replicas' shared keys can be read again")
	}
	return err != nil
}

// take puts the keys to use.
func (k *Keyring) take(keys *set, settled bool) {
	k.mu.Lock()
	change, signed := !keys.same(k.keys), k.signing
	k.keys = keys
	// Until it has settled the version stays that signed so far, if it is still there.
	if settled || keys.index(k.signing) < 0 {
		k.signing = keys.versions[0].ID
	}
	signing := k.signing
	k.mu.Unlock()
	if change || signing != signed {
		k.log.Info("The replicas' shared keys have changed", "versions", keys.ids(), "signing", signing)
	}
}

func (k *Keyring) settled(secret *corev1.Secret) bool {
	return k.clock.Since(changed(secret)) >= settle
}
