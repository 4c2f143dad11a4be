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
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

// watching collects a Watch until its context ends.
type watching struct {
	mu     sync.Mutex
	events []WatchEvent
	pause  chan struct{} // while not nil the loop waits for it
	ended  chan struct{}
	stop   context.CancelFunc
}

func (b *bed) watch(kinds ...engine.Kind) *watching {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	events, err := b.cache.Watch(ctx, web, kinds...)
	if err != nil {
		b.Fatal(err)
	}
	w := &watching{ended: make(chan struct{}), stop: stop}
	go func() {
		defer close(w.ended)
		for e := range events {
			w.mu.Lock()
			w.events = append(w.events, e)
			pause := w.pause
			w.mu.Unlock()
			if pause != nil {
				<-pause
			}
		}
	}()
	b.settle()
	return w
}

// taken returns the events so far as "TYPE id".
func (w *watching) taken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []string
	for _, e := range w.events {
		if e.Object.ID == "" {
			got = append(got, fmt.Sprintf("%s %s", e.Type, e.Kind))
		} else {
			got = append(got, fmt.Sprintf("%s %s", e.Type, e.Object.ID))
		}
	}
	w.events = nil
	return got
}

func wantEvents(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("watched %q, want %q", got, want)
	}
}

func TestWatch(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected(hostcachetest.Container("c1", "one", "running"), hostcachetest.Image("i1", "a:1"))
		w := b.watch(engine.Containers, engine.Images)
		wantEvents(t, w.taken(), "ADDED c1", "SYNCED containers", "ADDED i1", "SYNCED images")

		docker.Put(hostcachetest.Container("c2", "two", "created"))
		docker.Emit("container", "create", "c2")
		b.pass(containerSpacing)
		docker.Put(hostcachetest.Container("c1", "one", "exited"))
		docker.Emit("container", "die", "c1")
		docker.Emit("container", "health_status: healthy", "c2") // nothing differs
		b.pass(containerSpacing)
		docker.Remove(engine.Containers, "c1")
		docker.Emit("container", "destroy", "c1")
		docker.Put(hostcachetest.Image("i0", "b:1"))
		docker.Remove(engine.Images, "i1")
		docker.Emit("image", "delete", "i1")
		docker.Emit("volume", "create", "v1") // not watched
		b.pass(kindSpacing)
		wantEvents(t, w.taken(), "ADDED c2", "MODIFIED c1", "DELETED c1", "ADDED i0", "DELETED i1")

		b.pass(time.Hour) // relists without a difference
		wantEvents(t, w.taken())
		w.stop()
		<-w.ended
		if n := len(b.cache.accessor(web).inv.watchers); n != 0 {
			t.Errorf("%d watchers are left", n)
		}
	})
}

func TestWatchStartsWhenTheHostIsListed(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.cache.Set(host(web, fakeEndpoint))
		w := b.watch(engine.Containers)
		wantEvents(t, w.taken())
		docker := b.connector.Add(fakeEndpoint)
		docker.Put(hostcachetest.Container("c1", "one", "running"))
		b.pass(2 * time.Second)
		wantEvents(t, w.taken(), "ADDED c1", "SYNCED containers")

		// Another engine: everything is taken back.
		docker.Stop()
		b.until(web, PhaseDisconnected, 2*time.Second)
		docker.SetInfo(func(i *engine.Info) { i.ID = "other" })
		docker.Put(hostcachetest.Container("c0", "zero", "running"))
		docker.Heal(hostcachetest.All)
		b.until(web, PhaseConnected, 2*time.Second)
		wantEvents(t, w.taken(), "RESYNC containers", "ADDED c0", "ADDED c1", "SYNCED containers")

		b.cache.Delete(web)
		<-w.ended
		w.stop()
	})
}

func TestWatchOfALostHostGoesOn(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected(hostcachetest.Container("c1", "one", "running"))
		w := b.watch(engine.Containers)
		docker.Stop()
		b.until(web, PhaseDisconnected, 2*time.Second)
		docker.Put(hostcachetest.Container("c2", "two", "running"))
		docker.Heal(hostcachetest.All)
		b.until(web, PhaseConnected, 2*time.Second)
		wantEvents(t, w.taken(), "ADDED c1", "SYNCED containers", "ADDED c2")
		w.stop()
		<-w.ended
	})
}

func TestSlowWatcherIsResynced(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		w := b.watch(engine.Containers)
		quick := b.watch(engine.Containers)
		w.taken()
		w.mu.Lock()
		w.pause = make(chan struct{})
		w.mu.Unlock()
		want := map[string]bool{}
		for i := range maxWatchQueue + 500 {
			id := fmt.Sprintf("c%05d", i)
			want[id] = true
			docker.Put(hostcachetest.Container(id, id, "running"))
			docker.Emit("container", "create", id)
			if i%50 == 0 {
				b.pass(2 * containerSpacing)
			}
		}
		b.pass(time.Second)
		close(w.pause)
		b.settle()
		for _, w := range []*watching{w, quick} {
			w.mu.Lock()
			got, resyncs := map[string]bool{}, 0
			for _, e := range w.events {
				switch e.Type {
				case Added:
					got[e.Object.ID] = true
				case Resync:
					got, resyncs = map[string]bool{}, resyncs+1
				}
			}
			w.mu.Unlock()
			if !maps.Equal(got, want) {
				t.Errorf("the watcher knows of %d containers, want %d", len(got), len(want))
			}
			if slow := w != quick; slow != (resyncs == 1) {
				t.Errorf("%d resyncs for a watcher that is slow: %t", resyncs, slow)
			}
			w.stop()
			<-w.ended
		}
	})
}

func TestWatchErrors(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.connected()
		for _, test := range []struct {
			key   Key
			kinds []engine.Kind
			class engine.Class
		}{
			{db, []engine.Kind{engine.Containers}, engine.ClassNotFound},
			{web, nil, engine.ClassInvalid},
			{web, []engine.Kind{"plugins"}, engine.ClassInvalid},
			{web, []engine.Kind{engine.Containers, engine.Tasks}, engine.ClassInvalid},
			{web, []engine.Kind{engine.Tasks}, engine.ClassConflict},
		} {
			if _, err := b.cache.Watch(b.Context(), test.key, test.kinds...); engine.ClassOf(err) != test.class {
				t.Errorf("Watch(%s, %v): %v, want class %q", test.key, test.kinds, err, test.class)
			}
		}
	})
}
