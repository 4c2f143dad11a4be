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
	"net/http"
	"testing"
)

func TestDockerdStats(t *testing.T) { testRealStats(t, false) }

func TestModernDockerdStats(t *testing.T) { testRealStats(t, true) }

func testRealStats(t *testing.T, modern bool) {
	t.Parallel()
	r := startEngine(t, modern)
	busy := r.RunContainer(t, "busy", busybox, "sh", "-c", "while :; do :; done")
	idle := r.RunContainer(t, "idle", busybox, "sleep", "100000")
	h := NewStats(hostsOf{r.eng}, StatsOptions{Running: func(Key) ([]string, error) { return []string{busy, idle}, nil }})
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
	host, err := h.WatchHost(hostOne)
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
	r.Call(t, http.MethodPost, "/containers/"+busy+"/stop", nil)
	reach(StatsStopped)
	r.Call(t, http.MethodPost, "/containers/"+busy+"/start", nil)
	reach(StatsRunning)
	r.RemoveContainer(t, busy)
	reach(StatsRemoved)
	if _, err := v.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("after the removal comes %v", err)
	}
}
