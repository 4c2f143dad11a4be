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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

func TestConnectPublishesWhatTheEngineSays(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connector.Add(fakeEndpoint)
		docker.SetInfo(func(i *engine.Info) { i.Images = 7; i.NCPU = 4 })
		for _, o := range []engine.Object{
			hostcachetest.Container("c1", "one", "running"), hostcachetest.Container("c2", "two", "paused"),
			hostcachetest.Container("c3", "three", "exited"), hostcachetest.Container("c4", "four", "restarting"),
			hostcachetest.Image("i1", "busybox:1"), hostcachetest.Volume("v1"), hostcachetest.Network("n1", "bridge"),
		} {
			docker.Put(o)
		}
		began := time.Now()
		b.cache.Set(host(web, fakeEndpoint))
		if s := b.state(web); s.Generation != 1 || s.UID != "uid-1" {
			t.Errorf("right after Set the state is %+v", s)
		}
		b.settle()
		if took := time.Since(began); took > 0 {
			t.Errorf("connecting waited %s for nothing", took)
		}
		s := b.state(web)
		if s.Phase != PhaseConnected || s.Err != nil || s.Info.NCPU != 4 || s.Version.APIVersion != "1.48" || !s.LastProbe.Equal(began) {
			t.Errorf("the state is %+v", s)
		}
		if diff := cmp.Diff(Counts{Running: 1, Paused: 1, Stopped: 2, Total: 4, Images: 7}, s.Counts); diff != "" {
			t.Errorf("counts differ (-want +got):\n%s", diff)
		}
		b.wantIDs(web, engine.Containers, "c1", "c2", "c3", "c4")
		b.wantIDs(web, engine.Images, "i1")
		b.wantIDs(web, engine.Volumes, "v1")
		b.wantIDs(web, engine.Networks, "n1")
		if eng, err := b.cache.Engine(web); err != nil || eng == nil {
			t.Errorf("Engine: %v, %v", eng, err)
		}
		for _, call := range []string{hostcachetest.Ping, hostcachetest.Version, hostcachetest.Info, hostcachetest.Events} {
			if n := docker.Calls(call); n != 1 {
				t.Errorf("%s was called %d times, want once", call, n)
			}
		}
	})
}

func TestConnectFailures(t *testing.T) {
	boom := engine.Errorf(engine.ClassServer, engine.CauseEngineError, "boom")
	for _, call := range []string{
		hostcachetest.Ping, hostcachetest.Version, hostcachetest.Info, hostcachetest.Events, hostcachetest.List(engine.Containers),
	} {
		t.Run(call, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				docker := b.connector.Add(fakeEndpoint)
				docker.Fail(call, boom)
				b.cache.Set(host(web, fakeEndpoint))
				b.settle()
				b.wantPhase(web, PhaseDisconnected)
				if err := b.state(web).Err; !sameError(err, boom) {
					t.Errorf("the state's error is %v", err)
				}
				if _, err := b.cache.Engine(web); engine.CauseOf(err) != engine.CauseEngineError {
					t.Errorf("Engine: %v", err)
				}
				if _, err := b.cache.List(web, engine.Containers); engine.CauseOf(err) != engine.CauseEngineError {
					t.Errorf("List: %v", err)
				}
				if n := docker.Open(); n != 0 {
					t.Errorf("%d connections stayed open", n)
				}
				b.taken()
				b.pass(5 * time.Second)
				b.wantSilence() // the same error again is no news

				docker.Heal(call)
				b.pass(1100 * time.Millisecond)
				b.wantPhase(web, PhaseConnected)
			})
		})
	}
}

func TestConnectTimeouts(t *testing.T) {
	for call, limit := range map[string]time.Duration{
		hostcachetest.Ping:                    5 * time.Second,
		hostcachetest.Info:                    5 * time.Second,
		hostcachetest.Events:                  5 * time.Second,
		hostcachetest.List(engine.Containers): 5*time.Second + engine.ListPatience,
	} {
		t.Run(call, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				docker := b.connector.Add(fakeEndpoint)
				docker.Hang(call)
				b.cache.Set(host(web, fakeEndpoint))
				if took := b.until(web, PhaseDisconnected, limit+time.Second); took < limit {
					t.Errorf("gave up after %s, before %s", took, limit)
				}
				if cause := b.state(web).Err.Cause; cause != engine.CauseTimeout {
					t.Errorf("cause is %s", cause)
				}
			})
		})
	}
}

