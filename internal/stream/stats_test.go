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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// fakeStats is an engine whose samples the test sends.
type fakeStats struct {
	engine.Engine
	mu      sync.Mutex
	open    int // streams at present
	opened  int
	state   string // "running", "exited", "" for no container
	samples chan container.StatsResponse
}

func newFakeStats() *fakeStats {
	return &fakeStats{state: "running", samples: make(chan container.StatsResponse)}
}

func (f *fakeStats) Inspect(context.Context, engine.Kind, string) (json.RawMessage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == "" {
		return nil, engine.Errorf(engine.ClassNotFound, "", "no such container")
	}
	return fmt.Appendf(nil, `{"State":{"Running":%t}}`, f.state == "running"), nil
}

func (f *fakeStats) set(state string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = state
}

func (f *fakeStats) streams() (open, opened int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open, f.opened
}

func (f *fakeStats) Stats(ctx context.Context, _ string) (engine.StatsStream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	f.opened++
	ctx, cancel := context.WithCancel(ctx)
	return &fakeStatsStream{f: f, ctx: ctx, cancel: cancel}, nil
}

type fakeStatsStream struct {
	f      *fakeStats
	ctx    context.Context
	cancel context.CancelFunc
	once   sync.Once
}

// Next gives the next sample; one without a time and an id is the stream's end.
func (s *fakeStatsStream) Next() (container.StatsResponse, error) {
	select {
	case v := <-s.f.samples:
		if v.ID == "end" {
			return v, io.EOF
		}
		return v, nil
	case <-s.ctx.Done():
		return container.StatsResponse{}, s.ctx.Err()
	}
}

func (s *fakeStatsStream) Close() error {
	s.once.Do(func() {
		s.cancel()
		s.f.mu.Lock()
		s.f.open--
		s.f.mu.Unlock()
	})
	return nil
}

// at is a sample of a container that runs, so many seconds after its start.
func at(seconds float64) container.StatsResponse {
	begin := time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)
	v := container.StatsResponse{Read: begin.Add(time.Duration(seconds * float64(time.Second)))}
	v.MemoryStats.Usage, v.PidsStats.Current = 1000, 1
	return v
}

func (f *fakeStats) send(t *testing.T, v container.StatsResponse) {
	t.Helper()
	select {
	case f.samples <- v:
	case <-time.After(patience):
		t.Fatal("nobody takes a sample")
	}
}

func newStatsHub(t *testing.T, f *fakeStats, opts StatsOptions) *Stats {
	t.Helper()
	h := NewStats(hostsOf{f}, opts)
	h.stale = patience // a busy machine is no silence
	t.Cleanup(h.Close)
	return h
}

func watch(t *testing.T, h *Stats, backlog time.Duration) *StatsViewer {
	t.Helper()
	v, err := h.Watch(t.Context(), hostOne, "c", backlog)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func nextItem(t *testing.T, v *StatsViewer) StatsItem {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	item, err := v.Next(ctx)
	if err != nil {
		t.Fatalf("next item: %v", err)
	}
	return item
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not become true that %s", what)
		}
	}
}

func TestStatsAreShared(t *testing.T) {
	f := newFakeStats()
	h := newStatsHub(t, f, StatsOptions{Limits: Limits{Viewers: 3, Linger: 10 * time.Millisecond}})
	first, second := watch(t, h, 0), watch(t, h, 0)
	for i, seconds := range []float64{0, 0.5, 1, 1.4, 2.01} {
		f.send(t, at(seconds))
		if i == 1 || i == 3 { // more than once a second
			continue
		}
		for _, v := range []*StatsViewer{first, second} {
			if item := nextItem(t, v); item.State != StatsRunning || item.Sample == nil || !item.Sample.Time.Equal(at(seconds).Read) || item.Dropped != 0 {
				t.Errorf("sample %d is %+v", i, item)
			}
		}
	}
	late := watch(t, h, time.Hour)
	for _, seconds := range []float64{0, 1, 2.01} {
		if item := nextItem(t, late); !item.Sample.Time.Equal(at(seconds).Read) {
			t.Errorf("the backlog has a sample of %v; want %v", item.Sample.Time, seconds)
		}
	}
	var limit *LimitError
	if _, err := h.Watch(t.Context(), hostOne, "c", 0); !errors.As(err, &limit) {
		t.Errorf("one viewer too many gives %v", err)
	}
	late.Close()
	late.Close()
	again := watch(t, h, 0)
	if open, opened := f.streams(); open != 1 || opened != 1 {
		t.Errorf("%d streams are open, %d were opened; want one", open, opened)
	}
	for _, v := range []*StatsViewer{first, second, again} {
		v.Close()
	}
	until(t, "the stream ends after the last viewer", func() bool { open, _ := f.streams(); return open == 0 })
	next := watch(t, h, time.Hour)
	defer next.Close()
	f.send(t, at(60))
	if item := nextItem(t, next); !item.Sample.Time.Equal(at(60).Read) {
		t.Errorf("after a pause comes %+v", item.Sample)
	}
}

