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
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/go-logr/logr"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

// TestCredentialsAreReadOnce: reading an encrypted key costs more than all the rest
// of an attempt to connect.
func TestCredentialsAreReadOnce(t *testing.T) {
	inBubble(t, func(b *bed) {
		h := host(web, fakeEndpoint) // where nobody listens
		b.cache.Set(h)
		b.pass(time.Minute)
		b.wantPhase(web, PhaseDisconnected)
		if checks, reads := b.connector.Checks(), b.connector.Prepares(); checks < 10 || reads != 1 {
			t.Errorf("%d attempts read the credentials %d times, want many and 1", checks, reads)
		}
		h.Health.Interval = time.Second
		b.cache.Set(h)
		b.pass(time.Minute)
		if reads := b.connector.Prepares(); reads != 1 {
			t.Errorf("another health check had the credentials read %d times", reads)
		}
		h.Config.SSH = &engine.SSHConfig{Passphrase: []byte("new")}
		b.cache.Set(h)
		b.settle()
		if reads := b.connector.Prepares(); reads != 2 {
			t.Errorf("new credentials were read %d times", reads-1)
		}
	})
}

// remembering is a Connector that knows which of its credentials are still in
// memory.
type remembering struct {
	*hostcachetest.Connector
	made chan weak.Pointer[secret]
}

type secret struct {
	engine.Prepared
	key []byte
}

func (r remembering) Prepare(cfg engine.Config) (engine.Prepared, error) {
	p, err := r.Connector.Prepare(cfg)
	s := &secret{Prepared: p, key: make([]byte, 1024)}
	r.made <- weak.Make(s)
	return s, err
}

func TestCredentialsOfDeletedHostsAreForgotten(t *testing.T) {
	connector := remembering{hostcachetest.NewConnector(), make(chan weak.Pointer[secret], 100)}
	connector.Add("unix:///there.sock")
	cache := New(Options{Connector: connector, Log: logr.Discard()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- cache.Start(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Start: %v", err)
		}
	}()
	for name, forget := range map[string]func(Host){
		"deleted":   func(h Host) { cache.Delete(h.Key) },
		"suspended": func(h Host) { h.Suspended = true; cache.Set(h) },
	} {
		for _, endpoint := range []string{"unix:///there.sock", "unix:///gone.sock"} {
			h := host(Key{Namespace: name, Name: "web"}, endpoint)
			cache.Set(h)
			held := <-connector.made
			until(t, name+" "+endpoint+": first attempt", func() bool {
				s, _ := cache.State(h.Key)
				return s.Phase != PhaseConnecting
			})
			if held.Value() == nil {
				t.Errorf("%s %s: the credentials are gone while they are needed", name, endpoint)
			}
			forget(h)
			until(t, name+" "+endpoint+": end of the credentials", func() bool {
				runtime.GC()
				return held.Value() == nil
			})
		}
	}
}

// until waits for a condition in real time.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within 30 s", what)
		}
	}
}
