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
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// deadShare of the hosts become black holes.
const deadShare = 0.1

// eventBench is a host cache in this process over engines in another.
type eventBench struct {
	cache *hostcache.Cache
	// healthy and dead are the hosts' keys; engines are those of healthy, bare, and
	// ids their containers.
	healthy, dead []hostcache.Key
	engines       []*bare
	ids           [][]string

	mu sync.Mutex
	// seen has the events under way by container, each of which gets one only.
	seen map[string]*sent
}

// sent is one event: when its engine says it was, and when the watcher had it.
type sent struct{ made, seen time.Time }

func (s *sent) done() bool { return !s.made.IsZero() && !s.seen.IsZero() }

// connect declares every host and waits until all are connected.
func (e *eventBench) connect(b *testing.B, healthy, dead []string) {
	b.Helper()
	e.cache = hostcache.New(hostcache.Options{Connector: moby.Connector{}, Log: logr.Discard()})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	go func() { ended <- e.cache.Start(ctx) }()
	begun := time.Now()
	for i, socket := range healthy {
		e.healthy = append(e.healthy, e.declare(fmt.Sprintf("healthy-%04d", i), socket))
		e.engines = append(e.engines, newBare(socket, true, 10*time.Second))
	}
	for i, socket := range dead {
		e.dead = append(e.dead, e.declare(fmt.Sprintf("dead-%04d", i), socket))
	}
	eventually(b, 2*time.Minute, "the hosts to be connected", func() bool {
		return e.connected(e.healthy) == len(healthy) && e.connected(e.dead) == len(dead)
	})
	say("connected to all hosts in %s", seconds(time.Since(begun).Seconds()))
	for _, engine := range e.engines {
		e.ids = append(e.ids, engine.containerIDs(b))
	}
}

// declare tells the cache of a host as the controller does, with the CRD's defaults.
func (e *eventBench) declare(name, socket string) hostcache.Key {
	key := hostcache.Key{Namespace: "bench", Name: name}
	e.cache.Set(hostcache.Host{
		Key: key, UID: types.UID(name), Generation: 1, Health: hostcache.DefaultHealthCheck,
		Config: engine.Config{
			Endpoint:       engine.Endpoint{Scheme: engine.SchemeUnix, Path: socket},
			MaxConnections: 64, IdleTimeout: 90 * time.Second, Timeout: hostcache.DefaultHealthCheck.Timeout,
		},
	})
	return key
}

func (e *eventBench) connected(keys []hostcache.Key) (n int) {
	for _, key := range keys {
		if s, ok := e.cache.State(key); ok && s.Connected() {
			n++
		}
	}
	return n
}

// follow watches the containers of every healthy host, and its events for what
// the engine's clock says of them.
func (e *eventBench) follow(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg, synced sync.WaitGroup
	b.Cleanup(func() { cancel(); wg.Wait() })
	for _, key := range e.healthy {
		changes, err := e.cache.Watch(ctx, key, engine.Containers)
		if err != nil {
			b.Fatal(err)
		}
		feed, err := e.cache.Events(ctx, key)
		if err != nil {
			b.Fatal(err)
		}
		synced.Add(1)
		wg.Go(func() {
			for w := range changes {
				switch w.Type {
				case hostcache.Synced:
					synced.Done()
				case hostcache.Modified:
					e.note(w.Object.ID, func(s *sent) { s.seen = time.Now() })
				}
			}
		})
		wg.Go(func() {
			for item := range feed {
				if !item.Gap {
					e.note(item.Event.Actor.ID, func(s *sent) { s.made = item.Event.At() })
				}
			}
		})
	}
	synced.Wait()
	pause(b, time.Second) // the feeds' subscriptions have no Synced
}

func (e *eventBench) note(id string, change func(*sent)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.seen[id]; s != nil && !s.done() {
		change(s)
	}
}

// make pauses the containers numbered from to to-1, each on the host after the
// one before, at the rate asked for however long each takes, and returns the
// delays in seconds.
func (e *eventBench) make(b *testing.B, what string, from, to int) []float64 {
	b.Helper()
	say("%s: %d events at %d a second", what, to-from, *eventRate)
	var ids []string
	tick := time.NewTicker(time.Second / time.Duration(*eventRate))
	defer tick.Stop()
	var wg sync.WaitGroup
	errs := make(chan error, to-from)
	for n := from; n < to; n++ {
		host, number := n%len(e.engines), n/len(e.engines)
		if number >= len(e.ids[host]) {
			b.Fatalf("%d hosts of %d containers are too few for %d events", len(e.engines), len(e.ids[host]), to)
		}
		id := e.ids[host][number]
		ids = append(ids, id)
		e.mu.Lock()
		e.seen[id] = &sent{}
		e.mu.Unlock()
		wg.Go(func() {
			if _, err := e.engines[host].call(http.MethodPost, "/containers/"+id+"/pause"); err != nil {
				errs <- err
			}
		})
		select {
		case <-tick.C:
		case <-interrupted.Done():
			b.Fatal("interrupted")
		}
	}
	wg.Wait()
	close(errs)
	if err := <-errs; err != nil {
		b.Fatal(err)
	}
	return e.delays(b, ids)
}

// delays waits until every event has arrived.
func (e *eventBench) delays(b *testing.B, ids []string) []float64 {
	b.Helper()
	delays := make([]float64, 0, len(ids))
	eventually(b, 30*time.Second, "the last events to reach the inventory", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		delays = delays[:0]
		for _, id := range ids {
			if s := e.seen[id]; s.done() {
				delays = append(delays, s.seen.Sub(s.made).Seconds())
			}
		}
		return len(delays) == len(ids)
	})
	return delays
}

// checkLost fails where the black holes were none, or took others along.
func (e *eventBench) checkLost(b *testing.B, dead int) {
	b.Helper()
	if n := e.connected(e.healthy); n != len(e.healthy) {
		b.Fatalf("only %d of %d healthy hosts are connected: the black holes took others along", n, len(e.healthy))
	}
	limit := time.Duration(hostcache.DefaultHealthCheck.FailureThreshold) * (hostcache.DefaultHealthCheck.Interval + hostcache.DefaultHealthCheck.Timeout)
	eventually(b, limit+5*time.Second, "the black-holed hosts to be lost", func() bool { return e.connected(e.dead) == 0 })
	say("%d black-holed hosts are lost, all others connected", dead)
}

// byHand is the median time from an event to a list of its container, over a bare
// event stream of one host. The container ends as it began.
func byHand(b *testing.B, socket string) float64 {
	b.Helper()
	const samples = 100
	calls := newBare(socket, true, 10*time.Second)
	id := calls.containerIDs(b)[0]
	stream, err := newBare(socket, false, 0).open(b.Context(), http.MethodGet, "/events")
	if err != nil {
		b.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewReader(stream.Body)
	var delays []float64
	for i := range samples {
		action := []string{"pause", "unpause"}[i%2]
		failed := make(chan error, 1)
		go func() {
			_, err := calls.call(http.MethodPost, "/containers/"+id+"/"+action)
			failed <- err
		}()
		line, err := lines.ReadBytes('\n')
		if err != nil {
			b.Fatal(err)
		}
		var event struct{ TimeNano int64 }
		if err := json.Unmarshal(line, &event); err != nil {
			b.Fatal(err)
		}
		calls.must(b, listOf(id))
		delays = append(delays, time.Since(time.Unix(0, event.TimeNano)).Seconds())
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	return quantile(delays, 0.5)
}
