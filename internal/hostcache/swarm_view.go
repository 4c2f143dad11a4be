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
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const (
	// tasksIdle and tasksFollowed are the pauses between two lists of a swarm's
	// tasks, for which engines send no events: nobody looks, and somebody does.
	tasksIdle     = 15 * time.Second
	tasksFollowed = time.Second
	// stirTime is for how long tasks are listed as if followed after an event of a node:
	// only after it does swarm move them from a node that is down, or back to one that is
	// up, and starts them.
	stirTime = 10 * time.Second
	// swarmSpacing between two lists of a kind: a rolling update sends an event a
	// step, and each would list all.
	swarmSpacing = 100 * time.Millisecond
	// swarmRest times as long as a list took is the pause after it, if that is longer: a
	// fifth of the time at most goes into lists of a swarm of thousands of services.
	swarmRest = 4
	// maxRest is the longest such pause: drift is to be seen within 2 s.
	maxRest = 500 * time.Millisecond
	// maxManagerFailures lists of one kind must fail in a row before another
	// manager is asked. The first may be no more than a change of leader.
	maxManagerFailures = 2
	// managerPenalty is for how long a manager that failed is asked last.
	managerPenalty = time.Minute
)

// swarmView lists the services, nodes and tasks of one swarm, through one of its
// managers at a time.
type swarmView struct {
	cache *Cache
	key   SwarmKey
	log   logr.Logger
	inv   *inventory
	// wake has room for one: something of what mu guards has changed.
	wake chan struct{}

	mu       sync.Mutex
	members  map[Key]bool
	serving  Key
	err      *engine.Error
	followed bool
	// asked are the kinds that events have come for, with the time of the first.
	asked  map[engine.Kind]time.Time
	cancel context.CancelFunc
	ended  bool
}

func newSwarmView(c *Cache, key SwarmKey, followed bool) *swarmView {
	return &swarmView{
		cache: c, key: key, followed: followed,
		log:     c.opts.Log.WithValues("namespace", key.Namespace, "swarm", key.ClusterID),
		inv:     newInventory(engine.SwarmKinds),
		wake:    make(chan struct{}, 1),
		members: map[Key]bool{},
		asked:   map[engine.Kind]time.Time{},
	}
}

func (v *swarmView) join(host Key) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.members[host] = true
	nudge(v.wake)
}

func (v *swarmView) leave(host Key) (left int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.members, host)
	nudge(v.wake)
	return len(v.members)
}

func (v *swarmView) setFollowed(followed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.followed = followed
	nudge(v.wake)
}

// event takes notice of an event that host sent. Every manager sends them all:
// those of the one that serves are enough.
func (v *swarmView) event(host Key, kind engine.Kind) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if host != v.serving {
		return
	}
	v.asked[kind] = earliest(v.asked[kind], time.Now())
	nudge(v.wake)
}

func (v *swarmView) end() {
	v.mu.Lock()
	v.ended = true
	if v.cancel != nil {
		v.cancel()
	}
	v.mu.Unlock()
	v.inv.close()
}

func (v *swarmView) describe() Swarm {
	nodes := v.inv.view(engine.Nodes)
	hosts := v.cache.nodeHosts(v.key.Namespace, nodes.items)
	v.mu.Lock()
	defer v.mu.Unlock()
	return Swarm{
		Key: v.key, ServedBy: v.serving, Err: v.err, Hosts: hosts,
		Managers: slices.SortedFunc(maps.Keys(v.members), compareKeys),
	}
}

func (v *swarmView) list(kind engine.Kind) (Listing, error) {
	got := v.inv.view(kind)
	v.mu.Lock()
	serving, err := v.serving, v.err
	v.mu.Unlock()
	listing := Listing{Items: got.items, ObservedAt: got.observedAt, ListedAt: got.listedAt, ServedBy: serving}
	if a := v.cache.accessor(serving); a != nil && got.listed {
		listing.ObservedAt = earliest(listing.ObservedAt, a.inv.cutTime())
	}
	switch {
	case serving == Key{}:
		return listing, engine.Errorf(engine.ClassUnreachable, "", "no manager of swarm %s is connected", v.key.ClusterID)
	case err != nil:
		return listing, err
	case !got.listed:
		return listing, engine.Errorf(engine.ClassTimeout, engine.CauseTimeout, "the %s of swarm %s are not listed yet", kind, v.key.ClusterID)
	}
	return listing, nil
}

// live runs the view until ctx or the view ends.
func (v *swarmView) live(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v.mu.Lock()
	v.cancel = cancel
	ended := v.ended
	v.mu.Unlock()
	if !ended {
		v.run(ctx)
	}
}

// run asks one manager after the other until ctx ends.
func (v *swarmView) run(ctx context.Context) {
	penalties := map[Key]time.Time{}
	failures := 0
	for ctx.Err() == nil {
		host, eng := v.elect(penalties)
		v.setServing(host)
		if eng == nil {
			v.inv.cut(time.Now())
			v.lost()
			select {
			case <-ctx.Done():
			case <-v.wake:
			}
			continue
		}
		err := v.serve(ctx, host, eng, func() { failures = 0; delete(penalties, host) })
		if err == nil || ctx.Err() != nil {
			continue
		}
		v.inv.cut(time.Now())
		v.setErr(toError(err))
		v.lost()
		penalties[host] = time.Now().Add(managerPenalty)
		failures++
		v.log.Info("A manager failed to list its swarm; another is asked if there is one", "DockerHost", host.String(), "message", err.Error())
		v.rest(ctx, failures)
	}
}

// rest pauses when every manager has failed once; less when one comes or goes.
func (v *swarmView) rest(ctx context.Context, failures int) {
	v.mu.Lock()
	managers := len(v.members)
	v.mu.Unlock()
	if failures < managers {
		return
	}
	timer := time.NewTimer(jitter(min(minBackoff<<min(failures-managers, 10), tasksIdle)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-v.wake:
	}
}

// elect chooses who serves: the one who does, while it is connected and works,
// else the first by name; those that failed come last. The engine is nil when no
// manager is connected.
func (v *swarmView) elect(penalties map[Key]time.Time) (Key, engine.Engine) {
	now := time.Now()
	v.mu.Lock()
	members := slices.SortedFunc(maps.Keys(v.members), compareKeys)
	serving := v.serving
	v.mu.Unlock()
	rank := func(k Key) int {
		switch {
		case now.Before(penalties[k]):
			return 2
		case k != serving:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(members, func(a, b Key) int { return rank(a) - rank(b) })
	for _, host := range members {
		if eng, err := v.cache.Engine(host); err == nil {
			return host, eng
		}
	}
	return Key{}, nil
}

func (v *swarmView) setServing(host Key) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.serving != host {
		v.log.V(1).Info("The swarm is served", "DockerHost", host.String())
	}
	v.serving = host
	clear(v.asked)
}

// lost tells that the swarm cannot be asked now.
func (v *swarmView) lost() { v.cache.swarmNotes.send(SwarmChange{Key: v.key, All: true}) }

func (v *swarmView) setErr(err *engine.Error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}
