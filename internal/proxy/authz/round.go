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

	"golang.org/x/sync/semaphore"

	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

// maxGuardReviews at once: 1,000 different streams are reviewed in a second.
const maxGuardReviews = 16

// Start reviews guards until ctx ends, a round after the other.
func (a *Authorizer) Start(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-a.guards.wake:
		}
		a.reviewGuards(ctx, a.guards.take(time.Now()))
		now := time.Now()
		timer.Reset(a.guards.next(now).Sub(now))
	}
}

// reviewGuards asks once for each question that the guards have, past what is kept.
func (a *Authorizer) reviewGuards(ctx context.Context, due []*guard) {
	r := &round{a: a, slots: semaphore.NewWeighted(maxGuardReviews), answers: map[string]*answer{}}
	var group sync.WaitGroup
	for _, g := range due {
		group.Go(func() { r.review(ctx, g) })
	}
	group.Wait()
}

// round remembers the answers of one pass over the guards.
type round struct {
	a     *Authorizer
	slots *semaphore.Weighted // of those who ask, not of those who wait for an answer

	mu      sync.Mutex
	answers map[string]*answer
}

type answer struct {
	once  sync.Once
	asked time.Time
	err   error // nil, ErrRevoked, or why nobody could be asked
}

// review ends a guard, or lets it last.
func (r *round) review(ctx context.Context, g *guard) {
	verified := time.Now()
	err := r.all(ctx, g, func(got *answer) error {
		if got.asked.Before(verified) {
			verified = got.asked
		}
		return got.err
	})
	switch {
	case ctx.Err() != nil || g.ctx.Err() != nil:
	case err == nil:
		g.outage.Reset(time.Until(verified.Add(guardOutage)))
	case errors.Is(err, ErrRevoked):
		g.cancel(ErrRevoked)
	default:
		r.a.guards.retry(g)
	}
}

// all asks everything that a guard depends on, and stops at the first error.
func (r *round) all(ctx context.Context, g *guard, take func(*answer) error) error {
	if g.caller.Check != nil {
		if err := take(r.proof(ctx, g.caller)); err != nil {
			return err
		}
	}
	for _, right := range g.rights {
		if err := take(r.right(ctx, question{who: g.caller.User, host: right.Host, right: right.Right})); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) once(ctx context.Context, key string, ask func() error) *answer {
	r.mu.Lock()
	got := r.answers[key]
	if got == nil {
		got = &answer{}
		r.answers[key] = got
	}
	r.mu.Unlock()
	got.once.Do(func() {
		if got.err = r.slots.Acquire(ctx, 1); got.err != nil {
			return
		}
		defer r.slots.Release(1)
		got.asked = time.Now()
		got.err = ask()
	})
	return got
}

func (r *round) right(ctx context.Context, q question) *answer {
	return r.once(ctx, "right "+q.key(), func() error {
		allowed, err := r.a.review(ctx, q)
		if err == nil && !allowed {
			err = ErrRevoked
		}
		return err
	})
}

// proof asks once for each proof whether it still holds. Two sessions with the same token
// are two: each can be ended alone.
func (r *round) proof(ctx context.Context, c *caller.Caller) *answer {
	return r.once(ctx, "proof "+string(c.Means)+" "+c.Session+" "+c.BearerToken, func() error {
		ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
		defer cancel()
		err := c.Check(ctx)
		if errors.Is(err, caller.ErrRefused) {
			r.a.log.V(1).Info("A running request ends: its proof is not accepted any more", "requestID", c.RequestID, "error", err.Error())
			return ErrRevoked
		}
		return err
	})
}
