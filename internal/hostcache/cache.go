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
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Options configure a Cache.
type Options struct {
	// Connector makes the engines. It is required.
	Connector engine.Connector
	Log       logr.Logger
	// MaxConcurrentDials bounds how many hosts begin to connect at once, so that a
	// start with 1,000 hosts is not 1,000 TLS handshakes side by side. A host that
	// has not connected after DialGrace no longer counts: one that hangs needs no
	// CPU, and must not keep others waiting. 0 means DefaultMaxConcurrentDials.
	MaxConcurrentDials int
	// RelistInterval is how often everything is listed anew though no event asked
	// for it, within 10 %. 0 means DefaultRelistInterval.
	RelistInterval time.Duration
}

// Defaults and bounds.
const (
	// DefaultMaxConcurrentDials: with some 10 ms of CPU for handshake and first
	// lists, 64 keep a few cores busy and finish well inside a probe's timeout.
	DefaultMaxConcurrentDials = 64
	// DialGrace is how long an attempt to connect may count against
	// MaxConcurrentDials: 100 hosts that hang hold back the others by under a
	// second (100 x 0.5 s / 64).
	DialGrace = 500 * time.Millisecond
	// DefaultRelistInterval bounds how long an error of an engine's events (or of
	// ours) can last in the inventory. It also refreshes the ages in the status
	// texts, for which engines send no event.
	DefaultRelistInterval = 5 * time.Minute
	// MaxObjects bounds the inventory of one host, all kinds together.
	MaxObjects = 200_000
)

// Cache keeps a connection to each declared host, and an inventory of it.
// Its methods never wait for a host and are safe for concurrent use.
type Cache struct {
	opts  Options
	gate  *gate
	notes notifier[Change]
	swarm swarms
	// swarmNotes tells of what is on swarms.
	swarmNotes notifier[SwarmChange]

	mu        sync.RWMutex
	accessors map[Key]*accessor
	// ctx is set by Start; accessors that were declared before begin then.
	ctx     context.Context
	stopped bool
	running sync.WaitGroup
}

var (
	_ manager.Runnable               = &Cache{}
	_ manager.LeaderElectionRunnable = &Cache{}
	_ prometheus.Collector           = &Cache{}
)

// New makes a Cache that connects to nothing before Start.
func New(opts Options) *Cache {
	if opts.MaxConcurrentDials <= 0 {
		opts.MaxConcurrentDials = DefaultMaxConcurrentDials
	}
	if opts.RelistInterval <= 0 {
		opts.RelistInterval = DefaultRelistInterval
	}
	c := &Cache{
		opts:      opts,
		gate:      newGate(opts.MaxConcurrentDials),
		accessors: map[Key]*accessor{},
	}
	c.swarm.init(c)
	return c
}

// Start connects to the declared hosts and keeps them connected until ctx ends.
// It returns when the last connection is closed and the last goroutine ended.
func (c *Cache) Start(ctx context.Context) error {
	c.mu.Lock()
	c.ctx = ctx
	for _, a := range c.accessors {
		c.launch(a)
	}
	c.mu.Unlock()

	<-ctx.Done()

	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.running.Wait()
	return nil
}

// NeedLeaderElection is false: every replica serves viewers, so every replica
// keeps its own connections.
func (c *Cache) NeedLeaderElection() bool { return false }

// Set declares a host, or declares it anew. What is equal changes nothing; a
// changed Generation or Health is taken over by the live connection; anything
// else connects anew at once. State reflects h when Set returns.
func (c *Cache) Set(h Host) {
	h.Health = h.Health.withDefaults()
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return
	}
	old := c.accessors[h.Key]
	if old != nil && old.uid == h.UID {
		c.mu.Unlock()
		old.set(h)
		return
	}
	a := newAccessor(c, h)
	c.accessors[h.Key] = a
	if c.ctx != nil {
		c.launch(a)
	}
	c.mu.Unlock()
	if old != nil {
		old.end()
		c.swarm.forget(h.Key)
	}
	c.notes.send(Change{Key: h.Key, Condition: true})
}

