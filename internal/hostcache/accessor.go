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
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// accessor keeps one host connected. One goroutine (run) does everything that
// takes time; everybody else touches only what mu guards, and mu is never held
// across a call to an engine.
type accessor struct {
	cache *Cache
	key   Key
	uid   types.UID
	log   logr.Logger
	inv   *inventory
	feed  *feed

	// probeNow and touched have room for one: somebody asked for a probe, or
	// changed the health check.
	probeNow, touched chan struct{}

	connects, failures atomic.Uint64

	// memory belongs to run.
	memory memory

	mu   sync.Mutex
	host Host
	// epoch counts what makes a connection void. What a goroutine of an older
	// epoch has to say is dropped.
	epoch  uint64
	state  State
	engine engine.Engine
	// cancel ends run, abandon the attempt or the session it is in.
	cancel, abandon context.CancelFunc
	ended           bool
}

// memory is what is remembered of an engine from one connection to the next.
type memory struct {
	endpoint engine.Endpoint
	// id is the engine's ID; volatile is set when it makes up a new one for each
	// answer.
	id       string
	volatile bool
	// last is the end of the event stream so far.
	last lastEvent
}

func newAccessor(c *Cache, h Host) *accessor {
	a := &accessor{
		cache:    c,
		key:      h.Key,
		uid:      h.UID,
		log:      c.opts.Log.WithValues("DockerHost", h.Key.String()),
		inv:      newInventory(engine.LocalKinds),
		feed:     newFeed(),
		probeNow: make(chan struct{}, 1),
		touched:  make(chan struct{}, 1),
		host:     h,
		state:    State{Key: h.Key, UID: h.UID},
	}
	a.declare(h)
	return a
}

// declare makes state what it is before anything was tried with h. mu is held.
func (a *accessor) declare(h Host) {
	s := &a.state
	s.Generation, s.Err, s.CredentialsErr = h.Generation, nil, nil
	switch {
	case h.Suspended:
		s.Phase, s.Credentials = PhaseSuspended, engine.CredentialInfo{}
	case h.ConfigErr != nil:
		s.Phase, s.Err, s.Credentials = PhaseDisconnected, h.ConfigErr, engine.CredentialInfo{}
		if h.ConfigErr.Class == engine.ClassAuth {
			s.CredentialsErr = h.ConfigErr
		}
	default:
		s.Phase = PhaseConnecting
	}
}

func (a *accessor) set(h Host) {
	a.mu.Lock()
	if a.ended || reflect.DeepEqual(a.host, h) {
		a.mu.Unlock()
		return
	}
	same := a.host.sameConnection(h)
	before := a.state
	a.host = h
	a.state.Generation = h.Generation
	if !same {
		a.epoch++
		a.engine = nil
		a.declare(h)
		if a.abandon != nil {
			a.abandon()
		}
	}
	after := a.state
	a.mu.Unlock()
	nudge(a.touched)
	a.announce(before, after)
}

// begin hands over what ends run; false if the accessor has ended already.
func (a *accessor) begin(cancel context.CancelFunc) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cancel = cancel
	return !a.ended
}

// end stops the accessor for good, and forgets its secrets.
func (a *accessor) end() {
	a.mu.Lock()
	a.ended = true
	a.epoch++
	a.engine = nil
	a.host.Config = engine.Config{}
	if a.cancel != nil {
		a.cancel()
	}
	a.mu.Unlock()
	a.inv.close()
	a.feed.close()
}

func (a *accessor) probe() { nudge(a.probeNow) }

func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (a *accessor) snapshot() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}

func (a *accessor) health() HealthCheck {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.host.Health
}

func (a *accessor) liveEngine() (engine.Engine, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.engine != nil && a.state.Phase == PhaseConnected {
		return a.engine, nil
	}
	return nil, a.state.whyNot()
}

// whyNot says why a host that is not connected is not.
func (s State) whyNot() *engine.Error {
	switch {
	case s.Err != nil:
		return s.Err
	case s.Phase == PhaseSuspended:
		return engine.Errorf(engine.ClassUnreachable, "", "DockerHost %s is suspended: set spec.suspend to false to connect", s.Key)
	}
	return engine.Errorf(engine.ClassUnreachable, "", "DockerHost %s is not connected yet", s.Key)
}

func (a *accessor) list(kind engine.Kind) (Listing, error) {
	state := a.snapshot()
	v := a.inv.view(kind)
	listing := Listing{Items: v.items, ObservedAt: v.observedAt, ListedAt: v.listedAt, ServedBy: a.key}
	switch {
	case !state.Connected():
		return listing, state.whyNot()
	case v.listed:
		return listing, nil
	case v.err != nil:
		return listing, v.err
	}
	return listing, engine.Errorf(engine.ClassTimeout, engine.CauseTimeout, "the %s of DockerHost %s are not listed yet", kind, a.key)
}

// update changes the state, unless epoch is over, and tells who wants to know.
// change is called with mu held.
func (a *accessor) update(epoch uint64, change func(*State)) {
	a.mu.Lock()
	if epoch != a.epoch {
		a.mu.Unlock()
		return
	}
	before := a.state
	change(&a.state)
	after := a.state
	a.mu.Unlock()
	a.announce(before, after)
}

func (a *accessor) announce(before, after State) {
	condition := !sameIdentity(before, after)
	if condition {
		a.cache.swarm.observe(a)
	}
	if condition || before.Counts != after.Counts {
		a.cache.notes.send(Change{Key: a.key, Condition: condition})
	}
}
