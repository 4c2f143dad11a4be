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
	"time"

	"github.com/moby/moby/api/types/container"
)

// StatsSample is what a container used at one moment. Pointers are nil where there
// is nothing to compare with: in the first sample, and after a counter was reset.
type StatsSample struct {
	// Time is the engine's.
	Time time.Time `json:"time"`
	// CPUPercent is 100 for each CPU in full use.
	CPUPercent *float64 `json:"cpuPercent,omitempty"`
	OnlineCPUs uint32   `json:"onlineCPUs,omitempty"`
	// MemoryBytes leaves out the page cache that can be dropped at once.
	MemoryBytes   uint64  `json:"memoryBytes"`
	MemoryLimit   uint64  `json:"memoryLimit,omitempty"`
	MemoryPercent float64 `json:"memoryPercent"`
	PIDs          uint64  `json:"pids"`
	// The counters since the container's start, and their rates in bytes a second.
	NetworkRx      uint64   `json:"networkRx"`
	NetworkTx      uint64   `json:"networkTx"`
	NetworkRxRate  *float64 `json:"networkRxRate,omitempty"`
	NetworkTxRate  *float64 `json:"networkTxRate,omitempty"`
	BlockRead      uint64   `json:"blockRead"`
	BlockWrite     uint64   `json:"blockWrite"`
	BlockReadRate  *float64 `json:"blockReadRate,omitempty"`
	BlockWriteRate *float64 `json:"blockWriteRate,omitempty"`
}

// emptySample tells whether an engine sent what it sends of a container that does
// not run.
func emptySample(v *container.StatsResponse) bool {
	return v.Read.IsZero() || v.MemoryStats.Usage == 0 && v.PidsStats.Current == 0 && v.CPUStats.CPUUsage.TotalUsage == 0
}

// newSample computes as the docker CLI does; prev, the sample before, may be nil.
func newSample(v *container.StatsResponse, prev *StatsSample) *StatsSample {
	s := &StatsSample{
		Time: v.Read, CPUPercent: cpuPercent(v), OnlineCPUs: onlineCPUs(v),
		MemoryBytes: usedMemory(&v.MemoryStats), MemoryLimit: v.MemoryStats.Limit, PIDs: v.PidsStats.Current,
	}
	if s.MemoryLimit > 0 {
		s.MemoryPercent = float64(s.MemoryBytes) / float64(s.MemoryLimit) * 100
	}
	for _, n := range v.Networks {
		s.NetworkRx += n.RxBytes
		s.NetworkTx += n.TxBytes
	}
	for _, e := range v.BlkioStats.IoServiceBytesRecursive {
		switch e.Op { // cgroup v1 and v2 differ in case; others are sums of these
		case "read", "Read":
			s.BlockRead += e.Value
		case "write", "Write":
			s.BlockWrite += e.Value
		}
	}
	if prev != nil {
		over := s.Time.Sub(prev.Time)
		s.NetworkRxRate = rate(prev.NetworkRx, s.NetworkRx, over)
		s.NetworkTxRate = rate(prev.NetworkTx, s.NetworkTx, over)
		s.BlockReadRate = rate(prev.BlockRead, s.BlockRead, over)
		s.BlockWriteRate = rate(prev.BlockWrite, s.BlockWrite, over)
	}
	return s
}

// cpuPercent is the container's share of all CPU time that passed since the sample
// before, times the CPUs. Where an engine does not tell the system's CPU time, the
// clock stands for it.
func cpuPercent(v *container.StatsResponse) *float64 {
	now, before := &v.CPUStats, &v.PreCPUStats
	if v.PreRead.IsZero() || now.CPUUsage.TotalUsage < before.CPUUsage.TotalUsage {
		return nil
	}
	used := float64(now.CPUUsage.TotalUsage - before.CPUUsage.TotalUsage)
	var percent float64
	switch cpus := onlineCPUs(v); {
	case now.SystemUsage > before.SystemUsage && before.SystemUsage > 0:
		percent = used / float64(now.SystemUsage-before.SystemUsage) * float64(cpus) * 100
	case now.SystemUsage == 0 && v.Read.After(v.PreRead):
		percent = used / float64(v.Read.Sub(v.PreRead)) * 100
	default:
		return nil
	}
	return &percent
}

func onlineCPUs(v *container.StatsResponse) uint32 {
	if n := v.CPUStats.OnlineCPUs; n > 0 {
		return n
	}
	return uint32(len(v.CPUStats.CPUUsage.PercpuUsage))
}

// usedMemory leaves out the inactive file cache: total_inactive_file of cgroup v1,
// inactive_file of v2.
func usedMemory(m *container.MemoryStats) uint64 {
	for _, name := range []string{"total_inactive_file", "inactive_file"} {
		if cache, ok := m.Stats[name]; ok && cache < m.Usage {
			return m.Usage - cache
		}
	}
	return m.Usage
}

// rate is a counter's growth a second. A counter that fell was reset, or an interface
// went away: nobody knows what happened in between.
func rate(before, now uint64, over time.Duration) *float64 {
	if now < before || over <= 0 {
		return nil
	}
	r := float64(now-before) / over.Seconds()
	return &r
}
