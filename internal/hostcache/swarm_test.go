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
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

var (
	listServices = hostcachetest.List(engine.Services)
	listNodes    = hostcachetest.List(engine.Nodes)
	listTasks    = hostcachetest.List(engine.Tasks)
	theSwarm     = SwarmKey{Namespace: "default", ClusterID: "cluster"}
)

// member adds a connected host that is a member of the swarm.
func (b *bed) member(key Key, manager bool) *hostcachetest.Engine {
	b.Helper()
	endpoint := fmt.Sprintf("unix:///%s/%s.sock", key.Namespace, key.Name)
	docker := b.connector.Add(endpoint)
	docker.SetInfo(func(i *engine.Info) {
		i.Swarm.LocalNodeState, i.Swarm.NodeID = "active", "node-"+key.Name
		if manager {
			i.Swarm.ControlAvailable = true
			i.Swarm.Cluster = &struct{ ID string }{"cluster"}
		}
	})
	docker.Put(hostcachetest.Service("s1", "web", 1))
	docker.Put(hostcachetest.Node("node-m1", "m1", "ready"))
	docker.Put(hostcachetest.Node("node-m2", "m2", "ready"))
	docker.Put(hostcachetest.Node("node-w1", "w1", "ready"))
	docker.Put(hostcachetest.Task("t1", "s1", "node-w1", "running"))
	b.cache.Set(host(key, endpoint))
	b.settle()
	b.wantPhase(key, PhaseConnected)
	return docker
}

func local(name string) Key { return Key{Namespace: "default", Name: name} }

func TestSwarmIsListedOnce(t *testing.T) {
	inBubble(t, func(b *bed) {
		m2 := b.member(local("m2"), true)
		m1 := b.member(local("m1"), true)
		w1 := b.member(local("w1"), false)
		other := b.member(Key{Namespace: "other", Name: "m1"}, true)
		b.pass(time.Hour)

		for _, name := range []string{"m1", "m2"} {
			listing, err := b.cache.List(local(name), engine.Services)
			if err != nil || !slices.Equal(idsOf(listing.Items), []string{"s1"}) || listing.ServedBy != local("m2") {
				t.Errorf("services by %s: %v served by %s, %v", name, idsOf(listing.Items), listing.ServedBy, err)
			}
			if !listing.ObservedAt.Equal(time.Now()) {
				t.Errorf("services are of %s", listing.ObservedAt)
			}
		}
		if _, err := b.cache.List(local("w1"), engine.Services); !engine.IsConflict(err) {
			t.Errorf("services by a worker: %v", err)
		}
		// m2 was there first and stays; nobody else is asked.
		for docker, want := range map[*hostcachetest.Engine]int{m1: 0, w1: 0, m2: 240, other: 240} {
			if n := docker.Calls(listTasks); n > want+10 || n < want {
				t.Errorf("tasks were listed %d times in an hour, want %d", n, want)
			}
			if n := docker.Calls(listServices); n > want/12 {
				t.Errorf("services were listed %d times in an hour without an event", n)
			}
		}
		swarms := b.cache.Swarms("default")
		if len(swarms) != 1 || len(b.cache.Swarms("")) != 2 {
			t.Fatalf("swarms: %+v", swarms)
		}
		got := swarms[0]
		wantHosts := map[string]Key{"node-m1": local("m1"), "node-m2": local("m2"), "node-w1": local("w1")}
		if got.Key != theSwarm || got.ServedBy != local("m2") || got.Err != nil ||
			!slices.Equal(got.Managers, []Key{local("m1"), local("m2")}) || !maps.Equal(got.Hosts, wantHosts) {
			t.Errorf("swarm: %+v", got)
		}
		b.taken()
		b.pass(time.Hour)
		b.wantSilence()
	})
}

func TestSwarmEvents(t *testing.T) {
	inBubble(t, func(b *bed) {
		m1, m2 := b.member(local("m1"), true), b.member(local("m2"), true)
		b.pass(time.Second)
		m1.Put(hostcachetest.Service("s2", "db", 2))
		m1.Put(hostcachetest.Task("t2", "s2", "node-w1", "preparing"))
		services, tasks := m1.Calls(listServices), m1.Calls(listTasks)
		for range 20 {
			m1.Emit("service", "create", "s2")
			m2.Emit("service", "create", "s2") // each manager sends it
			b.settle()
		}
		b.wantIDs(local("m2"), engine.Services, "s1", "s2")
		b.wantIDs(local("m2"), engine.Tasks, "t1", "t2")
		b.pass(time.Second)
		if n := m1.Calls(listServices) - services; n > 2 {
			t.Errorf("20 events had services listed %d times", n)
		}
		if n := m1.Calls(listTasks) - tasks; n > 2 {
			t.Errorf("20 events had tasks listed %d times", n)
		}
		if n := m2.Calls(listServices); n != 0 {
			t.Errorf("the other manager was asked %d times", n)
		}
		m1.Put(hostcachetest.Node("node-x", "x", "ready"))
		m1.Emit("node", "create", "node-x")
		b.settle()
		b.wantIDs(local("m1"), engine.Nodes, "node-m1", "node-m2", "node-w1", "node-x")
	})
}

