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
	"slices"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestSwarmServiceFailover: another manager of the swarm serves when one dies, and the
// loss of all is said.
func TestSwarmServiceFailover(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 3, 0)
	svc := b.run("web", nil)
	b.nodes[0].Close()
	b.nodes = b.nodes[1:]
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](3) })
	b.wait(svc, "True/Converged")
	if by := svc.Status.ServedBy; by != "m1" && by != "m2" {
		t.Errorf("served by %q", by)
	}
	id := svc.Status.ServiceID

	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.HostRef.Name = "m2" })
	b.wait(svc, "True/Converged")
	if svc.Status.ServiceID != id {
		t.Errorf("a move inside of the swarm made service %s of %s", svc.Status.ServiceID, id)
	}

	b.nodes[1].Close() // one of three is left
	b.until(svc, func(s *dcv1.SwarmService) error {
		for _, reason := range []string{dcv1.ReasonQuorumLost, dcv1.ReasonHostNotReady} {
			if c := condition(s, dcv1.ConditionReconciling); len(c) > 5+len(reason) && c[5:5+len(reason)] == reason {
				return nil
			}
		}
		return fmt.Errorf("reconciling is %q", condition(s, dcv1.ConditionReconciling))
	})
}

// TestSwarmServiceMoved: spec.hostRef of another swarm is refused while the old one has
// the service.
func TestSwarmServiceMoved(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	b.join("x", 1, 0)
	svc := b.run("web", nil)
	old := svc.Status.ServiceID
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.HostRef.Name = "x0" })
	b.wait(svc, "False/SwarmChanged")
	if b.onEngine("web") == nil {
		t.Error("the service is gone from the old swarm")
	}
	b.removeByHand(old)
	b.wait(svc, "True/Converged")
	if svc.Status.ServiceID == old || svc.Status.ServedBy != "x0" {
		t.Errorf("status = %+v", svc.Status)
	}

	second := b.run("second", nil)
	b.change(second, func(s *dcv1.SwarmServiceSpec) { s.HostRef.Name = "x0" })
	b.wait(second, "False/SwarmChanged")
	b.Delete(t, second) // where it is, not where it wants to be
	b.waitGone(second)
	if v := b.onEngine("second"); v != nil {
		t.Errorf("the old swarm has %+v", v)
	}
}

// TestSwarmServiceUnreachable: the object goes without its swarm where an annotation says
// so, and not before.
func TestSwarmServiceUnreachable(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	svc := b.run("web", nil)
	if err := b.nodes[0].SetFault(sim.Fault{Mode: sim.Refuse}); err != nil {
		t.Fatal(err)
	}
	b.wait(svc, "False/HostNotReady")
	b.wantCondition(svc, dcv1.ConditionReconciling, "True/HostNotReady")
	b.Delete(t, svc)
	b.Delete(t, b.hosts[0])
	b.until(svc, func(s *dcv1.SwarmService) error {
		if s.DeletionTimestamp.IsZero() {
			return fmt.Errorf("%s is not being deleted", s.Name)
		}
		return nil
	})
	testenv.Update(t, b.Cluster, svc, func(s *dcv1.SwarmService) {
		s.Annotations = map[string]string{dcv1.AnnotationForceFinalize: "true"}
	})
	b.waitGone(svc)
	b.waitGone(b.hosts[0])
	b.WaitEvent(t, svc, "Warning Released")
}

// TestSwarmServiceNamespaceGoes: everything in a namespace is deleted at once. The host
// waits for its services, and they have its connection.
func TestSwarmServiceNamespaceGoes(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	services := []*dcv1.SwarmService{b.run("one", nil), b.run("two", nil)}
	b.WaitHost(t, b.hosts[0], 5*time.Second, func(h *dcv1.DockerHost) error {
		if len(h.Finalizers) != 1 {
			return fmt.Errorf("finalizers are %v", h.Finalizers)
		}
		return nil
	})
	b.Delete(t, b.hosts[0])
	b.WaitHost(t, b.hosts[0], 5*time.Second, func(h *dcv1.DockerHost) error {
		if h.DeletionTimestamp.IsZero() {
			return fmt.Errorf("%s is not being deleted", h.Name)
		}
		return nil
	})
	b.WaitEvent(t, b.hosts[0], "Warning NeededBySwarmServices")
	for _, svc := range services {
		b.Delete(t, svc)
	}
	for _, svc := range services {
		b.waitGone(svc)
	}
	uid := b.hosts[0].UID
	b.waitGone(b.hosts[0])
	list, err := b.events(t.Context(), &dcv1.DockerHost{ObjectMeta: metav1.ObjectMeta{UID: uid}})
	if err != nil {
		t.Fatal(err)
	}
	list = slices.DeleteFunc(list, func(e eventsv1.Event) bool { return e.Reason != dcv1.ReasonNeededBySwarmServices })
	if len(list) != 1 || list[0].Series != nil || !strings.Contains(list[0].Note, "These do: one, two.") {
		t.Errorf("Events are %+v", list)
	}
	if list := b.engineServices(); len(list) > 0 {
		t.Errorf("the swarm has %+v", list)
	}
}

// acknowledge says that the swarm which had the service is gone, as Ready tells to.
func (b *swarmBed) acknowledge(svc *dcv1.SwarmService) {
	b.t.Helper()
	_, after, found := strings.Cut(condition(svc, dcv1.ConditionReady), "set the annotation "+dcv1.AnnotationAdopt+" to ")
	id, _, _ := strings.Cut(after, ",")
	if !found || id == "" {
		b.t.Fatalf("Ready is %q", condition(svc, dcv1.ConditionReady))
	}
	testenv.Update(b.t, b.Cluster, svc, func(s *dcv1.SwarmService) { s.Annotations = map[string]string{dcv1.AnnotationAdopt: id} })
}

// TestSwarmServiceLostSwarm: where the old swarm is gone, somebody may say so, and the
// service is made on the new one. While the old one answers, that says nothing.
func TestSwarmServiceLostSwarm(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	b.join("x", 1, 0)
	svc := b.run("web", nil)
	old := svc.Status.ClusterID
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.HostRef.Name = "x0" })
	b.wait(svc, "False/SwarmChanged")
	b.acknowledge(svc)
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](1) })
	b.wait(svc, "False/SwarmChanged") // of the generation after the annotation
	b.nodes[0].Close()
	b.nodes = b.nodes[1:]
	b.wait(svc, "True/Converged")
	if svc.Status.ClusterID == old || svc.Status.ServedBy != "x0" || b.onEngine("web") == nil {
		t.Errorf("status = %+v", svc.Status)
	}
	b.remove(svc)
}
