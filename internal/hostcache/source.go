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
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// CountDebounce is how long a change of counts waits for more of its kind: a
// compose file that starts ten containers is one status write.
const CountDebounce = 300 * time.Millisecond

// Notify calls fn for every Change from now on, until cancel is called. fn is
// called from many goroutines, must not block, and may be called once more while
// cancel returns.
func (c *Cache) Notify(fn func(Change)) (cancel func()) { return c.notes.add(fn) }

// Source feeds a DockerHost controller: a request for each host that changes.
func (c *Cache) Source() source.Source {
	return c.SourceFor(func(ch Change) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: ch.Key}}
	})
}

// SourceFor feeds any controller: requests maps a Change to what it concerns.
// Changes of condition are queued at once, those of counts after CountDebounce
// and behind everything else. requests must not block.
func (c *Cache) SourceFor(requests func(Change) []reconcile.Request) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		cancel := c.Notify(func(ch Change) {
			for _, req := range requests(ch) {
				enqueue(queue, req, ch.Condition)
			}
		})
		context.AfterFunc(ctx, cancel)
		return nil
	})
}

func enqueue(queue workqueue.TypedRateLimitingInterface[reconcile.Request], req reconcile.Request, condition bool) {
	if condition {
		queue.Add(req)
		return
	}
	if pq, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		low := handler.LowPriority
		pq.AddWithOpts(priorityqueue.AddOpts{After: CountDebounce, Priority: &low}, req)
		return
	}
	queue.AddAfter(req, CountDebounce)
}
