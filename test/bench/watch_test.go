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

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// hostWatch follows the DockerHosts of a namespace, and notes when each change of
// Ready arrived here.
type hostWatch struct {
	client    client.WithWatch
	namespace string

	mu    sync.Mutex
	hosts map[string]sighting
	// news is closed, and made anew, when hosts has changed.
	news  chan struct{}
	ended error
}

// sighting is what was last seen of a host: when it came, and its Ready condition,
// "" for none yet, with the time of its last change.
type sighting struct {
	added time.Time
	ready metav1.ConditionStatus
	at    time.Time
}

// watchHosts watches a new namespace until the benchmark ends.
func (c *cluster) watchHosts(b *testing.B) *hostWatch {
	b.Helper()
	w := &hostWatch{namespace: c.Namespace(b), hosts: map[string]sighting{}, news: make(chan struct{})}
	var err error
	if w.client, err = client.NewWithWatch(rest.CopyConfig(c.Config), client.Options{Scheme: c.Client.Scheme()}); err != nil {
		b.Fatal(err)
	}
	var none dcv1.DockerHostList
	if err := w.client.List(b.Context(), &none, client.InNamespace(w.namespace)); err != nil {
		b.Fatal(err)
	}
	// An API server ends a watch when it pleases: this one goes on where it ended.
	events, err := watchtools.NewRetryWatcherWithContext(b.Context(), none.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return w.client.Watch(ctx, &dcv1.DockerHostList{}, &client.ListOptions{Namespace: w.namespace, Raw: &options})
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range events.ResultChan() {
			w.note(e, time.Now())
		}
		w.note(watch.Event{Type: watch.Error}, time.Now())
	}()
	b.Cleanup(func() { events.Stop(); <-done })
	return w
}

func (w *hostWatch) note(e watch.Event, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	host, ok := e.Object.(*dcv1.DockerHost)
	switch {
	case e.Type == watch.Bookmark:
	case !ok:
		w.ended = fmt.Errorf("the watch of DockerHosts ended: %v", e.Object)
	case e.Type == watch.Deleted:
		delete(w.hosts, host.Name)
	default:
		seen := w.hosts[host.Name]
		var ready metav1.ConditionStatus
		if c := meta.FindStatusCondition(host.Status.Conditions, dcv1.ConditionReady); c != nil {
			ready = c.Status
		}
		if seen.added.IsZero() {
			seen.added = now
		}
		if seen.ready != ready {
			seen.ready, seen.at = ready, now
		}
		w.hosts[host.Name] = seen
	}
	close(w.news)
	w.news = make(chan struct{})
}

// wait waits until every named host is seen with that Ready status, and returns
// how long after since each was.
func (w *hostWatch) wait(b *testing.B, limit time.Duration, ready metav1.ConditionStatus, since time.Time, names ...string) []time.Duration {
	b.Helper()
	took := make([]time.Duration, 0, len(names))
	w.until(b, limit, fmt.Sprintf("Ready=%s of %d hosts", ready, len(names)), func() bool {
		took = took[:0]
		for _, name := range names {
			seen, ok := w.hosts[name]
			if !ok || seen.ready != ready || seen.at.Before(since) {
				return false
			}
			took = append(took, seen.at.Sub(since))
		}
		return true
	})
	return took
}

// addedAt is when the watch told of a new host.
func (w *hostWatch) addedAt(name string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hosts[name].added
}

// until waits for a condition on w.hosts.
func (w *hostWatch) until(b *testing.B, limit time.Duration, what string, met func() bool) {
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
		case <-timer.C:
			b.Fatalf("waited %v for %s", limit, what)
		case <-interrupted.Done():
			b.Fatal("interrupted")
		}
	}
}

// apply creates a DockerHost.
func (w *hostWatch) apply(ctx context.Context, name, socket string, health dcv1.DockerHostHealthCheck) error {
	host := &dcv1.DockerHost{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       dcv1.DockerHostSpec{Endpoint: engine.SchemeUnix + "://" + socket, HealthCheck: health},
	}
	if err := w.client.Create(ctx, host); err != nil {
		return fmt.Errorf("making DockerHost %s: %w", name, err)
	}
	return nil
}

// deleteAll deletes every DockerHost and waits for their end.
func (w *hostWatch) deleteAll(b *testing.B) {
	b.Helper()
	if err := w.client.DeleteAllOf(b.Context(), &dcv1.DockerHost{}, client.InNamespace(w.namespace)); err != nil {
		b.Fatal(err)
	}
	w.until(b, 2*time.Minute, "the DockerHosts to be gone", func() bool { return len(w.hosts) == 0 })
}
