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
	"io"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

func TestSteadyHostIsSilent(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected(hostcachetest.Container("c1", "one", "running"))
		b.pass(time.Hour)
		b.wantSilence()
		b.wantPhase(web, PhaseConnected)
		probes := docker.Calls(hostcachetest.Ping)
		if probes < 360 || probes > 460 { // each 8 to 10 s
			t.Errorf("%d probes in an hour", probes)
		}
		if n := docker.Calls(hostcachetest.Info); n < probes/infoEvery || n > probes/infoEvery+20 {
			t.Errorf("/info was read %d times with %d probes and 12 to 15 relists", n, probes)
		}
		if n := docker.Calls(hostcachetest.List(engine.Containers)); n < 12 || n > 17 {
			t.Errorf("containers were listed %d times in an hour, want once each 5 minutes", n)
		}
		if docker.Opens() != 1 || docker.Calls(hostcachetest.Events) != 1 {
			t.Errorf("%d connections and %d event streams were made, want one of each", docker.Opens(), docker.Calls(hostcachetest.Events))
		}
	})
}

func TestProbesBelowTheThresholdChangeNothing(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected(hostcachetest.Container("c1", "one", "running"))
		boom := engine.Errorf(engine.ClassServer, engine.CauseEngineError, "boom")
		for range 10 {
			docker.Fail(hostcachetest.Ping, boom)
			before := docker.Calls(hostcachetest.Ping)
			for docker.Calls(hostcachetest.Ping) < before+2 {
				b.pass(100 * time.Millisecond)
			}
			listing, err := b.cache.List(web, engine.Containers)
			if err != nil || time.Since(listing.ObservedAt) < 8*time.Second {
				t.Errorf("while probes fail the listing claims to be of %s (%v)", listing.ObservedAt, err)
			}
			docker.Heal(hostcachetest.Ping)
			b.pass(11 * time.Second)
			if listing, _ := b.cache.List(web, engine.Containers); !listing.ObservedAt.Equal(time.Now()) {
				t.Errorf("when probes succeed again the listing claims to be of %s", listing.ObservedAt)
			}
		}
		b.wantSilence()
		docker.Fail(hostcachetest.Ping, boom)
		b.until(web, PhaseDisconnected, 30*time.Second)
		if err := b.state(web).Err; !sameError(err, boom) {
			t.Errorf("error is %v", err)
		}
		if ch := b.taken(); len(ch) != 1 || !ch[0].Condition {
			t.Errorf("changes %v, want one of condition", ch)
		}
	})
}

func TestBlackHoleIsFoundInTime(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		b.pass(7 * time.Second)
		docker.Hang(hostcachetest.All)
		bound := 3 * (10 + 5) * time.Second
		if took := b.until(web, PhaseDisconnected, bound); took < 20*time.Second {
			t.Errorf("took %s: fewer than three probes decided", took)
		}
		if cause := b.state(web).Err.Cause; cause != engine.CauseTimeout {
			t.Errorf("cause is %s", cause)
		}
		docker.Heal(hostcachetest.All)
		b.until(web, PhaseConnected, 11*time.Second)
	})
}

func TestKilledEngineIsFoundWithinASecond(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected(hostcachetest.Container("c1", "one", "running"))
		b.pass(time.Minute)
		b.taken()
		killed := time.Now()
		docker.Stop()
		if took := b.until(web, PhaseDisconnected, 2*time.Second); took > time.Second {
			t.Errorf("found after %s", took)
		}
		if err := b.state(web).Err; !sameError(err, hostcachetest.Refused()) {
			t.Errorf("error is %v", err)
		}
		if ch := b.taken(); len(ch) != 1 {
			t.Errorf("changes: %v, want one", ch)
		}
		if _, err := b.cache.Engine(web); engine.CauseOf(err) != engine.CauseDialFailed {
			t.Errorf("Engine: %v", err)
		}
		b.pass(5 * time.Second)
		listing, err := b.cache.List(web, engine.Containers)
		if engine.CauseOf(err) != engine.CauseDialFailed || len(listing.Items) != 1 || !listing.ObservedAt.Equal(killed) {
			t.Errorf("List: %d items of %s, %v; want the last ones and why they are old", len(listing.Items), listing.ObservedAt, err)
		}
		docker.Heal(hostcachetest.All)
		if took := b.until(web, PhaseConnected, 2*time.Second); took > 1100*time.Millisecond {
			t.Errorf("back after %s", took)
		}
		b.wantIDs(web, engine.Containers, "c1")
	})
}

