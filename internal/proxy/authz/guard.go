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
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

const (
	// guardInterval is how often a running stream is reviewed: the most that a grant
	// that was taken away by others than the operator keeps a stream alive.
	guardInterval = 10 * time.Second
	// guardOutage is how long a stream lasts while nobody can be asked.
	guardOutage = 30 * time.Second
	// maxGuardReviews at once: 1,000 different streams are reviewed in a second.
	maxGuardReviews = 16
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
	caller *caller.Caller
	rights []Right
	cancel context.CancelCauseFunc

	// Of the reviewing goroutine:
	due      time.Time
	verified time.Time
}

// Guard returns a context that ends when the caller loses one of the rights or the proof
// of who they are. The rights were authorized before; stop must be called at the end.
func (a *Authorizer) Guard(ctx context.Context, c *caller.Caller, rights ...Right) (guarded context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var timer *time.Timer
	if !c.Expires.IsZero() {
		timer = time.AfterFunc(time.Until(c.Expires), func() { cancel(ErrExpired) })
	}
	now := time.Now()
	g := &guard{caller: c, rights: rights, cancel: cancel, due: now.Add(guardInterval), verified: now}
	a.guards.add(g)
	return ctx, func() {
		if timer != nil {
			timer.Stop()
		}
		a.guards.remove(g)
		cancel(nil)
	}
}

// guards are the running streams.
type guards struct {
	a    *Authorizer
	wake chan struct{} // has room for one

	mu  sync.Mutex
	all map[*guard]struct{}
	// extra are the times at which all are due.
	extra []time.Time
	// told are told at these times.
	told map[*func()]struct{}
}

func (gs *guards) init(a *Authorizer) {
	gs.a, gs.wake, gs.all, gs.told = a, make(chan struct{}, 1), map[*guard]struct{}{}, map[*func()]struct{}{}
}

// OnGrantsChanged has fn called at the times after a change of grants at which guards are
// reviewed, for those who live by more rights than a guard watches. It must not block.
func (a *Authorizer) OnGrantsChanged(fn func()) (cancel func()) {
	gs := &a.guards
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.told[&fn] = struct{}{}
	return func() {
		gs.mu.Lock()
		defer gs.mu.Unlock()
		delete(gs.told, &fn)
	}
}

func (gs *guards) add(g *guard) {
	gs.mu.Lock()
	gs.all[g] = struct{}{}
	gs.mu.Unlock()
	gs.nudge()
}

func (gs *guards) remove(g *guard) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	delete(gs.all, g)
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
	gs.nudge()
}

func (gs *guards) nudge() {
	select {
	case gs.wake <- struct{}{}:
	default:
	}
}

// take returns the guards that are due at now, and when the next one will be. Where all are
// due it tells those who want to know.
func (gs *guards) take(now time.Time) (due []*guard, next time.Time) {
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
	next = now.Add(guardInterval)
	if len(gs.extra) > 0 {
		next = gs.extra[0]
	}
	for g := range gs.all {
		if everyone || !now.Before(g.due) {
			g.due = now.Add(guardInterval)
			due = append(due, g)
		} else if g.due.Before(next) {
			next = g.due
		}
	}
	return due, next
}

// Start reviews guards until ctx ends.
func (a *Authorizer) Start(ctx context.Context) error {
	timer := time.NewTimer(guardInterval)
	defer timer.Stop()
	for {
		due, next := a.guards.take(time.Now())
		a.reviewGuards(ctx, due)
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-a.guards.wake:
		}
	}
}

// reviewGuards asks once for each question that the guards have, past what is kept.
func (a *Authorizer) reviewGuards(ctx context.Context, due []*guard) {
	if len(due) == 0 {
		return
	}
	round := &round{a: a, answers: map[string]*answer{}}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxGuardReviews)
	for _, g := range due {
		group.Go(func() error {
			a.reviewGuard(ctx, round, g)
			return nil
		})
	}
	_ = group.Wait() // the functions return none
}

func (a *Authorizer) reviewGuard(ctx context.Context, round *round, g *guard) {
	now := time.Now()
	err := round.caller(ctx, g.caller)
	for _, right := range g.rights {
		if err == nil {
			err = round.right(ctx, question{who: g.caller.User, host: right.Host, right: right.Right})
		}
	}
	switch {
	case err == nil:
		g.verified = now
	case errors.Is(err, ErrRevoked):
		g.cancel(err)
	case ctx.Err() == nil && now.Sub(g.verified) > guardOutage:
		g.cancel(fmt.Errorf("%w: %w", ErrUnverified, err))
	}
}

// round remembers the answers of one pass over the guards.
type round struct {
	a       *Authorizer
	mu      sync.Mutex
	answers map[string]*answer
}

type answer struct {
	once sync.Once
	err  error
}

func (r *round) once(key string, ask func() error) error {
	r.mu.Lock()
	got := r.answers[key]
	if got == nil {
		got = &answer{}
		r.answers[key] = got
	}
	r.mu.Unlock()
	got.once.Do(func() { got.err = ask() })
	return got.err
}

// right returns nil, ErrRevoked, or why nobody could be asked.
func (r *round) right(ctx context.Context, q question) error {
	return r.once(q.key(), func() error {
		allowed, err := r.a.review(ctx, q)
		if err == nil && !allowed {
			err = ErrRevoked
		}
		return err
	})
}

// caller asks once for each token whether it still holds.
func (r *round) caller(ctx context.Context, c *caller.Caller) error {
	if c.Check == nil {
		return nil
	}
	return r.once("token "+c.BearerToken, func() error {
		ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
		defer cancel()
		err := c.Check(ctx)
		if errors.Is(err, caller.ErrRefused) {
			return fmt.Errorf("%w: %w", ErrRevoked, err)
		}
		return err
	})
}
