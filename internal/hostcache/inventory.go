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
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// inventory holds the listed objects of one host or one swarm. It is written by
// the goroutine of its owner and read by anybody.
type inventory struct {
	mu       sync.Mutex
	tables   map[engine.Kind]*table
	watchers map[*watcher]struct{}
	// cutSince is when the owner lost touch with the engine; zero while in touch.
	cutSince time.Time
	closed   bool
	done     chan struct{}
}

// table is one kind's objects: a sorted slice and no map, for it is the smaller
// form, and readers get it as it is.
type table struct {
	items []engine.Object
	// shared is set when items was handed out: the next change copies it first.
	shared bool
	listed bool
	// listedAt is when the last whole listing was taken over.
	listedAt time.Time
	// staleSince is when the first event came that is not yet applied; zero when
	// there is none.
	staleSince time.Time
	err        *engine.Error
}

func newInventory(kinds []engine.Kind) *inventory {
	inv := &inventory{tables: map[engine.Kind]*table{}, watchers: map[*watcher]struct{}{}, done: make(chan struct{})}
	for _, kind := range kinds {
		inv.tables[kind] = &table{}
	}
	return inv
}

// view is what a reader gets of a table.
type view struct {
	items      []engine.Object
	observedAt time.Time
	listed     bool
	listedAt   time.Time
	// err is why the last attempt to list failed, nil when it did not.
	err *engine.Error
}

func (inv *inventory) view(kind engine.Kind) view {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	t := inv.tables[kind]
	t.shared = true
	return view{items: t.items, observedAt: inv.observedAt(t), listed: t.listed, listedAt: t.listedAt, err: t.err}
}

func (inv *inventory) observedAt(t *table) time.Time {
	if !t.listed {
		return time.Time{}
	}
	return earliest(earliest(inv.cutSince, t.staleSince), time.Now())
}

// earliest is the sooner of two times, a zero time being none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// cut records since when the engine is not heard of, unless it is cut already.
func (inv *inventory) cut(since time.Time) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.cutSince.IsZero() {
		inv.cutSince = since
	}
}

// uncut records that there is touch, and returns since when there was none.
func (inv *inventory) uncut() time.Time {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	since := inv.cutSince
	inv.cutSince = time.Time{}
	return since
}

// cutTime is since when there is no touch; zero while there is.
func (inv *inventory) cutTime() time.Time {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return inv.cutSince
}

// age tells whether a kind is listed, and as of when.
func (inv *inventory) age(kind engine.Kind) (listed bool, observedAt time.Time) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	t := inv.tables[kind]
	return t.listed, inv.observedAt(t)
}

// setStale records since when an event waits to be applied to a kind; zero: none does.
func (inv *inventory) setStale(kind engine.Kind, since time.Time) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.tables[kind].staleSince = since
}

func (inv *inventory) setError(kind engine.Kind, err *engine.Error) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.tables[kind].err = err
}

