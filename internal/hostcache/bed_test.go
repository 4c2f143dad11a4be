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

package hostcache

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/testr"
	"go.uber.org/goleak"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a started Cache over fake engines, inside a synctest bubble: time is
// the bubble's, and settle waits until everything that can happen now has.
type bed struct {
	*testing.T
	cache     *Cache
	connector *hostcachetest.Connector

	mu      sync.Mutex
	changes []Change
}

const fakeEndpoint = "unix:///fake.sock"

var (
	web = Key{Namespace: "default", Name: "web"}
	db  = Key{Namespace: "default", Name: "db"}
)

// inBubble runs a test with a bed; the cache must end with everything it started.
func inBubble(t *testing.T, test func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bed{T: t, connector: hostcachetest.NewConnector()}
		b.cache = New(Options{Connector: b.connector, Log: testr.New(t)})
		b.cache.Notify(func(ch Change) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.changes = append(b.changes, ch)
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.cache.Start(ctx) }()
		synctest.Wait()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Start: %v", err)
			}
		}()
		test(b)
	})
}

func host(key Key, endpoint string) Host {
	return Host{
		Key: key, UID: "uid-1", Generation: 1,
		Config: engine.Config{Endpoint: hostcachetest.MustParse(endpoint), Timeout: 5 * time.Second},
	}
}

// connected declares a host over a new fake engine and waits until it is connected.
func (b *bed) connected(objects ...engine.Object) *hostcachetest.Engine {
	b.Helper()
	docker := b.connector.Add(fakeEndpoint)
	for _, o := range objects {
		docker.Put(o)
	}
	b.cache.Set(host(web, fakeEndpoint))
	b.settle()
	b.wantPhase(web, PhaseConnected)
	b.taken()
	return docker
}

func (b *bed) settle() { synctest.Wait() }

func (b *bed) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// taken returns the Changes since the last call.
func (b *bed) taken() []Change {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes := b.changes
	b.changes = nil
	return changes
}

func (b *bed) state(key Key) State {
	b.Helper()
	s, ok := b.cache.State(key)
	if !ok {
		b.Fatalf("%s is not declared", key)
	}
	return s
}

func (b *bed) wantPhase(key Key, want Phase) {
	b.Helper()
	if s := b.state(key); s.Phase != want {
		b.Fatalf("phase of %s is %s (%v), want %s", key, s.Phase, s.Err, want)
	}
}

func (b *bed) wantSilence() {
	b.Helper()
	if got := b.taken(); len(got) > 0 {
		b.Fatalf("got changes %v, want none", got)
	}
}

// until waits for a phase and returns how long it took.
func (b *bed) until(key Key, want Phase, limit time.Duration) time.Duration {
	b.Helper()
	const step = 10 * time.Millisecond
	for began := time.Now(); ; b.pass(step) {
		if b.state(key).Phase == want {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			b.Fatalf("%s is not %s after %s but %s", key, want, limit, b.state(key).Phase)
		}
	}
}

// ids returns what the inventory lists; listing fails the test.
func (b *bed) ids(key Key, kind engine.Kind) []string {
	b.Helper()
	listing, err := b.cache.List(key, kind)
	if err != nil {
		b.Fatalf("List(%s, %s): %v", key, kind, err)
	}
	return idsOf(listing.Items)
}

func idsOf(items []engine.Object) []string {
	ids := []string{}
	for _, o := range items {
		ids = append(ids, o.ID)
	}
	return ids
}

func (b *bed) wantIDs(key Key, kind engine.Kind, want ...string) {
	b.Helper()
	if got := b.ids(key, kind); !slices.Equal(got, want) {
		b.Fatalf("%s of %s are %v, want %v", kind, key, got, want)
	}
}
