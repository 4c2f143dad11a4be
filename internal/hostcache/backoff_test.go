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
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func TestBackoff(t *testing.T) {
	refused := engine.Errorf(engine.ClassUnreachable, engine.CauseDialFailed, "refused")
	denied := engine.Errorf(engine.ClassAuth, engine.CauseAuthenticationFailed, "denied")
	for name, test := range map[string]struct {
		err      *engine.Error
		interval time.Duration
		// want are the longest pauses, without jitter.
		want []time.Duration
	}{
		"short outage":    {refused, 10 * time.Second, []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, time.Second}},
		"brief interval":  {refused, 500 * time.Millisecond, []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, 500 * time.Millisecond}},
		"needs a human":   {denied, 10 * time.Second, []time.Duration{10 * time.Second, 10 * time.Second}},
		"human, 1s probe": {denied, time.Second, []time.Duration{time.Second}},
		"human, 1h probe": {denied, time.Hour, []time.Duration{maxBackoff, maxBackoff}},
	} {
		t.Run(name, func(t *testing.T) {
			var b backoff
			now := time.Unix(0, 0)
			for i, want := range test.want {
				got := b.next(0, now, test.interval, test.err)
				if got > want || got < want*4/5 {
					t.Errorf("pause %d is %s, want %s less up to a fifth", i, got, want)
				}
				now = now.Add(got)
			}
		})
	}
}

func TestBackoffOfALongOutageAndAfterIt(t *testing.T) {
	refused := engine.Errorf(engine.ClassUnreachable, engine.CauseDialFailed, "refused")
	const interval = 10 * time.Second
	var b backoff
	now, attempts := time.Unix(0, 0), 0
	for end := now.Add(time.Hour); now.Before(end); attempts++ {
		pause := b.next(0, now, interval, refused)
		if pause > interval {
			t.Fatalf("a pause of %s exceeds the interval", pause)
		}
		now = now.Add(pause)
	}
	if attempts < 360 || attempts > 500 {
		t.Errorf("%d attempts in an hour", attempts)
	}
	// A connection that broke at once is part of the outage, one that lasted is not.
	if pause := b.next(interval-1, now, interval, refused); pause < interval*4/5 {
		t.Errorf("pause of %s after a connection that broke at once", pause)
	}
	if pause := b.next(interval, now, interval, refused); pause > minBackoff {
		t.Errorf("pause of %s after a connection that lasted", pause)
	}
}

func TestGateForgetsThoseThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2)
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		for range 2 {
			if _, err := g.enter(ctx); err != nil { // never leaves
				t.Fatal(err)
			}
		}
		leave, err := g.enter(ctx)
		if waited := time.Since(began); err != nil || waited != DialGrace {
			t.Fatalf("the third waited %s (%v), want %s", waited, err, DialGrace)
		}
		leave()
		leave() // twice is once
		for range 2 {
			if _, err := g.enter(ctx); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if _, err := g.enter(ctx); err == nil {
			t.Error("entered with an ended context and no slot")
		}
		time.Sleep(time.Hour)
		if n := len(g.slots); n != 0 {
			t.Errorf("%d slots are taken for ever", n)
		}
	})
}
