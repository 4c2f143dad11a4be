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

package sim

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
)

const (
	// eventHistory is how many events an engine remembers, as dockerd does.
	eventHistory = 256
	// eventQueue is how many undelivered events a reader may have before further
	// ones are lost to it; dockerd's channel holds as many.
	eventQueue = 1024
)

// event is one thing that happened. It is kept small, and spelled when sent.
type event struct {
	kind   events.Type
	action events.Action
	id     string
	// from is a container's image.
	from  string
	scope string
	// attrs may be shared with the object; extra are this event's own, name and
	// value in turns.
	attrs map[string]string
	extra []string
	nano  int64
}

func (ev *event) attributes() map[string]string {
	all := make(map[string]string, len(ev.attrs)+len(ev.extra)/2)
	maps.Copy(all, ev.attrs)
	for i := 0; i+1 < len(ev.extra); i += 2 {
		all[ev.extra[i]] = ev.extra[i+1]
	}
	return all
}

// wireEvent is an event as sent. Status, ID and From are the form of before API
// 1.22, which engines sent beside the new one until 28.
type wireEvent struct {
	Status string `json:"status,omitempty"`
	ID     string `json:"id,omitempty"`
	From   string `json:"from,omitempty"`
	events.Message
}

func (ev *event) wire(legacy bool) wireEvent {
	out := wireEvent{Message: events.Message{
		Type: ev.kind, Action: ev.action, Scope: ev.scope,
		Actor: events.Actor{ID: ev.id, Attributes: ev.attributes()},
		Time:  ev.nano / int64(time.Second), TimeNano: ev.nano,
	}}
	if legacy && (ev.kind == events.ContainerEventType || ev.kind == events.ImageEventType) {
		out.Status, out.ID, out.From = string(ev.action), ev.id, ev.from
	}
	return out
}

// bus remembers the last events and hands new ones to readers.
type bus struct {
	mu      sync.Mutex
	ring    []*event
	next    int // where the next event goes once the ring is full
	readers map[*reader]struct{}
}

// reader is one follower's queue. wake has room for one.
type reader struct {
	queue []*event
	wake  chan struct{}
}

func (b *bus) publish(ev *event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ring) < eventHistory {
		b.ring = append(b.ring, ev)
	} else {
		b.ring[b.next] = ev
		b.next = (b.next + 1) % eventHistory
	}
	for r := range b.readers {
		if len(r.queue) >= eventQueue {
			continue
		}
		r.queue = append(r.queue, ev)
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// forget drops the history, as a restart of the engine does.
func (b *bus) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ring, b.next = nil, 0
}

// follow returns the remembered events and a reader of the later ones.
func (b *bus) follow() ([]*event, *reader) {
	r := &reader{wake: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.readers == nil {
		b.readers = map[*reader]struct{}{}
	}
	b.readers[r] = struct{}{}
	return append(slices.Clone(b.ring[b.next:]), b.ring[:b.next]...), r
}

func (b *bus) leave(r *reader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.readers, r)
}

func (b *bus) take(r *reader) []*event {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := r.queue
	r.queue = nil
	return got
}

func (b *bus) listeners() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.readers)
}

// emit publishes an event of this engine at its own time. Callers hold e.mu, so
// that events come in the order of the changes they tell.
func (e *Engine) emit(kind events.Type, action events.Action, id string, attrs map[string]string, extra ...string) {
	e.bus.publish(&event{kind: kind, action: action, id: id, scope: "local", attrs: attrs, extra: extra, nano: e.clock.tick()})
}

// span is the since and until of a call, in nanoseconds; zero means open.
type span struct{ since, until int64 }

// maxSeconds is how far from 1970 nanoseconds reach, less a second.
const maxSeconds = math.MaxInt64/int64(time.Second) - 1

// timestamp reads seconds with an optional fraction of nanoseconds, or RFC 3339
// where the call takes it.
func timestamp(value string) (int64, error) {
	if value == "" || value == "0" {
		return 0, nil
	}
	seconds, fraction, _ := cut(value, ".")
	sec, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return 0, err
	}
	// What nanoseconds cannot hold is for ever.
	sec = max(min(sec, maxSeconds), -maxSeconds)
	if fraction == "" {
		return sec * int64(time.Second), nil
	}
	nano, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	return sec*int64(time.Second) + nano, err
}

func (e *Engine) serveEvents(w http.ResponseWriter, r *request) error {
	var s span
	var err error
	if s.since, err = timestamp(r.query.Get("since")); err != nil {
		return errorf(http.StatusBadRequest, "%v", err)
	}
	if s.until, err = timestamp(r.query.Get("until")); err != nil {
		return errorf(http.StatusBadRequest, "%v", err)
	}
	f, err := parseFilters(r)
	if err != nil {
		return err
	}
	old, reader := e.bus.follow()
	defer e.bus.leave(reader)
	out := newStream(w, "application/json")
	if s.since == 0 {
		old = nil
	}
	send := func(evs []*event) error {
		for _, ev := range evs {
			if ev.nano < s.since || s.until != 0 && ev.nano > s.until || !ev.passes(f) {
				continue
			}
			line, err := json.Marshal(ev.wire(r.before("1.52")))
			if err != nil {
				return err
			}
			if err := out.write(append(line, '\n')); err != nil {
				return err
			}
		}
		return nil
	}
	if send(old) != nil {
		return nil
	}
	var end <-chan time.Time
	if s.until != 0 {
		timer := time.NewTimer(time.Unix(0, s.until).Sub(e.clock.now()))
		defer timer.Stop()
		end = timer.C
	}
	for {
		select {
		case <-reader.wake:
			if send(e.bus.take(reader)) != nil {
				return nil
			}
		case <-end:
			return nil
		case <-r.Context().Done():
			return nil
		case <-e.ctx.Done():
			return nil
		}
	}
}

// passes applies the filters of the events call.
func (ev *event) passes(f filters) bool {
	if len(f) == 0 {
		return true
	}
	attrs := ev.attributes()
	if !f.exact("type", string(ev.kind)) || !f.prefix("event", string(ev.action)) || !f.exact("scope", ev.scope) || !f.labels("label", attrs) {
		return false
	}
	for _, kind := range []events.Type{
		events.ContainerEventType, events.ImageEventType, events.VolumeEventType, events.NetworkEventType,
		events.DaemonEventType, events.ServiceEventType, events.NodeEventType, events.SecretEventType, events.ConfigEventType, events.PluginEventType,
	} {
		if key := string(kind); f.has(key) && (ev.kind != kind && !(kind == events.ImageEventType && ev.kind == events.ContainerEventType) || !f.names(key, ev, attrs)) {
			return false
		}
	}
	return true
}

// names reports whether one of the key's values is the event's object, by id,
// the beginning of an id, or name.
func (f filters) names(key string, ev *event, attrs map[string]string) bool {
	name := attrs["name"]
	if key == string(events.ImageEventType) && ev.kind == events.ContainerEventType {
		return f.exact(key, attrs["image"])
	}
	return f.exact(key, name) || f.prefix(key, ev.id)
}
