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
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const (
	// settleTime is how long a host whose containers are listed may wait for its
	// other kinds before it counts as connected.
	settleTime = 250 * time.Millisecond
	// replayTime is how long an event stream may take to begin with the events that
	// the engine remembered: they follow its header at once.
	replayTime = time.Second
	// infoDelay gathers the events of an image pull or a prune before /info is
	// read: an engine counts its images for it.
	infoDelay = 300 * time.Millisecond
	// containerSpacing between two lists of containers: a stopping compose project
	// sends dozens of events a second, and nobody sees 20 ms.
	containerSpacing = 20 * time.Millisecond
	// kindSpacing is the same for images, volumes and networks, whose lists are
	// whole and may be slow.
	kindSpacing = 300 * time.Millisecond
	// maxKindRetry is how rarely a kind that cannot be listed is tried: a volume
	// plugin that hangs will for long.
	maxKindRetry = time.Minute
	// maxListFailures in a row of the containers' list, or of reopening the event
	// stream, are as good as failed probes.
	maxListFailures = 3
)

// session is one connection to an engine, from greeting to loss. All of it
// belongs to the goroutine of its accessor but the calls its jobs make.
type session struct {
	a     *accessor
	epoch uint64
	creds engine.Prepared
	eng   engine.Engine
	ctx   context.Context
	end   context.CancelFunc
	// timeout bounds a call that is no list; jobs allow for lists.
	timeout time.Duration
	// leave gives back the slot of the gate.
	leave func()
	is    identity
	jobs  *jobs
	inbox *inbox
	probe probing

	// reader is nil while the event stream is closed.
	reader     *reader
	streamedAt time.Time // when it was opened
	replayedAt time.Time // when it has shown what the engine remembered; zero after
	reopens    int       // streams that ended soon after they were opened, in a row

	containers, place, reopen *job
	kinds                     map[engine.Kind]*job
	// dirty are containers to list again; full wants all of them. gone are those
	// destroyed since the list under way was asked for.
	dirty, gone map[string]struct{}
	full        bool

	relistAt    time.Time
	settleAt    time.Time
	connectedAt time.Time // zero before it was published
}

func newSession(ctx context.Context, a *accessor, t target, prepared engine.Prepared, leave func()) *session {
	ctx, end := context.WithCancel(ctx)
	timeout := t.host.Config.Timeout
	if timeout <= 0 {
		timeout = defaultCallTimeout
	}
	s := &session{
		a: a, epoch: t.epoch, creds: prepared, eng: prepared.Open(),
		ctx: ctx, end: end, leave: leave, timeout: timeout,
		jobs:  &jobs{ctx: ctx, log: a.log, timeout: timeout + engine.ListPatience, maxRetry: t.host.Health.Interval, results: make(chan func() error)},
		inbox: newInbox(),
		dirty: map[string]struct{}{},
		gone:  map[string]struct{}{},
		kinds: map[engine.Kind]*job{},
	}
	s.makeJobs()
	return s
}

// close ends the session: its context, its engine's connections, and then what
// waited on them.
func (s *session) close() {
	s.end()
	s.leave()
	if s.reader != nil {
		_ = s.reader.stream.Close()
	}
	if err := s.eng.Close(); err != nil {
		s.a.log.V(1).Info("Closing the engine's connections failed", "error", err.Error())
	}
	s.jobs.wg.Wait()
	if s.reader != nil {
		s.a.memory.last = s.reader.last
	}
}

func (s *session) sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-timer.C:
		return nil
	}
}

// serve keeps the inventory current until the connection is lost, and returns
// why; nobody else starts or finishes a job of the session.
func (s *session) serve() error {
	now := time.Now()
	s.settleAt = now.Add(settleTime)
	s.relistAt = now.Add(firstRelist(s.a.cache.opts.RelistInterval))
	s.probe.next = now.Add(spread(s.a.health().Interval))
	for _, j := range s.kinds {
		j.ask(time.Time{}, 0)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(s.due(time.Now())))
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-timer.C:
		case <-s.inbox.ready:
			s.apply()
		case fn := <-s.jobs.results:
			if err := fn(); err != nil {
				return err
			}
		case <-s.a.probeNow:
			s.probe.soon(time.Now())
		case <-s.a.touched:
			s.probe.next = earliest(s.probe.next, time.Now().Add(jitter(s.a.health().Interval)))
		}
	}
}

// firstRelist returns when to list anew for the first time: not soon, for all was
// listed just now, and not together with all who began together.
func firstRelist(interval time.Duration) time.Duration { return interval/2 + spread(interval/2) }

// due does what is due and returns when the next thing will be.
func (s *session) due(now time.Time) time.Time {
	if s.connectedAt.IsZero() && (s.settled() || !now.Before(s.settleAt)) {
		s.connected(now)
	}
	if s.reader != nil && !s.replayedAt.IsZero() && !now.Before(s.replayedAt) {
		s.replayedAt = time.Time{}
		s.reader.settle()
	}
	if !now.Before(s.relistAt) {
		s.relistAt = now.Add(jitter(s.a.cache.opts.RelistInterval))
		s.relist(time.Time{})
	}
	if !s.probe.inFlight && !now.Before(s.probe.next) {
		s.startProbe(now)
	}
	next := earliest(earliest(s.relistAt, s.replayedAt), s.jobs.startDue(now))
	if !s.probe.inFlight {
		next = earliest(next, s.probe.next)
	}
	if s.connectedAt.IsZero() {
		next = earliest(next, s.settleAt)
	}
	return next
}

// settled reports whether every kind was listed, or could not be.
func (s *session) settled() bool {
	for _, j := range s.kinds {
		if j.runs == 0 {
			return false
		}
	}
	return true
}

// connected publishes the connection: calls can be made, and the inventory is
// what the engine says.
func (s *session) connected(now time.Time) {
	s.apply()
	s.leave()
	s.connectedAt = now
	s.a.connects.Add(1)
	s.a.inv.uncut()
	counts := s.a.inv.counts()
	counts.Images = s.is.info.Images
	s.a.update(s.epoch, func(st *State) {
		s.a.engine = s.eng
		st.Phase, st.Err = PhaseConnected, nil
		st.Info, st.Version, st.Counts = s.is.info, s.is.version, counts
	})
	s.a.log.Info("Connected", "engine", s.is.info.ID, "version", s.is.version.Version, "containers", counts.Total)
}

// engineTime is the engine's clock when it was asked what it is; zero where it does
// not say, and then a stream starts from now.
func (s *session) engineTime() time.Time {
	at, err := time.Parse(time.RFC3339Nano, s.is.info.SystemTime)
	if err != nil {
		return time.Time{}
	}
	return at
}

// read starts the reader of an event stream.
func (s *session) read(stream engine.EventStream, before lastEvent) {
	r := newReader(stream, s.inbox, s.a.feed, before, s.engineTime())
	s.reader, s.streamedAt = r, time.Now()
	s.replayedAt = s.streamedAt.Add(replayTime)
	s.jobs.wg.Go(func() {
		err := s.runReader(r)
		s.jobs.post(func() error { return s.streamEnded(err) })
	})
}

func (s *session) runReader(r *reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(s.a.log, p)
		}
	}()
	return r.run(s.sleep)
}
