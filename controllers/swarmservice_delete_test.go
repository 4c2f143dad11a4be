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

package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/controllers"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// trail keeps records, or fails.
type trail struct {
	mu      sync.Mutex
	records []audit.Record
	full    bool
}

func (l *trail) Record(_ context.Context, r audit.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		return errors.New("no space left on device")
	}
	l.records = append(l.records, r)
	return nil
}

func (l *trail) setFull(full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = full
}

// lone is a reconciler without a manager around it.
type lone struct {
	*processes
	*controllers.SwarmServiceReconciler
	trail    *trail
	recorder *events.FakeRecorder
	clock    *clocktesting.FakePassiveClock
}

func startLone(t *testing.T) *lone {
	t.Helper()
	p := startProcesses(t)
	l := &lone{processes: p, trail: &trail{}, recorder: events.NewFakeRecorder(1000), clock: clocktesting.NewFakePassiveClock(time.Now())}
	l.SwarmServiceReconciler = &controllers.SwarmServiceReconciler{
		Client: p.Cluster.Client, Hosts: p.cache, Inputs: controllers.SwarmNames{}, Audit: l.trail, Recorder: l.recorder,
		Metrics: controllers.NewSwarmServiceMetrics(),
	}
	l.Init()
	return l
}

// until reconciles an object until done.
func (l *lone) reconcileUntil(svc *dcv1.SwarmService, done func(*dcv1.SwarmService, error) error) {
	l.t.Helper()
	key := client.ObjectKeyFromObject(svc)
	testenv.Eventually(l.t, soonEnough, func(ctx context.Context) error {
		_, err := l.Reconcile(ctx, ctrl.Request{NamespacedName: key})
		now := &dcv1.SwarmService{}
		return errors.Join(done(now, l.processes.Client.Get(ctx, key, now)), err)
	})
}

// countEvents takes the Events so far, and returns how many of them begin so.
func (l *lone) countEvents(prefix string) (n int) {
	for len(l.recorder.Events) > 0 {
		if strings.HasPrefix(<-l.recorder.Events, prefix) {
			n++
		}
	}
	return n
}

// TestSwarmServiceAudit: every write to an engine is recorded before and after, and none
// is done that cannot be.
func TestSwarmServiceAudit(t *testing.T) {
	t.Parallel()
	l := startLone(t)
	svc := l.newService("web", nil)
	l.processes.Create(t, svc)
	l.trail.setFull(true)
	_, err := l.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(svc)})
	if !errors.Is(err, audit.ErrRefused) || len(l.engineServices()) > 0 {
		t.Fatalf("err %v, services %v", err, l.engineServices())
	}
	l.until(svc, func(s *dcv1.SwarmService) error {
		if c := condition(s, dcv1.ConditionReconciling); !strings.HasPrefix(c, "True/AuditTrailFailed: ") || !strings.Contains(c, "--audit-file") {
			return fmt.Errorf("Reconciling is %q", c)
		}
		return nil
	})
	l.trail.setFull(false)
	l.reconcileUntil(svc, converged)
	l.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](1) })
	l.reconcileUntil(svc, converged)
	if n := testutil.CollectAndCount(l.Metrics, "dockercontrol_swarmservice_replicas"); n != 4 {
		t.Errorf("%d series of replicas, want 4", n)
	}
	l.Delete(t, svc)
	l.trail.setFull(true)
	held := "Warning " + dcv1.ReasonAuditTrailFailed
	l.countEvents(held)
	for range 3 {
		if _, err := l.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(svc)}); !errors.Is(err, audit.ErrRefused) {
			t.Errorf("the end of the object: %v", err)
		}
	}
	if n := l.countEvents(held); n != 1 || l.onEngine("web") == nil {
		t.Errorf("%d Events tell that the object is held, and the swarm has %+v", n, l.onEngine("web"))
	}
	l.trail.setFull(false)
	l.reconcileUntil(svc, gone)
	if n := testutil.CollectAndCount(l.Metrics); n != 0 {
		t.Errorf("%d series are left of a deleted object", n)
	}

	var got []string
	for _, r := range l.trail.records {
		got = append(got, r.Verb+" "+string(r.Outcome))
		if r.Actor.User == "" || r.Host.Name != "m0" || r.Host.UID == "" || r.Object.Kind != "Service" || r.Object.Name != "web" || r.Regarding.UID != string(svc.UID) {
			t.Errorf("record %+v", r)
		}
	}
	want := []string{"create allowed", "create succeeded", "update allowed", "update succeeded", "remove allowed", "remove succeeded"}
	if !slices.Equal(got, want) {
		t.Errorf("records %q, want %q", got, want)
	}
}

// TestSwarmServiceReleased: an object does not wait for its swarm for ever.
func TestSwarmServiceReleased(t *testing.T) {
	t.Parallel()
	l := startLone(t)
	svc := l.newService("web", nil)
	l.processes.Create(t, svc)
	l.reconcileUntil(svc, converged)
	if err := l.nodes[0].SetFault(sim.Fault{Mode: sim.Refuse}); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 5*time.Second, func(context.Context) error {
		if _, err := l.cache.Engine(client.ObjectKeyFromObject(l.hosts[0])); err == nil {
			return errors.New("the host is still connected")
		}
		return nil
	})
	l.Delete(t, svc)
	key := client.ObjectKeyFromObject(svc)
	if err := l.processes.Client.Get(t.Context(), key, svc); err != nil {
		t.Fatal(err)
	}
	l.SwarmServiceReconciler.Clock = l.clock
	for _, test := range []struct {
		after     time.Duration
		restarted bool
		there     bool
	}{
		{after: 0, there: true},
		{after: 4*time.Minute + 50*time.Second, there: true},
		// A process that has just begun knows nothing of the swarm.
		{after: 6 * time.Minute, restarted: true, there: true},
		{after: 6*time.Minute + 50*time.Second, there: true},
		{after: 7*time.Minute + time.Second, there: false},
	} {
		if test.restarted {
			l.Init()
			l.SwarmServiceReconciler.Clock = l.clock
		}
		l.clock.SetTime(svc.DeletionTimestamp.Add(test.after))
		next, err := l.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
		if err != nil {
			t.Fatal(err)
		}
		err = l.processes.Client.Get(t.Context(), key, svc)
		if there := err == nil; there != test.there || there && next.RequeueAfter <= 0 || err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("after %s: there %t (%v), next %+v", test.after, there, err, next)
		}
	}
	released := false
	for len(l.recorder.Events) > 0 {
		released = strings.Contains(<-l.recorder.Events, "Warning Released") || released
	}
	if !released {
		t.Error("no Event tells that the object was released")
	}
}

// TestSwarmServiceDeletionCalls: the end of a service that owns no secrets or configs is
// one look and one removal.
func TestSwarmServiceDeletionCalls(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	svc := b.run("web", nil)
	before := b.nodes[0].Calls()
	b.Delete(t, svc)
	b.waitGone(svc)
	after := b.nodes[0].Calls()
	for call, want := range map[string]int64{"GET /services/{name}": 1, "DELETE /services/{name}": 1, "GET /secrets": 0, "GET /configs": 0} {
		if n := after[call] - before[call]; n != want {
			t.Errorf("%s was called %d times, want %d", call, n, want)
		}
	}
}
