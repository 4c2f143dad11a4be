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
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

func TestSetKeepsTheConnection(t *testing.T) {
	for name, change := range map[string]func(*Host){
		"nothing":    func(*Host) {},
		"generation": func(h *Host) { h.Generation++ },
		"health":     func(h *Host) { h.Health.FailureThreshold = 9 },
		"a copy":     func(h *Host) { h.Config.TLS = &engine.TLSConfig{CA: []byte("ca")} },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				docker := b.connector.Add(fakeEndpoint)
				h := host(web, fakeEndpoint)
				h.Config.TLS = &engine.TLSConfig{CA: []byte("ca")}
				b.cache.Set(h)
				b.settle()
				b.taken()
				change(&h)
				b.cache.Set(h)
				if s := b.state(web); s.Phase != PhaseConnected || s.Generation != h.Generation {
					t.Errorf("right after Set the state is %+v", s)
				}
				b.settle()
				b.wantPhase(web, PhaseConnected)
				if name == "generation" {
					// Who asked before Set saw another generation, and waits for this one.
					if got := b.taken(); len(got) != 1 || !got[0].Condition {
						t.Errorf("got changes %+v, want one", got)
					}
				}
				b.wantSilence()
				if docker.Opens() != 1 {
					t.Errorf("connected %d times, want once", docker.Opens())
				}
			})
		})
	}
}

func TestSetConnectsAnew(t *testing.T) {
	for name, change := range map[string]func(*Host){
		"credentials": func(h *Host) { h.Config.TLS = &engine.TLSConfig{CA: []byte("new")} },
		"timeout":     func(h *Host) { h.Config.Timeout++ },
		"uid":         func(h *Host) { h.UID = "uid-2" },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				docker := b.connected()
				eng, _ := b.cache.Engine(web)
				h := host(web, fakeEndpoint)
				change(&h)
				docker.Hang(hostcachetest.Ping)
				b.cache.Set(h)
				if s := b.state(web); s.Phase != PhaseConnecting || s.Err != nil || s.UID != h.UID {
					t.Errorf("right after Set the state is %+v", s)
				}
				if _, err := b.cache.Engine(web); engine.ClassOf(err) != engine.ClassUnreachable {
					t.Errorf("right after Set Engine gives %v", err)
				}
				docker.Heal(hostcachetest.Ping)
				b.settle()
				b.wantPhase(web, PhaseConnected)
				if now, _ := b.cache.Engine(web); now == eng {
					t.Error("the engine is still the old one")
				}
				if docker.Opens() != 2 || docker.Open() != 1 || docker.Streams() != 1 {
					t.Errorf("%d connections made, %d open, %d streams", docker.Opens(), docker.Open(), docker.Streams())
				}
			})
		})
	}
}

func TestSetWhileTheEngineHangs(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connector.Add(fakeEndpoint)
		docker.Hang(hostcachetest.All)
		b.cache.Set(host(web, fakeEndpoint))
		b.pass(time.Second)
		other := b.connector.Add("unix:///other.sock")
		other.Put(hostcachetest.Container("c1", "one", "running"))
		b.cache.Set(host(web, "unix:///other.sock"))
		b.settle()
		b.wantPhase(web, PhaseConnected)
		b.wantIDs(web, engine.Containers, "c1")
		if docker.Open() != 0 {
			t.Errorf("%d connections to the old endpoint stayed open", docker.Open())
		}
	})
}

func TestAnotherEndpointStartsTheInventoryAnew(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.connected(hostcachetest.Container("c1", "one", "running"))
		b.cache.Set(host(web, "unix:///nobody.sock"))
		b.settle()
		b.wantPhase(web, PhaseDisconnected)
		if listing, _ := b.cache.List(web, engine.Containers); len(listing.Items) > 0 {
			t.Errorf("containers of the old endpoint are still listed: %v", idsOf(listing.Items))
		}
	})
}

