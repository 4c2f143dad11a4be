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
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
)

// patience is how long a test waits for what should take far less: the machine
// may be busy, and a race detector on.
const patience = time.Minute

func TestSimInventoryFollowsTheEngine(t *testing.T) {
	f := newFleet(t)
	f.add(sim.Options{Containers: 3, Images: 2})
	f.cache.Set(f.host(0))
	f.phase(0, PhaseConnected, patience)
	eng := f.engine(0)
	ctx := t.Context()

	counts := func() Counts { s, _ := f.cache.State(f.key(0)); return s.Counts }
	same := func() bool {
		info, err := eng.Info(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return counts() == Counts{
			Running: info.ContainersRunning, Paused: info.ContainersPaused, Stopped: info.ContainersStopped,
			Total: info.Containers, Images: info.Images,
		}
	}
	if !same() {
		t.Fatalf("counts are %+v", counts())
	}
	images, err := f.cache.List(f.key(0), engine.Images)
	if err != nil || len(images.Items) != 2 {
		t.Fatalf("images: %d, %v", len(images.Items), err)
	}
	var req container.CreateRequest
	req.Config = &container.Config{Image: images.Items[0].Name, Cmd: []string{"sleep", "infinity"}}
	id, err := eng.ContainerCreate(ctx, "new", req)
	if err != nil {
		t.Fatal(err)
	}
	state := func() string {
		listing, err := f.cache.List(f.key(0), engine.Containers)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range listing.Items {
			if o.ID == id {
				return o.Name + " " + o.State
			}
		}
		return ""
	}
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return nil }, "new created"},
		{func() error { return eng.ContainerStart(ctx, id) }, "new running"},
		{func() error { return eng.ContainerPause(ctx, id) }, "new paused"},
		{func() error { return eng.ContainerUnpause(ctx, id) }, "new running"},
		{func() error { return eng.ContainerRename(ctx, id, "renamed") }, "renamed running"},
		{func() error { return eng.ContainerStop(ctx, id, 0) }, "renamed exited"},
		{func() error { return eng.ContainerRemove(ctx, id, true, true) }, ""},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("towards %q: %v", step.want, err)
		}
		f.changed(fmt.Sprintf("the container is %q", step.want), patience, func() bool { return state() == step.want })
		f.changed("the counts are the engine's", patience, same)
	}
}

func TestSimRestart(t *testing.T) {
	f := newFleet(t)
	f.add(sim.Options{Containers: 3})
	h := f.host(0)
	h.Health = HealthCheck{} // the defaults
	f.cache.Set(h)
	f.phase(0, PhaseConnected, patience)
	f.fault(0, sim.Fault{Mode: sim.Refuse})
	lost := f.phase(0, PhaseDisconnected, patience)
	s, _ := f.cache.State(f.key(0))
	if s.Err.Cause != engine.CauseDialFailed || s.Counts.Total != 3 || s.Info.ID == "" {
		t.Errorf("lost: %+v", s)
	}
	f.fault(0, sim.Fault{})
	back := f.phase(0, PhaseConnected, patience)
	t.Logf("lost after %s, back after %s", lost, back)

	// A cut of the connections alone changes nothing.
	changes := make(chan Change, 100)
	cancel := f.cache.Notify(func(ch Change) { changes <- ch })
	defer cancel()
	eng := f.engine(0)
	streams := func() int64 { return f.engines[0].Calls()["GET /events"] }
	before := streams()
	f.engines[0].Cut()
	f.changed("the event stream is open again", patience, func() bool {
		listing, err := f.cache.List(f.key(0), engine.Containers)
		return err == nil && streams() > before && time.Since(listing.ObservedAt) < time.Millisecond
	})
	if f.engine(0) != eng || len(changes) > 0 {
		t.Errorf("%d changes for a cut of the connections", len(changes))
	}
}