func TestStatsOfSlowViewer(t *testing.T) {
	f := newFakeStats()
	h := newStatsHub(t, f, StatsOptions{})
	slow, quick := watch(t, h, 0), watch(t, h, 0)
	defer slow.Close()
	defer quick.Close()
	const sent = statsKept + 25
	for i := range sent {
		f.send(t, at(float64(i)))
		nextItem(t, quick)
	}
	if item := nextItem(t, slow); item.Dropped != 25 || !item.Sample.Time.Equal(at(25).Read) {
		t.Errorf("the slow viewer's first is %+v, %v", item, item.Sample)
	}
	if item := nextItem(t, slow); item.Dropped != 0 {
		t.Errorf("the slow viewer's second says that %d were dropped", item.Dropped)
	}
}

func TestStatsOfContainerThatStops(t *testing.T) {
	f := newFakeStats()
	h := newStatsHub(t, f, StatsOptions{})
	v := watch(t, h, 0)
	defer v.Close()
	want := func(state StatsState) {
		t.Helper()
		if item := nextItem(t, v); item.State != state || item.State != StatsRunning && item.Sample != nil {
			t.Errorf("there is %+v; want it %s", item, state)
		}
	}
	f.send(t, at(1))
	want(StatsRunning)
	f.send(t, container.StatsResponse{ID: "c"}) // as dockerd does
	f.send(t, container.StatsResponse{ID: "c"})
	want(StatsStopped)
	f.send(t, at(5))
	want(StatsRunning)
	f.set("exited")
	f.send(t, container.StatsResponse{ID: "end"}) // as Podman does
	want(StatsStopped)
	f.set("running")
	f.send(t, at(9))
	want(StatsRunning)
	f.set("")
	f.send(t, container.StatsResponse{ID: "end"})
	want(StatsRemoved)
	if _, err := v.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("after the removal comes %v", err)
	}
	if _, err := h.Watch(t.Context(), hostOne, "c", 0); !engine.IsNotFound(err) {
		t.Errorf("watching what is not there gives %v", err)
	}
	f.set("exited")
	stopped := watch(t, h, 0)
	defer stopped.Close()
	if item := nextItem(t, stopped); item.State != StatsStopped {
		t.Errorf("a stopped container begins with %+v", item)
	}
}

func TestStatsGrowStale(t *testing.T) {
	f := newFakeStats()
	h := newStatsHub(t, f, StatsOptions{})
	h.stale = statsStale
	v := watch(t, h, 0)
	defer v.Close()
	f.send(t, at(1))
	nextItem(t, v)
	item := nextItem(t, v)
	if item.State != StatsStale || item.Sample == nil || item.AgeSeconds < statsStale.Seconds() || item.AgeSeconds > patience.Seconds() {
		t.Errorf("after a silence comes %+v", item)
	}
	f.send(t, at(2))
	if item := nextItem(t, v); item.State != StatsRunning {
		t.Errorf("after the silence comes %+v", item)
	}
}

func TestHostStats(t *testing.T) {
	f := newFakeStats()
	var mu sync.Mutex
	running, failure := []string{"a"}, error(nil)
	h := newStatsHub(t, f, StatsOptions{Limits: Limits{Linger: time.Millisecond}, Running: func(Key) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		return running, failure
	}})
	v, err := h.WatchHost(hostOne, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.send(t, at(1))
	wait := func(what string, ok func(HostStats) bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for {
			item, err := v.Next(ctx)
			if err != nil {
				t.Fatalf("waiting for %s: %v", what, err)
			}
			if ok(item) {
				return
			}
		}
	}
	wait("the sum of one", func(s HostStats) bool {
		return s.Running == 1 && s.Sampled == 1 && s.MemoryBytes == 1000 && s.PIDs == 1
	})
	mu.Lock()
	running, failure = nil, errors.New("host not connected")
	mu.Unlock()
	wait("the error", func(s HostStats) bool { return s.Error == "host not connected" })
	if _, err := h.WatchHost(hostOne, 0); err == nil {
		t.Error("a host that cannot be listed can be watched")
	}
	mu.Lock()
	failure = nil
	mu.Unlock()
	wait("the sum of none", func(s HostStats) bool { return s.Error == "" && s.Running == 0 && s.Sampled == 0 })
	v.Close()
	until(t, "the streams end", func() bool { open, _ := f.streams(); return open == 0 })
}
