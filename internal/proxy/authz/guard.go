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

package authz

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

const (
	// guardInterval is how often a running stream is reviewed: the most that a grant
	// that was taken away by others than the operator keeps a stream alive.
	guardInterval = 10 * time.Second
	// guardRetry is how soon one is reviewed again that nobody could be asked about: an
	// outage of guardOutage less guardInterval and guardRetry, 18 s, ends no stream.
	guardRetry = 2 * time.Second
	// guardOutage is how long a stream lasts after the last review that was answered.
	guardOutage = 30 * time.Second
)

// afterChange is when guards are reviewed after a change of grants: a kube-apiserver's
// view of RBAC is a few milliseconds late as a rule, and may be seconds late.
var afterChange = []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}

// Why a guard's context ended (context.Cause); of each other end the cause is the
// parent's.
var (
	// ErrRevoked: the right, or the proof of who the caller is, was taken away.
	ErrRevoked = errors.New("the right to this was revoked")
	// ErrExpired: the token, the certificate or the session came to its end.
	ErrExpired = errors.New("the credentials have expired; authenticate anew")
	// ErrUnverified: nobody could be asked for too long.
	ErrUnverified = errors.New("the kube-apiserver cannot be asked whether this is still allowed")
)

// Right is a right on a host that a guard watches.
type Right struct {
	Host  Host
	Right access.Right
}

// guard is one running stream.
type guard struct {
	ctx    context.Context // the guarded one
	cancel context.CancelCauseFunc
	caller *caller.Caller
	rights []Right
	// outage ends the guard, unless a review puts it off: no review that hangs, and none
	// that is late, can hold it up. Nil where there is nothing to ask.
	outage *time.Timer

	due      time.Time // of guards.mu
	verified time.Time // of the round's goroutines; when the last good answer was asked for
}

// Guard returns a context that ends when the caller loses one of the rights or the proof
// of who they are. The rights were authorized before; stop must be called at the end.
func (a *Authorizer) Guard(ctx context.Context, c *caller.Caller, rights ...Right) (guarded context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	now := time.Now()
	g := &guard{ctx: ctx, cancel: cancel, caller: c, rights: rights, due: now.Add(guardInterval), verified: now}
	var expiry *time.Timer
	if !c.Expires.IsZero() {
		left := time.Until(c.Expires)
		if left <= 0 {
			cancel(ErrExpired)
		}
		expiry = time.AfterFunc(left, func() { cancel(ErrExpired) })
	}
	if len(rights) > 0 || c.Check != nil {
		g.outage = time.AfterFunc(guardOutage, func() { cancel(ErrUnverified) })
		a.guards.add(g)
	}
	return ctx, func() {
		a.guards.remove(g)
		cancel(nil)
		for _, timer := range []*time.Timer{expiry, g.outage} {
			if timer != nil {
				timer.Stop()
			}
		}
	}
}

// guards are the running streams.
type guards struct {
	wake chan struct{} // has room for one

	mu  sync.Mutex
	all map[*guard]struct{}
	// extra are the times at which all are due.
	extra []time.Time
	// told are told at these times.
	told map[*func()]struct{}
}

func newGuards() *guards {
	return &guards{wake: make(chan struct{}, 1), all: map[*guard]struct{}{}, told: map[*func()]struct{}{}}
}

// OnGrantsChanged has fn called at the times after a change of grants at which guards are
// reviewed, for those who live by more rights than a guard watches. It must not block.
func (a *Authorizer) OnGrantsChanged(fn func()) (cancel func()) {
	gs := a.guards
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.told[&fn] = struct{}{}
	return func() {
		gs.mu.Lock()
		defer gs.mu.Unlock()
		delete(gs.told, &fn)
	}
}

// add wakes nobody: it is due later than the reviewer sleeps.
func (gs *guards) add(g *guard) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.all[g] = struct{}{}
}

func (gs *guards) remove(g *guard) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	delete(gs.all, g)
}

// retry makes a guard due before its turn.
func (gs *guards) retry(g *guard) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g.due = time.Now().Add(guardRetry)
}

// changed makes all due soon, in place of what an earlier change asked for.
func (gs *guards) changed() {
	now := time.Now()
	gs.mu.Lock()
	// What the first change asked for stays due first: changes that never end must not
	// put the review off for ever.
	if len(gs.extra) > 0 && gs.extra[0].Before(now.Add(afterChange[0])) {
		gs.extra = gs.extra[:1]
	} else {
		gs.extra = nil
	}
	for _, d := range afterChange {
		gs.extra = append(gs.extra, now.Add(d))
	}
	gs.mu.Unlock()
	select {
	case gs.wake <- struct{}{}:
	default:
	}
}

// take returns the guards that are due at now and have not ended. Where all are due it
// tells those who want to know.
func (gs *guards) take(now time.Time) (due []*guard) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	everyone := false
	for len(gs.extra) > 0 && !now.Before(gs.extra[0]) {
		everyone, gs.extra = true, gs.extra[1:]
	}
	if everyone {
		for fn := range gs.told {
			(*fn)()
		}
	}
	for g := range gs.all {
		if (everyone || !now.Before(g.due)) && g.ctx.Err() == nil {
			g.due = now.Add(guardInterval)
			due = append(due, g)
		}
	}
	return due
}

// next is when the next guard will be due, guardInterval from now at the latest.
func (gs *guards) next(now time.Time) time.Time {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	next := now.Add(guardInterval)
	if len(gs.extra) > 0 && gs.extra[0].Before(next) {
		next = gs.extra[0]
	}
	for g := range gs.all {
		if g.due.Before(next) && g.ctx.Err() == nil {
			next = g.due
		}
	}
	return next
}
