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
	"slices"
	"strings"
	"testing"

	engineswarm "github.com/moby/moby/api/types/swarm"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

func wantReplicas(n uint64) func(*engineswarm.Service) error {
	return func(v *engineswarm.Service) error {
		if v == nil || *v.Spec.Mode.Replicated.Replicas != n {
			return fmt.Errorf("the swarm has %+v, want %d replicas", v, n)
		}
		return nil
	}
}

// TestSwarmServiceDriftCorrected: what is done by hand is undone, once.
func TestSwarmServiceDriftCorrected(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	svc := b.run("web", nil)

	b.byHand("web", func(s *engineswarm.ServiceSpec) {
		s.Mode.Replicated.Replicas = ptr.To[uint64](5)
		s.TaskTemplate.ContainerSpec.Env = []string{"TOKEN=secret"}
	})
	b.waitEngine("web", func(v *engineswarm.Service) error {
		if len(v.Spec.TaskTemplate.ContainerSpec.Env) > 0 {
			return fmt.Errorf("env is %v", v.Spec.TaskTemplate.ContainerSpec.Env)
		}
		return wantReplicas(2)(v)
	})
	b.wait(svc, "True/Converged")
	b.WaitEvent(t, svc, "Warning DriftCorrected")
	if says := b.eventNote(svc, dcv1.ReasonDriftCorrected); says != "The service was changed behind the operator's back, and corrected: spec.env[TOKEN] is not in the spec; spec.replicas is 5, want 2" {
		t.Errorf("the Event says %q", says)
	}

	before := b.onEngine("web").ID
	b.removeByHand(before)
	b.waitEngine("web", wantReplicas(2))
	after := b.onEngine("web").ID
	if after == before {
		t.Errorf("the removed service %s is there", before)
	}
	b.until(svc, func(s *dcv1.SwarmService) error { // the status is written after the service
		if s.Status.ServiceID != after {
			return fmt.Errorf("status says %s, the service is %s", s.Status.ServiceID, after)
		}
		return nil
	})
	b.wait(svc, "True/Converged")
}

// TestSwarmServiceSurplusTasks: where swarm forgets to end tasks it is asked again, once,
// and none of the others restarts.
func TestSwarmServiceSurplusTasks(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	svc := b.run("web", func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](4) })
	before := b.taskIDs("web")
	b.sims[0].MissScaleDown()
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](1) })
	b.waitEngine("web", wantReplicas(1))
	missed := b.onEngine("web").Version.Index
	b.wait(svc, "True/Converged")
	if svc.Status.Replicas != 1 || svc.Status.ReplicaSummary != "1/1" {
		t.Errorf("status counts %d tasks, %s", svc.Status.Replicas, svc.Status.ReplicaSummary)
	}
	const want = "The swarm kept 3 tasks more than spec.replicas asks for; the service was written again, unchanged, so that it ends them."
	if says := b.eventNote(svc, dcv1.ReasonSurplusTasks); says != want {
		t.Errorf("the Event says %q", says)
	}
	if after := b.taskIDs("web"); len(after) != 1 || !slices.Contains(before, after[0]) {
		t.Errorf("of the tasks %v the swarm keeps %v", before, after)
	}
	if v := b.onEngine("web"); v.Version.Index == missed || svc.Status.SpecVersion != int64(v.Version.Index) {
		t.Errorf("the service went from version %d to %d, status tells %d", missed, v.Version.Index, svc.Status.SpecVersion)
	}
}

// TestSwarmServiceDriftReported: what is done by hand is reported; what the spec changes
// is written all the same.
func TestSwarmServiceDriftReported(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	svc := b.run("web", func(s *dcv1.SwarmServiceSpec) { s.DriftPolicy = dcv1.SwarmDriftReport })
	b.byHand("web", func(s *engineswarm.ServiceSpec) { s.Mode.Replicated.Replicas = ptr.To[uint64](3) })
	b.wait(svc, "False/DriftFound")
	b.wantCondition(svc, dcv1.ConditionDrifted, "True/DriftFound", "spec.replicas is 3, want 2")
	b.wantCondition(svc, dcv1.ConditionStalled, "True/DriftFound")
	b.WaitEvent(t, svc, "Warning DriftFound")
	b.waitEngine("web", wantReplicas(3))

	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](1) })
	b.wait(svc, "True/Converged")
	b.waitEngine("web", wantReplicas(1))

	b.removeByHand(b.onEngine("web").ID)
	b.wait(svc, "False/DriftFound")
	if v := b.onEngine("web"); v != nil {
		t.Errorf("the swarm has %+v", v)
	}
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.DriftPolicy = dcv1.SwarmDriftCorrect })
	b.wait(svc, "True/Converged")
}