// TestSimFaults puts each fault on a connected engine and on one that is not yet.
// A healthy host beside it must not notice.
func TestSimFaults(t *testing.T) {
	for _, test := range []struct {
		fault sim.Fault
		want  []engine.Cause
	}{
		{sim.Fault{Mode: sim.Blackhole}, []engine.Cause{engine.CauseTimeout}},
		{sim.Fault{Mode: sim.Refuse}, []engine.Cause{engine.CauseDialFailed}},
		{sim.Fault{Mode: sim.Junk}, []engine.Cause{engine.CauseEngineError}},
		{sim.Fault{Mode: sim.HTML}, []engine.Cause{engine.CauseEngineError}},
		{sim.Fault{Mode: sim.Long, Bytes: 64 << 20}, []engine.Cause{engine.CauseEngineError, engine.CauseTimeout}},
		{sim.Fault{Mode: sim.Fail}, []engine.Cause{engine.CauseEngineError}},
		{sim.Fault{Mode: sim.Redirect, Location: "http://169.254.169.254/"}, []engine.Cause{engine.CauseEngineError}},
		{sim.Fault{APIVersion: "1.39"}, []engine.Cause{engine.CauseAPIVersion}},
	} {
		t.Run(fmt.Sprintf("%s%s", test.fault.Mode, test.fault.APIVersion), func(t *testing.T) {
			f := newFleet(t)
			for n := range 3 {
				f.add(sim.Options{Containers: 2})
				if n == 2 {
					f.fault(2, test.fault)
				}
				h := f.faulty(n)
				if n == 0 {
					h = f.host(n)
				}
				f.cache.Set(h)
			}
			f.phase(0, PhaseConnected, patience)
			f.phase(1, PhaseConnected, patience)
			f.phase(2, PhaseDisconnected, patience)
			f.fault(1, test.fault)
			f.engines[1].Cut() // so that it is noticed where it spares what is open
			f.phase(1, PhaseDisconnected, patience)
			for n := 1; n <= 2; n++ {
				s, _ := f.cache.State(f.key(n))
				if s.Err == nil || !slices.Contains(test.want, s.Err.Cause) {
					t.Errorf("host %d: %+v, want cause %v", n, s.Err, test.want)
				}
			}
			if s, _ := f.cache.State(f.key(0)); s.Phase != PhaseConnected {
				t.Errorf("the healthy host is %s: %v", s.Phase, s.Err)
			}
			for n := 1; n <= 2; n++ {
				f.fault(n, sim.Fault{})
				f.phase(n, PhaseConnected, patience)
			}
		})
	}
}

func TestSimFloodHarmsNobody(t *testing.T) {
	f := newFleet(t)
	for n := range 2 {
		f.add(sim.Options{Containers: 100})
		f.cache.Set(f.host(n))
		f.phase(n, PhaseConnected, patience)
	}
	f.fault(0, sim.Fault{Flood: 20_000})
	eng := f.engine(1)
	listing, err := f.cache.List(f.key(1), engine.Containers)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, o := range listing.Items[:20] {
		if err := eng.ContainerPause(t.Context(), o.ID); err != nil {
			t.Fatal(err)
		}
		f.changed("the inventory shows the pause", patience, func() bool {
			listing, err := f.cache.List(f.key(1), engine.Containers)
			i := slices.IndexFunc(listing.Items, func(got engine.Object) bool { return got.ID == o.ID })
			return err == nil && i >= 0 && listing.Items[i].State == "paused"
		})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 100<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if s, _ := f.cache.State(f.key(1)); s.Phase != PhaseConnected {
		t.Errorf("the quiet host is %s: %v", s.Phase, s.Err)
	}
}

func TestSimDeleteOfDeadHosts(t *testing.T) {
	f := newFleet(t)
	for n, fault := range []sim.Fault{{Mode: sim.Blackhole}, {Mode: sim.Refuse}, {Mode: sim.Stall}, {Mode: sim.Healthy}} {
		f.add(sim.Options{Containers: 2})
		f.fault(n, fault)
		h := f.host(n)
		h.Config.Timeout, h.Health.Timeout = time.Minute, time.Minute
		f.cache.Set(h)
	}
	f.phase(3, PhaseConnected, patience)
	began := time.Now()
	for _, key := range f.cache.Keys() {
		f.cache.Delete(key)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("Delete waited %s for dead hosts", took)
	}
	// The fleet's cleanup and goleak see that nothing is left.
}
