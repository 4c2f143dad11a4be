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

// NotifySwarms calls fn for every SwarmChange from now on, until cancel is called. fn
// is called from many goroutines, must not block, and may be called once more while
// cancel returns.
func (c *Cache) NotifySwarms(fn func(SwarmChange)) (cancel func()) { return c.swarmNotes.add(fn) }

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

// notifySwarms tells what differs between two listings of services or tasks; nodes concern
// nobody who does not look at tasks. Nothing is compared where nobody listens.
func (c *Cache) notifySwarms(key SwarmKey, kind engine.Kind, before, after []engine.Object) {
	if kind == engine.Nodes || len(c.swarmNotes.listeners()) == 0 {
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
		c.swarmNotes.send(ch)
	}
}