// TestSwarmServiceFight: with somebody who keeps the service otherwise, the corrections
// become rare.
func TestSwarmServiceFight(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	svc := b.run("web", nil)
	// Each correction doubles the pause before the next one: on a busy machine the first
	// may be over before the manager sees what was done.
	b.until(svc, func(s *dcv1.SwarmService) error {
		if strings.HasPrefix(condition(s, dcv1.ConditionReady), "False/DriftFound") {
			return nil
		}
		if wantReplicas(2)(b.onEngine("web")) == nil {
			b.byHand("web", func(s *engineswarm.ServiceSpec) { s.Mode.Replicated.Replicas = ptr.To[uint64](3) })
		}
		return fmt.Errorf("Ready is %q", condition(s, dcv1.ConditionReady))
	})
	b.wantCondition(svc, dcv1.ConditionReady, "False/DriftFound", "again and again")
	b.wait(svc, "True/Converged")
	b.waitEngine("web", wantReplicas(2))
}

// TestSwarmServiceTakenInTurns: of two objects that both say that the service is theirs to
// take over, each does so ever less often.
func TestSwarmServiceTakenInTurns(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	id := b.createByHand("web", nil, 1)
	for i, name := range []string{"one", "two"} {
		svc := b.newService(name, func(s *dcv1.SwarmServiceSpec) { s.ServiceName, s.Replicas = "web", ptr.To(int32(2+i)) })
		svc.Annotations = map[string]string{dcv1.AnnotationAdopt: id}
		b.Create(t, svc)
		if i == 0 {
			b.wait(svc, "True/Converged")
			continue
		}
		b.until(svc, func(s *dcv1.SwarmService) error {
			if c := condition(s, dcv1.ConditionReady); !strings.HasPrefix(c, "False/DriftFound") || !strings.Contains(c, "again and again") {
				return fmt.Errorf("Ready is %q", c)
			}
			return nil
		})
	}
}

// TestSwarmServiceOtherCase: swarm takes web and Web for the same name.
func TestSwarmServiceOtherCase(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	id := b.createByHand("Web", nil, 1)
	svc := b.newService("web", nil)
	b.Create(t, svc)
	b.wait(svc, "False/Conflict")
	b.wantCondition(svc, dcv1.ConditionStalled, "True/Conflict", "capital and small letters")
	b.removeByHand(id)
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Hostname = "now" }) // or wait a minute
	b.wait(svc, "True/Converged")
}

// TestSwarmServiceConflict: of two objects that name one service, the second touches
// nothing, and has its turn when the first is gone.
func TestSwarmServiceConflict(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	first := b.run("web", nil)
	second := b.newService("second", func(s *dcv1.SwarmServiceSpec) {
		s.ServiceName, s.Replicas, s.AdoptionPolicy = "web", ptr.To[int32](1), dcv1.SwarmAdoptionIfUnmanaged
	})
	b.Create(t, second)
	b.wait(second, "False/Conflict")
	b.wantCondition(second, dcv1.ConditionStalled, "True/Conflict", "belongs to SwarmService "+b.ns+"/web")
	if second.Status.ServiceID != "" || len(second.Finalizers) > 0 {
		t.Errorf("the second has %+v and finalizers %v", second.Status, second.Finalizers)
	}
	b.waitEngine("web", wantReplicas(2))

	third := b.newService("third", func(s *dcv1.SwarmServiceSpec) { s.ServiceName = "web" })
	b.Create(t, third)
	b.wait(third, "False/Conflict")
	b.Delete(t, third)
	b.waitGone(third)
	b.waitEngine("web", wantReplicas(2))

	b.Delete(t, first)
	b.waitGone(first)
	b.wait(second, "True/Converged")
	b.waitEngine("web", wantReplicas(1))
}

