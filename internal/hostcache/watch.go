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
	"iter"
	"slices"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// WatchType says what a WatchEvent tells.
type WatchType string

// The types of WatchEvent.
const (
	Added    WatchType = "ADDED"
	Modified WatchType = "MODIFIED"
	Deleted  WatchType = "DELETED"
	// Synced ends a kind's snapshot: what came before is all there is.
	Synced WatchType = "SYNCED"
	// Resync takes back everything said of a kind: the watcher was too slow, or
	// another engine answers. A new snapshot follows.
	Resync WatchType = "RESYNC"
)

// WatchEvent is one change of an inventory. Object is set for Added, Modified
// and Deleted (then it is the last one known), and must not be changed.
type WatchEvent struct {
	Type   WatchType
	Kind   engine.Kind
	Object engine.Object
}

// maxWatchQueue is how many changes wait for a watcher before it gets a Resync
// instead: a snapshot of 1,000 objects costs about as much as as many changes.
const maxWatchQueue = 1000

// Watch follows the inventory of a host, or of its swarm for the swarm's kinds:
// a snapshot (Added..., Synced) of each kind as soon as it is listed, then every
// change. A loop over the result must not be slow for long; if it is, it loses
// nothing but time (Resync). It ends with ctx, with the host, or, for the swarm's
// kinds, when the host leaves its swarm. Kinds of host and swarm do not mix. The
// error is an *engine.Error.
//
// A host that is not connected keeps its last inventory: State says so. Relists
// bring changes of texts that engines send no event for ("Up 5 minutes").
func (c *Cache) Watch(ctx context.Context, key Key, kinds ...engine.Kind) (iter.Seq[WatchEvent], error) {
	a := c.accessor(key)
	if a == nil {
		return nil, errUnknownHost(key)
	}
	switch {
	case len(kinds) == 0:
		return nil, engine.Errorf(engine.ClassInvalid, "", "nothing to watch: name at least one kind")
	case subset(kinds, engine.LocalKinds):
		return a.inv.watch(ctx, kinds), nil
	case subset(kinds, engine.SwarmKinds):
		return c.swarm.watch(ctx, a, kinds)
	}
	return nil, engine.Errorf(engine.ClassInvalid, "", "kinds of a host and of a swarm are watched apart: %v", kinds)
}

func subset(kinds, of []engine.Kind) bool {
	return !slices.ContainsFunc(kinds, func(k engine.Kind) bool { return !slices.Contains(of, k) })
}

// watcher is the queue of one Watch. Everything in it is guarded by inventory.mu.
type watcher struct {
	kinds []engine.Kind
	queue []WatchEvent
	// snapshot marks the kinds whose snapshot is due, told those that had one.
	snapshot, told map[engine.Kind]bool
	// ready has room for one: something may be waiting.
	ready chan struct{}
}

func (inv *inventory) watch(ctx context.Context, kinds []engine.Kind) iter.Seq[WatchEvent] {
	return func(yield func(WatchEvent) bool) {
		w := inv.subscribe(kinds)
		defer inv.unsubscribe(w)
		for {
			for _, batch := range inv.take(w) {
				if !batch.each(yield) {
					return
				}
			}
			select {
			case <-w.ready:
			case <-inv.done:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

func (inv *inventory) subscribe(kinds []engine.Kind) *watcher {
	w := &watcher{
		kinds: slices.Compact(slices.Sorted(slices.Values(kinds))),
		told:  map[engine.Kind]bool{},
		ready: make(chan struct{}, 1),
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	w.restart()
	inv.watchers[w] = struct{}{}
	return w
}

func (inv *inventory) unsubscribe(w *watcher) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	delete(inv.watchers, w)
}

// restart makes a new snapshot of every kind due.
func (w *watcher) restart() {
	w.queue = nil
	w.snapshot = map[engine.Kind]bool{}
	for _, kind := range w.kinds {
		w.snapshot[kind] = true
	}
	w.wake()
}

func (w *watcher) wake() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// tell queues changes of a kind for those who watch it. inv.mu is held.
func (inv *inventory) tell(kind engine.Kind, changes func(yield func(WatchEvent))) {
	for w := range inv.watchers {
		if !slices.Contains(w.kinds, kind) {
			continue
		}
		if !w.snapshot[kind] {
			changes(w.push)
		}
		w.wake()
	}
}

func (w *watcher) push(e WatchEvent) {
	switch {
	case w.snapshot[e.Kind]:
	case len(w.queue) < maxWatchQueue:
		w.queue = append(w.queue, e)
	default:
		w.restart()
	}
}

// batch is a piece of what a watcher is told: a kind's snapshot, or changes.
type batch struct {
	kind     engine.Kind
	resync   bool
	snapshot []engine.Object
	changes  []WatchEvent
}

func (b batch) each(yield func(WatchEvent) bool) bool {
	if b.kind == "" {
		for _, e := range b.changes {
			if !yield(e) {
				return false
			}
		}
		return true
	}
	if b.resync && !yield(WatchEvent{Type: Resync, Kind: b.kind}) {
		return false
	}
	for _, o := range b.snapshot {
		if !yield(WatchEvent{Type: Added, Kind: b.kind, Object: o}) {
			return false
		}
	}
	return yield(WatchEvent{Type: Synced, Kind: b.kind})
}

// take empties w: the changes that waited, and the snapshots that are due of
// kinds that are listed. A snapshot is the table itself, not a copy.
func (inv *inventory) take(w *watcher) []batch {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	batches := []batch{{changes: w.queue}}
	w.queue = nil
	for _, kind := range w.kinds {
		t := inv.tables[kind]
		if !w.snapshot[kind] || !t.listed {
			continue
		}
		t.shared = true
		batches = append(batches, batch{kind: kind, resync: w.told[kind], snapshot: t.items})
		delete(w.snapshot, kind)
		w.told[kind] = true
	}
	return batches
}
