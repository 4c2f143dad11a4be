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
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

// script is an event stream of given events.
type script struct {
	events []engine.Event
	err    error
}

func (s *script) Next() (engine.Event, error) {
	if len(s.events) == 0 {
		return engine.Event{}, s.err
	}
	e := s.events[0]
	s.events = s.events[1:]
	return e, nil
}

func (s *script) Close() error { return nil }

func TestReaderContinuesWithoutRepeats(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	ev := func(sec int, id string) engine.Event {
		return hostcachetest.Event(at.Add(time.Duration(sec)*time.Second), "container", "start", id)
	}
	for name, test := range map[string]struct {
		again []engine.Event
		want  string
	}{
		// Two events of the last second were seen, a third came after the cut.
		"remembered": {[]engine.Event{ev(1, "b"), ev(1, "c"), ev(1, "d"), ev(2, "e")}, "[d e]"},
		"forgotten":  {[]engine.Event{ev(2, "e")}, "[gap e]"},
		"nothing":    {nil, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			f, box := newFeed(), newInbox()
			first := newReader(&script{events: []engine.Event{ev(0, "a"), ev(1, "b"), ev(1, "c")}, err: io.EOF}, box, f, lastEvent{}, at)
			if err := first.run(nil); engine.ClassOf(err) != engine.ClassUnreachable {
				t.Errorf("a clean end is %v", err)
			}
			sub := f.subscribe()
			boom := errors.New("boom")
			second := newReader(&script{events: test.again, err: boom}, box, f, first.last, at)
			if err := second.run(nil); !errors.Is(err, boom) {
				t.Errorf("a broken stream is %v", err)
			}
			got := []string{}
			for item, ok := f.read(sub); ok; item, ok = f.read(sub) {
				if item.Gap {
					got = append(got, "gap")
				} else {
					got = append(got, item.Event.Actor.ID)
				}
			}
			if fmt.Sprint(got) != test.want {
				t.Errorf("the feed got %v, want %s", got, test.want)
			}
		})
	}
}

func TestReaderOfAQuietStreamContinuesWhereItWasOpened(t *testing.T) {
	opened := time.Unix(1_700_000_000, 0)
	r := newReader(&script{err: io.EOF}, newInbox(), newFeed(), lastEvent{}, opened)
	_ = r.run(nil)
	if !r.last.at.Equal(opened) {
		t.Errorf("the next stream would start at %s", r.last.at)
	}
}

func TestReaderPacesAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const seconds = 3
		events := make([]engine.Event, seconds*maxEventRate)
		r := newReader(&script{events: events, err: io.EOF}, newInbox(), newFeed(), lastEvent{}, time.Time{})
		began := time.Now()
		_ = r.run(func(d time.Duration) error { time.Sleep(d); return nil })
		if took := time.Since(began); took < seconds*time.Second || took > (seconds+1)*time.Second {
			t.Errorf("%d events took %s", len(events), took)
		}
		stop := errors.New("stop")
		r = newReader(&script{events: events, err: io.EOF}, newInbox(), newFeed(), lastEvent{}, time.Time{})
		if err := r.run(func(time.Duration) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("an interrupted wait gives %v", err)
		}
	})
}

func TestInboxOverflows(t *testing.T) {
	for name, size := range map[string]int{"events": 1, "bytes": maxInboxBytes / 10} {
		t.Run(name, func(t *testing.T) {
			box, raw := newInbox(), make([]byte, size)
			for range maxInbox + 1 {
				box.put(engine.Event{Raw: raw})
			}
			events, overflow := box.take()
			if !overflow || len(events) > maxInbox || len(events)*size > maxInboxBytes+size {
				t.Errorf("%d events of %d bytes, overflow %t", len(events), size, overflow)
			}
			if events, overflow := box.take(); len(events) > 0 || overflow {
				t.Errorf("the second time: %d events, overflow %t", len(events), overflow)
			}
		})
	}
}

func TestLastEventIsBounded(t *testing.T) {
	var last lastEvent
	for range 10 * maxSameTime {
		last.note(engine.Event{Raw: []byte("{}")})
	}
	if len(last.hashes) > maxSameTime {
		t.Errorf("%d hashes are kept", len(last.hashes))
	}
}
