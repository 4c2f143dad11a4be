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
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

// swarmChanges gathers what a listener is told.
type swarmChanges struct {
	mu  sync.Mutex
	all []string
}

func (c *swarmChanges) note(ch SwarmChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := ch.Key.ClusterID
	if ch.All {
		text += " all"
	}
	for _, name := range ch.Names {
		text += " " + name
	}
	for _, id := range ch.ServiceIDs {
		text += " tasks of " + id
	}
	c.all = append(c.all, text)
}

// take returns what came since, each once.
func (c *swarmChanges) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.all
	c.all = nil
	slices.Sort(all)
	return slices.Compact(all)
}

func TestSwarmChanges(t *testing.T) {
	inBubble(t, func(b *bed) {
		var changes swarmChanges
		cancel := b.cache.NotifySwarms(changes.note)
		want := func(what string, want ...string) {
			t.Helper()
			b.settle()
			if got := changes.take(); !slices.Equal(got, want) {
				t.Errorf("%s: told %q, want %q", what, got, want)
			}
		}
		m1 := b.member(local("m1"), true)
		b.pass(time.Second)
		want("a swarm is listed", "cluster all")
		b.pass(time.Hour)
		want("nothing happens for an hour")

		m1.Put(hostcachetest.Service("s2", "db", 2))
		m1.Emit("service", "create", "s2")
		b.pass(time.Second)
		want("a service comes", "cluster db")
		m1.Put(hostcachetest.Task("t2", "s2", "node-w1", "preparing"))
		m1.Put(hostcachetest.Task("t3", "s2", "node-w1", "preparing"))
		b.pass(15 * time.Second)
		want("two tasks come", "cluster tasks of s2")
		m1.Put(hostcachetest.Node("node-x", "x", "ready"))
		m1.Emit("node", "create", "node-x")
		b.pass(time.Second)
		want("a node comes")

		m2 := b.member(local("m2"), true)
		b.pass(time.Minute)
		want("another manager comes")
		m1.Stop()
		b.pass(time.Minute)
		if got := changes.take(); !slices.Contains(got, "cluster all") {
			t.Errorf("the manager is lost: told %q", got)
		}
		m2.Stop()
		b.pass(time.Minute)
		want("no manager is left", "cluster all")
		cancel()
		b.member(local("m3"), true)
		b.pass(time.Minute)
		want("nobody listens any more")
	})
}

func TestSwarmSource(t *testing.T) {
	inBubble(t, func(b *bed) {
		q := plainQueue()
		defer q.ShutDown()
		source := b.cache.SwarmSource(func(ch SwarmChange) []reconcile.Request {
			return []reconcile.Request{{NamespacedName: Key{Namespace: ch.Key.Namespace, Name: fmt.Sprint(ch.All, strings.Join(ch.Names, ","))}}}
		})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if err := source.Start(ctx, q); err != nil {
			t.Fatal(err)
		}
		b.cache.swarmNotes.send(SwarmChange{Key: theSwarm, Names: []string{"web"}})
		wantNext(t, q, Key{Namespace: "default", Name: "falseweb"})
		b.cache.notifySwarms(theSwarm, engine.Services, nil, []engine.Object{{ID: "1", Name: "db"}, {ID: "2", Name: "db"}})
		wantNext(t, q, Key{Namespace: "default", Name: "falsedb"})
	})
}
