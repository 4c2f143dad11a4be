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
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// run lives as long as the accessor: one attempt after the other, each with the
// Host declared when it began.
func (a *accessor) run(ctx context.Context) {
	for ctx.Err() == nil {
		attempt, host, epoch := a.attempt(ctx)
		switch {
		case host.Suspended:
			a.inv.reset()
			a.memory = memory{}
		case host.ConfigErr == nil:
			a.maintain(attempt, host, epoch)
		}
		<-attempt.Done()
	}
}

// attempt returns the Host to connect to now, with a context that ends when
// another takes its place.
func (a *accessor) attempt(ctx context.Context) (context.Context, Host, uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ctx, a.abandon = context.WithCancel(ctx)
	return ctx, a.host, a.epoch
}

// target is a host that is to be connected, and stays so for any number of
// attempts.
type target struct {
	host  Host
	epoch uint64
	// prepare reads the credentials, the first time it is called: decrypting an ssh
	// key takes tenths of a second of CPU, and a lost host is dialled each second.
	// They are forgotten with the target.
	prepare func() (engine.Prepared, error)
}

func newTarget(c engine.Connector, host Host, epoch uint64) target {
	return target{host: host, epoch: epoch, prepare: sync.OnceValues(func() (engine.Prepared, error) {
		return c.Prepare(host.Config)
	})}
}

// maintain connects, serves the connection, and connects again when it is lost,
// until ctx ends.
func (a *accessor) maintain(ctx context.Context, host Host, epoch uint64) {
	if a.memory.endpoint != host.Config.Endpoint {
		a.inv.reset()
		a.memory = memory{endpoint: host.Config.Endpoint}
	}
	a.inv.cut(time.Now())
	t := newTarget(a.cache.opts.Connector, host, epoch)
	var retry backoff
	var shown shownErrors
	lost := false
	for ctx.Err() == nil {
		lived, err := a.once(ctx, t, lost)
		if ctx.Err() != nil {
			return
		}
		var other *identityError
		if errors.As(err, &other) {
			a.log.Info("Another engine answers at the endpoint; connecting anew")
			a.replaced(epoch)
		} else {
			lost = true
			a.disconnected(epoch, toError(err), &shown)
		}
		interval := a.health().Interval
		pause := retry.next(lived, time.Now(), interval, toError(err))
		if other != nil && lived >= interval {
			continue
		}
		a.pause(ctx, pause)
	}
}

// pause waits for d, less if somebody asks for a probe, but never so little that
// who asks after each failure would have the host dialled without end.
func (a *accessor) pause(ctx context.Context, d time.Duration) {
	least := time.NewTimer(min(d, minBackoff))
	defer least.Stop()
	select {
	case <-ctx.Done():
		return
	case <-least.C:
	}
	rest := time.NewTimer(max(0, d-minBackoff))
	defer rest.Stop()
	select {
	case <-ctx.Done():
	case <-rest.C:
	case <-a.probeNow:
	}
}

// once makes one connection and serves it to its end. A panic on the way, of
// which only an engine's answer can be the cause, is this host's error and
// nobody else's.
func (a *accessor) once(ctx context.Context, t target, lost bool) (lived time.Duration, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = panicked(a.log, r)
		}
	}()
	s, err := a.connect(ctx, t, lost)
	if err != nil {
		a.failures.Add(1)
		return 0, err
	}
	defer s.close()
	err = s.serve()
	if s.connectedAt.IsZero() {
		a.failures.Add(1)
		return 0, err
	}
	return time.Since(s.connectedAt), err
}

// disconnected publishes that the host is lost, or still is.
func (a *accessor) disconnected(epoch uint64, err *engine.Error, shown *shownErrors) {
	a.inv.cut(time.Now())
	show := shown.shows(err)
	before := a.snapshot()
	a.update(epoch, func(s *State) {
		a.engine = nil
		if s.Phase = PhaseDisconnected; show || s.Err == nil {
			s.Err = err
		}
	})
	if before.Phase != PhaseDisconnected || (show && !sameError(before.Err, err)) {
		a.log.Info("Not connected", "class", err.Class, "cause", err.Cause, "message", err.Message, "error", fmt.Sprint(err.Err))
	}
}

// replaced publishes that the connection is made anew for no fault of the host.
func (a *accessor) replaced(epoch uint64) {
	a.inv.cut(time.Now())
	a.update(epoch, func(s *State) {
		a.engine = nil
		s.Phase, s.Err = PhaseConnecting, nil
	})
}
