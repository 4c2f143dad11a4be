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
	"sync"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// SwarmChange tells what differs between two listings of a swarm.
type SwarmChange struct {
	Key SwarmKey
	// All: everything may differ. The swarm is in touch, for the first time or again, or
	// no longer.
	All bool
	// Names are those of services that came, went or changed.
	Names []string
	// ServiceIDs are the services with tasks that came, went or changed.
	ServiceIDs []string
}

// swarmNotifier tells SwarmChanges to whoever asked for them.
type swarmNotifier struct {
	mu   sync.RWMutex
	next int
	fns  map[int]func(SwarmChange)
}

// NotifySwarms calls fn for every SwarmChange from now on, until cancel is called. fn
// is called from many goroutines, must not block, and may be called once more while
// cancel returns.
func (c *Cache) NotifySwarms(fn func(SwarmChange)) (cancel func()) {
	n := &c.swarmNotes
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fns == nil {
		n.fns = map[int]func(SwarmChange){}
	}
	id := n.next
	n.next++
	n.fns[id] = fn
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.fns, id)
	}
}

// SwarmSource feeds a controller of what is on swarms: requests maps a SwarmChange to
// what it concerns, and must not block.
func (c *Cache) SwarmSource(requests func(SwarmChange) []reconcile.Request) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		cancel := c.NotifySwarms(func(ch SwarmChange) {
			for _, req := range requests(ch) {
				queue.Add(req)
			}
		})
		context.AfterFunc(ctx, cancel)
		return nil
	})
}

func (n *swarmNotifier) listeners() []func(SwarmChange) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	fns := make([]func(SwarmChange), 0, len(n.fns))
	for _, fn := range n.fns {
		fns = append(fns, fn)
	}
	return fns
}

func (n *swarmNotifier) send(ch SwarmChange) {
	for _, fn := range n.listeners() {
		fn(ch)
	}
}

// compare tells what differs between two listings of services or tasks; nodes concern
// nobody who does not look at tasks. Nothing is compared where nobody listens.
func (n *swarmNotifier) compare(key SwarmKey, kind engine.Kind, before, after []engine.Object) {
	if kind == engine.Nodes || len(n.listeners()) == 0 {
		return
	}
	ch := SwarmChange{Key: key}
	seen := map[string]bool{}
	add := func(list *[]string, name string) {
		if !seen[name] {
			seen[name] = true
			*list = append(*list, name)
		}
	}
	diff(before, after, func(e WatchEvent) {
		if kind == engine.Services {
			add(&ch.Names, e.Object.Name)
		} else {
			add(&ch.ServiceIDs, e.Object.ServiceID)
		}
	})
	if len(seen) > 0 {
		n.send(ch)
	}
}
