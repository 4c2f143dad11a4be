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
	"math/rand/v2"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const (
	// suspectProbes is how many failed probes decide after the event stream has
	// ended, suspectSpacing the pause between them: an engine that refuses
	// connections is known to be lost within a second.
	suspectProbes  = 3
	suspectSpacing = 350 * time.Millisecond
	// infoEvery probes /info is read: an engine's ID and its place in a swarm can
	// change without an event. Every sixth is each minute by default.
	infoEvery = 6
	// minProbeSpacing bounds what Probe can ask for.
	minProbeSpacing = 250 * time.Millisecond
	// shortStream is how long an event stream must last for the next one to be
	// opened at once when it ends.
	shortStream = 10 * time.Second
)

// probing is the state of a session's probes.
type probing struct {
	next, started time.Time
	inFlight      bool
	failures      int
	// suspect is set from the end of the event stream to the next success.
	suspect bool
	count   int
	// swarmState and control are what the last ping said of the swarm, where the
	// engine says it.
	swarmState string
	control    bool
}

// soon moves the next probe to now, within reason.
func (p *probing) soon(now time.Time) {
	p.next = earliest(p.next, latest(now, p.started.Add(minProbeSpacing)))
}

// spread returns some time within d, so that what began together for many hosts
// does not recur together.
func spread(d time.Duration) time.Duration {
	return 1 + time.Duration(rand.Int64N(int64(d))) //nolint:gosec // it spreads load and guards nothing
}

func (s *session) startProbe(now time.Time) {
	s.probe.inFlight, s.probe.started = true, now
	var ping engine.Ping
	s.jobs.goDo(s.a.health().Timeout,
		func(ctx context.Context) (err error) { ping, err = s.eng.Ping(ctx); return err },
		func(err error) error { return s.probed(ping, err) })
}

// probed judges a probe. Its error is the loss of the connection.
func (s *session) probed(ping engine.Ping, err error) error {
	p := &s.probe
	p.inFlight = false
	now := time.Now()
	health := s.a.health()
	if err != nil {
		s.a.inv.cut(s.lastHeard())
		p.failures++
		limit := health.FailureThreshold
		p.next = now.Add(jitter(health.Interval))
		if p.suspect {
			limit = min(limit, suspectProbes)
			p.next = now.Add(suspectSpacing)
		}
		if p.failures >= limit {
			return err
		}
		return nil
	}
	p.failures, p.suspect = 0, false
	p.next = now.Add(jitter(health.Interval))
	p.count++
	if s.heard(ping) || p.count%infoEvery == 0 {
		s.place.ask(time.Time{}, 0)
	}
	switch {
	case s.reader != nil:
		s.a.inv.uncut()
	case !s.reopen.lane.busy:
		s.reopen.ask(time.Time{}, s.reopenDelay())
	}
	return s.checkExpiry(now)
}

// heard notes an answer and reports whether it tells of another place in a swarm.
func (s *session) heard(ping engine.Ping) bool {
	s.a.mu.Lock()
	if s.epoch == s.a.epoch {
		s.a.state.LastProbe, s.a.state.Latency = time.Now(), ping.Latency
	}
	s.a.mu.Unlock()
	p := &s.probe
	moved := p.swarmState != "" && ping.SwarmState != "" &&
		(p.swarmState != ping.SwarmState || p.control != ping.ControlAvailable)
	p.swarmState, p.control = ping.SwarmState, ping.ControlAvailable
	return moved
}

func (s *session) lastHeard() time.Time { return s.a.snapshot().LastProbe }

// checkExpiry ends the connection when the client certificate has expired: the
// calls that it still carries are no longer ours to make.
func (s *session) checkExpiry(now time.Time) error {
	notAfter := s.a.snapshot().Credentials.NotAfter
	if notAfter.IsZero() || now.Before(notAfter) {
		return nil
	}
	info, err := s.creds.CheckCredentials(now)
	s.a.judged(s.epoch, info, err)
	return err
}

// streamEnded makes the end of the event stream a probe now.
func (s *session) streamEnded(err error) error {
	now := time.Now()
	s.a.log.V(1).Info("The event stream ended", "error", err.Error())
	_ = s.reader.stream.Close()
	s.a.memory.last = s.reader.last
	s.reader, s.replayedAt = nil, time.Time{}
	if now.Sub(s.streamedAt) < shortStream {
		s.reopens++
	} else {
		s.reopens = 0
	}
	s.a.inv.cut(now)
	s.probe.suspect = true
	s.probe.next = now
	return nil
}

// reopenDelay is the pause before the event stream is opened again: none if it
// had lasted, else longer each time, for a whole relist follows.
func (s *session) reopenDelay() time.Duration {
	if s.reopens < 2 {
		return 0
	}
	return jitter(min(minBackoff<<min(s.reopens-2, 10), s.a.health().Interval))
}

// beginReopen opens the event stream where it ended, after a look at who
// answers: an engine that was restarted may be a newer one.
func (s *session) beginReopen() work {
	known := s.a.memory
	var got identity
	var stream engine.EventStream
	return work{
		do: func(ctx context.Context) (err error) {
			if got, err = s.readIdentity(ctx, known.id, known.volatile); err != nil {
				return err
			}
			stream, err = s.openEvents(ctx, known.last.at)
			return err
		},
		then: func() error {
			since := s.a.inv.uncut()
			s.identified(got)
			s.read(stream, known.last)
			s.publishIdentity()
			s.relist(since)
			s.a.cache.swarm.relist(s.a.key)
			return nil
		},
	}
}
