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

package swarm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// testAdoption: a service that nobody owns is left alone, then taken over: the service
// stays, and becomes what the spec says.
func testAdoption(t *testing.T, b *bed) {
	id := b.createByHand(t, "adopted")
	version := b.service(t, "adopted").Version.Index
	svc := b.create(t, "adopted", nil)
	b.wantStalled(t, svc, dcv1.ReasonConflict, "spec.adoptionPolicy")
	if v := b.service(t, "adopted"); v.Version.Index != version || svc.Status.ServiceID != "" {
		t.Errorf("what is not the object's went from version %d to %d; the object claims %q", version, v.Version.Index, svc.Status.ServiceID)
	}
	b.change(t, svc, func(s *dcv1.SwarmServiceSpec) { s.AdoptionPolicy = dcv1.SwarmAdoptionIfUnmanaged })
	b.wait(t, svc, "True/Converged")
	wantReplicas(t, svc, 2)
	v := b.service(t, "adopted")
	if v.ID != id || svc.Status.ServiceID != id || v.Spec.Labels[dcv1.LabelOwnerUID] != string(svc.UID) || v.Spec.Labels["by"] != "" {
		t.Errorf("service %s was made of %s, with labels %v", v.ID, id, v.Spec.Labels)
	}
	b.wantEvents(t, svc, "Warning Conflict", "Normal Adopted")
}

// testOrphaning: the service stays as it is, without an owner, and can have another.
func testOrphaning(t *testing.T, b *bed) {
	svc := b.run(t, "orphan", func(s *dcv1.SwarmServiceSpec) { s.DeletionPolicy = dcv1.SwarmDeletionOrphan })
	tasks := b.taskIDs(t, svc)
	b.Delete(t, svc)
	b.waitGone(t, svc)
	b.wantEvents(t, svc, "Normal Created", "Normal Orphaned")
	v := b.service(t, "orphan")
	if v == nil || v.ID != svc.Status.ServiceID || len(v.Spec.Labels) > 0 {
		t.Fatalf("the swarm has %+v", v)
	}
	heir := b.create(t, "heir", func(s *dcv1.SwarmServiceSpec) {
		s.ServiceName, s.AdoptionPolicy = "orphan", dcv1.SwarmAdoptionIfUnmanaged
	})
	b.wait(t, heir, "True/Converged")
	if now := b.taskIDs(t, heir); heir.Status.ServiceID != v.ID || !slices.Equal(now, tasks) {
		t.Errorf("service %s with tasks %v became %s with %v: neither restarts anything", v.ID, tasks, heir.Status.ServiceID, now)
	}
}

// waitService waits until the swarm's service is what check wants.
func (b *bed) waitService(t *testing.T, name string, check func(*engineswarm.Service) error) {
	t.Helper()
	began := time.Now()
	testenv.Eventually(t, promptly, func(context.Context) error {
		v := b.service(t, name)
		if v == nil {
			return errors.New("the swarm has no service " + name)
		}
		return check(v)
	})
	took := time.Since(began)
	if t.Logf("service %s was corrected after %s", name, took.Round(time.Millisecond)); took > promptly {
		t.Errorf("service %s was corrected after %s, later than the %s that are promised", name, took, promptly)
	}
}

// corrected waits until a service is what it was, and checks that one write did it.
func (b *bed) corrected(t *testing.T, svc *dcv1.SwarmService, check func(*engineswarm.Service) error) {
	t.Helper()
	b.waitService(t, svc.Name, check)
	defer func() {
		if t.Failed() { // is it the swarm that differs, or what is said of it?
			for _, task := range b.tasks(t, svc) {
				t.Logf("the engine has task %s of slot %d: %s, to be %s", task.ID, task.Slot, task.Status.State, task.DesiredState)
			}
		}
	}()
	b.WaitEvent(t, svc, "Warning DriftCorrected")
	b.settled(t, svc)
	wantReplicas(t, svc, 2)
	if e := b.eventCounts(t, svc); e["Warning DriftCorrected"] != 1 || e["Normal Updated"] != 0 || e["Normal Created"] != 1 {
		t.Errorf("events are %v: it takes one write", e)
	}
}

