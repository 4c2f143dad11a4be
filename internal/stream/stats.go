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
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// StatsOptions bound the statistics.
type StatsOptions struct {
	Limits
	// Running lists the ids of a host's running containers, out of the inventory:
	// WatchHost asks for it each second.
	Running func(host Key) ([]string, error)
}

const (
	// statsKept is how many items of a container are kept: ten minutes of samples.
	statsKept = 600
	// statsPeriod is the least time between two samples. Engines send one a second,
	// some a few milliseconds early.
	statsPeriod = 900 * time.Millisecond
	// statsStale is how late a sample may be before viewers are told; a busy engine
	// skips one now and then. They are told again each statsRemind.
	statsStale  = 3 * time.Second
	statsRemind = 5 * time.Second
	// maxHostContainers is how many containers of one host are sampled for its sum:
	// each costs the engine a stream.
	maxHostContainers = 200
)

// Stats samples containers while they are watched: one stream of the engine for a
// container, whatever the number of viewers, and none without any.
type Stats struct {
	hosts Hosts
	opts  StatsOptions
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup
	stale time.Duration // statsStale, but in tests

	mu       sync.Mutex
	samplers map[containerKey]*sampler
	sums     map[Key]*hostSum
	closed   bool
}

type containerKey struct {
	host      Key
	container string
}

// NewStats makes a hub. Close ends it.
func NewStats(hosts Hosts, opts StatsOptions) *Stats {
	opts.Limits = opts.withDefaults()
	ctx, stop := context.WithCancel(context.Background())
	return &Stats{
		hosts: hosts, opts: opts, ctx: ctx, stop: stop, stale: statsStale,
		samplers: map[containerKey]*sampler{}, sums: map[Key]*hostSum{},
	}
}

// Close ends all sampling; viewers read io.EOF.
func (h *Stats) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.stop()
	h.wg.Wait()
}

// StatsState says what a container's statistics are worth.
type StatsState string

// The states.
const (
	StatsRunning StatsState = "running"
	StatsStopped StatsState = "stopped" // the container does not run; there are no numbers
	StatsStale   StatsState = "stale"   // the engine sends none; the last ones, and their age
	StatsRemoved StatsState = "removed" // the container is gone; the last item
)

// StatsItem is one word about a container.
type StatsItem struct {
	State StatsState `json:"state"`
	// Sample is new where the container runs, and the last one where that is stale.
	Sample *StatsSample `json:"sample,omitempty"`
	// AgeSeconds is how old a stale sample is.
	AgeSeconds float64 `json:"ageSeconds,omitempty"`
	// Dropped is how many items before this one the viewer was too slow for.
	Dropped uint64 `json:"dropped,omitempty"`

	at   time.Time    // when it came
	once *encodedStat // shared by all who encode it
}

// encodedStat is an item's JSON, made for the first who asks.
type encodedStat struct {
	sync.Once
	text []byte
	err  error
}

// JSON returns the item as a JSON object without Dropped, which is the viewer's own. It is
// shared: it must not be changed.
func (i StatsItem) JSON() ([]byte, error) {
	i.Dropped = 0
	if i.once == nil {
		return json.Marshal(i)
	}
	i.once.Do(func() { i.once.text, i.once.err = json.Marshal(i) })
	return i.once.text, i.once.err
}

// StatsViewer reads the items of one container. It is for one goroutine, Close
// excepted.
type StatsViewer struct {
	ring  *statsRing[StatsItem]
	pos   uint64
	close func()
}

// Watch begins to look at a container, named by its full id. It begins with the
// latest item, or with those of the last backlog. The first to look waits for the engine to say that
// there is such a container.
func (h *Stats) Watch(ctx context.Context, host Key, container string, backlog time.Duration) (*StatsViewer, error) {
	s, err := h.sampler(ctx, containerKey{host, container}, true)
	if err != nil {
		return nil, err
	}
	v := &StatsViewer{ring: s.ring, pos: s.ring.newest(), close: sync.OnceFunc(func() { h.release(s, true) })}
	if backlog > 0 {
		begin := time.Now().Add(-backlog)
		v.pos = min(v.pos, s.ring.seek(func(i StatsItem) bool { return i.at.After(begin) }))
	}
	return v, nil
}

// Next waits for the next item. io.EOF comes after the container's removal, and at
// the hub's end.
func (v *StatsViewer) Next(ctx context.Context) (StatsItem, error) {
	item, dropped, err := v.ring.next(ctx, &v.pos)
	item.Dropped = dropped
	return item, err
}

// Close ends the viewing. Next must not be called after it.
func (v *StatsViewer) Close() { v.close() }

// sampler returns a container's sampler, with one more user.
func (h *Stats) sampler(ctx context.Context, key containerKey, viewer bool) (*sampler, error) {
	if s, err := h.join(key, viewer); s != nil || err != nil {
		return s, err
	}
	running, err := h.look(ctx, key)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosing()
	}
	s := h.samplers[key]
	if s == nil {
		s = h.launch(key, running)
	}
	return s, s.join(viewer, h.opts.Viewers)
}

func errClosing() error {
	return engine.Errorf(engine.ClassUnreachable, "", "this replica is shutting down; try again")
}

// join returns a sampler that is there already.
func (h *Stats) join(key containerKey, viewer bool) (*sampler, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.samplers[key]
	if s == nil {
		return nil, nil
	}
	return s, s.join(viewer, h.opts.Viewers)
}

// look asks the engine whether a container is there, and runs.
func (h *Stats) look(ctx context.Context, key containerKey) (running bool, err error) {
	eng, err := h.hosts.Engine(key.host)
	if err != nil {
		return false, err
	}
	raw, err := eng.Inspect(ctx, engine.Containers, key.container)
	if err != nil {
		return false, err
	}
	var v struct{ State struct{ Running bool } }
	if err := json.Unmarshal(raw, &v); err != nil {
		return false, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's answer about container %s is not understood: %w", key.container, err)
	}
	return v.State.Running, nil
}

// launch begins to sample. The caller holds the lock.
func (h *Stats) launch(key containerKey, running bool) *sampler {
	s := &sampler{hub: h, key: key, ring: newStatsRing[StatsItem](statsKept)}
	ctx, cancel := context.WithCancel(h.ctx)
	s.cancel = cancel
	h.samplers[key] = s
	if !running {
		s.publish(StatsItem{State: StatsStopped})
	}
	h.wg.Go(func() {
		defer h.opts.upstream()()
		s.run(ctx)
		cancel()
		h.forget(s)
		s.ring.end()
	})
	return s
}

func (h *Stats) forget(s *sampler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.samplers[s.key] == s {
		delete(h.samplers, s.key)
	}
}

// release takes a user away. The sampler ends a while after its last one.
func (h *Stats) release(s *sampler, viewer bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.users--; viewer {
		s.viewers--
	}
	if s.users > 0 || h.closed {
		return
	}
	s.linger = time.AfterFunc(h.opts.Linger, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if s.users == 0 && h.samplers[s.key] == s {
			delete(h.samplers, s.key)
			s.cancel()
		}
	})
}
