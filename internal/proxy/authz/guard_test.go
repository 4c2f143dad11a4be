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
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

func refuseAll(authorizationv1.SubjectAccessReviewSpec) bool { return false }

// A kube-apiserver's view of RBAC is late by some time.
func TestGuardEndsAfterAChange(t *testing.T) {
	for late, want := range map[time.Duration]time.Duration{
		0: 200 * time.Millisecond, 500 * time.Millisecond: time.Second, 2 * time.Second: 3 * time.Second,
		4 * time.Second: 13 * time.Second, // by the next review, an interval after the last
	} {
		inBubble(t, func(b *bed) {
			ctx := b.guard(callerNamed("ada"), Right{prod, containers}, Right{prod, logs})
			b.lasts(4*time.Second, ctx)
			time.AfterFunc(late, func() {
				b.set(func() {
					b.decide = func(s authorizationv1.SubjectAccessReviewSpec) bool { return s.ResourceAttributes.Subresource != "log" }
				})
			})
			b.GrantsChanged()
			b.ends(ctx, ErrRevoked, want)
		})
	}
}

// What is taken away by others than the operator tells nobody.
func TestGuardEndsWithoutAWord(t *testing.T) {
	inBubble(t, func(b *bed) {
		ctx := b.guard(callerNamed("ada"), Right{prod, containers})
		b.lasts(time.Second, ctx)
		b.set(func() { b.decide = refuseAll })
		b.ends(ctx, ErrRevoked, guardInterval-time.Second)
		if n := b.asked(); n != 1 {
			b.Errorf("%d reviews, want 1", n)
		}
	})
}

func TestGuardLasts(t *testing.T) {
	inBubble(t, func(b *bed) {
		ctx := b.guard(callerNamed("ada"), Right{prod, containers})
		b.lasts(10*time.Minute+time.Second, ctx)
		if n := b.asked(); n != 60 {
			b.Errorf("%d reviews in 10 minutes, want 60", n)
		}
	})
}

func TestGuardExpires(t *testing.T) {
	inBubble(t, func(b *bed) {
		c := callerNamed("ada")
		c.Expires = time.Now().Add(25 * time.Second)
		b.ends(b.guard(c, Right{prod, containers}), ErrExpired, 25*time.Second)
		c.Expires = time.Now().Add(-time.Second)
		if ctx := b.guard(c); !errors.Is(context.Cause(ctx), ErrExpired) {
			b.Error("a guard began with a proof that has ended")
		}
	})
}

func TestGuardChecksTheProof(t *testing.T) {
	inBubble(t, func(b *bed) {
		var proof error
		checks := 0
		c := callerNamed("ada")
		c.Check = func(context.Context) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			checks++
			return proof
		}
		one, two := b.guard(c), b.guard(c, Right{prod, containers})
		b.lasts(15*time.Second, one, two)
		b.set(func() {
			if checks != 1 {
				b.Errorf("a token was checked %d times in a round, want once", checks)
			}
			proof = fmt.Errorf("%w: the ServiceAccount is gone", caller.ErrRefused)
		})
		b.ends(one, ErrRevoked, 5*time.Second)
		b.ends(two, ErrRevoked, 0)
		if text := context.Cause(one).Error(); text != ErrRevoked.Error() {
			b.Errorf("the cause tells %q", text)
		}
	})
}

// A logout ends the streams of its session, and not those of others with the same token.
func TestSessionsOfOneToken(t *testing.T) {
	inBubble(t, func(b *bed) {
		open := func(means caller.Means, session string, err error) context.Context {
			c := callerNamed("ada")
			c.Means, c.Session, c.Check = means, session, func(context.Context) error { return err }
			return b.guard(c, Right{prod, containers})
		}
		var ended, lasting []context.Context
		for range 20 { // whichever comes first
			lasting = append(lasting, open(caller.Cookie, "s1", nil), open(caller.Token, "", nil))
			ended = append(ended, open(caller.Cookie, "s2", caller.ErrRefused))
		}
		b.lasts(guardInterval, lasting...)
		for _, ctx := range ended {
			b.ends(ctx, ErrRevoked, 0)
		}
	})
}

