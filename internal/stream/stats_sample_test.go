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
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
)

// captured reads a sample that a real engine sent.
func captured(t *testing.T, name string) *container.StatsResponse {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var v container.StatsResponse
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return &v
}

// TestSampleArithmetic compares with what docker stats shows of the same samples.
func TestSampleArithmetic(t *testing.T) {
	const (
		old    = "stats-20.10-cgroup1.json"
		modern = "stats-29-cgroup1.json"
		none   = -1
	)
	for _, test := range []struct {
		name, file string
		change     func(*container.StatsResponse)
		cpu        float64 // none where there is none
		memory     uint64
	}{
		{"as captured", old, func(*container.StatsResponse) {}, 31.455, 22675456},
		{"as captured of the newest engine", modern, func(*container.StatsResponse) {}, 28.748, 22958080},
		{"cache of cgroup v1", old, func(v *container.StatsResponse) {
			v.MemoryStats.Stats["total_inactive_file"], v.MemoryStats.Stats["inactive_file"] = 20000000, 1
		}, 31.455, 2675456},
		{"cache of cgroup v2", modern, func(v *container.StatsResponse) {
			v.MemoryStats.Stats = map[string]uint64{"anon": 1, "inactive_file": 20000000}
		}, 28.748, 2958080},
		{"cache larger than the usage", modern, func(v *container.StatsResponse) {
			v.MemoryStats.Stats = map[string]uint64{"inactive_file": 1 << 40}
		}, 28.748, 22958080},
		{"no memory details", modern, func(v *container.StatsResponse) { v.MemoryStats.Stats = nil }, 28.748, 22958080},
		{"CPUs counted by their numbers", old, func(v *container.StatsResponse) { v.CPUStats.OnlineCPUs = 0 }, 31.455, 22675456},
		{"first sample", old, func(v *container.StatsResponse) {
			v.PreRead, v.PreCPUStats = time.Time{}, container.CPUStats{}
		}, none, 22675456},
		{"counter that was reset", old, func(v *container.StatsResponse) {
			v.PreCPUStats.CPUUsage.TotalUsage = 1 << 60
		}, none, 22675456},
		{"system that stood still", old, func(v *container.StatsResponse) {
			v.PreCPUStats.SystemUsage = v.CPUStats.SystemUsage
		}, none, 22675456},
		{"no system time: by the clock", old, func(v *container.StatsResponse) {
			v.CPUStats.SystemUsage, v.PreCPUStats.SystemUsage = 0, 0
		}, 31.177, 22675456},
	} {
		v := captured(t, test.file)
		test.change(v)
		s := newSample(v, nil)
		switch {
		case test.cpu == none && s.CPUPercent != nil:
			t.Errorf("%s: the CPU is %v; want none", test.name, *s.CPUPercent)
		case test.cpu != none && (s.CPUPercent == nil || math.Abs(*s.CPUPercent-test.cpu) > 0.001):
			t.Errorf("%s: the CPU is %v; want %v", test.name, s.CPUPercent, test.cpu)
		}
		if s.MemoryBytes != test.memory {
			t.Errorf("%s: the memory is %d; want %d", test.name, s.MemoryBytes, test.memory)
		}
		if want := float64(test.memory) / 25276518400 * 100; math.Abs(s.MemoryPercent-want) > 1e-9 {
			t.Errorf("%s: the memory is %v %%; want %v", test.name, s.MemoryPercent, want)
		}
	}
}

func TestSampleRates(t *testing.T) {
	begin := time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)
	at := func(seconds int, rx, written uint64) *container.StatsResponse {
		return &container.StatsResponse{
			Read:     begin.Add(time.Duration(seconds) * time.Second),
			Networks: map[string]container.NetworkStats{"eth0": {RxBytes: rx, TxBytes: 7}, "eth1": {RxBytes: rx}},
			BlkioStats: container.BlkioStats{IoServiceBytesRecursive: []container.BlkioStatEntry{
				{Op: "Read", Value: 5}, {Op: "read", Value: 6}, {Op: "write", Value: written}, {Op: "Total", Value: 1000},
			}},
		}
	}
	first := newSample(at(0, 1000, 50), nil)
	if first.NetworkRx != 2000 || first.NetworkTx != 7 || first.BlockRead != 11 || first.BlockWrite != 50 {
		t.Errorf("the counters are %+v", first)
	}
	if first.NetworkRxRate != nil || first.BlockWriteRate != nil {
		t.Errorf("the first sample has rates: %+v", first)
	}
	second := newSample(at(2, 2000, 70), first)
	if *second.NetworkRxRate != 1000 || *second.NetworkTxRate != 0 || *second.BlockWriteRate != 10 || *second.BlockReadRate != 0 {
		t.Errorf("the rates are %v %v %v", *second.NetworkRxRate, *second.NetworkTxRate, *second.BlockWriteRate)
	}
	reset := newSample(at(3, 10, 80), second)
	if reset.NetworkRxRate != nil || *reset.BlockWriteRate != 10 {
		t.Errorf("after a reset the rates are %v and %v", reset.NetworkRxRate, reset.BlockWriteRate)
	}
	if back := newSample(at(1, 5000, 500), second); back.NetworkRxRate != nil {
		t.Errorf("after a clock that went back there is the rate %v", *back.NetworkRxRate)
	}
}
