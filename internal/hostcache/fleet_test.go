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
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
)

// declare adds n engines of containers each and declares them.
func (f *fleet) declare(n, containers int) {
	f.Helper()
	for i := range n {
		f.add(sim.Options{Name: fmt.Sprint("sim", i), Containers: containers})
	}
	for i := range n {
		h := f.host(i)
		h.Health = HealthCheck{}
		f.cache.Set(h)
	}
}

func (f *fleet) allConnected(limit time.Duration) time.Duration {
	f.Helper()
	return f.changed("every host is connected", limit, func() bool {
		return !slices.ContainsFunc(f.cache.Keys(), func(k Key) bool {
			s, _ := f.cache.State(k)
			return !s.Connected()
		})
	})
}

// delays pauses and resumes containers of the hosts from first on, and returns
// how long each change took from the engine's answer to the inventory, sorted.
func (f *fleet) delays(ctx context.Context, first, samples int) []time.Duration {
	f.Helper()
	delays := make([]time.Duration, 0, samples)
	n := len(f.engines) - first
	for i := range samples {
		key := f.key(first + i%n)
		listing, err := f.cache.List(key, engine.Containers)
		if err != nil || len(listing.Items) == 0 {
			f.Fatalf("containers of %s: %d, %v", key, len(listing.Items), err)
		}
		eng, err := f.cache.Engine(key)
		if err != nil {
			f.Fatal(err)
		}
		delays = append(delays, f.delay(ctx, key, eng, listing.Items[i/n%len(listing.Items)]))
	}
	slices.Sort(delays)
	return delays
}

func (f *fleet) delay(ctx context.Context, key Key, eng engine.Engine, o engine.Object) time.Duration {
	f.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	events, err := f.cache.Watch(ctx, key, engine.Containers)
	if err != nil {
		f.Fatal(err)
	}
	var began time.Time
	for e := range events {
		switch {
		case e.Type == Synced:
			began = time.Now()
			if err := eng.ContainerPause(ctx, o.ID); err != nil {
				f.Fatal(err)
			}
		case e.Type == Modified && e.Object.ID == o.ID && e.Object.State == "paused":
			took := time.Since(began)
			if err := eng.ContainerUnpause(ctx, o.ID); err != nil {
				f.Fatal(err)
			}
			return took
		}
	}
	f.Fatalf("a change of %s on %s never came", o.ID, key)
	return 0
}

// TestFleet is a smaller fleet than the benchmarks', with a tenth of it hanging:
// the others connect, and their changes come, as if it were not there.
func TestFleet(t *testing.T) {
	f := newFleet(t)
	const hosts, dead = 300, 30
	for i := range hosts {
		f.add(sim.Options{Name: fmt.Sprint("sim", i), Containers: 5})
		if i < dead {
			f.fault(i, sim.Fault{Mode: sim.Blackhole})
		}
	}
	for i := range hosts {
		h := f.host(i)
		if i < dead {
			h = f.faulty(i)
		}
		h.Health = HealthCheck{}
		f.cache.Set(h)
	}
	took := f.changed("the healthy hosts are connected", 2*patience, func() bool {
		n := 0
		for _, k := range f.cache.Keys() {
			if s, _ := f.cache.State(k); s.Connected() {
				n++
			}
		}
		return n == hosts-dead
	})
	delays := f.delays(t.Context(), dead, 50)
	t.Logf("%d hosts connected in %s; from event to inventory: p50 %s, max %s", hosts-dead, took, delays[len(delays)/2], delays[len(delays)-1])
}

// BenchmarkFleetStart is the time from Set of 1,000 hosts with 50 containers
// each to the last one's connection, and what they cost afterwards.
func BenchmarkFleetStart(b *testing.B) {
	for _, hosts := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			for range b.N {
				f := newFleet(b)
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				f.declare(hosts, 50)
				b.ReportMetric(float64(f.allConnected(2*time.Minute).Milliseconds()), "ms/all-connected")
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(hosts)/1024, "KiB-heap/host(with-sim)")
				b.ReportMetric(float64(runtime.NumGoroutine())/float64(hosts), "goroutines/host(with-sim)")
			}
		})
	}
}

// BenchmarkEventToInventory is the delay from a container's change to the
// inventory of a healthy host among 1,000, of which 100 hang.
func BenchmarkEventToInventory(b *testing.B) {
	f := newFleet(b)
	const hosts, dead = 1000, 100
	f.declare(hosts, 50)
	f.allConnected(2 * time.Minute)
	for i := range dead {
		f.fault(i, sim.Fault{Mode: sim.Blackhole})
	}
	for i := range dead {
		f.phase(i, PhaseDisconnected, 2*time.Minute)
	}
	b.ResetTimer()
	delays := f.delays(b.Context(), dead, max(b.N, 100))
	b.ReportMetric(float64(delays[len(delays)/2].Microseconds())/1000, "ms/p50")
	b.ReportMetric(float64(delays[len(delays)*99/100].Microseconds())/1000, "ms/p99")
}
