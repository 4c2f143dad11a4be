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
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	engineswarm "github.com/moby/moby/api/types/swarm"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/controllers"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// restart has another process take over, which remembers nothing.
func (l *lone) restart() {
	l.Inputs = &controllers.SwarmObjects{Live: l.processes.Client, Keys: oneKey{}, Clock: clock.RealClock{}}
	l.Init()
}

// TestSwarmServiceChangedWhileDown: a Secret that changed while no manager ran is no drift,
// and what somebody did to the service is.
func TestSwarmServiceChangedWhileDown(t *testing.T) {
	t.Parallel()
	l := startLone(t)
	l.restart()
	secret := l.secret("web", map[string]string{"token": "one"})
	l.processes.Create(t, secret)
	svc := l.newService("web", func(s *dcv1.SwarmServiceSpec) {
		s.DriftPolicy = dcv1.SwarmDriftReport
		s.Env = []dcv1.SwarmEnvVar{{Name: "TOKEN", ValueFrom: &dcv1.SwarmEnvSource{SecretKeyRef: &dcv1.LocalKeyReference{Name: "web", Key: "token"}}}}
	})
	l.processes.Create(t, svc)
	l.reconcileUntil(svc, converged)

	testenv.Update(t, l.processes.Cluster, secret, func(s *corev1.Secret) { s.Data["token"] = []byte("two") })
	l.restart()
	l.reconcileUntil(svc, func(*dcv1.SwarmService, error) error {
		if env := l.onEngine("web").Spec.TaskTemplate.ContainerSpec.Env; !slices.Contains(env, "TOKEN=two") {
			return errors.New("the service has the old value")
		}
		return nil
	})
	l.reconcileUntil(svc, converged)
	l.countEvents("")

	l.byHand("web", func(s *engineswarm.ServiceSpec) { s.Mode.Replicated.Replicas = ptr.To[uint64](3) })
	l.restart()
	drifted := func(s *dcv1.SwarmService, err error) error {
		if c := condition(s, dcv1.ConditionReady); err != nil || !strings.HasPrefix(c, "False/DriftFound") {
			return fmt.Errorf("Ready is %q (%w)", c, err)
		}
		return nil
	}
	l.reconcileUntil(svc, drifted)
	// The process that found drift sees a change of the Secret too.
	testenv.Update(t, l.processes.Cluster, secret, func(s *corev1.Secret) { s.Data["token"] = []byte("three") })
	l.reconcileUntil(svc, converged)
	if v := l.onEngine("web").Spec; !slices.Contains(v.TaskTemplate.ContainerSpec.Env, "TOKEN=three") || *v.Mode.Replicated.Replicas != 2 {
		t.Errorf("the swarm has %v and %d replicas", v.TaskTemplate.ContainerSpec.Env, *v.Mode.Replicated.Replicas)
	}
}

// TestSwarmServiceMovedAtOnce: the service that was made a moment ago is not left behind
// where the object changes its host before the status could tell.
func TestSwarmServiceMovedAtOnce(t *testing.T) {
	t.Parallel()
	l := startLone(t)
	svc := l.newService("web", nil)
	l.processes.Create(t, svc)
	key := ctrl.Request{NamespacedName: client.ObjectKeyFromObject(svc)}
	for l.onEngine("web") == nil {
		if _, err := l.Reconcile(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.processes.Client.Get(t.Context(), key.NamespacedName, svc); err != nil || svc.Status.ServiceID != "" {
		t.Fatalf("the status has service %q already (%v)", svc.Status.ServiceID, err)
	}
	l.change(svc, func(s *dcv1.SwarmServiceSpec) { s.HostRef.Name = "elsewhere" })
	l.Delete(t, svc)
	l.reconcileUntil(svc, gone)
	if v := l.onEngine("web"); v != nil {
		t.Errorf("the swarm has %+v", v)
	}
}