// replace takes over a whole listing. gone names ids that were destroyed after
// the listing was asked for, which must not rise again.
func (inv *inventory) replace(kind engine.Kind, objects []engine.Object, gone map[string]struct{}) error {
	objects = tidy(objects)
	if len(gone) > 0 {
		objects = slices.DeleteFunc(objects, func(o engine.Object) bool { _, is := gone[o.ID]; return is })
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	t := inv.tables[kind]
	if err := inv.checkBound(kind, len(objects)-len(t.items)); err != nil {
		return err
	}
	before, listed := t.items, t.listed
	t.items, t.shared, t.listed, t.listedAt, t.err = objects, false, true, time.Now(), nil
	if len(inv.watchers) > 0 {
		inv.tell(kind, func(yield func(WatchEvent)) {
			if listed {
				diff(before, objects, yield)
			}
		})
	}
	return nil
}

// merge takes over the listing of some ids: those that the engine did not return
// are gone.
func (inv *inventory) merge(kind engine.Kind, ids []string, objects []engine.Object, gone map[string]struct{}) error {
	objects = tidy(objects)
	found := make(map[string]engine.Object, len(objects))
	for _, o := range objects {
		if _, is := gone[o.ID]; !is {
			found[o.ID] = o
		}
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	t := inv.tables[kind]
	if err := inv.checkBound(kind, len(found)); err != nil {
		return err
	}
	t.unshare()
	var events []WatchEvent
	for _, id := range ids {
		o, is := found[id]
		i, had := t.find(id)
		switch {
		case is && had && sameObject(t.items[i], o):
		case is && had:
			t.items[i] = o
			events = append(events, WatchEvent{Type: Modified, Kind: kind, Object: o})
		case is:
			t.items = slices.Insert(t.items, i, o)
			events = append(events, WatchEvent{Type: Added, Kind: kind, Object: o})
		case had:
			events = append(events, WatchEvent{Type: Deleted, Kind: kind, Object: t.items[i]})
			t.items = slices.Delete(t.items, i, i+1)
		}
	}
	inv.tell(kind, each(events))
	return nil
}

// remove drops one object and reports whether there was one.
func (inv *inventory) remove(kind engine.Kind, id string) bool {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	t := inv.tables[kind]
	i, had := t.find(id)
	if !had {
		return false
	}
	t.unshare()
	events := []WatchEvent{{Type: Deleted, Kind: kind, Object: t.items[i]}}
	t.items = slices.Delete(t.items, i, i+1)
	inv.tell(kind, each(events))
	return true
}

// reset forgets everything: another engine answers now. Watchers start anew when
// it has been listed.
func (inv *inventory) reset() {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	for _, t := range inv.tables {
		*t = table{}
	}
	for w := range inv.watchers {
		w.restart()
	}
}

// close ends every watcher.
func (inv *inventory) close() {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if !inv.closed {
		inv.closed = true
		close(inv.done)
	}
}

// counts counts containers as `docker info` does.
func (inv *inventory) counts() Counts {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	var c Counts
	for i := range inv.tables[engine.Containers].items {
		switch inv.tables[engine.Containers].items[i].State {
		case "running":
			c.Running++
		case "paused":
			c.Paused++
		default:
			c.Stopped++
		}
		c.Total++
	}
	return c
}

// checkBound is called with inv.mu held.
func (inv *inventory) checkBound(kind engine.Kind, more int) error {
	total := more
	for _, t := range inv.tables {
		total += len(t.items)
	}
	if more > 0 && total > MaxObjects {
		return engine.Errorf(engine.ClassServer, engine.CauseEngineError,
			"with its %s the engine lists more than %d objects, which is more than the inventory holds; remove unused ones, as with docker system prune", kind, MaxObjects)
	}
	return nil
}

func (t *table) find(id string) (int, bool) {
	return slices.BinarySearchFunc(t.items, id, func(o engine.Object, id string) int { return strings.Compare(o.ID, id) })
}

func (t *table) unshare() {
	if t.shared {
		t.items, t.shared = slices.Clone(t.items), false
	}
}

// tidy sorts by id and drops repeats, whatever the engine sent.
func tidy(objects []engine.Object) []engine.Object {
	slices.SortStableFunc(objects, func(a, b engine.Object) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(objects, func(a, b engine.Object) bool { return a.ID == b.ID })
}

func sameObject(a, b engine.Object) bool { return string(a.Raw) == string(b.Raw) }

// diff yields what turns before into after, both sorted by id.
func diff(before, after []engine.Object, yield func(WatchEvent)) {
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(before) == 0 || (len(after) > 0 && after[0].ID < before[0].ID):
			yield(WatchEvent{Type: Added, Kind: after[0].Kind, Object: after[0]})
			after = after[1:]
		case len(after) == 0 || before[0].ID < after[0].ID:
			yield(WatchEvent{Type: Deleted, Kind: before[0].Kind, Object: before[0]})
			before = before[1:]
		default:
			if !sameObject(before[0], after[0]) {
				yield(WatchEvent{Type: Modified, Kind: after[0].Kind, Object: after[0]})
			}
			before, after = before[1:], after[1:]
		}
	}
}

func each(events []WatchEvent) func(func(WatchEvent)) {
	return func(yield func(WatchEvent)) {
		for _, e := range events {
			yield(e)
		}
	}
}