func TestTasksAreFollowed(t *testing.T) {
	inBubble(t, func(b *bed) {
		m1 := b.member(local("m1"), true)
		b.pass(time.Minute)
		count := func(d time.Duration) int {
			before := m1.Calls(listTasks)
			b.pass(d)
			return m1.Calls(listTasks) - before
		}
		if n := count(time.Minute); n != 4 {
			t.Errorf("%d lists of tasks in a minute that nobody looks, want 4", n)
		}
		one, two := b.cache.FollowTasks(theSwarm), b.cache.FollowTasks(theSwarm)
		if n := count(time.Minute); n < 55 || n > 61 {
			t.Errorf("%d lists of tasks in a minute that somebody looks, want 60", n)
		}
		listing, err := b.cache.List(local("m1"), engine.Tasks)
		if age := time.Since(listing.ObservedAt); err != nil || age > time.Second {
			t.Errorf("tasks are %s old, %v", age, err)
		}
		one()
		one()
		if n := count(time.Minute); n < 55 {
			t.Errorf("%d lists of tasks in a minute that one still looks, want 60", n)
		}
		two()
		count(15 * time.Second)
		if n := count(time.Minute); n != 4 {
			t.Errorf("%d lists of tasks in a minute that nobody looks any more, want 4", n)
		}
		release := b.cache.FollowTasks(SwarmKey{Namespace: "default", ClusterID: "nobody's"})
		release()
		if n := len(b.cache.swarm.interest); n != 0 {
			t.Errorf("%d interests are left", n)
		}
	})
}

// TestTasksFollowTheirNode: a node that goes sends an event, and then its tasks move.
func TestTasksFollowTheirNode(t *testing.T) {
	inBubble(t, func(b *bed) {
		m1 := b.member(local("m1"), true)
		b.pass(time.Minute)
		m1.Emit("node", "update", "node-w1")
		b.pass(5 * time.Second)
		listing, err := b.cache.List(local("m1"), engine.Tasks)
		if age := time.Since(listing.ObservedAt); err != nil || age > tasksFollowed {
			t.Errorf("5 s after the event tasks are %s old, %v", age, err)
		}
		b.pass(stirTime + tasksIdle)
		before := m1.Calls(listTasks)
		b.pass(time.Minute)
		if n := m1.Calls(listTasks) - before; n != 4 {
			t.Errorf("%d lists of tasks in a minute without events, want 4", n)
		}
	})
}

func TestAnotherManagerServes(t *testing.T) {
	lose := map[string]func(b *bed, m1 *hostcachetest.Engine){
		"killed":    func(_ *bed, m1 *hostcachetest.Engine) { m1.Stop() },
		"deleted":   func(b *bed, _ *hostcachetest.Engine) { b.cache.Delete(local("m1")) },
		"suspended": func(b *bed, _ *hostcachetest.Engine) { b.suspend(local("m1")) },
		"demoted": func(_ *bed, m1 *hostcachetest.Engine) {
			m1.SetInfo(func(i *engine.Info) { i.Swarm.ControlAvailable, i.Swarm.Cluster = false, nil })
			m1.Emit("node", "update", "node-m1")
		},
		"failing": func(_ *bed, m1 *hostcachetest.Engine) {
			boom := engine.Errorf(engine.ClassServer, engine.CauseEngineError, "no quorum")
			m1.Fail(listServices, boom)
			m1.Emit("service", "update", "s1")
		},
	}
	for name, lose := range lose {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				m1, m2 := b.member(local("m1"), true), b.member(local("m2"), true)
				m2.Put(hostcachetest.Service("s3", "new", 1))
				b.pass(time.Second)
				lose(b, m1)
				b.pass(time.Second)
				listing, err := b.cache.List(local("m2"), engine.Services)
				if err != nil || listing.ServedBy != local("m2") || !slices.Equal(idsOf(listing.Items), []string{"s1", "s3"}) {
					t.Errorf("services: %v served by %s, %v", idsOf(listing.Items), listing.ServedBy, err)
				}
				if name == "killed" { // a manager that is down is served by another one
					b.wantIDs(local("m1"), engine.Services, "s1", "s3")
					m1.Heal(hostcachetest.All)
					b.until(local("m1"), PhaseConnected, 2*time.Second)
					b.pass(time.Minute)
					if got, _ := b.cache.SwarmOf(local("m1")); got.ServedBy != local("m2") {
						t.Errorf("served by %s, though the other one works", got.ServedBy)
					}
				}
			})
		})
	}
}

