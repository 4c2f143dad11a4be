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

package enginetest

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func (s *suite) testStats(t *testing.T) {
	subtests(t, []subtest{
		{"a busy container", s.testStatsBusy},
		{"network counters", s.testStatsNetwork},
		{"stopped, then removed", s.testStatsStopped},
	})
}

func (s *suite) stats(t *testing.T, id string) engine.StatsStream {
	t.Helper()
	st, err := s.e.Stats(s.context(t), id)
	s.must(t, "stats", err)
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func (s *suite) sample(t *testing.T, st engine.StatsStream) container.StatsResponse {
	t.Helper()
	v, err := st.Next()
	s.must(t, "next sample", err)
	return v
}

func (s *suite) testStatsBusy(t *testing.T) {
	id := s.shell(t, "while :; do :; done")
	st := s.stats(t, id)
	s.sample(t, st) // has no sample before it to compare with
	before := s.sample(t, st)
	after := s.sample(t, st)
	gap := after.Read.Sub(before.Read)
	if gap < 300*time.Millisecond || gap > 10*time.Second {
		t.Errorf("two samples are of %v and %v; want about a second between them", before.Read, after.Read)
	}
	if after.PreCPUStats.CPUUsage.TotalUsage != before.CPUStats.CPUUsage.TotalUsage {
		t.Errorf("the CPU time before is %d in one sample, %d in the next", before.CPUStats.CPUUsage.TotalUsage, after.PreCPUStats.CPUUsage.TotalUsage)
	}
	if !after.PreRead.Equal(before.Read) {
		t.Errorf("the sample before is of %v, said to be of %v", before.Read, after.PreRead)
	}
	s.checkUsage(t, st, before, after)
	if after.CPUStats.SystemUsage <= before.CPUStats.SystemUsage {
		t.Errorf("the system's CPU time went from %d to %d", before.CPUStats.SystemUsage, after.CPUStats.SystemUsage)
	}
	if n := after.CPUStats.OnlineCPUs; n < 1 || n > 10000 {
		t.Errorf("there are %d CPUs online", n)
	}
	if m := after.MemoryStats; m.Usage == 0 || m.Limit < m.Usage {
		t.Errorf("the memory is %d of %d", m.Usage, m.Limit)
	}
	if after.PidsStats.Current != 1 {
		t.Errorf("there are %d processes; want 1", after.PidsStats.Current)
	}
	if after.ID != id {
		t.Errorf("the sample is of container %q; want %q", after.ID, id)
	}
}

// checkUsage looks for a pair of samples in which an endless loop used what one CPU
// has. On a busy machine a sample's numbers may be of another moment than its time.
func (s *suite) checkUsage(t *testing.T, st engine.StatsStream, before, after container.StatsResponse) {
	t.Helper()
	for pairs := 1; ; pairs++ {
		gap := after.Read.Sub(before.Read)
		cpu := time.Duration(after.CPUStats.CPUUsage.TotalUsage - before.CPUStats.CPUUsage.TotalUsage)
		if cpu >= gap/200 && cpu <= gap*12/10 {
			return
		}
		if pairs == 5 {
			t.Errorf("an endless loop used %v of CPU in %v", cpu, gap)
			return
		}
		before, after = after, s.sample(t, st)
	}
}

func (s *suite) testStatsNetwork(t *testing.T) {
	network := s.name("net")
	s.createNetwork(t, network, nil)
	id := s.start(t, box{cmd: []string{"sleep", "1000"}, network: network})
	v := s.sample(t, s.stats(t, id))
	_, ok := v.Networks["eth0"]
	if s.differs(t, StatsNetworkName) {
		ok = !ok
	}
	if len(v.Networks) != 1 || !ok {
		t.Errorf("the networks are %v; want eth0", v.Networks)
	}
	s.remove(t, id)
}

func (s *suite) testStatsStopped(t *testing.T) {
	ctx := s.context(t)
	id := s.sleeper(t)
	st := s.stats(t, id)
	if v := s.sample(t, st); v.MemoryStats.Usage == 0 {
		t.Error("a running container uses no memory")
	}
	s.must(t, "stop", s.e.ContainerStop(ctx, id, 0))
	if s.differs(t, StatsEndOnStop) {
		for {
			if _, err := st.Next(); err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("the stream of a stopped container ends with %v", err)
				}
				return
			}
		}
	}
	// Samples go on, empty, and end with the container.
	for range 5 {
		if v := s.sample(t, st); v.Read.IsZero() && v.MemoryStats.Usage == 0 && v.PidsStats.Current == 0 {
			break
		}
	}
	s.must(t, "remove", s.e.ContainerRemove(ctx, id, false, false))
	for {
		if _, err := st.Next(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("the stream of a removed container ends with %v", err)
			}
			return
		}
	}
}
