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

package stream

import (
	"errors"
	"io"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

func TestDockerdStats(t *testing.T) {
	t.Parallel()
	r := startEngine(t, false)
	testRealStats(t, r, r.eng)
}

func TestModernDockerdStats(t *testing.T) {
	t.Parallel()
	r := startEngine(t, true)
	testRealStats(t, r, r.eng)
}

func TestPodmanStats(t *testing.T) {
	t.Parallel()
	p := testbed.StartPodman(t)
	p.ImportBusybox(t, busybox)
	testRealStats(t, p, connectTo(t, p.Endpoint()))
}

// runner starts containers of a real engine.
type runner interface {
	RunContainer(t testing.TB, name, image string, command ...string) string
}

func testRealStats(t *testing.T, r runner, eng engine.Engine) {
	busy := r.RunContainer(t, "busy", busybox, "sh", "-c", "while :; do :; done")
	idle := r.RunContainer(t, "idle", busybox, "sleep", "100000")
	h := NewStats(hostsOf{eng}, StatsOptions{Running: func(Key) ([]string, error) { return []string{busy, idle}, nil }})
	t.Cleanup(h.Close)
	v, err := h.Watch(t.Context(), hostOne, busy, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	until(t, "the loop uses a CPU, and the CPU only", func() bool {
		s := nextItem(t, v).Sample
		return s != nil && s.CPUPercent != nil && *s.CPUPercent > 1 && *s.CPUPercent < 150 &&
			s.MemoryBytes > 0 && s.MemoryLimit > s.MemoryBytes && s.PIDs == 1 && s.NetworkRxRate != nil
	})
	host, err := h.WatchHost(hostOne, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	until(t, "the host's sum has both", func() bool {
		s, err := host.Next(t.Context())
		return err == nil && s.Sampled == 2 && s.CPUPercent > 1 && s.PIDs == 2
	})
	reach := func(want StatsState) {
		t.Helper()
		until(t, "the container is "+string(want), func() bool { return nextItem(t, v).State == want })
	}
	if err := eng.ContainerStop(t.Context(), busy, 0); err != nil {
		t.Fatal(err)
	}
	reach(StatsStopped)
	if err := eng.ContainerStart(t.Context(), busy); err != nil {
		t.Fatal(err)
	}
	reach(StatsRunning)
	if err := eng.ContainerRemove(t.Context(), busy, true, false); err != nil {
		t.Fatal(err)
	}
	reach(StatsRemoved)
	if _, err := v.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("after the removal comes %v", err)
	}
}
