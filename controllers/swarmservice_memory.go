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

package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// cachePatience is how long the cache may take to hear of what was written.
const cachePatience = 5 * time.Second

// serviceMemory is what is remembered of a SwarmService from one reconciliation to the
// next. All of it may be lost: the status and the swarm say the same, later. Only the
// worker that has the object uses it.
type serviceMemory struct {
	// applied is what was last written, or found to be there.
	applied applied
	// written is what was written that the host cache may not have listed yet.
	written writtenService
	refused refusal
	// made is the service that was created or taken over, until the status has it: that may
	// wait.
	made madeService
	// corrections are those of drift, in a row.
	corrections corrections
	// surplus are tasks that the swarm should have ended.
	surplus surplus
	// image is what a registry said of spec.image.
	image lookedUp
	// seen is the service's version, and when it was first seen: tasks that were listed
	// before say nothing of it.
	seen seenVersion
	// wrote is the object as the API server answered to our last write of it.
	wrote objectVersion
	// heldSince is since when there is something to tell of what is on its way, zero where
	// all is told; heldEvents are what is told then.
	heldSince  time.Time
	heldEvents []hostEvent
	// awaySince is since when the swarm cannot be asked, or does not do what it is asked;
	// zero while it does.
	awaySince time.Time
	// released is the UID of an object that was let go: the cache may have it for a moment.
	released types.UID
	// toldHeld is the reason for which an Event tells that the object cannot go.
	toldHeld string
}

// applied is the sum of what a generation of the spec asked for.
type applied struct {
	sum        string
	generation int64
}

type writtenService struct {
	id string
	// above: a listing with a later version of the service has what was written.
	above uint64
	at    time.Time
}

// madeService is a service that a SwarmService has, and the swarm it is on.
type madeService struct {
	uid           types.UID
	id, clusterID string
}

// refusal is what the engine said no to, and is not asked again before its time.
type refusal struct {
	sum   string
	fault *SpecFault
	until time.Time
}

// lookedUp is an image, and its digest where a registry knew it.
type lookedUp struct{ text, digest string }

// corrections counts how often drift was corrected, and when last.
type corrections struct {
	count int
	last  time.Time
}

// objectVersion is a version of an object, and when it was written.
type objectVersion struct {
	uid     types.UID
	version string
	at      time.Time
}

// isAhead reports whether the object is older than what was written, because the cache
// has yet to hear of that. It is believed for cachePatience: versions may begin anew
// where a cluster is restored.
func (v objectVersion) isAhead(obj client.Object, now time.Time) bool {
	if v.uid != obj.GetUID() || now.Sub(v.at) > cachePatience {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(obj.GetResourceVersion(), v.version)
	return err == nil && order < 0
}

type seenVersion struct {
	id      string
	version uint64
	// listedAt is when a listing had it, at when it was seen in that: somewhat later where
	// there is much to do.
	listedAt, at time.Time
}

// serviceMemories holds the memory of each SwarmService, finds them by what is on a
// swarm, and asks for tasks to be listed often while one is not done.
type serviceMemories struct {
	mu      sync.Mutex
	all     map[types.NamespacedName]*serviceEntry
	byID    map[serviceOnSwarm]types.NamespacedName
	follow  func(hostcache.SwarmKey) (release func())
	stopped bool
}

type serviceEntry struct {
	memory   serviceMemory
	id       serviceOnSwarm
	followed hostcache.SwarmKey
	release  func()
}

type serviceOnSwarm struct {
	swarm hostcache.SwarmKey
	id    string
}

func newServiceMemories(follow func(hostcache.SwarmKey) func()) *serviceMemories {
	return &serviceMemories{
		all: map[types.NamespacedName]*serviceEntry{}, byID: map[serviceOnSwarm]types.NamespacedName{}, follow: follow,
	}
}

// of returns the memory of an object, for its worker.
func (m *serviceMemories) of(key types.NamespacedName) *serviceMemory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &m.entry(key).memory
}

// entry is called with mu held.
func (m *serviceMemories) entry(key types.NamespacedName) *serviceEntry {
	e := m.all[key]
	if e == nil {
		e = &serviceEntry{}
		m.all[key] = e
	}
	return e
}

// locate remembers which service on which swarm is the object's, and whether its tasks
// are to be followed.
func (m *serviceMemories) locate(key types.NamespacedName, swarm hostcache.SwarmKey, id string, follow bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entry(key)
	if at := (serviceOnSwarm{swarm, id}); at != e.id {
		m.drop(key, e)
		e.id = at
		if id != "" {
			m.byID[at] = key
		}
	}
	if !follow || m.stopped {
		swarm = hostcache.SwarmKey{}
	}
	if swarm == e.followed {
		return
	}
	if e.release != nil {
		e.release()
		e.release = nil
	}
	if e.followed = swarm; swarm != (hostcache.SwarmKey{}) {
		e.release = m.follow(swarm)
	}
}

// drop is called with mu held.
func (m *serviceMemories) drop(key types.NamespacedName, e *serviceEntry) {
	if m.byID[e.id] == key {
		delete(m.byID, e.id)
	}
}

// byService returns the object whose service it is.
func (m *serviceMemories) byService(swarm hostcache.SwarmKey, id string) (types.NamespacedName, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, ok := m.byID[serviceOnSwarm{swarm, id}]
	return key, ok
}

// letGo forgets an object but for its having been let go, until forget.
func (m *serviceMemories) letGo(key types.NamespacedName, uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clear(key)
	m.entry(key).memory.released = uid
}

// forget drops all that is remembered of an object.
func (m *serviceMemories) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clear(key)
}

// clear is called with mu held.
func (m *serviceMemories) clear(key types.NamespacedName) {
	e := m.all[key]
	if e == nil {
		return
	}
	m.drop(key, e)
	if e.release != nil {
		e.release()
	}
	delete(m.all, key)
}

// stop releases everything; nothing is followed from now on.
func (m *serviceMemories) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	for _, e := range m.all {
		if e.release != nil {
			e.release()
			e.release, e.followed = nil, hostcache.SwarmKey{}
		}
	}
}
