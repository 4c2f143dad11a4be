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
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/events"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// fakeFeeds are hosts whose events the test sends.
type fakeFeeds struct {
	mu     sync.Mutex
	hosts  map[Key]chan FeedItem
	uid    types.UID
	opened int
	open   int
}

func newFakeFeeds(hosts ...Key) *fakeFeeds {
	f := &fakeFeeds{hosts: map[Key]chan FeedItem{}, uid: "uid"}
	for _, host := range hosts {
		f.hosts[host] = make(chan FeedItem)
	}
	return f
}

func (f *fakeFeeds) Events(ctx context.Context, host Key) (types.UID, iter.Seq[FeedItem], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	items := f.hosts[host]
	if items == nil {
		return "", nil, engine.Errorf(engine.ClassNotFound, "", "no host %s", host)
	}
	f.opened++
	f.open++
	return f.uid, func(yield func(FeedItem) bool) {
		defer func() {
			f.mu.Lock()
			f.open--
			f.mu.Unlock()
		}()
		for {
			select {
			case item, ok := <-items:
				if !ok || !yield(item) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}, nil
}

func (f *fakeFeeds) streams() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// send gives a host an event named by number, at a time.
func (f *fakeFeeds) send(t *testing.T, host Key, name string, nano int64) {
	t.Helper()
	var e engine.Event
	e.Type, e.Action, e.TimeNano = events.ContainerEventType, "start", nano
	e.Actor = events.Actor{ID: name, Attributes: map[string]string{"name": "n-" + name}}
	f.sendItem(t, host, FeedItem{Event: e})
}

func (f *fakeFeeds) sendItem(t *testing.T, host Key, item FeedItem) {
	t.Helper()
	f.mu.Lock()
	items := f.hosts[host]
	f.mu.Unlock()
	select {
	case items <- item:
	case <-time.After(patience):
		t.Fatal("nobody takes an event")
	}
}

var hostTwo = Key{Namespace: "team", Name: "two"}

func newEventsHub(t *testing.T, f Feeds, opts EventOptions) *Events {
	t.Helper()
	h := NewEvents(f, opts)
	t.Cleanup(h.Close)
	return h
}

func look(t *testing.T, h *Events, q EventQuery) *EventViewer {
	t.Helper()
	v, err := h.Watch(q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func nextEvent(t *testing.T, v *EventViewer) EventItem {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	item, err := v.Next(ctx)
	if err != nil {
		t.Fatalf("next event: %v", err)
	}
	return item
}

// wantEvents reads items and compares them by short names.
func wantEvents(t *testing.T, v *EventViewer, want ...string) EventItem {
	t.Helper()
	var item EventItem
	for _, w := range want {
		item = nextEvent(t, v)
		if got := short(item); got != w {
			t.Fatalf("there is %s; want %s of %v", got, w, want)
		}
	}
	return item
}

func short(i EventItem) string {
	switch {
	case i.Start && i.Gap:
		return "start after a gap"
	case i.Start:
		return "start"
	case i.Gone:
		return "gone"
	case i.Gap:
		return fmt.Sprintf("gap of %d", i.Dropped)
	}
	return i.Event.Actor.ID
}

func TestEventsAreShared(t *testing.T) {
	f := newFakeFeeds(hostOne)
	h := newEventsHub(t, f, EventOptions{Limits: Limits{Viewers: 2}, Grace: 10 * time.Millisecond})
	a, b := look(t, h, EventQuery{Hosts: []Key{hostOne}}), look(t, h, EventQuery{Hosts: []Key{hostOne}})
	f.send(t, hostOne, "1", 100)
	f.sendItem(t, hostOne, FeedItem{Gap: true})
	f.sendItem(t, hostOne, FeedItem{Gap: true, Dropped: 7})
	f.send(t, hostOne, "2", 200)
	for _, v := range []*EventViewer{a, b} {
		wantEvents(t, v, "start", "1", "gap of 0", "gap of 7", "2")
	}
	var limit *LimitError
	if _, err := h.Watch(EventQuery{Hosts: []Key{hostOne}}); !errors.As(err, &limit) {
		t.Errorf("one viewer too many gives %v", err)
	}
	if _, err := h.Watch(EventQuery{Hosts: []Key{hostTwo}}); !engine.IsNotFound(err) {
		t.Errorf("an unknown host gives %v", err)
	}
	b.Close()
	if _, err := b.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("after the close comes %v", err)
	}
	c := look(t, h, EventQuery{Hosts: []Key{hostOne}, Tail: 1})
	wantEvents(t, c, "start", "2")
	if f.opened != 1 {
		t.Errorf("%d streams were opened; want one", f.opened)
	}
	a.Remove(hostOne)
	c.Close()
	until(t, "the stream ends after the last viewer", func() bool { return f.streams() == 0 })
}

func TestEventsResume(t *testing.T) {
	f := newFakeFeeds(hostOne)
	h := newEventsHub(t, f, EventOptions{})
	v := look(t, h, EventQuery{Hosts: []Key{hostOne}})
	for i, nano := range []int64{100, 200, 200, 200, 300} {
		f.send(t, hostOne, fmt.Sprint(i), nano)
	}
	middle := wantEvents(t, v, "start", "0", "1", "2").Cursor
	v.Close()
	text, err := middle.MarshalText()
	if err != nil || string(text) != "uid:200:1" {
		t.Errorf("the cursor is %s, %v", text, err)
	}
	since := func(cursor string) EventQuery {
		var c EventCursor
		if err := c.UnmarshalText([]byte(cursor)); err != nil {
			t.Fatal(err)
		}
		return EventQuery{Hosts: []Key{hostOne}, Since: map[Key]EventCursor{hostOne: c}}
	}
	wantEvents(t, look(t, h, since(string(text))), "start", "3", "4")
	wantEvents(t, look(t, h, since("uid:250:0")), "start after a gap", "4")
	wantEvents(t, look(t, h, since("uid:200:9")), "start after a gap", "4")
	wantEvents(t, look(t, h, since("another:300:0")), "start after a gap", "0", "1")
	last := look(t, h, since("uid:300:0"))
	wantEvents(t, last, "start")
	f.send(t, hostOne, "5", 400)
	wantEvents(t, last, "5")
	fresh := newEventsHub(t, newFakeFeeds(hostOne), EventOptions{})
	wantEvents(t, look(t, fresh, since("uid:300:0")), "start after a gap")
	for _, bad := range []string{"", "uid", "uid:1", "uid:1:2:3", "uid:x:1", "uid:1:x", "uid:-1:0", "uid:1:-1", string(make([]byte, 200))} {
		if err := new(EventCursor).UnmarshalText([]byte(bad)); engine.ClassOf(err) != engine.ClassInvalid {
			t.Errorf("the cursor %q gives %v", bad, err)
		}
	}
}

func TestEventsOfSlowViewer(t *testing.T) {
	f := newFakeFeeds(hostOne)
	h := newEventsHub(t, f, EventOptions{})
	slow := look(t, h, EventQuery{Hosts: []Key{hostOne}})
	for i := range eventsKept + 5 {
		f.send(t, hostOne, fmt.Sprint(i), int64(i))
	}
	f.send(t, hostOne, "last", 1<<40) // taken means that those before it are in
	f.send(t, hostOne, "end", 1<<41)
	wantEvents(t, slow, "start")
	until(t, "the oldest are dropped", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		s := h.sources[hostOne]
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.first == 7
	})
	wantEvents(t, slow, "gap of 7", "7", "8")
}

func TestEventsMerged(t *testing.T) {
	f := newFakeFeeds(hostOne, hostTwo)
	h := newEventsHub(t, f, EventOptions{})
	v := look(t, h, EventQuery{Hosts: []Key{hostOne, hostTwo}})
	wantEvents(t, v, "start", "start")
	other := look(t, h, EventQuery{Hosts: []Key{hostOne, hostTwo}})
	wantEvents(t, other, "start", "start")
	f.send(t, hostOne, "a1", 100)
	f.send(t, hostOne, "a3", 300)
	f.send(t, hostTwo, "b2", 200)
	f.send(t, hostTwo, "b4", 400)
	for range 4 {
		nextEvent(t, other) // as they come
	}
	again := look(t, h, EventQuery{Hosts: []Key{hostOne, hostTwo}, Tail: 2})
	wantEvents(t, again, "start", "start", "a1", "b2", "a3", "b4")
	v.Remove(hostOne)
	f.send(t, hostOne, "a5", 500)
	f.send(t, hostTwo, "b6", 600)
	wantEvents(t, v, "b2", "b4", "b6")
}

func TestEventsOfHostThatGoes(t *testing.T) {
	f := newFakeFeeds(hostOne)
	h := newEventsHub(t, f, EventOptions{})
	v := look(t, h, EventQuery{Hosts: []Key{hostOne}})
	wantEvents(t, v, "start")
	f.mu.Lock()
	items := f.hosts[hostOne]
	f.hosts[hostOne] = nil
	f.mu.Unlock()
	close(items)
	wantEvents(t, v, "gone")
	f.mu.Lock()
	f.hosts[hostOne], f.uid = make(chan FeedItem), "uid2"
	f.mu.Unlock()
	wantEvents(t, v, "gap of 0")
	f.send(t, hostOne, "1", 1)
	if item := wantEvents(t, v, "1"); item.Cursor.UID != "uid2" {
		t.Errorf("the cursor is %+v", item.Cursor)
	}
	h.Close()
	if _, err := v.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("after the hub's end comes %v", err)
	}
	if _, err := h.Watch(EventQuery{Hosts: []Key{hostOne}}); err == nil {
		t.Error("a closed hub can be watched")
	}
}

func TestEventFilter(t *testing.T) {
	entry := func(kind events.Type, action events.Action, id string, attributes ...string) *eventEntry {
		var e engine.Event
		e.Type, e.Action, e.Actor.ID, e.Actor.Attributes = kind, action, id, map[string]string{}
		for i := 0; i < len(attributes); i += 2 {
			e.Actor.Attributes[attributes[i]] = attributes[i+1]
		}
		return &eventEntry{event: e}
	}
	start := entry("container", "start", "c1", "name", "web", "tier", "front")
	exec := entry("container", "exec_create: sh -c true", "c1", "name", "web")
	connect := entry("network", "connect", "n1", "container", "c1", "name", "bridge")
	for _, test := range []struct {
		name   string
		filter EventFilter
		event  *eventEntry
		want   bool
	}{
		{"nothing", EventFilter{}, start, true},
		{"type", EventFilter{Types: []string{"network", "container"}}, start, true},
		{"other type", EventFilter{Types: []string{"network"}}, start, false},
		{"action", EventFilter{Actions: []string{"start"}}, start, true},
		{"begin of an action", EventFilter{Actions: []string{"exec_create"}}, exec, true},
		{"whole action", EventFilter{Actions: []string{"exec_create: sh -c true"}}, exec, true},
		{"other action", EventFilter{Actions: []string{"exec"}}, exec, false},
		{"container's id", EventFilter{Containers: []string{"c1"}}, start, true},
		{"container's name", EventFilter{Containers: []string{"web"}}, start, true},
		{"container of a network", EventFilter{Containers: []string{"c1"}}, connect, true},
		{"network's name is no container", EventFilter{Containers: []string{"bridge"}}, connect, false},
		{"label", EventFilter{Labels: []string{"tier"}}, start, true},
		{"label's value", EventFilter{Labels: []string{"tier=front"}}, start, true},
		{"label's other value", EventFilter{Labels: []string{"tier=back"}}, start, false},
		{"both labels", EventFilter{Labels: []string{"tier", "zone"}}, start, false},
		{"all fields", EventFilter{Types: []string{"container"}, Actions: []string{"stop"}, Containers: []string{"c1"}}, start, false},
	} {
		m, err := test.filter.matcher()
		if err != nil {
			t.Fatal(err)
		}
		if got := m.match(test.event); got != test.want {
			t.Errorf("%s: it matches: %t", test.name, got)
		}
	}
	if _, err := (EventFilter{Labels: make([]string, maxFilter+1)}).matcher(); engine.ClassOf(err) != engine.ClassInvalid {
		t.Errorf("a filter of too many words gives %v", err)
	}
}
