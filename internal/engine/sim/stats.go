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

package sim

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/moby/moby/api/types/container"
)

// statsInterval is how often a stream of statistics has a sample.
const statsInterval = time.Second

// statsJSON are statistics as sent: 20.10 had no operating system in them.
type statsJSON struct {
	container.StatsResponse
	OSType *string `json:"os_type,omitempty"`
}

func (e *Engine) serveStats(w http.ResponseWriter, r *request) error {
	c, err := e.find(r.name)
	if err != nil {
		return err
	}
	streaming := r.query.Get("stream") == "" || r.flag("stream")
	contentType := "application/json"
	if streaming && r.before("1.42") {
		contentType = "" // 20.10 names none for a stream
	}
	out := newStream(w, contentType)
	var last *statsJSON
	if !streaming && !r.flag("one-shot") {
		// One sample needs the one before it, for its rates.
		if last = e.sample(c, nil); last.Read.IsZero() {
			last = nil
		} else if !e.pauseFor(r, statsInterval) {
			return nil
		}
	}
	for {
		s := e.sample(c, last)
		body, err := json.Marshal(s)
		if err != nil || out.write(append(body, '\n')) != nil || !streaming || !e.pauseFor(r, statsInterval) || e.gone(c) {
			return nil
		}
		last = s
	}
}

// pauseFor waits, and reports whether the client is still there.
func (e *Engine) pauseFor(r *request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-e.ctx.Done():
	}
	return false
}

func (e *Engine) gone(c *containerObject) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.containers.byID[c.id] == nil
}

// sample is a container's statistics now. The numbers follow from the container's
// id and how long it runs: a share of a CPU from 1 to 30 %, and 4 to 68 MB. last
// is the sample before, or nil.
func (e *Engine) sample(c *containerObject, last *statsJSON) *statsJSON {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &statsJSON{StatsResponse: container.StatsResponse{ID: c.id, Name: "/" + c.name}}
	if !c.running() {
		return s
	}
	now := e.clock.now()
	elapsed := uint64(max(0, now.UnixNano()-c.state.startedAt))
	seed := uint64(0)
	if b, err := hex.DecodeString(c.id[:16]); err == nil {
		seed = binary.BigEndian.Uint64(b)
	}
	if c.state.status == container.StatePaused {
		elapsed = 0
	}
	used := elapsed / 100 * (1 + seed%30)
	s.Read = now
	s.CPUStats = container.CPUStats{
		CPUUsage: container.CPUUsage{
			TotalUsage: used, PercpuUsage: []uint64{used / 2, used - used/2}, UsageInKernelmode: used / 4, UsageInUsermode: used - used/4,
		},
		SystemUsage: uint64(max(0, now.UnixNano()-e.booted)) * machineCPUs, OnlineCPUs: machineCPUs,
	}
	if last != nil {
		s.PreRead, s.PreCPUStats = last.Read, last.CPUStats
	}
	limit := uint64(machineMemory)
	if c.host.Memory > 0 {
		limit = uint64(c.host.Memory)
	}
	memory := min(4<<20+seed%(64<<20), limit)
	s.MemoryStats = container.MemoryStats{
		Usage: memory, MaxUsage: min(memory*2, limit), Limit: limit,
		Stats: map[string]uint64{
			"cache": memory / 8, "rss": memory / 2, "inactive_file": memory / 8, "total_inactive_file": memory / 8, "active_file": 0,
			"total_cache": memory / 8, "total_rss": memory / 2, "pgfault": 1000, "pgmajfault": 0, "hierarchical_memory_limit": limit,
		},
	}
	s.PidsStats.Current = 1
	for _, x := range c.execs {
		if x.running {
			s.PidsStats.Current++
		}
	}
	io := func(n uint64) []container.BlkioStatEntry {
		return []container.BlkioStatEntry{{Major: 8, Op: "Read", Value: n}, {Major: 8, Op: "Write", Value: n / 2}}
	}
	s.BlkioStats = container.BlkioStats{
		IoServiceBytesRecursive: io(elapsed / 1e6 * 4096), IoServicedRecursive: io(elapsed / 1e6), IoQueuedRecursive: []container.BlkioStatEntry{},
		IoServiceTimeRecursive: []container.BlkioStatEntry{}, IoWaitTimeRecursive: []container.BlkioStatEntry{},
		IoMergedRecursive: []container.BlkioStatEntry{}, IoTimeRecursive: []container.BlkioStatEntry{}, SectorsRecursive: []container.BlkioStatEntry{},
	}
	for i, ep := range c.ends {
		if !ep.address.IsValid() {
			continue
		}
		if s.Networks == nil {
			s.Networks = map[string]container.NetworkStats{}
		}
		packets := elapsed / 1e8
		s.Networks[numbered("eth", i)] = container.NetworkStats{RxBytes: packets * 90, RxPackets: packets, TxBytes: packets * 60, TxPackets: packets / 2}
	}
	return s
}