// settled waits until a service is Ready as the swarm has it now.
func (b *bed) settled(t *testing.T, svc *dcv1.SwarmService) {
	t.Helper()
	b.until(t, svc, soon, func(s *dcv1.SwarmService) error {
		if v := b.service(t, svc.Name); s.Status.ServiceID != v.ID || s.Status.SpecVersion != int64(v.Version.Index) {
			return fmt.Errorf("status is of service %s at version %d, the swarm has %s at %d", s.Status.ServiceID, s.Status.SpecVersion, v.ID, v.Version.Index)
		}
		return readyIs(s, "True/Converged")
	})
}

func testUpdatedByHand(t *testing.T, b *bed) {
	svc := b.run(t, "updated", func(s *dcv1.SwarmServiceSpec) { s.Env = []dcv1.SwarmEnvVar{{Name: "A", Value: ptr.To("1")}} })
	b.updateByHand(t, svc.Name, func(s *engineswarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Env = []string{"A=2", "B=3"} })
	b.corrected(t, svc, func(v *engineswarm.Service) error {
		if env := v.Spec.TaskTemplate.ContainerSpec.Env; !slices.Equal(env, []string{"A=1"}) {
			return fmt.Errorf("the environment is %v", env)
		}
		return nil
	})
	for _, task := range b.tasks(t, svc) {
		if env := task.Spec.ContainerSpec.Env; !slices.Equal(env, []string{"A=1"}) {
			t.Errorf("a task runs with %v", env)
		}
	}
}

func testScaledByHand(t *testing.T, b *bed) {
	svc := b.run(t, "scaled", nil)
	b.updateByHand(t, svc.Name, func(s *engineswarm.ServiceSpec) { s.Mode.Replicated.Replicas = ptr.To[uint64](5) })
	b.corrected(t, svc, twoReplicas)
}

func twoReplicas(v *engineswarm.Service) error {
	if n := *v.Spec.Mode.Replicated.Replicas; n != 2 {
		return fmt.Errorf("the service has %d replicas", n)
	}
	return nil
}

func testRemovedByHand(t *testing.T, b *bed) {
	svc := b.run(t, "removed", nil)
	old := svc.Status.ServiceID
	b.removeByHand(t, old)
	b.corrected(t, svc, twoReplicas)
	if v := b.service(t, svc.Name); v.ID == old || svc.Status.ServiceID != v.ID {
		t.Errorf("service %s was removed; the swarm has %s, status says %s", old, v.ID, svc.Status.ServiceID)
	}
}

// testTwoOfOneName: the second object touches nothing, and has its turn when the first is
// gone.
func testTwoOfOneName(t *testing.T, b *bed) {
	first := b.run(t, "shared", nil)
	version := b.service(t, "shared").Version.Index
	second := b.create(t, "second", func(s *dcv1.SwarmServiceSpec) {
		s.ServiceName, s.Image, s.AdoptionPolicy = "shared", newImage, dcv1.SwarmAdoptionIfUnmanaged
	})
	b.wantStalled(t, second, dcv1.ReasonConflict, "spec.serviceName", b.ns+"/shared")
	if v := b.service(t, "shared"); v.Version.Index != version || second.Status.ServiceID != "" {
		t.Errorf("the first's service went from version %d to %d; the second claims %q", version, v.Version.Index, second.Status.ServiceID)
	}
	b.Delete(t, first)
	b.waitGone(t, first)
	b.wait(t, second, "True/Converged")
	if v := b.service(t, "shared"); v.Spec.Labels[dcv1.LabelOwnerUID] != string(second.UID) || v.ID == first.Status.ServiceID {
		t.Errorf("the swarm has %+v", v)
	}
}