// TestSwarmServiceAdoption: what nobody owns is taken over where the spec says so, what
// somebody owns where an annotation names it.
func TestSwarmServiceAdoption(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	id := b.createByHand("web", nil, 1)
	svc := b.newService("web", nil)
	b.Create(t, svc)
	b.wait(svc, "False/Conflict")
	b.wantCondition(svc, dcv1.ConditionReady, "False/Conflict", "spec.adoptionPolicy")
	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.AdoptionPolicy = dcv1.SwarmAdoptionIfUnmanaged })
	b.wait(svc, "True/Converged")
	b.WaitEvent(t, svc, "Normal Adopted")
	if v := b.onEngine("web"); v.ID != id || v.Spec.Labels[dcv1.LabelOwnerUID] != string(svc.UID) || *v.Spec.Mode.Replicated.Replicas != 2 {
		t.Errorf("the swarm has %+v", v)
	}

	restored := b.createByHand("restored", map[string]string{
		dcv1.LabelOwnerUID: "of-before", dcv1.LabelOwnerNamespace: b.ns, dcv1.LabelOwnerName: "restored",
	}, 1)
	again := b.newService("restored", func(s *dcv1.SwarmServiceSpec) { s.AdoptionPolicy = dcv1.SwarmAdoptionIfUnmanaged })
	b.Create(t, again)
	b.wait(again, "False/Conflict")
	b.wantCondition(again, dcv1.ConditionReady, "False/Conflict", dcv1.AnnotationAdopt, restored)
	testenv.Update(t, b.Cluster, again, func(s *dcv1.SwarmService) { s.Annotations = map[string]string{dcv1.AnnotationAdopt: restored} })
	b.wait(again, "True/Converged")
	if again.Status.ServiceID != restored {
		t.Errorf("service %s, want %s", again.Status.ServiceID, restored)
	}

	global := b.newService("other-mode", func(s *dcv1.SwarmServiceSpec) {
		s.Mode, s.Replicas, s.AdoptionPolicy = dcv1.SwarmGlobal, nil, dcv1.SwarmAdoptionIfUnmanaged
	})
	b.createByHand("other-mode", nil, 1)
	b.Create(t, global)
	b.wait(global, "False/ModeInvalid")
}

// TestSwarmServiceOrphaned: the service stays, as it is, and can be taken over again.
func TestSwarmServiceOrphaned(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	svc := b.run("web", func(s *dcv1.SwarmServiceSpec) { s.DeletionPolicy = dcv1.SwarmDeletionOrphan })
	before := b.onEngine("web")
	b.Delete(t, svc)
	b.waitGone(svc)
	b.WaitEvent(t, svc, "Normal Orphaned")
	after := b.onEngine("web")
	if after == nil || after.ID != before.ID || after.Spec.Labels[dcv1.LabelOwnerUID] != "" || after.UpdateStatus != nil {
		t.Fatalf("the swarm has %+v", after)
	}
	heir := b.run("heir", func(s *dcv1.SwarmServiceSpec) { s.ServiceName, s.AdoptionPolicy = "web", dcv1.SwarmAdoptionIfUnmanaged })
	if heir.Status.ServiceID != before.ID {
		t.Errorf("service %s, want %s", heir.Status.ServiceID, before.ID)
	}
}

// eventNote is what an object's Event of a reason says.
func (b *swarmBed) eventNote(svc *dcv1.SwarmService, reason string) (note string) {
	b.t.Helper()
	testenv.Eventually(b.t, soonEnough, func(ctx context.Context) error {
		list, err := b.events(ctx, svc)
		if err != nil {
			return err
		}
		for _, e := range list {
			if e.Reason == reason {
				note = e.Note
				return nil
			}
		}
		return fmt.Errorf("%s has no Event %s", svc.Name, reason)
	})
	return note
}

// waitTold waits for an Event that says something: where a service arrives soon, that is
// in the Event of what was done.
func (b *swarmBed) waitTold(svc *dcv1.SwarmService, text string) {
	b.t.Helper()
	testenv.Eventually(b.t, soonEnough, func(ctx context.Context) error {
		list, err := b.events(ctx, svc)
		if err != nil {
			return err
		}
		for _, e := range list {
			if strings.Contains(e.Note, text) {
				return nil
			}
		}
		return fmt.Errorf("no Event of %s says %q", svc.Name, text)
	})
}