func TestGuardInAnOutage(t *testing.T) {
	for name, outage := range map[string]func(*bed){
		"reviews fail": func(b *bed) { b.set(func() { b.down = true }) },
		"reviews hang": func(b *bed) { b.Cleanup(b.hold()) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				outage(b)
				// More than a round can ask about in time, when each takes 5 s.
				var all []context.Context
				for i := range 500 {
					all = append(all, b.guard(callerNamed(fmt.Sprint(i)), Right{prod, containers}))
				}
				b.lasts(guardOutage-1, all...)
				b.ends(all[0], ErrUnverified, 1)
				for _, ctx := range all {
					b.ends(ctx, ErrUnverified, 0)
				}
			})
		})
	}
}

func TestGuardWhoseProofCannotBeChecked(t *testing.T) {
	inBubble(t, func(b *bed) {
		c := callerNamed("ada")
		c.Check = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		// Nothing to ask about: no outage matters.
		certificate := b.guard(&caller.Caller{User: named("bob"), Means: caller.Certificate})
		b.ends(b.guard(c), ErrUnverified, guardOutage)
		b.lasts(time.Hour, certificate)
	})
}

// A kube-apiserver that is restarted cuts nobody off, and what was revoked meanwhile ends.
// A right that is gone is not waited for until the proof can be checked again, nor the other
// way round.
func TestGuardEndsInAnOutageOfTheOther(t *testing.T) {
	inBubble(t, func(b *bed) {
		var proof error
		c := callerNamed("ada")
		c.Check = func(context.Context) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			return proof
		}
		ctx := b.guard(c, Right{prod, containers})
		b.lasts(time.Second, ctx)
		b.set(func() { proof, b.decide = errors.New("nobody answers"), refuseAll })
		b.ends(ctx, ErrRevoked, guardInterval-time.Second)

		b.set(func() { proof, b.decide = nil, func(authorizationv1.SubjectAccessReviewSpec) bool { return true } })
		ctx = b.guard(c, Right{prod, containers})
		b.lasts(time.Second, ctx)
		b.set(func() { proof, b.down = caller.ErrRefused, true })
		b.ends(ctx, ErrRevoked, guardInterval-time.Second)
	})
}

func TestGuardOutlastsARestart(t *testing.T) {
	inBubble(t, func(b *bed) {
		ada, bob := b.guard(callerNamed("ada"), Right{prod, containers}), b.guard(callerNamed("bob"), Right{prod, containers})
		b.lasts(guardInterval-1, ada, bob)
		b.set(func() { b.down = true })
		b.lasts(guardOutage-guardInterval-guardRetry, ada, bob)
		b.set(func() {
			b.down = false
			b.decide = func(s authorizationv1.SubjectAccessReviewSpec) bool { return s.User != "bob" }
		})
		select {
		case <-bob.Done():
		case <-time.After(guardRetry):
		}
		if !errors.Is(context.Cause(bob), ErrRevoked) {
			b.Errorf("bob's: %v", context.Cause(bob))
		}
		b.lasts(time.Hour, ada)
	})
}

