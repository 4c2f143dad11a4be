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
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestSwarmServiceBadInput: each fault has its own reason, and a message that names the
// field.
func TestSwarmServiceBadInput(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 1)
	alone := startSim(t, sim.Options{Name: "alone", Images: 1})
	b.Create(t, testenv.NewHost(b.ns, "alone", alone.endpoint()))
	on := func(host string) func(*dcv1.SwarmServiceSpec) {
		return func(s *dcv1.SwarmServiceSpec) { s.HostRef.Name = host }
	}
	for _, test := range []struct {
		name, reason, says string
		change             func(*dcv1.SwarmServiceSpec)
	}{
		{"no-host", dcv1.ReasonHostNotFound, "spec.hostRef", on("nobody")},
		{"worker", dcv1.ReasonHostNotManager, "spec.hostRef", on("m1")},
		{"alone", dcv1.ReasonHostNotInSwarm, "spec.hostRef", on("alone")},
		{"image", dcv1.ReasonImageInvalid, "spec.image", func(s *dcv1.SwarmServiceSpec) { s.Image = "NOT:an:image" }},
		{"no-secret", dcv1.ReasonSecretNotFound, "spec.secrets[key].secretName", func(s *dcv1.SwarmServiceSpec) {
			s.Secrets = []dcv1.SwarmSecretFile{{Target: "key", SecretName: "nope"}}
		}},
		{"no-config", dcv1.ReasonConfigNotFound, "spec.configs[/conf].configName", func(s *dcv1.SwarmServiceSpec) {
			s.Configs = []dcv1.SwarmConfigFile{{Target: "/conf", ConfigName: "nope"}}
		}},
		{"no-network", dcv1.ReasonNetworkNotFound, "spec.networks[back]", func(s *dcv1.SwarmServiceSpec) {
			s.Networks = []dcv1.SwarmNetwork{{Name: "back"}}
		}},
		{"old-engine", dcv1.ReasonEngineTooOld, "spec.oomScoreAdj", func(s *dcv1.SwarmServiceSpec) { s.OOMScoreAdj = ptr.To[int32](5) }},
		{"too-many", dcv1.ReasonSpecRejected, "not simulated", func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](1_000_000) }},
	} {
		svc := b.newService(test.name, test.change)
		b.Create(t, svc)
		b.wait(svc, "False/"+test.reason)
		b.wantCondition(svc, dcv1.ConditionStalled, "True/"+test.reason, test.says)
		if svc.Status.ServiceID != "" {
			t.Errorf("%s: status has service %s", test.name, svc.Status.ServiceID)
		}
		b.WaitEvent(t, svc, "Warning "+test.reason)
		b.Delete(t, svc)
		b.waitGone(svc)
	}
	if list := b.engineServices(); len(list) > 0 {
		t.Errorf("the swarm has %+v", list)
	}

	// What was wrong is mended.
	svc := b.newService("mended", on("m1"))
	b.Create(t, svc)
	b.wait(svc, "False/HostNotManager")
	b.change(svc, on("m0"))
	b.wait(svc, "True/Converged")
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Image = "NOT:an:image" })
	b.wait(svc, "False/ImageInvalid")
	if svc.Status.ReplicaSummary != "2/2" {
		t.Errorf("a service that runs is said to have %s replicas", svc.Status.ReplicaSummary)
	}
}

// TestSwarmServiceTaskErrors: what keeps tasks from running is said, in the task's words.
func TestSwarmServiceTaskErrors(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	for _, test := range []struct {
		name, reason, says string
		change             func(*dcv1.SwarmServiceSpec)
	}{
		{"pull", dcv1.ReasonImagePullFailed, "No such image: nope:1", func(s *dcv1.SwarmServiceSpec) { s.Image = "nope:1" }},
		{"place", dcv1.ReasonNoSuitableNode, "no suitable node", func(s *dcv1.SwarmServiceSpec) {
			s.Placement = &dcv1.SwarmPlacement{Constraints: []string{"node.hostname == nobody"}}
		}},
		{"exits", dcv1.ReasonTaskFailed, "non-zero exit (1)", func(s *dcv1.SwarmServiceSpec) { s.Command, s.Args = []string{"false"}, nil }},
	} {
		svc := b.newService(test.name, test.change)
		b.Create(t, svc)
		b.wait(svc, "False/"+test.reason)
		b.until(svc, func(s *dcv1.SwarmService) error { // a task may run for a moment before it fails
			c := condition(s, dcv1.ConditionStalled)
			if !strings.HasPrefix(c, "True/"+test.reason) || !strings.Contains(c, "0 of 2 tasks run") || !strings.Contains(c, test.says) {
				return fmt.Errorf("%s: Stalled is %q, want %s, no task, and %q", test.name, c, test.reason, test.says)
			}
			return nil
		})
		if len(svc.Status.TaskErrors) == 0 {
			t.Errorf("%s: no task errors", test.name)
		}
	}
}

// TestSwarmServiceRollback: the engine's rollback is told as what it is, and not fought
// until the spec changes.
func TestSwarmServiceRollback(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	update := func(action dcv1.SwarmFailureAction) func(*dcv1.SwarmServiceSpec) {
		return func(s *dcv1.SwarmServiceSpec) {
			quick := &metav1.Duration{Duration: 100 * time.Millisecond}
			s.UpdateConfig = &dcv1.SwarmUpdateConfig{Monitor: quick, FailureAction: action}
			s.RollbackConfig = &dcv1.SwarmUpdateConfig{Monitor: quick}
		}
	}
	svc := b.run("web", update(dcv1.SwarmFailureRollback))
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Image = "nope:1" })
	b.wait(svc, "False/RolledBack")
	b.waitSays(svc, dcv1.ConditionStalled, "No such image: nope:1")
	b.wantCondition(svc, dcv1.ConditionDrifted, "True/RolledBack", "spec.image is app-0:1, want nope:1")
	if u := svc.Status.UpdateStatus; u == nil || u.State != dcv1.SwarmRollbackCompleted {
		t.Errorf("update status = %+v", u)
	}
	version := b.onEngine("web").Version.Index
	b.mgr.Stop(t)
	b.mgr = b.StartManager(t, testenv.ManagerOptions(b.ns)) // does not know what was written
	b.until(svc, func(s *dcv1.SwarmService) error {
		if s.Status.ReplicaSummary != "2/2" {
			return fmt.Errorf("replicas are %s", s.Status.ReplicaSummary)
		}
		return nil
	})
	b.WaitEvent(t, svc, "Warning RolledBack")
	if v := b.onEngine("web").Version.Index; v != version {
		t.Errorf("the rolled back service went from version %d to %d", version, v)
	}

	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Image = "app-1:1" })
	b.wait(svc, "True/Converged")

	b.change(svc, update(dcv1.SwarmFailurePause))
	b.wait(svc, "True/Converged")
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Image = "nope:2" })
	b.wait(svc, "False/UpdatePaused")
	b.waitSays(svc, dcv1.ConditionStalled, "No such image: nope:2") // tasks are listed apart from services
	b.wantCondition(svc, dcv1.ConditionProgressing, "False/UpdatePaused")
}
