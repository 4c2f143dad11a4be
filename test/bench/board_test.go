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

package bench

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// lookPause is the pause between two looks at a board: a fleet changes more often than
// it is worth looking. What is measured are the times that the board notes.
const lookPause = 10 * time.Millisecond

// board holds what was last seen of each object of a kind in a namespace, by name. What
// T is, and when it was seen, is noted as the watch delivers it.
type board[T any] struct {
	client    client.WithWatch
	namespace string

	mu   sync.Mutex
	seen map[string]T
	// last is when the last change came.
	last time.Time
	// news is closed, and made anew, when seen has changed.
	news  chan struct{}
	ended error
}

// watched fills a board from a watch until the benchmark ends; learn tells what an object
// adds to what was seen of it before.
func watched[T any](b *testing.B, c *cluster, namespace string, list client.ObjectList, learn func(client.Object, T, time.Time) T) *board[T] {
	b.Helper()
	w := &board[T]{namespace: namespace, seen: map[string]T{}, news: make(chan struct{})}
	var err error
	if w.client, err = client.NewWithWatch(rest.CopyConfig(c.Config), client.Options{Scheme: c.Client.Scheme()}); err != nil {
		b.Fatal(err)
	}
	if err := w.client.List(b.Context(), list, client.InNamespace(namespace)); err != nil {
		b.Fatal(err)
	}
	// An API server ends a watch when it pleases: this one goes on where it ended.
	events, err := watchtools.NewRetryWatcherWithContext(b.Context(), list.GetResourceVersion(), &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return w.client.Watch(ctx, list, &client.ListOptions{Namespace: namespace, Raw: &options})
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range events.ResultChan() {
			w.note(e, time.Now(), learn)
		}
		w.note(watch.Event{Type: watch.Error}, time.Now(), learn)
	}()
	b.Cleanup(func() { events.Stop(); <-done })
	return w
}

func (w *board[T]) note(e watch.Event, now time.Time, learn func(client.Object, T, time.Time) T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	object, ok := e.Object.(client.Object)
	switch {
	case e.Type == watch.Bookmark:
		return
	case !ok:
		w.ended = fmt.Errorf("the watch of namespace %s ended: %v", w.namespace, e.Object)
	case e.Type == watch.Deleted:
		delete(w.seen, object.GetName())
	default:
		w.seen[object.GetName()] = learn(object, w.seen[object.GetName()], now)
	}
	w.last = now
	close(w.news)
	w.news = make(chan struct{})
}

// until waits for a condition on w.seen, which is locked meanwhile.
func (w *board[T]) until(b *testing.B, limit time.Duration, what string, met func() bool) {
	b.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		w.mu.Lock()
		ok, news, ended := met(), w.news, w.ended
		w.mu.Unlock()
		switch {
		case ok:
			return
		case ended != nil:
			b.Fatal(ended)
		}
		select {
		case <-news:
			pause(b, lookPause)
		case <-timer.C:
			b.Fatalf("waited %v for %s", limit, what)
		case <-interrupted.Done():
			b.Fatal("interrupted")
		}
	}
}

// untilGone waits until no object is left, and returns when the last one went.
func (w *board[T]) untilGone(b *testing.B, limit time.Duration, what string) (at time.Time) {
	b.Helper()
	w.until(b, limit, what+" to be gone", func() bool {
		at = w.last
		return len(w.seen) == 0
	})
	return at
}