func TestConnectedWithoutSlowKinds(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connector.Add(fakeEndpoint)
		docker.Put(hostcachetest.Volume("v1"))
		docker.Put(hostcachetest.Image("i1", "busybox:1"))
		docker.Hang(hostcachetest.List(engine.Volumes))
		b.cache.Set(host(web, fakeEndpoint))
		if took := b.until(web, PhaseConnected, time.Second); took > settleTime {
			t.Errorf("a hanging volume list held up the connection for %s", took)
		}
		b.wantIDs(web, engine.Images, "i1")
		if _, err := b.cache.List(web, engine.Volumes); engine.ClassOf(err) != engine.ClassTimeout {
			t.Errorf("List of volumes: %v", err)
		}
		b.taken()
		b.pass(20 * time.Second)
		b.wantPhase(web, PhaseConnected)
		if _, err := b.cache.List(web, engine.Volumes); engine.CauseOf(err) != engine.CauseTimeout {
			t.Errorf("List of volumes: %v", err)
		}
		b.wantSilence()
		b.pass(30 * time.Second) // its next attempt hangs as well
		docker.SetInfo(func(i *engine.Info) { i.Images = 5 })
		docker.Put(hostcachetest.Image("i2", "busybox:2"))
		docker.Emit("image", "pull", "i2")
		b.pass(time.Second)
		b.wantIDs(web, engine.Images, "i1", "i2")
		if got := b.state(web).Counts.Images; got != 5 {
			t.Errorf("%d images are counted", got)
		}
		docker.Heal(hostcachetest.List(engine.Volumes))
		b.pass(maxKindRetry)
		b.wantIDs(web, engine.Volumes, "v1")
	})
}

func TestCredentialsAreJudgedBeforeDialling(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connector.Add(fakeEndpoint)
		expired := engine.Errorf(engine.ClassAuth, engine.CauseCertificateExpired, "the client certificate has expired")
		b.connector.OnCheck(func(cfg engine.Config, _ time.Time) (engine.CredentialInfo, error) {
			if cfg.TLS == nil {
				return engine.CredentialInfo{Fingerprint: "SHA256:old"}, expired
			}
			return engine.CredentialInfo{Fingerprint: "SHA256:new"}, nil
		})
		h := host(web, fakeEndpoint)
		b.cache.Set(h)
		b.settle()
		s := b.state(web)
		if s.Phase != PhaseDisconnected || !sameError(s.Err, expired) || !sameError(s.CredentialsErr, expired) || docker.Opens() != 0 {
			t.Errorf("state %+v, %d dials", s, docker.Opens())
		}
		b.taken()
		b.pass(25 * time.Second)
		b.wantSilence()
		if n := b.connector.Checks(); n > 4 {
			t.Errorf("credentials that need a human were judged %d times in 25 s", n)
		}
		h.Config.TLS = &engine.TLSConfig{CA: []byte("repaired")}
		b.cache.Set(h)
		b.settle()
		s = b.state(web)
		if s.Phase != PhaseConnected || s.CredentialsErr != nil || s.Credentials.Fingerprint != "SHA256:new" {
			t.Errorf("after the repair the state is %+v", s)
		}
	})
}

func TestCertificateExpiresWhileConnected(t *testing.T) {
	inBubble(t, func(b *bed) {
		notAfter := time.Now().Add(time.Hour)
		expired := engine.Errorf(engine.ClassAuth, engine.CauseCertificateExpired, "the client certificate has expired")
		b.connector.OnCheck(func(_ engine.Config, now time.Time) (engine.CredentialInfo, error) {
			if now.Before(notAfter) {
				return engine.CredentialInfo{NotAfter: notAfter}, nil
			}
			return engine.CredentialInfo{NotAfter: notAfter}, expired
		})
		docker := b.connected()
		b.pass(time.Until(notAfter) - time.Second)
		b.wantPhase(web, PhaseConnected)
		b.pass(12 * time.Second)
		s := b.state(web)
		if s.Phase != PhaseDisconnected || !sameError(s.Err, expired) || !sameError(s.CredentialsErr, expired) || docker.Open() != 0 {
			t.Errorf("state %+v, %d connections open", s, docker.Open())
		}
	})
}

