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
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestEventFilters(t *testing.T) {
	c := serve(t, Options{Images: 1})
	c.create("a1", map[string]any{"Cmd": []string{"true"}, "Labels": map[string]string{"tier": "front"}})
	c.create("a2", map[string]any{"Cmd": []string{"true"}})
	c.must(204, "POST", "/containers/a1/start", nil)
	c.wait("a1")
	c.must(204, "DELETE", "/containers/a1", nil)
	for query, want := range map[string][]string{
		`{"type":["network"]}`:                               {"network connect", "network disconnect"},
		`{"event":["create","destroy"]}`:                     {"container create", "container create", "container destroy"},
		`{"label":["tier=front"]}`:                           {"container create", "container start", "container die 0", "container destroy"},
		`{"container":["a2"]}`:                               {"container create"},
		`{"scope":["swarm"]}`:                                nil,
		`{"type":{"container":true},"event":{"start":true}}`: {"container start"},
	} {
		var got []string
		now := c.e.clock.now()
		in := c.stream(fmt.Sprintf("/events?since=1&until=%d.%09d&filters=%s", now.Unix(), now.Nanosecond(), escape(query)))
		for in.Scan() {
			var ev struct {
				Type, Action string
				Actor        struct{ Attributes map[string]string }
			}
			if err := json.Unmarshal(in.Bytes(), &ev); err != nil {
				t.Fatal(err)
			}
			line := ev.Type + " " + ev.Action
			if code, ok := ev.Actor.Attributes["exitCode"]; ok {
				line += " " + code
			}
			got = append(got, line)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q; want %q", query, got, want)
		}
	}
}

// TestEventHistory is dockerd's: 256 events, from a time on that counts itself.
func TestEventHistory(t *testing.T) {
	c := serve(t, Options{})
	for i := range eventHistory + 10 {
		c.must(201, "POST", "/volumes/create", map[string]any{"Name": fmt.Sprintf("v%04d", i)})
	}
	type message struct {
		TimeNano int64
		Actor    struct{ ID string }
	}
	read := func(since string, n int) []message {
		in := c.stream("/events?since=" + since)
		var all []message
		for len(all) < n && in.Scan() {
			var m message
			if err := json.Unmarshal(in.Bytes(), &m); err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		return all
	}
	all := read("1", eventHistory)
	if len(all) != eventHistory || all[0].Actor.ID != "v0010" || all[255].Actor.ID != "v0265" {
		t.Fatalf("%d events, from %s", len(all), all[0].Actor.ID)
	}
	at := func(nano int64) string { return fmt.Sprintf("%d.%09d", nano/1e9, nano%1e9) }
	if got := read(at(all[100].TimeNano), 1); got[0] != all[100] {
		t.Errorf("since an event's time comes %+v; want %+v", got[0], all[100])
	}
	if got := read(at(all[100].TimeNano+1), 1); got[0] != all[101] {
		t.Errorf("since a nanosecond later comes %+v; want %+v", got[0], all[101])
	}
}

// TestSlowReader loses events, and costs no more than its queue.
func TestSlowReader(t *testing.T) {
	var b bus
	_, slow := b.follow()
	_, quick := b.follow()
	got := 0
	for range eventQueue + 100 {
		b.publish(&event{})
		got += len(b.take(quick))
	}
	if n := len(b.take(slow)); n != eventQueue || got != eventQueue+100 {
		t.Errorf("the slow reader has %d events, the quick one %d", n, got)
	}
	b.leave(slow)
	b.leave(quick)
	if b.listeners() != 0 {
		t.Error("a reader is left")
	}
}

func TestTimestamp(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0, "0": 0, "1": 1e9, "1.5": 15e8, "1.000000001": 1e9 + 1, "1.1234567891": 1123456789, "99999999999999": maxSeconds * 1e9,
		"x": -1, "1.x": -1, "2026-01-01T00:00:00Z": -1,
	} {
		got, err := timestamp(text)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("timestamp %q is %d; want %d", text, got, want)
		}
	}
}

func TestClockNeverRepeats(t *testing.T) {
	var c clock
	last := int64(0)
	for range 10000 {
		now := c.tick()
		if now <= last {
			t.Fatalf("%d comes after %d", now, last)
		}
		last = now
	}
	c.setSkew(-time.Hour)
	if now := c.tick(); time.Duration(last-now) < 59*time.Minute {
		t.Errorf("a skew of -1h moves the clock by %v", time.Duration(now-last))
	}
}
