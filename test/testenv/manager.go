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

package testenv

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/dockercontrol/dockercontrol/internal/manager"
)

// Manager is a manager that runs in the test's process.
type Manager struct {
	writes *atomic.Int64
	cancel context.CancelFunc
	done   chan error
}

// ManagerOptions are fit for tests: unix endpoints everywhere, loopback allowed,
// no ports, no election.
func ManagerOptions(namespaces ...string) manager.Options {
	o := manager.DefaultOptions()
	o.Namespaces = namespaces
	o.UnixEndpointNamespaces = []string{"*"}
	o.AllowLoopbackEndpoints = true
	o.LeaderElect = false
	o.MetricsAddress, o.HealthAddress, o.ProxyAddress = "0", "0", "0"
	o.AuditFile = "" // tests of the trail name one
	o.ShutdownTimeout = 20 * time.Second
	return o
}

// StartManager runs a manager until the test ends, and fails the test where it
// ends badly or late.
func (c *Cluster) StartManager(t testing.TB, o manager.Options) *Manager {
	t.Helper()
	m := &Manager{writes: &atomic.Int64{}, done: make(chan error, 1)}
	cfg := rest.CopyConfig(c.Config)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return countWrites{next, m.writes} })
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	m.cancel = cancel
	go func() { m.done <- manager.Run(ctx, cfg, o) }()
	t.Cleanup(func() { m.Stop(t) })
	return m
}

// Stop ends the manager and waits for it.
func (m *Manager) Stop(t testing.TB) {
	t.Helper()
	if m.cancel == nil {
		return
	}
	m.cancel()
	m.cancel = nil
	select {
	case err := <-m.done:
		if err != nil {
			t.Errorf("the manager ended with: %v", err)
		}
	case <-time.After(patience):
		t.Errorf("the manager did not stop within %s", patience)
	}
}

// Writes is how many requests that change something the manager has sent to the
// API server, Lease renewals aside.
func (m *Manager) Writes() int64 { return m.writes.Load() }

type countWrites struct {
	next   http.RoundTripper
	writes *atomic.Int64
}

func (c countWrites) RoundTrip(req *http.Request) (*http.Response, error) {
	reads := req.Method == http.MethodGet || req.Method == http.MethodHead
	if !reads && !strings.Contains(req.URL.Path, "/leases") {
		c.writes.Add(1)
	}
	return c.next.RoundTrip(req)
}
