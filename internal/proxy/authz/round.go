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
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

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

// reviewGuards asks once for each question that the guards have, past what is kept. Those
// that were reviewed the longest ago come first: in rounds that are slow, nobody's turn
// moves from the beginning of one to the end of the next, which guardOutage would not
// wait for.
func (a *Authorizer) reviewGuards(ctx context.Context, due []*guard) {
	slices.SortFunc(due, func(x, y *guard) int { return x.verified.Compare(y.verified) })
	r := &round{a: a, answers: map[string]*answer{}}
	var judging sync.WaitGroup
	for _, g := range due {
		answers := r.questions(g)
		judging.Go(func() { a.judge(ctx, g, answers) })
	}
	var asking errgroup.Group
	asking.SetLimit(maxGuardReviews)
	for _, question := range r.order {
		asking.Go(func() error {
			question.give(ctx)
			return nil
		})
	}
	_ = asking.Wait() // the functions return none
	judging.Wait()
}

// judge ends a guard, or lets it last.
func (a *Authorizer) judge(ctx context.Context, g *guard, answers []*answer) {
	var verified time.Time // as the oldest answer
	var err error
	for i, answer := range answers {
		<-answer.given
		if i == 0 || answer.asked.Before(verified) {
			verified = answer.asked
		}
		if answer.err != nil {
			err = answer.err
		}
		if errors.Is(err, ErrRevoked) { // whoever else cannot be asked
			break
		}
	}
	switch {
	case ctx.Err() != nil || g.ctx.Err() != nil:
	case err == nil:
		g.verified = verified
		g.outage.Reset(time.Until(verified.Add(guardOutage)))
	case errors.Is(err, ErrRevoked):
		g.cancel(ErrRevoked)
	default:
		a.guards.retry(g)
	}
}

// round is one pass over the guards.
type round struct {
	a       *Authorizer
	answers map[string]*answer
	order   []*answer // the distinct ones
}

// answer is one that several guards may wait for.
type answer struct {
	ask   func(context.Context) error
	given chan struct{} // closed when the rest is set
	asked time.Time
	err   error // nil, ErrRevoked, or why nobody could be asked
}

func (q *answer) give(ctx context.Context) {
	defer close(q.given)
	q.asked = time.Now()
	q.err = q.ask(ctx)
}

// questions returns where the answers will be that a guard depends on.
func (r *round) questions(g *guard) (all []*answer) {
	if c := g.caller; c.Check != nil {
		// Two sessions with the same token are two: each can be ended alone.
		key := "proof " + string(c.Means) + " " + c.Session + " " + c.BearerToken
		all = append(all, r.once(key, func(ctx context.Context) error { return r.a.check(ctx, c) }))
	}
	for _, right := range g.rights {
		q := question{who: g.caller.User, host: right.Host, right: right.Right}
		all = append(all, r.once("right "+q.key(), func(ctx context.Context) error {
			allowed, err := r.a.review(ctx, q)
			if err == nil && !allowed {
				err = ErrRevoked
			}
			return err
		}))
	}
	return all
}

func (r *round) once(key string, ask func(context.Context) error) *answer {
	got := r.answers[key]
	if got == nil {
		got = &answer{ask: ask, given: make(chan struct{})}
		r.answers[key] = got
		r.order = append(r.order, got)
	}
	return got
}

// check asks whether a caller's proof still holds.
func (a *Authorizer) check(ctx context.Context, c *caller.Caller) error {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	err := c.Check(ctx)
	if errors.Is(err, caller.ErrRefused) {
		a.log.V(1).Info("A running request ends: its proof is not accepted any more", "requestID", c.RequestID, "error", err.Error())
		return ErrRevoked
	}
	return err
}
