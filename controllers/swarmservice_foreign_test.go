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
	"fmt"
	"strings"
	"sync"
	"testing"

	engineswarm "github.com/moby/moby/api/types/swarm"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// hookedHosts are a host cache whose engines call a hook before they create a service.
type hookedHosts struct {
	*hostcache.Cache
	beforeCreate func()
	calls        *[]string
}

func (h hookedHosts) Engine(key hostcache.Key) (engine.Engine, error) {
	eng, err := h.Cache.Engine(key)
	return hookedEngine{eng, h}, err
}

type hookedEngine struct {
	engine.Engine
	hosts hookedHosts
}

func (e hookedEngine) ServiceCreate(ctx context.Context, spec engineswarm.ServiceSpec, opts ...engine.ServiceOption) (string, error) {
	e.hosts.beforeCreate()
	*e.hosts.calls = append(*e.hosts.calls, "create "+spec.Name)
	return e.Engine.ServiceCreate(ctx, spec, opts...)
}

// TestSwarmServiceTakenMeanwhile: another makes a service of the name between an object's
// look and its own creation. That is the same Conflict as if it had been there before.
func TestSwarmServiceTakenMeanwhile(t *testing.T) {
	t.Parallel()
	l := startLone(t)
	l.Audit = audit.Multi(l.trail, audit.NewNotifier(l.recorder))
	var calls []string
	var once sync.Once
	l.Hosts = hookedHosts{l.cache, func() { once.Do(func() { l.createByHand("web", nil, 1) }) }, &calls}
	svc := l.newService("web", nil)
	l.processes.Create(t, svc)
	isConflict := func(s *dcv1.SwarmService, err error) error {
		if c := condition(s, dcv1.ConditionReady); err != nil || !strings.HasPrefix(c, "False/Conflict") {
			return fmt.Errorf("Ready is %q (%w)", c, err)
		}
		return nil
	}
	l.reconcileUntil(svc, isConflict)
	key := client.ObjectKeyFromObject(svc)
	for range 3 { // the listing may have the service by now, or not
		if _, err := l.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.processes.Client.Get(t.Context(), key, svc); err != nil {
		t.Fatal(err)
	}
	l.wantCondition(svc, dcv1.ConditionStalled, "True/Conflict", "nobody owns", "spec.adoptionPolicy")
	if svc.Status.ServiceID != "" || len(svc.Finalizers) > 0 {
		t.Errorf("the object has %+v and finalizers %v", svc.Status, svc.Finalizers)
	}
	if v := l.onEngine("web"); v == nil || len(v.Spec.Labels) > 0 || len(calls) != 1 {
		t.Errorf("the swarm has %+v after %v", v, calls)
	}
	l.Delete(t, svc)
	l.waitGone(svc) // no reconciliation lets it go
	var told []string
	for len(l.recorder.Events) > 0 {
		told = append(told, <-l.recorder.Events)
	}
	if len(told) != 1 || !strings.HasPrefix(told[0], "Warning Conflict") {
		t.Errorf("Events are %q, want one of the conflict", told)
	}

	// The name is free again.
	l.removeByHand(l.onEngine("web").ID)
	svc = l.newService("web", nil)
	l.processes.Create(t, svc)
	l.reconcileUntil(svc, converged)
	l.Delete(t, svc)
	l.reconcileUntil(svc, gone)
}