// Changes that never end put no review off.
func TestGuardEndsAmidChanges(t *testing.T) {
	inBubble(t, func(b *bed) {
		ctx := b.guard(callerNamed("ada"), Right{prod, containers})
		b.set(func() { b.decide = refuseAll })
		began := time.Now()
		for ctx.Err() == nil && time.Since(began) < time.Minute {
			b.GrantsChanged()
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(began); took > 210*time.Millisecond || !errors.Is(context.Cause(ctx), ErrRevoked) {
			b.Errorf("ended after %s because of %v", took, context.Cause(ctx))
		}
		// And they do not pile up.
		b.guards.mu.Lock()
		defer b.guards.mu.Unlock()
		if n := len(b.guards.extra); n > len(afterChange)+1 {
			b.Errorf("%d reviews are ahead", n)
		}
	})
}

func TestStopForgets(t *testing.T) {
	inBubble(t, func(b *bed) {
		c := callerNamed("ada")
		c.Expires = time.Now().Add(time.Hour)
		parent, cancel := context.WithCancel(b.Context())
		ended, stopEnded := b.Guard(parent, c, Right{prod, containers})
		stopped, stop := b.Guard(b.Context(), c, Right{prod, containers})
		cancel()
		stop()
		stop()
		if !errors.Is(context.Cause(ended), context.Canceled) || !errors.Is(context.Cause(stopped), context.Canceled) {
			b.Errorf("ended because of %v and %v", context.Cause(ended), context.Cause(stopped))
		}
		time.Sleep(2 * time.Hour)
		if n := b.asked(); n != 0 {
			b.Errorf("%d reviews for what has ended", n)
		}
		stopEnded()
		b.guards.mu.Lock()
		defer b.guards.mu.Unlock()
		if n := len(b.guards.all); n != 0 {
			b.Errorf("%d guards are left", n)
		}
		if !errors.Is(context.Cause(stopped), context.Canceled) {
			b.Errorf("the cause became %v", context.Cause(stopped))
		}
	})
}

// Start ends at once, also while nobody answers.
func TestStartEnds(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.Cleanup(b.hold())
		ctx := b.guard(callerNamed("ada"), Right{prod, containers})
		b.lasts(guardInterval, ctx)
		if n := b.under(); n != 1 {
			b.Fatalf("%d reviews under way, want 1", n)
		}
		began := time.Now()
		b.stop()
		if took := time.Since(began); took != 0 || ctx.Err() != nil {
			b.Errorf("Start took %s to end, and the guard ended: %v", took, ctx.Err())
		}
		// Nobody reviews any more, and so nothing lasts.
		b.ends(ctx, ErrUnverified, guardOutage-guardInterval)
	})
}

// Streams that ask the same cost one review, and a round that takes longer than the
// interval is followed, not joined, by the next.
func TestManyGuards(t *testing.T) {
	for name, tc := range map[string]struct {
		host      func(i int) int
		questions int
	}{
		"each user on two hosts": {func(i int) int { return i % 100 }, 100},
		"each user on all hosts": {func(i int) int { return i / 50 % 100 }, 5000},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				// 5,000 at 16 a time take 15.6 s, and longer than guardInterval.
				b.takes = 50 * time.Millisecond
				hosts := hostsOf("team", 100)
				all := make([]context.Context, 5000)
				for i := range all {
					all[i] = b.guard(callerNamed(fmt.Sprint(i%50)), Right{hosts[tc.host(i)], containers})
				}
				round := time.Duration((tc.questions+maxGuardReviews-1)/maxGuardReviews) * b.takes
				b.lasts(guardInterval+round-1, all[0], all[4999])
				if n := b.asked(); n != tc.questions {
					b.Errorf("%d reviews in a round, want %d", n, tc.questions)
				}
				b.lasts(max(guardInterval, round), all[0], all[4999])
				if n := b.asked(); n != tc.questions {
					b.Errorf("%d reviews in the next round, want %d", n, tc.questions)
				}
				if n := b.atOnce(); n != maxGuardReviews {
					b.Errorf("%d reviews at once, want %d", n, maxGuardReviews)
				}
				for _, ctx := range all {
					if ctx.Err() != nil {
						b.Fatalf("ended: %v", context.Cause(ctx))
					}
				}
			})
		})
	}
}

// A question that hangs keeps no other from being answered.
func TestSlowProofsHoldNobodyUp(t *testing.T) {
	inBubble(t, func(b *bed) {
		slow := callerNamed("slow")
		slow.Check = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		for range 100 {
			b.guard(slow, Right{prod, containers})
		}
		ctx := b.guard(callerNamed("ada"), Right{prod, containers})
		b.set(func() { b.decide = refuseAll })
		b.ends(ctx, ErrRevoked, guardInterval)
	})
}
