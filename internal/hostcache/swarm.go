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
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// SwarmKey names a swarm as seen from one namespace. The namespace is part of
// it: an engine can claim any cluster ID, and must not be believed beyond the
// namespace whose users declared it.
type SwarmKey struct{ Namespace, ClusterID string }

// Swarm is what is known of a swarm at one moment.
type Swarm struct {
	Key SwarmKey
	// Managers are the hosts that are managers of it, connected or not, sorted.
	Managers []Key
	// ServedBy is the manager whose engine is asked; zero if none is connected.
	ServedBy Key
	// Err says why the last listing failed, nil when it did not.
	Err *engine.Error
	// Hosts maps node IDs to the hosts whose engines they are.
	Hosts map[string]Key
}

// swarms holds a view for each swarm that a declared host is a manager of.
type swarms struct {
	cache *Cache

	// mu is taken before Cache.mu and accessor.mu, never while they are held.
	mu      sync.Mutex
	members map[Key]SwarmKey
	views   map[SwarmKey]*swarmView
	// interest counts who wants to see tasks soon. It outlasts a view.
	interest map[SwarmKey]int
}

func (sw *swarms) init(c *Cache) {
	sw.cache = c
	sw.members = map[Key]SwarmKey{}
	sw.views = map[SwarmKey]*swarmView{}
	sw.interest = map[SwarmKey]int{}
}

// Swarms returns the swarms that hosts of a namespace are managers of, sorted;
// of every namespace for "".
func (c *Cache) Swarms(namespace string) []Swarm {
	sw := &c.swarm
	sw.mu.Lock()
	var views []*swarmView
	for key, v := range sw.views {
		if namespace == "" || key.Namespace == namespace {
			views = append(views, v)
		}
	}
	sw.mu.Unlock()
	slices.SortFunc(views, func(a, b *swarmView) int {
		return cmp.Or(cmp.Compare(a.key.Namespace, b.key.Namespace), cmp.Compare(a.key.ClusterID, b.key.ClusterID))
	})
	list := make([]Swarm, len(views))
	for i, v := range views {
		list[i] = v.describe()
	}
	return list
}

// SwarmOf returns the swarm that a host is a manager of; false if it is none, or
// was never connected.
func (c *Cache) SwarmOf(host Key) (Swarm, bool) {
	v := c.swarm.viewOf(host)
	if v == nil {
		return Swarm{}, false
	}
	return v.describe(), true
}

// FollowTasks asks for the swarm's tasks to be listed each second instead of
// each 15 s (engines send no events for tasks), until release is called.
func (c *Cache) FollowTasks(key SwarmKey) (release func()) {
	sw := &c.swarm
	sw.follow(key, 1)
	return sync.OnceFunc(func() { sw.follow(key, -1) })
}

func (sw *swarms) follow(key SwarmKey, n int) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if sw.interest[key] += n; sw.interest[key] == 0 {
		delete(sw.interest, key)
	}
	if v := sw.views[key]; v != nil {
		v.setFollowed(sw.interest[key] > 0)
	}
}

// observe takes notice of a host's state: a manager joins its swarm's view, and
// a view learns that its members came or went.
func (sw *swarms) observe(a *accessor) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if sw.cache.accessor(a.key) != a {
		return
	}
	before, was := sw.members[a.key]
	now, is := swarmOf(a.snapshot(), before)
	if was && (!is || before != now) {
		sw.leave(a.key, before)
	}
	if is {
		sw.join(a.key, now)
	}
}

// swarmOf returns the swarm a host is a manager of, by what was last heard: a
// manager that is down still belongs to its swarm. One that knows no leader fails to
// tell which swarm that is: the one before.
func swarmOf(s State, before SwarmKey) (SwarmKey, bool) {
	told := s.Info.Swarm
	switch {
	case !told.ControlAvailable || s.Phase == PhaseSuspended:
		return SwarmKey{}, false
	case told.ClusterID() == "":
		return before, told.Error != "" && before != SwarmKey{}
	}
	return SwarmKey{Namespace: s.Key.Namespace, ClusterID: told.ClusterID()}, true
}

func (sw *swarms) forget(host Key) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if key, was := sw.members[host]; was {
		sw.leave(host, key)
	}
}

func (sw *swarms) join(host Key, key SwarmKey) {
	sw.members[host] = key
	v := sw.views[key]
	if v == nil {
		v = newSwarmView(sw.cache, key, sw.interest[key] > 0)
		sw.views[key] = v
		sw.cache.spawn(v.live)
	}
	v.join(host)
}

func (sw *swarms) leave(host Key, key SwarmKey) {
	delete(sw.members, host)
	v := sw.views[key]
	if v != nil && v.leave(host) == 0 {
		delete(sw.views, key)
		v.end()
	}
}

func (sw *swarms) viewOf(host Key) *swarmView {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	key, is := sw.members[host]
	if !is {
		return nil
	}
	return sw.views[key]
}

// event tells the view that a host serves of an event of its swarm.
func (sw *swarms) event(host Key, kind engine.Kind) {
	if v := sw.viewOf(host); v != nil {
		v.event(host, kind)
	}
}

// relist tells the view that a host serves that events may have been missed.
func (sw *swarms) relist(host Key) {
	sw.event(host, engine.Services)
	sw.event(host, engine.Nodes)
}

func (sw *swarms) list(a *accessor, kind engine.Kind) (Listing, error) {
	v := sw.viewOf(a.key)
	if v == nil {
		return Listing{}, notManager(a)
	}
	return v.list(kind)
}

func (sw *swarms) watch(ctx context.Context, a *accessor, kinds []engine.Kind) (iter.Seq[WatchEvent], error) {
	v := sw.viewOf(a.key)
	if v == nil {
		return nil, notManager(a)
	}
	events := v.inv.watch(ctx, kinds)
	if !slices.Contains(kinds, engine.Tasks) {
		return events, nil
	}
	return func(yield func(WatchEvent) bool) {
		release := sw.cache.FollowTasks(v.key)
		defer release()
		events(yield)
	}, nil
}

// notManager says why a host has no swarm to list.
func notManager(a *accessor) *engine.Error {
	state := a.snapshot()
	if !state.Connected() {
		return state.whyNot()
	}
	return engine.Errorf(engine.ClassConflict, "",
		"DockerHost %s is not a swarm manager: ask a host that is one", a.key)
}

// nodeHosts maps node IDs to hosts of a namespace. Of two that claim to be the
// same node the first by name is believed.
func (c *Cache) nodeHosts(namespace string, nodes []engine.Object) map[string]Key {
	ids := map[string]Key{}
	for _, a := range c.all(namespace) {
		if id := a.snapshot().Info.Swarm.NodeID; id != "" {
			if _, taken := ids[id]; !taken {
				ids[id] = a.key
			}
		}
	}
	known := map[string]bool{}
	for i := range nodes {
		known[nodes[i].ID] = true
	}
	maps.DeleteFunc(ids, func(id string, _ Key) bool { return !known[id] })
	return ids
}