// Delete forgets a host. Its connections, goroutines and credentials are gone
// soon after, at the latest when Start returns; its metrics at once.
func (c *Cache) Delete(key Key) {
	c.mu.Lock()
	a := c.accessors[key]
	delete(c.accessors, key)
	c.mu.Unlock()
	if a == nil {
		return
	}
	a.end()
	c.swarm.forget(key)
	c.notes.send(Change{Key: key, Condition: true})
}

// launch starts an accessor's goroutine. c.mu is held.
func (c *Cache) launch(a *accessor) {
	if c.stopped || c.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	if !a.begin(cancel) {
		cancel()
		return
	}
	c.running.Go(func() {
		defer cancel()
		a.run(ctx)
	})
}

// spawn runs fn in a goroutine that Start waits for, unless it is too late.
func (c *Cache) spawn(fn func(context.Context)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.stopped || c.ctx == nil {
		return
	}
	ctx := c.ctx
	c.running.Go(func() { fn(ctx) })
}

func (c *Cache) accessor(key Key) *accessor {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.accessors[key]
}

// all returns the accessors of a namespace, of every one for "", sorted by key.
func (c *Cache) all(namespace string) []*accessor {
	c.mu.RLock()
	list := make([]*accessor, 0, len(c.accessors))
	for key, a := range c.accessors {
		if namespace == "" || key.Namespace == namespace {
			list = append(list, a)
		}
	}
	c.mu.RUnlock()
	slices.SortFunc(list, func(a, b *accessor) int { return compareKeys(a.key, b.key) })
	return list
}

// State returns what is known of a host; false if it is not declared.
func (c *Cache) State(key Key) (State, bool) {
	a := c.accessor(key)
	if a == nil {
		return State{}, false
	}
	return a.snapshot(), true
}

// Keys returns the declared hosts, sorted.
func (c *Cache) Keys() []Key {
	accessors := c.all("")
	keys := make([]Key, len(accessors))
	for i, a := range accessors {
		keys[i] = a.key
	}
	return keys
}

// Engine returns the live engine of a connected host. It is closed when the
// connection is lost or replaced: ask again for each use. The error is an
// *engine.Error that says why there is none.
func (c *Cache) Engine(key Key) (engine.Engine, error) {
	a := c.accessor(key)
	if a == nil {
		return nil, errUnknownHost(key)
	}
	return a.liveEngine()
}

// List returns the inventory of one kind: the host's own for containers, images,
// volumes and networks, its swarm's for services, tasks and nodes. When the host
// is not connected the last listing known is returned together with an
// *engine.Error that says why it is not current. A host that is not a swarm
// manager gives a Conflict error for the swarm's kinds.
func (c *Cache) List(key Key, kind engine.Kind) (Listing, error) {
	a := c.accessor(key)
	if a == nil {
		return Listing{}, errUnknownHost(key)
	}
	if slices.Contains(engine.SwarmKinds, kind) {
		return c.swarm.list(a, kind)
	}
	if !slices.Contains(engine.LocalKinds, kind) {
		return Listing{}, engine.Errorf(engine.ClassInvalid, "", "kind %q is not one an engine lists", kind)
	}
	return a.list(kind)
}

// Probe asks for a probe of a connected host, or an attempt to connect to a lost
// one, now. Requests in quick succession are one.
func (c *Cache) Probe(key Key) {
	if a := c.accessor(key); a != nil {
		a.probe()
	}
}

func errUnknownHost(key Key) *engine.Error {
	return engine.Errorf(engine.ClassNotFound, "", "DockerHost %s is not known here", key)
}

func compareKeys(a, b Key) int {
	if n := strings.Compare(a.Namespace, b.Namespace); n != 0 {
		return n
	}
	return strings.Compare(a.Name, b.Name)
}