func TestSuspended(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected(hostcachetest.Container("c1", "one", "running"))
		h := host(web, fakeEndpoint)
		h.Suspended = true
		b.cache.Set(h)
		b.wantPhase(web, PhaseSuspended)
		b.settle()
		if s := b.state(web); s.Err != nil || docker.Open() != 0 {
			t.Errorf("suspended: %+v with %d connections", s, docker.Open())
		}
		if _, err := b.cache.Engine(web); engine.ClassOf(err) != engine.ClassUnreachable {
			t.Errorf("Engine: %v", err)
		}
		b.taken()
		b.cache.Probe(web)
		b.pass(time.Hour)
		b.wantSilence()
		h.Suspended = false
		b.cache.Set(h)
		b.settle()
		b.wantPhase(web, PhaseConnected)
		b.wantIDs(web, engine.Containers, "c1")
	})
}

func TestConfigError(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		h := host(web, fakeEndpoint)
		h.ConfigErr = engine.Errorf(engine.ClassAuth, engine.CauseCredentialsMissing, "Secret default/web does not exist")
		b.cache.Set(h)
		s := b.state(web)
		if s.Phase != PhaseDisconnected || !sameError(s.Err, h.ConfigErr) || !sameError(s.CredentialsErr, h.ConfigErr) {
			t.Errorf("right after Set the state is %+v", s)
		}
		b.pass(time.Hour)
		if docker.Open() != 0 || docker.Opens() != 1 {
			t.Errorf("dialled without a configuration: %d times", docker.Opens()-1)
		}
		h.ConfigErr = engine.Errorf(engine.ClassForbidden, engine.CauseEndpointForbidden, "not here")
		b.cache.Set(h)
		if s := b.state(web); s.CredentialsErr != nil || s.Err.Cause != engine.CauseEndpointForbidden {
			t.Errorf("state %+v", s)
		}
		h.ConfigErr = nil
		b.cache.Set(h)
		b.settle()
		b.wantPhase(web, PhaseConnected)
	})
}

func TestDeleteLeavesNothing(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		a := b.cache.accessor(web)
		b.cache.Delete(web)
		if _, ok := b.cache.State(web); ok || len(b.cache.Keys()) != 0 {
			t.Error("a deleted host is still known")
		}
		b.settle()
		if docker.Open() != 0 || docker.Streams() != 0 {
			t.Errorf("%d connections and %d streams stayed open", docker.Open(), docker.Streams())
		}
		if a.host.Config.Endpoint.Path != "" {
			t.Error("the configuration, with its secrets, is still in memory")
		}
		if _, err := b.cache.Engine(web); !engine.IsNotFound(err) {
			t.Errorf("Engine: %v", err)
		}
		if _, err := b.cache.List(web, engine.Containers); !engine.IsNotFound(err) {
			t.Errorf("List: %v", err)
		}
		if ch := b.taken(); len(ch) != 1 {
			t.Errorf("changes %v, want one", ch)
		}
		b.cache.Delete(web)
		b.cache.Probe(web)
		b.wantSilence()
	})
}

func TestDeclaredBeforeStart(t *testing.T) {
	connector := hostcachetest.NewConnector()
	cache := New(Options{Connector: connector})
	cache.Set(host(web, fakeEndpoint))
	cache.Set(host(db, fakeEndpoint))
	cache.Delete(db)
	if s, ok := cache.State(web); !ok || s.Phase != PhaseConnecting {
		t.Errorf("state is %+v, %t", s, ok)
	}
	if connector.Checks() != 0 {
		t.Error("connected before Start")
	}
}

func TestErrorsThatAlternateDoNotFlap(t *testing.T) {
	refused := engine.Errorf(engine.ClassUnreachable, engine.CauseDialFailed, "refused")
	timeout := engine.Errorf(engine.ClassTimeout, engine.CauseTimeout, "timeout")
	auth := engine.Errorf(engine.ClassAuth, engine.CauseAuthenticationFailed, "denied")
	var shown shownErrors
	for i, step := range []struct {
		err  *engine.Error
		want bool
	}{
		{refused, true}, {refused, true}, {timeout, true}, {refused, false}, {timeout, true}, {refused, false},
		{refused, false}, {refused, true}, {timeout, false}, {auth, true}, {refused, false}, {auth, true},
	} {
		if got := shown.shows(step.err); got != step.want {
			t.Errorf("step %d: %s shown is %t, want %t", i, step.err, got, step.want)
		}
	}
}

func TestUnknownKind(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.connected()
		if _, err := b.cache.List(web, "plugins"); engine.ClassOf(err) != engine.ClassInvalid {
			t.Errorf("List: %v", err)
		}
	})
}
