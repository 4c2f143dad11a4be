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
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
)

// fleet is a started Cache over simulated engines behind real sockets.
type fleet struct {
	testing.TB
	cache   *Cache
	dir     string
	engines []*sim.Engine
}

func newFleet(tb testing.TB) *fleet {
	tb.Helper()
	// Not TempDir, whose paths are too long for a socket's.
	dir, err := os.MkdirTemp("", "hc")
	if err != nil {
		tb.Fatal(err)
	}
	f := &fleet{TB: tb, dir: dir, cache: New(Options{Connector: moby.Connector{}, Log: logr.Discard()})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- f.cache.Start(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("Start: %v", err)
		}
		for _, e := range f.engines {
			e.Close()
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return f
}

// add makes an engine and its socket.
func (f *fleet) add(opts sim.Options) *sim.Engine {
	f.Helper()
	e := sim.New(opts)
	n := len(f.engines)
	f.engines = append(f.engines, e)
	l, err := net.Listen("unix", f.socket(n))
	if err != nil {
		f.Fatal(err)
	}
	go func() { _ = e.Serve(l) }()
	return e
}

func (f *fleet) socket(n int) string { return filepath.Join(f.dir, fmt.Sprintf("%04d.sock", n)) }

func (f *fleet) key(n int) Key { return Key{Namespace: "default", Name: fmt.Sprintf("h%04d", n)} }

// host is the declaration of the n-th engine, with probes fast enough for a test. An engine
// that answers may take its time: the machine may be busy.
func (f *fleet) host(n int) Host {
	return Host{
		Key: f.key(n), UID: "uid",
		Config: engine.Config{Endpoint: engine.Endpoint{Scheme: engine.SchemeUnix, Path: f.socket(n)}, Timeout: patience},
		Health: HealthCheck{Interval: time.Second, Timeout: patience, FailureThreshold: 2},
	}
}

// faulty is host for an engine that is not to answer.
func (f *fleet) faulty(n int) Host {
	h := f.host(n)
	h.Config.Timeout, h.Health.Timeout = 2*time.Second, 2*time.Second
	return h
}

// changed waits until ok holds, looking again at each Change and every 20 ms.
func (f *fleet) changed(what string, limit time.Duration, ok func() bool) time.Duration {
	f.Helper()
	changes := make(chan struct{}, 1)
	cancel := f.cache.Notify(func(Change) { nudge(changes) })
	defer cancel()
	began := time.Now()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if ok() {
			tick.Stop()
			return time.Since(began)
		}
		if time.Since(began) > limit {
			f.Fatalf("after %s still not: %s", limit, what)
		}
		select {
		case <-changes:
		case <-tick.C:
		}
	}
}

func (f *fleet) phase(n int, want Phase, limit time.Duration) time.Duration {
	f.Helper()
	return f.changed(fmt.Sprintf("host %d is %s", n, want), limit, func() bool {
		s, _ := f.cache.State(f.key(n))
		return s.Phase == want
	})
}

func (f *fleet) engine(n int) engine.Engine {
	f.Helper()
	eng, err := f.cache.Engine(f.key(n))
	if err != nil {
		f.Fatal(err)
	}
	return eng
}

func (f *fleet) fault(n int, fault sim.Fault) {
	f.Helper()
	if err := f.engines[n].SetFault(fault); err != nil {
		f.Fatal(err)
	}
}
