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
	"context"
	"slices"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// HostStats is the sum over a host's running containers at one moment.
type HostStats struct {
	Time time.Time `json:"time"`
	// Running is how many containers run, Sampled how many of them are in the sums:
	// those whose statistics have not come yet, are stale, or would be too many, are
	// not.
	Running        int     `json:"running"`
	Sampled        int     `json:"sampled"`
	CPUPercent     float64 `json:"cpuPercent"`
	MemoryBytes    uint64  `json:"memoryBytes"`
	NetworkRxRate  float64 `json:"networkRxRate"`
	NetworkTxRate  float64 `json:"networkTxRate"`
	BlockReadRate  float64 `json:"blockReadRate"`
	BlockWriteRate float64 `json:"blockWriteRate"`
	PIDs           uint64  `json:"pids"`
	// Error is set where the running containers could not be listed.
	Error string `json:"error,omitempty"`
	// Dropped is how many of these the viewer was too slow for.
	Dropped uint64 `json:"dropped,omitempty"`
}

// hostSum adds up the samples of a host while somebody watches it.
type hostSum struct {
	hub    *Stats
	host   Key
	ring   *statsRing[HostStats]
	cancel context.CancelFunc

	// The hub's lock guards these.
	viewers int
	linger  *time.Timer

	samplers map[string]*sampler // the goroutine's own
}

// HostStatsViewer reads the sums of one host. It is for one goroutine, Close excepted.
type HostStatsViewer struct {
	ring  *statsRing[HostStats]
	pos   uint64
	close func()
}

// WatchHost begins to look at the sum of a host's containers, which samples each of
// them. It begins with the latest sum, or with those of the last backlog: there are
// sums of the time in which somebody looked.
func (h *Stats) WatchHost(host Key, backlog time.Duration) (*HostStatsViewer, error) {
	if h.opts.Running == nil {
		return nil, engine.Errorf(engine.ClassInvalid, "", "there is no inventory to sum the containers of a host")
	}
	if _, err := h.opts.Running(host); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosing()
	}
	sum := h.sums[host]
	if sum == nil {
		sum = h.launchSum(host)
	}
	if sum.viewers >= h.opts.Viewers {
		return nil, tooMany("viewers of this host's statistics", h.opts.Viewers)
	}
	sum.viewers++
	if sum.linger != nil {
		sum.linger.Stop()
	}
	v := &HostStatsViewer{ring: sum.ring, pos: sum.ring.newest(), close: sync.OnceFunc(func() { h.releaseSum(sum) })}
	if backlog > 0 {
		begin := time.Now().Add(-backlog)
		v.pos = min(v.pos, sum.ring.seek(func(s HostStats) bool { return s.Time.After(begin) }))
	}
	return v, nil
}

// Next waits for the next sum; io.EOF comes at the hub's end.
func (v *HostStatsViewer) Next(ctx context.Context) (HostStats, error) {
	item, dropped, err := v.ring.next(ctx, &v.pos)
	item.Dropped = dropped
	return item, err
}

// Close ends the viewing. Next must not be called after it.
func (v *HostStatsViewer) Close() { v.close() }

// launchSum begins to add up. The caller holds the lock.
func (h *Stats) launchSum(host Key) *hostSum {
	ctx, cancel := context.WithCancel(h.ctx)
	sum := &hostSum{hub: h, host: host, ring: newStatsRing[HostStats](statsKept), cancel: cancel, samplers: map[string]*sampler{}}
	h.sums[host] = sum
	h.wg.Go(func() {
		sum.run(ctx)
		cancel()
		sum.ring.end()
	})
	return sum
}

func (h *Stats) releaseSum(sum *hostSum) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sum.viewers--; sum.viewers > 0 || h.closed {
		return
	}
	sum.linger = time.AfterFunc(h.opts.Linger, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if sum.viewers == 0 && h.sums[sum.host] == sum {
			delete(h.sums, sum.host)
			sum.cancel()
		}
	})
}

func (s *hostSum) run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	defer s.drop(nil)
	for {
		s.ring.add(s.add(ctx))
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// maxJoins is how many containers are taken in between two sums, so that a host of
// many is not asked for all at once.
const maxJoins = 20

// add samples the containers that run now, and sums up what is known of them.
func (s *hostSum) add(ctx context.Context) HostStats {
	v := HostStats{Time: time.Now()}
	running, err := s.hub.opts.Running(s.host)
	if err != nil {
		v.Error = err.Error()
	}
	v.Running = len(running)
	if len(running) > maxHostContainers {
		running = slices.Clone(running)
		slices.Sort(running) // so that it is the same ones each time
		running = running[:maxHostContainers]
	}
	if err == nil {
		s.drop(running)
		s.join(ctx, running)
	}
	for _, one := range s.samplers {
		item, ok := one.ring.last()
		if !ok || item.State != StatsRunning || time.Since(item.at) > s.hub.stale {
			continue
		}
		v.include(item.Sample)
	}
	return v
}

func (v *HostStats) include(s *StatsSample) {
	v.Sampled++
	v.MemoryBytes += s.MemoryBytes
	v.PIDs += s.PIDs
	for to, from := range map[*float64]*float64{
		&v.CPUPercent: s.CPUPercent, &v.NetworkRxRate: s.NetworkRxRate, &v.NetworkTxRate: s.NetworkTxRate,
		&v.BlockReadRate: s.BlockReadRate, &v.BlockWriteRate: s.BlockWriteRate,
	} {
		if from != nil {
			*to += *from
		}
	}
}

func (s *hostSum) join(ctx context.Context, running []string) {
	begin, joined := time.Now(), 0
	for _, id := range running {
		if s.samplers[id] != nil {
			continue
		}
		if joined++; joined > maxJoins || time.Since(begin) > time.Second {
			return
		}
		if one, err := s.hub.sampler(ctx, containerKey{s.host, id}, false); err == nil {
			s.samplers[id] = one
		}
	}
}

// drop lets go of the containers that are not in running.
func (s *hostSum) drop(running []string) {
	for id, one := range s.samplers {
		if !slices.Contains(running, id) {
			s.hub.release(one, false)
			delete(s.samplers, id)
		}
	}
}
