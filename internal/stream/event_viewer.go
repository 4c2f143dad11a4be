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
	"io"
	"sync"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// EventQuery says what events to look at.
type EventQuery struct {
	Hosts  []Key
	Filter EventFilter
	// Since resumes hosts where a viewer was before; of the others the last Tail
	// events are told that are kept and match, of each.
	Since map[Key]EventCursor
	Tail  int
}

// EventItem is one word to a viewer: where it begins, an event, a gap, or that a host
// is no longer declared.
type EventItem struct {
	Host  Key
	Event engine.Event
	// Start is a host's first item: from here on its events are told. Where Gap is set
	// too, it is not where the viewer wanted to resume.
	Start bool
	// Gap: events may be missing here. Dropped is how many, of those that match and
	// those that do not; 0 means that nobody knows.
	Gap     bool
	Dropped uint64
	// Gone: the host is no longer declared. It may come back, with a gap.
	Gone bool
	// Cursor is the place after this item; of a gap of the viewer's own making it is
	// empty, and the one before stays good.
	Cursor EventCursor

	nano int64
}

// EventViewer reads the events of hosts. Next is for one goroutine, the other methods
// for any.
type EventViewer struct {
	hub    *Events
	filter *eventMatcher
	ready  chan struct{}

	mu    sync.Mutex
	hosts map[Key]*viewedHost
	done  bool
}

// viewedHost is a viewer's place in one host.
type viewedHost struct {
	source *eventSource
	pos    uint64
	// head was read and not yet handed out: another host's was older.
	head *EventItem
}

// Watch begins to look. Each host's first item is where it begins.
func (h *Events) Watch(q EventQuery) (*EventViewer, error) {
	filter, err := q.Filter.matcher()
	if err != nil {
		return nil, err
	}
	v := &EventViewer{hub: h, filter: filter, ready: make(chan struct{}, 1), hosts: map[Key]*viewedHost{}}
	for _, host := range q.Hosts {
		var since *EventCursor
		if c, ok := q.Since[host]; ok {
			since = &c
		}
		if err := v.Add(host, since, q.Tail); err != nil {
			v.Close()
			return nil, err
		}
	}
	return v, nil
}

// Add begins to look at one more host.
func (v *EventViewer) Add(host Key, since *EventCursor, tail int) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.done || v.hosts[host] != nil {
		return nil
	}
	source, err := v.hub.source(host)
	if err != nil {
		return err
	}
	pos, at, gap := source.join(v, since, tail)
	in := &viewedHost{source: source, pos: pos}
	in.head = &EventItem{Host: host, Start: true, Gap: gap, Cursor: at, nano: at.TimeNano}
	v.hosts[host] = in
	v.wake()
	return nil
}

// Remove looks no more at a host, at once.
func (v *EventViewer) Remove(host Key) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if in := v.hosts[host]; in != nil {
		delete(v.hosts, host)
		in.source.leave(v)
		v.hub.release(in.source)
	}
}

// Close ends the viewing; Next gives io.EOF.
func (v *EventViewer) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.done = true
	for host, in := range v.hosts {
		delete(v.hosts, host)
		in.source.leave(v)
		v.hub.release(in.source)
	}
	v.wake()
}

func (v *EventViewer) wake() {
	select {
	case v.ready <- struct{}{}:
	default:
	}
}

// Next waits for the next item. What is there of several hosts comes by its time.
// io.EOF comes after Close and at the hub's end.
func (v *EventViewer) Next(ctx context.Context) (EventItem, error) {
	for {
		item, ok, done := v.poll()
		switch {
		case ok:
			return item, nil
		case done || v.hub.ctx.Err() != nil:
			return EventItem{}, io.EOF
		}
		select {
		case <-v.ready:
		case <-v.hub.ctx.Done():
		case <-ctx.Done():
			return EventItem{}, ctx.Err()
		}
	}
}

// poll takes the oldest of what is there.
func (v *EventViewer) poll() (item EventItem, ok, done bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var oldest *viewedHost
	for _, in := range v.hosts {
		if in.head == nil {
			if next, ok := in.source.next(&in.pos, v.filter); ok {
				in.head = &next
			}
		}
		if in.head != nil && (oldest == nil || in.head.nano < oldest.head.nano) {
			oldest = in
		}
	}
	if oldest == nil {
		return EventItem{}, false, v.done
	}
	item, oldest.head = *oldest.head, nil
	return item, true, false
}