func (b *bed) suspend(key Key) {
	h := host(key, fmt.Sprintf("unix:///%s/%s.sock", key.Namespace, key.Name))
	h.Suspended = true
	b.cache.Set(h)
}

func TestSwarmWithoutManagers(t *testing.T) {
	inBubble(t, func(b *bed) {
		m1 := b.member(local("m1"), true)
		b.pass(time.Second)
		lost := time.Now()
		m1.Stop()
		b.until(local("m1"), PhaseDisconnected, 2*time.Second)
		b.pass(time.Minute)
		listing, err := b.cache.List(local("m1"), engine.Services)
		if engine.ClassOf(err) != engine.ClassUnreachable || len(listing.Items) != 1 || listing.ObservedAt.Sub(lost) > time.Second {
			t.Errorf("services: %v of %s, %v", idsOf(listing.Items), listing.ObservedAt, err)
		}
		m1.Heal(hostcachetest.All)
		b.until(local("m1"), PhaseConnected, 11*time.Second)
		b.wantIDs(local("m1"), engine.Services, "s1")

		b.cache.Delete(local("m1"))
		b.settle()
		if n := len(b.cache.Swarms("")); n != 0 {
			t.Errorf("%d swarms are left without a host", n)
		}
	})
}

// TestSwarmWithoutLeader: the last manager does not know which swarm it is of, and is
// asked for the swarm all the same; once it has another leader, it tells.
func TestSwarmWithoutLeader(t *testing.T) {
	inBubble(t, func(b *bed) {
		m1, m2 := b.member(local("m1"), true), b.member(local("m2"), true)
		b.pass(time.Second)
		boom := engine.Errorf(engine.ClassServer, engine.CauseEngineError, "The swarm does not have a leader")
		m1.Stop()
		m2.Fail(listServices, boom)
		m2.SetInfo(func(i *engine.Info) { i.Swarm.Cluster, i.Swarm.Error = nil, boom.Error() })
		b.pass(2 * time.Minute)
		got, is := b.cache.SwarmOf(local("m1"))
		if !is || got.ServedBy != local("m2") || got.Err == nil || len(got.Managers) != 2 {
			t.Errorf("without a leader the swarm is %+v", got)
		}
		m2.Heal(listServices)
		b.pass(time.Minute)
		b.wantIDs(local("m1"), engine.Services, "s1")
	})
}

func TestSwarmThatAlwaysFails(t *testing.T) {
	inBubble(t, func(b *bed) {
		m1, m2 := b.member(local("m1"), true), b.member(local("m2"), true)
		b.pass(time.Second)
		boom := engine.Errorf(engine.ClassTimeout, engine.CauseTimeout, "no quorum")
		for _, docker := range []*hostcachetest.Engine{m1, m2} {
			for _, call := range []string{listServices, listNodes, listTasks} {
				docker.Fail(call, boom)
			}
		}
		before := m1.Calls(listServices) + m2.Calls(listServices)
		b.pass(time.Hour)
		if n := m1.Calls(listServices) + m2.Calls(listServices) - before; n > 1000 {
			t.Errorf("a swarm without a quorum was asked %d times in an hour", n)
		}
		if _, err := b.cache.List(local("m1"), engine.Services); !sameError(toError(err), boom) {
			t.Errorf("services: %v", err)
		}
		for _, docker := range []*hostcachetest.Engine{m1, m2} {
			for _, call := range []string{listServices, listNodes, listTasks} {
				docker.Heal(call)
			}
		}
		b.pass(31 * time.Second)
		b.wantIDs(local("m1"), engine.Services, "s1")
	})
}

func TestWatchASwarm(t *testing.T) {
	inBubble(t, func(b *bed) {
		m1 := b.member(local("m1"), true)
		b.cache.Delete(web)
		ended := make(chan []string)
		events, err := b.cache.Watch(b.Context(), local("m1"), engine.Services, engine.Tasks)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			var got []string
			for e := range events {
				got = append(got, fmt.Sprintf("%s %s", e.Type, e.Object.ID))
			}
			ended <- got
		}()
		b.pass(time.Second)
		if n := b.cache.swarm.interest[theSwarm]; n != 1 {
			t.Errorf("%d interests in tasks while they are watched", n)
		}
		m1.Put(hostcachetest.Task("t1", "s1", "node-w1", "failed"))
		b.pass(1100 * time.Millisecond)
		b.cache.Delete(local("m1"))
		want := []string{"ADDED s1", "SYNCED ", "ADDED t1", "SYNCED ", "MODIFIED t1"}
		if got := <-ended; !slices.Equal(got, want) {
			t.Errorf("watched %q, want %q", got, want)
		}
		b.settle()
		if n := len(b.cache.swarm.interest); n != 0 {
			t.Errorf("%d interests are left", n)
		}
	})
}
