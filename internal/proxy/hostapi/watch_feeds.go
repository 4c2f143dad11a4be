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

package hostapi

import (
	"context"
	"hash/maphash"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// feed is one source that a watch follows.
type feed struct {
	origin
	// run is the context of the goroutine that follows the source, nil while none does.
	run    context.Context
	cancel context.CancelFunc
	// awaited is true while the initial items of a source that has some are not all sent.
	awaited bool
	// listed is true while the last snapshot is sent whole.
	listed bool
	// observedAt is the age of a snapshot, until it is sent.
	observedAt string
	// known is what the client has. It costs some 100 bytes an item.
	known map[string]known
	// round tells what the snapshot under way has said from what the one before had.
	round uint32
	// broken are the ids of items that could not be masked.
	broken map[string]struct{}
}

// known is an item that the client has.
type known struct {
	name  string
	hash  uint64 // of what was seen of it
	round uint32
}

var hashSeed = maphash.MakeSeed()

// feedEvent is what a feed's goroutine hands over.
type feedEvent struct {
	feed  *feed
	run   context.Context // of the goroutine: what an ended one says is not heard
	event hostcache.WatchEvent
	ended bool
}

// following says whether anything is followed.
func (wt *watch) following() bool {
	for _, fd := range wt.feeds {
		if fd.run != nil {
			return true
		}
	}
	return false
}

// apply takes over a fleet: hosts that came are followed, those that went are taken back.
// It returns the feeds that are new.
func (wt *watch) apply(f fleet) []*feed {
	wt.unlisted = f.failed
	current := make(map[sourceKey]bool, len(f.sources))
	var added []*feed
	for _, src := range f.sources {
		current[src.key] = true
		fd := wt.feeds[src.key]
		if fd == nil {
			fd = &feed{origin: origin{source: src}, known: map[string]known{}, broken: map[string]struct{}{}}
			wt.feeds[src.key] = fd
			added = append(added, fd)
		} else if fd.source != src { // through another host, or more or less is masked
			wt.stop(fd)
			fd.source = src
		}
		if fd.run == nil {
			wt.start(fd)
		}
	}
	for key, fd := range wt.feeds {
		if !current[key] {
			wt.drop(fd)
		}
	}
	return added
}

// start follows a source; where that cannot be done now it is tried again with the next
// fleet.
func (wt *watch) start(fd *feed) {
	ctx, cancel := context.WithCancel(wt.ctx)
	events, err := wt.h.options.Inventory.Watch(ctx, fd.host, wt.kind.kind)
	if err != nil {
		cancel()
		return
	}
	fd.run, fd.cancel = ctx, cancel
	wt.snapshot(fd)
	send := func(e feedEvent) bool {
		e.feed, e.run = fd, ctx
		select {
		case wt.events <- e:
			return true
		case <-ctx.Done():
			return false
		}
	}
	wt.running.Go(func() {
		defer cancel()
		for e := range events {
			if !send(feedEvent{event: e}) {
				return
			}
		}
		// A source whose watch was ended here has not ended.
		if ctx.Err() == nil {
			send(feedEvent{ended: true})
		}
	})
}

func (wt *watch) stop(fd *feed) {
	if fd.run != nil {
		fd.cancel()
		fd.run = nil
	}
}

// drop takes a source back that is gone or not to be read any more.
func (wt *watch) drop(fd *feed) {
	wt.stop(fd)
	for id, item := range fd.known {
		wt.deleted(fd, id, item.name)
	}
	delete(wt.feeds, fd.key)
}

// snapshot prepares for all items of a source anew: those it does not have are gone.
func (wt *watch) snapshot(fd *feed) {
	fd.round++
	fd.listed = false
	clear(fd.broken)
	listing, _ := wt.h.options.Inventory.List(fd.host, wt.kind.kind)
	fd.observedAt = observed(listing.ObservedAt)
	if wt.kind.swarm {
		fd.servedBy = listing.ServedBy.Name
	}
}

// awaitListed makes the first bookmark wait for those that have a listing.
func (wt *watch) awaitListed(feeds []*feed) {
	for _, fd := range feeds {
		fd.awaited = fd.run != nil && fd.observedAt != ""
	}
	wt.sync(false)
}

// take handles what a feed says.
func (wt *watch) take(e feedEvent) error {
	fd := e.feed
	if wt.feeds[fd.key] != fd || fd.run != e.run {
		return nil
	}
	switch {
	case e.ended:
		// Its host is gone, or left the swarm: the next look at the hosts knows.
		wt.stop(fd)
		return wt.ended(fd)
	case e.event.Type == hostcache.Resync:
		wt.snapshot(fd)
	case e.event.Type == hostcache.Synced:
		for id, item := range fd.known {
			if item.round != fd.round {
				wt.deleted(fd, id, item.name)
			}
		}
		fd.awaited, fd.listed, fd.observedAt = false, true, ""
		wt.sync(false)
	case e.event.Type == hostcache.Deleted:
		delete(fd.broken, e.event.Object.ID)
		if item, has := fd.known[e.event.Object.ID]; has {
			wt.deleted(fd, e.event.Object.ID, item.name)
		}
	default:
		wt.changed(fd, &e.event.Object)
	}
	return nil
}

// ended is errDone for the only host of a watch.
func (wt *watch) ended(fd *feed) error {
	fd.awaited = false
	if wt.at.Host != "" {
		wt.drop(fd)
		return errDone
	}
	select {
	case wt.nudge <- struct{}{}:
	default:
	}
	wt.sync(false)
	return nil
}

// changed tells of an object that is there, by what the client knows and may see of it.
func (wt *watch) changed(fd *feed, o *engine.Object) {
	docker, matches, err := wt.enc.visible(fd.origin, o)
	delete(fd.broken, o.ID)
	if err != nil {
		fd.broken[o.ID] = struct{}{}
	}
	item, has := fd.known[o.ID]
	if err != nil || !matches {
		if has {
			wt.deleted(fd, o.ID, item.name)
		}
		return
	}
	docker = oneLine(docker)
	hash := maphash.Bytes(hashSeed, docker) ^ maphash.String(hashSeed, fd.host.Name)
	if !has || item.hash != hash {
		wt.out.object(added(has), &wt.enc, fd, o, docker)
	}
	fd.known[o.ID] = known{name: displayName(o), hash: hash, round: fd.round}
}

func added(known bool) string {
	if known {
		return "MODIFIED"
	}
	return "ADDED"
}

func (wt *watch) deleted(fd *feed, id, name string) {
	delete(fd.known, id)
	wt.out.object("DELETED", &wt.enc, fd, &engine.Object{ID: id, Name: name}, nil)
}

// takeFleet takes over what follow found.
func (wt *watch) takeFleet(f fleetResult) error {
	if f.err != nil {
		return f.err
	}
	if wt.at.Host == "" {
		wt.apply(f.fleet)
	}
	wt.sync(false)
	if wt.synced && !sameFailures(wt.failed, wt.failures()) {
		wt.bookmark(false)
	}
	return nil
}

// failures are the hosts of which not all is here, or not all is current.
func (wt *watch) failures() []failedHost {
	failed := append([]failedHost{}, wt.unlisted...)
	for _, fd := range wt.feeds {
		state, known := wt.h.options.Inventory.State(fd.host)
		if !known {
			continue
		}
		if n := len(fd.broken); n > 0 {
			failed = append(failed, maskingFailure(fd.host, n))
		}
		if !wt.kind.swarm && state.Connected() && fd.listed {
			continue
		}
		listing, err := wt.h.options.Inventory.List(fd.host, wt.kind.kind)
		if wt.kind.swarm && listing.ServedBy.Name != "" {
			fd.servedBy = listing.ServedBy.Name
		}
		if err != nil && !isGone(err) {
			f := failureOf(fd.host, state, err)
			f.ObservedAt = observed(listing.ObservedAt)
			failed = append(failed, f)
		}
	}
	return sortFailed(failed)
}

// sameFailures compares without ages, which are news to nobody.
func sameFailures(a, b []failedHost) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		x.ObservedAt, y.ObservedAt = "", ""
		if x != y {
			return false
		}
	}
	return true
}
