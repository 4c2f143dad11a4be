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

package stream

import (
	"context"
	"iter"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// eventSource keeps the last events of one host. Every viewer reads them at a place
// of its own: a slow one holds up nobody, and what left the ring before it was read
// is counted.
type eventSource struct {
	hub    *Events
	host   Key
	cancel context.CancelFunc

	// The hub's lock guards these.
	users  int
	linger *time.Timer

	mu      sync.Mutex
	viewers map[*EventViewer]struct{}
	uid     types.UID
	ring    []eventEntry
	first   uint64 // number of the first entry
	bytes   int
}

// eventEntry is an event, a gap, or the host's end.
type eventEntry struct {
	event   engine.Event
	nano    int64
	n       int // how many before it have the same time
	gap     bool
	gone    bool
	dropped uint64
}

// cursor is the place after an entry.
func (e *eventEntry) cursor(uid types.UID) EventCursor {
	return EventCursor{UID: uid, TimeNano: e.nano, N: e.n}
}

// How long to wait before a host that is gone is asked for again: it may be declared
// anew.
const (
	eventRetryFirst = time.Second
	eventRetryLast  = 10 * time.Second
)

func (s *eventSource) run(ctx context.Context, items iter.Seq[FeedItem]) {
	defer s.wake()
	for {
		for item := range items {
			s.add(eventEntry{event: item.Event, gap: item.Gap, dropped: item.Dropped})
		}
		if ctx.Err() != nil {
			return
		}
		s.add(eventEntry{gone: true})
		if items = s.reopen(ctx); items == nil {
			return
		}
	}
}

// reopen waits for the host to be there again. nil means that nobody wants it.
func (s *eventSource) reopen(ctx context.Context) iter.Seq[FeedItem] {
	for wait := eventRetryFirst; ; wait = min(2*wait, eventRetryLast) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		uid, items, err := s.hub.feeds.Events(ctx, s.host)
		if err != nil {
			continue
		}
		s.mu.Lock()
		s.uid = uid
		s.mu.Unlock()
		s.add(eventEntry{gap: true})
		return items
	}
}

// add appends an entry and drops the oldest that are too many.
func (s *eventSource) add(e eventEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !e.gap && !e.gone {
		e.nano = e.event.At().UnixNano()
	}
	if last := len(s.ring) - 1; last >= 0 {
		switch before := &s.ring[last]; {
		case e.gap || e.gone: // resuming at it is resuming after what was before it
			e.nano, e.n = before.nano, before.n
		case before.nano == e.nano:
			e.n = before.n + 1
		}
	}
	s.ring = append(s.ring, e)
	s.bytes += len(e.event.Raw)
	for len(s.ring) > eventsKept || s.bytes > eventBytesKept && len(s.ring) > 1 {
		s.bytes -= len(s.ring[0].event.Raw)
		s.ring[0] = eventEntry{}
		s.ring = s.ring[1:]
		s.first++
	}
	for v := range s.viewers {
		v.wake()
	}
}

func (s *eventSource) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range s.viewers {
		v.wake()
	}
}

// join adds a viewer and returns where it begins: after since, or where that is nil
// before the last tail events that match. gap tells that nobody knows what happened
// between since and there.
func (s *eventSource) join(v *EventViewer, since *EventCursor, tail int) (pos uint64, at EventCursor, gap bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.viewers[v] = struct{}{}
	i := len(s.ring)
	if since != nil {
		i, gap = s.find(*since)
	} else {
		for ; i > 0 && tail > 0; i-- {
			if v.filter.match(&s.ring[i-1]) {
				tail--
			}
		}
	}
	at = EventCursor{UID: s.uid}
	if i > 0 {
		at = s.ring[i-1].cursor(s.uid)
	}
	return s.first + uint64(i), at, gap
}

// find returns the index after a cursor's entry. Where that is not kept, it is the
// first entry that is younger, and there is a gap.
func (s *eventSource) find(c EventCursor) (i int, gap bool) {
	if c.UID != s.uid {
		return 0, true
	}
	younger := len(s.ring)
	for i := len(s.ring); i > 0; i-- {
		e := &s.ring[i-1]
		if e.nano == c.TimeNano && e.n == c.N {
			return i, false
		}
		if e.nano > c.TimeNano {
			younger = i - 1
		}
	}
	return younger, true
}

func (s *eventSource) leave(v *EventViewer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.viewers, v)
}

// next returns the next entry at pos that the filter lets through, or what the
// viewer missed, and moves pos on.
func (s *eventSource) next(pos *uint64, filter *eventMatcher) (EventItem, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *pos < s.first {
		item := EventItem{Host: s.host, Gap: true, Dropped: s.first - *pos}
		*pos = s.first
		return item, true
	}
	for i := *pos - s.first; i < uint64(len(s.ring)); i++ {
		e := &s.ring[i]
		*pos++
		if filter.match(e) || e.gap || e.gone {
			return EventItem{
				Host: s.host, Event: e.event, Gap: e.gap, Dropped: e.dropped, Gone: e.gone,
				Cursor: e.cursor(s.uid), nano: e.nano,
			}, true
		}
	}
	return EventItem{}, false
}