func TestAnotherEngineAtTheEndpoint(t *testing.T) {
	change := func(docker *hostcachetest.Engine) {
		docker.SetInfo(func(i *engine.Info) { i.ID = "other" })
		docker.Remove(engine.Containers, "c1")
		docker.Put(hostcachetest.Container("c2", "two", "running"))
	}
	check := func(b *bed) {
		b.Helper()
		b.wantPhase(web, PhaseConnected)
		b.wantIDs(web, engine.Containers, "c2")
		if id := b.state(web).Info.ID; id != "other" {
			b.Errorf("the engine's ID is %q", id)
		}
		for _, ch := range b.taken() {
			if ch.Condition {
				return
			}
		}
		b.Error("no change of condition was announced")
	}
	t.Run("after a reconnect", func(t *testing.T) {
		inBubble(t, func(b *bed) {
			docker := b.connected(hostcachetest.Container("c1", "one", "running"))
			docker.Stop()
			b.until(web, PhaseDisconnected, 2*time.Second)
			change(docker)
			docker.Heal(hostcachetest.All)
			b.until(web, PhaseConnected, 2*time.Second)
			check(b)
		})
	})
	t.Run("while connected", func(t *testing.T) {
		inBubble(t, func(b *bed) {
			docker := b.connected(hostcachetest.Container("c1", "one", "running"))
			change(docker)
			b.pass(65 * time.Second) // six probes and a bit
			check(b)
		})
	})
}

func TestEngineWithoutALastingID(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		n := 0
		docker.Hook(hostcachetest.Info, func() {
			n++
			docker.SetInfo(func(i *engine.Info) { i.ID = time.Duration(n).String() })
		})
		b.pass(65 * time.Second)
		if id := b.state(web).Info.ID; id != "" {
			t.Errorf("the state has the ID %q, which does not last", id)
		}
		b.taken()
		b.pass(10 * time.Minute)
		b.wantSilence()
		if docker.Opens() != 1 {
			t.Errorf("connected %d times, want once", docker.Opens())
		}
	})
}

func TestForeignEngineIsAskedTwiceForItsID(t *testing.T) {
	for name, lasts := range map[string]bool{"that lasts": true, "that does not": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				docker := b.connector.Add(fakeEndpoint)
				docker.SetVersion(func(v *engine.Version) { v.Platform.Name = "linux/amd64/debian-12" })
				n := 0
				docker.Hook(hostcachetest.Info, func() {
					if n++; !lasts {
						docker.SetInfo(func(i *engine.Info) { i.ID = time.Duration(n).String() })
					}
				})
				b.cache.Set(host(web, fakeEndpoint))
				b.settle()
				b.wantPhase(web, PhaseConnected)
				if id := b.state(web).Info.ID; lasts != (id != "") {
					t.Errorf("the ID is %q", id)
				}
				b.taken()
				b.pass(10 * time.Minute)
				b.wantSilence()
			})
		})
	}
}

func TestAPanicIsTheHostsOwnError(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		docker.Hook(hostcachetest.List(engine.Containers), func() { panic("garbage") })
		docker.Emit("container", "create", "c1")
		b.until(web, PhaseDisconnected, 5*time.Second)
		if err := b.state(web).Err; err.Cause != engine.CauseEngineError {
			t.Errorf("error is %v", err)
		}
		docker.Heal(hostcachetest.List(engine.Containers))
		b.until(web, PhaseConnected, 12*time.Second)

		b.connector.OnCheck(func(engine.Config, time.Time) (engine.CredentialInfo, error) { panic("garbage") })
		docker.Stop()
		b.until(web, PhaseDisconnected, 2*time.Second)
		b.pass(20 * time.Second)
		b.wantPhase(web, PhaseDisconnected)
	})
}

func TestForeignErrorsAreClassed(t *testing.T) {
	for _, test := range []struct {
		err   error
		class engine.Class
	}{
		{errors.New("boom"), engine.ClassServer},
		{context.DeadlineExceeded, engine.ClassTimeout},
		{fmt.Errorf("call: %w", context.Canceled), engine.ClassCanceled},
	} {
		if got := toError(test.err); got.Class != test.class || got.Message == "" {
			t.Errorf("toError(%v) = %+v", test.err, got)
		}
	}
}