func TestLongOutage(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		docker.Stop()
		b.until(web, PhaseDisconnected, 2*time.Second)
		b.taken()
		b.pass(10 * time.Minute)
		b.wantSilence()
		pings := docker.Calls(hostcachetest.Ping)
		b.pass(time.Minute)
		if n := docker.Calls(hostcachetest.Ping) - pings; n < 6 || n > 8 {
			t.Errorf("%d attempts in a minute of a long outage, want one each 8 to 10 s", n)
		}
		docker.Heal(hostcachetest.All)
		b.until(web, PhaseConnected, 11*time.Second)

		docker.Stop()
		b.pass(10 * time.Minute)
		docker.Heal(hostcachetest.All)
		b.cache.Probe(web)
		b.pass(minBackoff)
		b.wantPhase(web, PhaseConnected) // a probe that is asked for is an attempt now
	})
}

func TestStreamThatEndsIsReopened(t *testing.T) {
	for name, end := range map[string]error{"cleanly": io.EOF, "broken": hostcachetest.Refused()} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				docker := b.connected(hostcachetest.Container("c1", "one", "running"))
				b.pass(time.Minute)
				docker.Emit("container", "start", "c1")
				b.pass(time.Second)
				b.taken()
				docker.Put(hostcachetest.Volume("v1")) // nobody tells of it
				docker.EndStreams(end)
				b.settle()
				if docker.Streams() != 1 {
					t.Fatalf("%d streams are open, want a new one", docker.Streams())
				}
				b.wantIDs(web, engine.Volumes, "v1")
				b.pass(time.Second)
				b.wantSilence()
				if docker.Opens() != 1 {
					t.Errorf("connected %d times, want once", docker.Opens())
				}
			})
		})
	}
}

func TestStreamsThatKeepEndingAreReopenedEverMoreRarely(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		b.pass(time.Minute)
		docker.Hook(hostcachetest.Events, func() { go docker.EndStreams(io.EOF) })
		docker.EndStreams(io.EOF)
		b.pass(10 * time.Minute)
		b.wantPhase(web, PhaseConnected)
		b.wantSilence()
		if n := docker.Calls(hostcachetest.Events); n > 90 {
			t.Errorf("the stream was opened %d times in ten minutes, want at most once an interval after a few", n)
		}
	})
}

func TestStreamThatCannotBeReopened(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		boom := engine.Errorf(engine.ClassServer, engine.CauseEngineError, "no events today")
		docker.Fail(hostcachetest.Events, boom)
		docker.EndStreams(io.EOF)
		b.until(web, PhaseDisconnected, 2*time.Second)
		if err := b.state(web).Err; !sameError(err, boom) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestRestartTooShortToNotice(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		b.pass(time.Minute)
		docker.Stop()
		b.pass(400 * time.Millisecond)
		docker.SetVersion(func(v *engine.Version) { v.Version = "29.0.0" })
		docker.Heal(hostcachetest.All)
		b.pass(time.Second)
		b.wantPhase(web, PhaseConnected)
		if v := b.state(web).Version.Version; v != "29.0.0" {
			t.Errorf("version is %s", v)
		}
		if ch := b.taken(); len(ch) != 1 || !ch[0].Condition {
			t.Errorf("changes %v, want only that of the version", ch)
		}
	})
}

func TestSuccessThreshold(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connector.Add(fakeEndpoint)
		h := host(web, fakeEndpoint)
		h.Health.SuccessThreshold = 3
		b.cache.Set(h)
		b.settle()
		b.wantPhase(web, PhaseConnected) // not lost before: once is enough
		docker.Stop()
		b.until(web, PhaseDisconnected, 2*time.Second)
		docker.Heal(hostcachetest.All)
		if took := b.until(web, PhaseConnected, 25*time.Second); took < 16*time.Second {
			t.Errorf("back after %s: fewer than three probes decided", took)
		}
	})
}

func TestSwarmPlaceInAPing(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connector.Add(fakeEndpoint)
		docker.SetInfo(func(i *engine.Info) { i.Swarm.LocalNodeState = "inactive" })
		b.cache.Set(host(web, fakeEndpoint))
		b.settle()
		b.taken()
		docker.SetInfo(func(i *engine.Info) { i.Swarm.LocalNodeState = "active" })
		b.pass(11 * time.Second)
		if got := b.state(web).Info.Swarm.LocalNodeState; got != "active" {
			t.Errorf("after a probe the state is %q", got)
		}
		if ch := b.taken(); len(ch) != 1 || !ch[0].Condition {
			t.Errorf("changes %v, want one of condition", ch)
		}
	})
}

func TestProbeOnDemandIsBounded(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		b.pass(time.Minute)
		before := docker.Calls(hostcachetest.Ping)
		for range 1000 {
			b.cache.Probe(web)
			b.pass(time.Millisecond)
		}
		if n := docker.Calls(hostcachetest.Ping) - before; n < 3 || n > 6 {
			t.Errorf("%d probes in a second, want one each %s", n, minProbeSpacing)
		}
	})
}
