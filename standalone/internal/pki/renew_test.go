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

package pki

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// watched starts Run and gives back what it reports. Run has ended when the test has.
func watched(t *testing.T, s *Store) (reports <-chan []string, failures <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	made, failed, done := make(chan []string, 100), make(chan error, 100), make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx, func(names []string, err error) {
			if err != nil {
				failed <- err
				return
			}
			made <- names
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return made, failed
}

// stepUntil lets the clock run until something arrives on ch.
func stepUntil[T any](t *testing.T, clock *clocktesting.FakeClock, step time.Duration, ch <-chan T) T {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case value := <-ch:
			return value
		case <-deadline:
			t.Fatalf("nothing happened up to %s of the test's clock", clock.Now())
		default:
			if clock.HasWaiters() {
				clock.Step(step)
			}
		}
	}
}

func TestRunRenewsBeforeTheEnd(t *testing.T) {
	clock := clocktesting.NewFakeClock(epoch)
	s := newStore(t, testConfig(t.TempDir(), clock))
	ensure(t, s)
	before := certificate(t, s.APIServer())

	made, _ := watched(t, s)
	names := stepUntil(t, clock, 24*time.Hour, made)
	if !slices.Contains(names, "apiserver") || !slices.Contains(names, "admin") {
		t.Errorf("Run made %q, want the leaves", names)
	}
	if now := clock.Now(); now.Before(before.NotAfter.Add(-DefaultValidity/3)) || now.After(before.NotAfter.Add(-DefaultValidity/4)) {
		t.Errorf("renewed at %s, a certificate that ends at %s", now, before.NotAfter)
	}
	if after := certificate(t, s.APIServer()); !after.NotAfter.After(before.NotAfter) {
		t.Errorf("the new certificate ends at %s, the old one at %s", after.NotAfter, before.NotAfter)
	}
}

func TestRunRetries(t *testing.T) {
	clock := clocktesting.NewFakeClock(epoch)
	config := testConfig(t.TempDir(), clock)
	s := newStore(t, config)
	ensure(t, s)
	// An authority's key that cannot be read fails the round whoever the test runs as.
	hidden := s.CA().Key + ".hidden"
	if err := os.Rename(s.CA().Key, hidden); err != nil {
		t.Fatal(err)
	}
	made, failed := watched(t, s)
	if err := stepUntil(t, clock, time.Hour, failed); err == nil {
		t.Error("Run reported a failure without an error")
	}
	if err := os.Rename(hidden, s.CA().Key); err != nil {
		t.Fatal(err)
	}
	failedAt := clock.Now()
	remove(t, s.Proxy().Cert)
	if names := stepUntil(t, clock, 10*time.Second, made); !slices.Equal(names, []string{"proxy"}) {
		t.Errorf("Run made %q, want the proxy's", names)
	}
	// Steps race with the round, so allow a few; an hour would mean that failure did not shorten the wait.
	if waited := clock.Now().Sub(failedAt); waited > 30*time.Minute {
		t.Errorf("retried after %s, want about %s", waited, retryWait)
	}
}
