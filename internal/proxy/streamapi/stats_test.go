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

package streamapi

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// statsSeen is a line of a container's statistics.
type statsSeen struct {
	Namespace, Host, Container, Name string
	stream.StatsItem
}

// hostStatsSeen is a line of a host's.
type hostStatsSeen struct {
	Namespace, Host string
	stream.HostStats
}

// TestStats follows a container from running to its removal.
func TestStats(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	id := b.run(e, key, "web", "sleep", "infinity")
	lines := linesOf[statsSeen](t, b.get("ann", b.path(key, "stats/web?backlogSeconds=60")))
	whole := lines.until("a sample with a share of the CPU", func(s statsSeen) bool { return s.State == stream.StatsRunning && s.Sample.CPUPercent != nil })
	if whole.Namespace != "prod" || whole.Host != "one" || whole.Container != id || whole.Name != "web" || whole.Sample.MemoryBytes == 0 {
		t.Errorf("a line is %+v", whole)
	}
	do(t, e, "stop", id)
	lines.until("that the container is stopped", func(s statsSeen) bool { return s.State == stream.StatsStopped })
	do(t, e, "start", id)
	lines.until("that it runs again", func(s statsSeen) bool { return s.State == stream.StatsRunning })
	do(t, e, "stop", id)
	do(t, e, "remove", id)
	lines.until("that it is removed", func(s statsSeen) bool { return s.State == stream.StatsRemoved })
	if rest := lines.all(); len(rest) > 0 {
		t.Errorf("after its removal come %+v", rest)
	}
}

func do(t *testing.T, e *sim.Engine, action, id string) {
	t.Helper()
	if _, _, err := e.Do(action, id, "", nil); err != nil {
		t.Fatal(err)
	}
}

// TestStatsOnce asks for one item.
func TestStatsOnce(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	id := b.run(e, key, "web", "sleep", "infinity")
	b.run(e, key, "db", "sleep", "infinity")
	stopped := b.ran(e, key, "job", "true")
	for _, name := range []string{"web", id, id[:12]} {
		all := linesOf[statsSeen](t, b.get("ann", b.path(key, "stats/"+name+"?follow=false"))).all()
		if len(all) != 1 || all[0].Container != id || all[0].State != stream.StatsRunning || all[0].Sample.CPUPercent == nil || all[0].Sample.NetworkRxRate == nil {
			t.Errorf("%s: %+v, want one whole item", name, all)
		}
	}
	all := linesOf[statsSeen](t, b.get("ann", b.path(key, "stats/job?follow=false"))).all()
	if len(all) != 1 || all[0].State != stream.StatsStopped || all[0].Container != stopped || all[0].Sample != nil {
		t.Errorf("a stopped container's are %+v", all)
	}
	sums := linesOf[hostStatsSeen](t, b.get("ann", b.path(key, "stats?follow=false"))).all()
	if len(sums) != 1 || sums[0].Running != 2 || sums[0].Sampled != 2 || sums[0].CPUPercent == 0 || sums[0].MemoryBytes == 0 || sums[0].Host != "one" {
		t.Errorf("a host's sum is %+v, want that of 2", sums)
	}
}

// TestHostStats follows a host's sum.
func TestHostStats(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	id := b.run(e, key, "web", "sleep", "infinity")
	lines := linesOf[hostStatsSeen](t, b.get("ann", b.path(key, "stats")))
	lines.until("the sum of one", func(s hostStatsSeen) bool { return s.Running == 1 && s.Sampled == 1 && s.Namespace == "prod" })
	do(t, e, "stop", id)
	lines.until("the sum of none", func(s hostStatsSeen) bool { return s.Running == 0 && s.Sampled == 0 })
}

