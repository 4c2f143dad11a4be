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
	"slices"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const (
	// minBackoff is the first pause before a lost host is dialled again.
	minBackoff = 250 * time.Millisecond
	// shortOutage is for how long a lost host is dialled every shortBackoff: an
	// engine that restarts is back within seconds, and should be found so. A dial
	// that is refused costs next to nothing.
	shortOutage  = 30 * time.Second
	shortBackoff = time.Second
	// maxBackoff bounds the pause where probes are rarer than that: a host should
	// not stay lost for an hour because it is probed once an hour.
	maxBackoff = time.Minute
)

// backoff is the pause between attempts to connect: exponential from minBackoff,
// at most shortBackoff during a short outage, never more than the interval of
// probes or maxBackoff.
type backoff struct {
	since time.Time // when the outage began
	pause time.Duration
}

// next returns the pause after an attempt to connect that failed with err, or
// after the loss of a connection that had lasted for lived.
func (b *backoff) next(lived time.Duration, now time.Time, interval time.Duration, err *engine.Error) time.Duration {
	interval = min(interval, maxBackoff)
	if b.since.IsZero() || lived >= interval {
		*b = backoff{since: now}
	}
	switch {
	case err != nil && (err.Class == engine.ClassAuth || err.Class == engine.ClassForbidden):
		// It takes a human to repair, whose change of the spec or the Secret is
		// acted on at once. Until then: sshd bans those who try too often.
		b.pause = interval
	case b.pause == 0:
		b.pause = minBackoff
	default:
		b.pause *= 2
	}
	if now.Sub(b.since) < shortOutage && b.pause < interval {
		b.pause = min(b.pause, shortBackoff)
	}
	b.pause = min(b.pause, interval)
	return jitter(b.pause)
}

// jitter shortens d by up to a fifth: hosts that were lost together are not
// dialled together, and no bound is exceeded.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/5+1)) //nolint:gosec // it spreads load and guards nothing
}

// shownErrors keeps a status from swinging between two errors that a broken host
// gives in turn (refused, timed out, refused...). A new error is shown at once;
// one that was shown before must come three times in a row.
type shownErrors struct {
	current *engine.Error
	past    []*engine.Error
	again   *engine.Error
	times   int
}

func (s *shownErrors) shows(err *engine.Error) bool {
	same := func(e *engine.Error) bool { return sameError(e, err) }
	switch {
	case s.current != nil && same(s.current):
		s.again, s.times = nil, 0
		return true
	case slices.ContainsFunc(s.past, same):
		if s.again == nil || !same(s.again) {
			s.again, s.times = err, 0
		}
		if s.times++; s.times < 3 {
			return false
		}
	}
	if s.current != nil && !slices.ContainsFunc(s.past, func(e *engine.Error) bool { return sameError(e, s.current) }) {
		s.past = append(s.past[max(0, len(s.past)-7):], s.current)
	}
	s.current, s.again, s.times = err, nil, 0
	return true
}

// gate bounds how many hosts begin to connect at once.
type gate struct{ slots chan struct{} }

func newGate(n int) *gate { return &gate{slots: make(chan struct{}, n)} }

// enter waits for a slot. leave gives it back, and so does time: after DialGrace
// a host that hangs keeps nobody waiting.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	free := sync.OnceFunc(func() { <-g.slots })
	timer := time.AfterFunc(DialGrace, free)
	return func() { timer.Stop(); free() }, nil
}
