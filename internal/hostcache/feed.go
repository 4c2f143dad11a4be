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
	"sync"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Bounds of a feed's ring. Engines remember 256 events; a viewer that stalls for
// a while should not lose more than they would have kept.
const (
	maxFeedEvents = 10_000
	maxFeedBytes  = 16 << 20
)

// FeedItem is one event of a host's feed, or a gap in it.
type FeedItem struct {
	// Seq numbers the items of a host's feed; a subscriber sees it rise.
	Seq   uint64
	Event engine.Event
	// Gap is set instead of Event: events may be missing here. Dropped says how
	// many this subscriber was too slow for; 0 means that nobody knows, for the
	// connection to the engine was cut.
	Gap     bool
	Dropped uint64
}

// Events follows a host's event stream from the call on: the one that feeds the
// inventory, so that any number of subscribers costs the engine nothing. It ends
// with ctx or with the host, and outlasts reconnects. What it returns can be
// ranged over once; ctx has to end, also where it never is. The error is an
// *engine.Error.
func (c *Cache) Events(ctx context.Context, key Key) (iter.Seq[FeedItem], error) {
	a := c.accessor(key)
	if a == nil {
		return nil, errUnknownHost(key)
	}
	return a.feed.follow(ctx), nil
}

// feed is one ring of events that every subscriber reads at a place of its own.
// It is empty, and takes no memory, while there is no subscriber.
type feed struct {
	mu   sync.Mutex
	subs map[*feedSub]struct{}
	// ring holds the items numbered first, first+1, ...
	ring  []FeedItem
	first uint64
	bytes int
	done  chan struct{}
	ended bool
}

type feedSub struct {
	// next is the number of the item to read next.
	next  uint64
	ready chan struct{}
}

func newFeed() *feed {
	return &feed{subs: map[*feedSub]struct{}{}, first: 1, done: make(chan struct{})}
}

func (f *feed) publish(e engine.Event) { f.add(FeedItem{Event: e}) }

func (f *feed) gap() { f.add(FeedItem{Gap: true}) }

func (f *feed) add(item FeedItem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.subs) == 0 {
		return
	}
	item.Seq = f.first + uint64(len(f.ring))
	f.ring = append(f.ring, item)
	f.bytes += len(item.Event.Raw)
	for len(f.ring) > maxFeedEvents || (f.bytes > maxFeedBytes && len(f.ring) > 1) {
		f.bytes -= len(f.ring[0].Event.Raw)
		f.ring[0] = FeedItem{}
		f.ring = f.ring[1:]
		f.first++
	}
	for sub := range f.subs {
		select {
		case sub.ready <- struct{}{}:
		default:
		}
	}
}

// follow subscribes at once, not when the loop begins: what happens in between
// is not lost.
func (f *feed) follow(ctx context.Context) iter.Seq[FeedItem] {
	sub := f.subscribe()
	stop := context.AfterFunc(ctx, func() { f.unsubscribe(sub) })
	return func(yield func(FeedItem) bool) {
		defer f.unsubscribe(sub)
		defer stop()
		for {
			for item, ok := f.read(sub); ok; item, ok = f.read(sub) {
				if !yield(item) {
					return
				}
			}
			select {
			case <-sub.ready:
			case <-f.done:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

func (f *feed) subscribe() *feedSub {
	f.mu.Lock()
	defer f.mu.Unlock()
	sub := &feedSub{next: f.first + uint64(len(f.ring)), ready: make(chan struct{}, 1)}
	f.subs[sub] = struct{}{}
	return sub
}

func (f *feed) unsubscribe(sub *feedSub) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.subs, sub)
	if len(f.subs) == 0 {
		f.first += uint64(len(f.ring))
		f.ring, f.bytes = nil, 0
	}
}

// read returns the next item for sub: a gap first if the ring has moved past it,
// nothing once it has unsubscribed.
func (f *feed) read(sub *feedSub) (FeedItem, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, subscribed := f.subs[sub]; !subscribed {
		return FeedItem{}, false
	}
	if sub.next < f.first {
		gap := FeedItem{Seq: f.first - 1, Gap: true, Dropped: f.first - sub.next}
		sub.next = f.first
		return gap, true
	}
	i := sub.next - f.first
	if i >= uint64(len(f.ring)) {
		return FeedItem{}, false
	}
	sub.next++
	return f.ring[i], true
}

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		f.ended = true
		close(f.done)
	}
}