// TestStatsBacklog joins where somebody looked before.
func TestStatsBacklog(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	b.run(e, key, "web", "sleep", "infinity")
	first := linesOf[statsSeen](t, b.get("ann", b.path(key, "stats/web")))
	earliest := first.until("a sample", func(s statsSeen) bool { return s.Sample != nil })
	first.until("a second sample", func(s statsSeen) bool { return s.Sample != nil })
	second := linesOf[statsSeen](t, b.get("ann", b.path(key, "stats/web?backlogSeconds=600")))
	if again, _ := second.next(); again.Sample == nil || !again.Sample.Time.Equal(earliest.Sample.Time) {
		t.Errorf("the backlog begins with %+v, want %+v", again, earliest)
	}
}

func TestStatsRefusals(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	b.run(e, key, "web", "sleep", "infinity")
	b.rights.deny("eve", key, access.Stats, true)
	for _, query := range []string{"backlogSeconds=601", "backlogSeconds=-1", "backlogSeconds=x", "follow=perhaps", "tail=3", "follow=true&follow=false"} {
		b.status(b.get("ann", b.path(key, "stats/web?"+query)), http.StatusBadRequest)
		b.status(b.get("ann", b.path(key, "stats?"+query)), http.StatusBadRequest)
	}
	b.status(b.get("ann", b.path(key, "stats/none")), http.StatusNotFound)
	b.status(b.get("eve", b.path(key, "stats/web?backlogSeconds=x")), http.StatusForbidden)
	if err := e.SetFault(sim.Fault{Mode: sim.Refuse}); err != nil {
		t.Fatal(err)
	}
	b.eventually("the host is lost", func() bool { state, _ := b.cache.State(key); return !state.Connected() })
	b.status(b.get("ann", b.path(key, "stats")), http.StatusServiceUnavailable)
}

// TestStatsSubscriptions has the same lines in frames.
func TestStatsSubscriptions(t *testing.T) {
	b := newBed(t)
	e, key := b.simulate("one", sim.Options{})
	id := b.run(e, key, "web", "sleep", "infinity")
	s := b.dial("ann", Path)
	subscribe := func(id uint32, more map[string]any) {
		m := map[string]any{"type": "subscribe", "id": id, "topic": "stats", "namespace": key.Namespace, "host": key.Name}
		for k, v := range more {
			m[k] = v
		}
		s.send(m)
	}
	subscribe(1, map[string]any{"containers": []string{"web"}})
	subscribe(2, nil)
	var one statsSeen
	var sum hostStatsSeen
	for one.Sample == nil || sum.Sampled == 0 {
		m := s.next()
		var err error
		switch {
		case m.kind == frameJSON && m.subscription == 1:
			err = json.Unmarshal(m.body, &one)
		case m.kind == frameJSON && m.subscription == 2:
			err = json.Unmarshal(m.body, &sum)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, m.body)
		}
	}
	if one.Container != id || sum.Running != 1 {
		t.Errorf("got %+v and %+v", one, sum)
	}
	for i, more := range []map[string]any{{"containers": []string{"web", "db"}}, {"containers": []string{""}}, {"backlogSeconds": 601}, {"backlogSeconds": -1}} {
		subscribe(uint32(10+i), more)
		if how, _ := s.endOf(uint32(10 + i)); how.Status.Code != http.StatusBadRequest {
			t.Errorf("%v ended with %+v", more, how.Status)
		}
	}
	subscribe(3, map[string]any{"containers": []string{"web"}, "follow": false})
	how, before := s.endOf(3)
	lines := 0
	for _, m := range before {
		if m.kind == frameJSON && m.subscription == 3 {
			lines++
		}
	}
	if how.Status.Status != "Success" || lines != 1 {
		t.Errorf("one item: %d lines, and the end is %+v", lines, how.Status)
	}
	alone := b.dial("ann", b.path(key, "stats/web"))
	m := alone.next()
	for ; m.Type == "subscribed"; m = alone.next() {
	}
	if m.kind != frameJSON || json.Unmarshal(m.body, &one) != nil || one.Container != id {
		t.Errorf("a WebSocket of its own has %q", m.body)
	}
}
