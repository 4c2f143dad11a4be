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
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func plainQueue() queue {
	return workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
}

func priorityQueue() queue {
	return priorityqueue.New("test", func(o *priorityqueue.Opts[reconcile.Request]) { o.Log = logr.Discard() })
}

func TestSource(t *testing.T) {
	for name, newQueue := range map[string]func() queue{"plain": plainQueue, "priority": priorityQueue} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue()
				defer q.ShutDown()
				c := New(Options{})
				ctx, cancel := context.WithCancel(t.Context())
				if err := c.Source().Start(ctx, q); err != nil {
					t.Fatal(err)
				}
				for range 5 {
					c.notes.send(Change{Key: db})
				}
				c.notes.send(Change{Key: web, Condition: true})
				began := time.Now()
				wantNext(t, q, web)
				if waited := time.Since(began); waited > 0 {
					t.Errorf("a change of condition waited %s", waited)
				}
				wantNext(t, q, db)
				if waited := time.Since(began); waited < CountDebounce || waited > CountDebounce+100*time.Millisecond {
					t.Errorf("a change of counts waited %s", waited)
				}
				cancel()
				synctest.Wait()
				c.notes.send(Change{Key: web, Condition: true})
				time.Sleep(time.Second)
				synctest.Wait()
				if n := q.Len(); n != 0 {
					t.Errorf("%d requests are queued after five equal ones and the source's end", n)
				}
			})
		})
	}
}

func wantNext(t *testing.T, q queue, want Key) {
	t.Helper()
	req, shutdown := q.Get()
	if shutdown || req.NamespacedName != want {
		t.Fatalf("got %s (shutdown %t), want %s", req, shutdown, want)
	}
	q.Done(req)
}

func TestCountsAreQueuedBehindConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := priorityQueue().(priorityqueue.PriorityQueue[reconcile.Request])
		defer q.ShutDown()
		enqueue(q, reconcile.Request{NamespacedName: db}, false)
		time.Sleep(time.Second)
		enqueue(q, reconcile.Request{NamespacedName: web}, true)
		synctest.Wait()
		for _, want := range []struct {
			key      Key
			priority int
		}{{web, 0}, {db, handler.LowPriority}} {
			req, priority, _ := q.GetWithPriority()
			if req.NamespacedName != want.key || priority != want.priority {
				t.Errorf("got %s with priority %d, want %s with %d", req, priority, want.key, want.priority)
			}
			q.Done(req)
		}
	})
}

func TestSourceForMapsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := plainQueue()
		defer q.ShutDown()
		c := New(Options{})
		src := c.SourceFor(func(ch Change) []reconcile.Request {
			if ch.Key == web {
				return []reconcile.Request{{NamespacedName: Key{Namespace: "default", Name: "service"}}}
			}
			return nil
		})
		if err := src.Start(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		c.notes.send(Change{Key: db, Condition: true})
		c.notes.send(Change{Key: web, Condition: true})
		wantNext(t, q, Key{Namespace: "default", Name: "service"})
		if q.Len() != 0 {
			t.Error("more was queued than asked for")
		}
	})
}
