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
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// sampler follows the statistics of one container.
type sampler struct {
	hub    *Stats
	key    containerKey
	ring   *statsRing[StatsItem]
	cancel context.CancelFunc

	// The hub's lock guards these.
	users, viewers int
	linger         *time.Timer

	// The rest is the goroutine's own.
	state StatsState
	last  *StatsSample
	came  time.Time // when last came
	told  time.Time // when viewers were told something
	// samples is how many came.
	samples uint64
}

// join counts a user. The caller holds the hub's lock.
func (s *sampler) join(viewer bool, limit int) error {
	if viewer {
		if s.viewers >= limit {
			return tooMany("viewers of this container's statistics", limit)
		}
		s.viewers++
	}
	s.users++
	if s.linger != nil {
		s.linger.Stop()
	}
	return nil
}

func (s *sampler) publish(item StatsItem) {
	s.state, s.told = item.State, time.Now()
	item.at, item.once = s.told, &encodedStat{}
	s.ring.add(item)
}

// How long to wait before a stream that ended is opened again.
const (
	statsRetryFirst = time.Second
	statsRetryLast  = 10 * time.Second
)

// run samples until the container is gone or ctx ends.
func (s *sampler) run(ctx context.Context) {
	s.came, s.told = time.Now(), time.Now()
	wait := statsRetryFirst
	for {
		before := s.samples
		s.follow(ctx)
		running, err := s.hub.look(ctx, s.key)
		switch {
		case ctx.Err() != nil:
			return
		case engine.IsNotFound(err):
			s.publish(StatsItem{State: StatsRemoved})
			return
		case err == nil && !running: // Podman ends the stream then
			s.stopped()
		}
		if s.samples != before {
			wait = statsRetryFirst
		}
		if !s.pause(ctx, wait) {
			return
		}
		wait = min(2*wait, statsRetryLast)
	}
}

// pause waits, and says meanwhile how old the last sample becomes.
func (s *sampler) pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-ticker.C:
			s.checkAge()
		case <-ctx.Done():
			return false
		}
	}
}

// follow reads one stream to its end.
func (s *sampler) follow(ctx context.Context) {
	eng, err := s.hub.hosts.Engine(s.key.host)
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	stream, err := eng.Stats(ctx, s.key.container)
	if err != nil {
		cancel()
		return
	}
	samples := make(chan container.StatsResponse)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(samples)
		for {
			v, err := stream.Next()
			if err != nil {
				return
			}
			select {
			case samples <- v:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() {
		cancel()
		_ = stream.Close()
		<-done
	}()
	s.take(ctx, samples)
}

func (s *sampler) take(ctx context.Context, samples <-chan container.StatsResponse) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case v, ok := <-samples:
			if !ok {
				return
			}
			s.sample(&v)
		case <-ticker.C:
			s.checkAge()
		case <-ctx.Done():
			return
		}
	}
}

func (s *sampler) sample(v *container.StatsResponse) {
	if emptySample(v) {
		s.stopped()
		return
	}
	if s.last != nil && s.state == StatsRunning {
		// An engine that sends the same moment again says nothing new.
		if gap := v.Read.Sub(s.last.Time); gap >= 0 && gap < statsPeriod {
			return
		}
	}
	s.last = newSample(v, s.last)
	s.came = time.Now()
	s.samples++
	s.publish(StatsItem{State: StatsRunning, Sample: s.last})
}

// stopped is said once. What comes after a new start is not compared with what was
// before.
func (s *sampler) stopped() {
	s.last = nil
	s.came = time.Now()
	if s.state != StatsStopped {
		s.publish(StatsItem{State: StatsStopped})
	}
}

// checkAge tells viewers when samples stay away.
func (s *sampler) checkAge() {
	now := time.Now()
	age := now.Sub(s.came)
	if s.state == StatsStopped || age < s.hub.stale || s.state == StatsStale && now.Sub(s.told) < statsRemind {
		return
	}
	s.publish(StatsItem{State: StatsStale, Sample: s.last, AgeSeconds: age.Round(time.Millisecond).Seconds()})
}
