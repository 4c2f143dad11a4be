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
	"testing"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestSwarmServiceLife: created, scaled, updated, steady, deleted.
func TestSwarmServiceLife(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 2)
	svc := b.run("web", func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](3) })

	st := &svc.Status
	made := b.onEngine("web")
	if st.ServiceID != made.ID || st.SpecVersion != int64(made.Version.Index) || st.ServedBy != "m0" || st.ClusterID == "" {
		t.Errorf("status = %+v", st)
	}
	if st.ReplicaSummary != "3/3" || st.Replicas != 3 || st.DesiredReplicas != 3 || st.RunningReplicas != 3 || st.UpdatedReplicas != 3 {
		t.Errorf("replicas = %+v", st)
	}
	if len(st.Distribution) != 3 || st.Distribution[0].Node != "m0" || st.Distribution[0].Replicas != 1 {
		t.Errorf("distribution = %+v", st.Distribution)
	}
	if st.Image != "app-0:1" || st.Selector == "" || len(st.TaskErrors) != 0 {
		t.Errorf("status = %+v", st)
	}
	if made.Spec.Labels[dcv1.LabelOwnerUID] != string(svc.UID) {
		t.Errorf("labels = %v", made.Spec.Labels)
	}
	b.wantCondition(svc, dcv1.ConditionDrifted, "False/InSync")
	b.wantCondition(svc, dcv1.ConditionProgressing, "False/RolloutComplete")
	b.wantCondition(svc, dcv1.ConditionReconciling, "")
	b.wantCondition(svc, dcv1.ConditionStalled, "")
	b.WaitEvent(t, svc, "Normal Created")
	b.waitTold(svc, "3 of 3 tasks run.")

	scale := autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 5}}
	if err := b.Client.SubResource("scale").Update(t.Context(), svc, client.WithSubResourceBody(&scale)); err != nil {
		t.Fatal(err)
	}
	b.until(svc, func(s *dcv1.SwarmService) error {
		if s.Status.ReplicaSummary != "5/5" {
			return fmt.Errorf("replicas are %s, want 5/5", s.Status.ReplicaSummary)
		}
		return nil
	})
	b.wait(svc, "True/Converged")

	b.change(svc, func(s *dcv1.SwarmServiceSpec) { s.Image = "app-1:1" })
	b.wait(svc, "True/Converged")
	if v := b.onEngine("web"); v.Spec.TaskTemplate.ContainerSpec.Image != "app-1:1" || svc.Status.UpdateStatus == nil || svc.Status.UpdateStatus.State != dcv1.SwarmUpdateCompleted {
		t.Errorf("image = %s, update = %+v", v.Spec.TaskTemplate.ContainerSpec.Image, svc.Status.UpdateStatus)
	}
	b.WaitEvent(t, svc, "Normal Updated")

	b.Delete(t, svc)
	b.waitGone(svc)
	if v := b.onEngine("web"); v != nil {
		t.Errorf("the swarm still has %+v", v)
	}
	b.WaitEvent(t, svc, "Normal Deleted")
}

// TestSwarmServiceSteady: nothing is written where nothing changes, to the engine or to
// the API server.
func TestSwarmServiceSteady(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	svc := b.run("web", func(s *dcv1.SwarmServiceSpec) {
		s.Env = []dcv1.SwarmEnvVar{{Name: "B", Value: ptr.To("1")}, {Name: "A", Value: ptr.To("2")}}
		s.Labels = map[string]string{"x": "y"}
	})
	b.waitTold(svc, "2 of 2 tasks run.")
	b.WaitEvent(t, b.hosts[0], "Normal Connected")
	b.WaitCounts(t, b.hosts[0], 2, 0, 10*time.Second)
	b.WaitHost(t, b.hosts[0], 5*time.Second, func(h *dcv1.DockerHost) error {
		if len(h.Finalizers) != 1 {
			return fmt.Errorf("finalizers are %v", h.Finalizers)
		}
		return nil
	})
	writes, version := b.mgr.Writes(), b.onEngine("web").Version.Index
	// An event of another service has everything listed again, and a mark of ours in the
	// object reconciled. The other has no task, whose container would be counted.
	other := b.createByHand("other", nil, 0)
	b.removeByHand(other)
	testenv.Update(t, b.Cluster, svc, func(s *dcv1.SwarmService) { s.Annotations = map[string]string{"touched": "yes"} })
	time.Sleep(3 * time.Second) // the absence of writes has no condition to wait for
	if n := b.mgr.Writes() - writes; n != 0 {
		t.Errorf("the manager wrote %d times to the API server", n)
	}
	b.mgr.Stop(t)
	host := b.hosts[0].ResourceVersion
	b.mgr = b.StartManager(t, testenv.ManagerOptions(b.ns)) // remembers nothing
	time.Sleep(3 * time.Second)
	n := b.mgr.Writes()
	// On a machine that is so busy that to connect takes more than a moment, the host is
	// said to be connecting. That is news of the host alone.
	b.WaitReady(t, b.hosts[0], "True/Connected", 5*time.Second)
	if n != 0 && b.hosts[0].ResourceVersion == host {
		t.Errorf("a manager that starts wrote %d times to the API server", n)
	}
	if now := getSwarmService(t, b.Cluster, svc); now.ResourceVersion != svc.ResourceVersion {
		t.Errorf("a manager that starts wrote the object: %+v", now)
	}
	if v := b.onEngine("web").Version.Index; v != version {
		t.Errorf("the service went from version %d to %d", version, v)
	}
}

// TestSwarmServiceModes: the other modes.
func TestSwarmServiceModes(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 1)
	everywhere := b.newService("everywhere", func(s *dcv1.SwarmServiceSpec) { s.Mode, s.Replicas = dcv1.SwarmGlobal, nil })
	job := b.newService("job", func(s *dcv1.SwarmServiceSpec) {
		s.Mode, s.Replicas, s.UpdateConfig = dcv1.SwarmReplicatedJob, ptr.To[int32](3), nil
		s.Command, s.Args = []string{"true"}, nil
		s.RestartPolicy.Condition = dcv1.SwarmRestartOnFailure
	})
	globalJob := b.newService("global-job", func(s *dcv1.SwarmServiceSpec) {
		s.Mode, s.Replicas, s.UpdateConfig = dcv1.SwarmGlobalJob, nil, nil
		s.Command, s.Args = []string{"true"}, nil
		s.RestartPolicy.Condition = dcv1.SwarmRestartOnFailure
	})
	elsewhere := func(s *dcv1.SwarmServiceSpec) {
		s.Placement = &dcv1.SwarmPlacement{Constraints: []string{"node.labels.nobody == has"}}
	}
	nowhere := b.newService("nowhere", func(s *dcv1.SwarmServiceSpec) { everywhere.Spec.DeepCopyInto(s); elsewhere(s) })
	nowhereJob := b.newService("nowhere-job", func(s *dcv1.SwarmServiceSpec) { globalJob.Spec.DeepCopyInto(s); elsewhere(s) })
	for _, svc := range []*dcv1.SwarmService{everywhere, job, globalJob, nowhere, nowhereJob} {
		b.Create(t, svc)
	}
	b.wait(everywhere, "True/Converged")
	b.wait(job, "True/JobComplete")
	b.wait(globalJob, "True/JobComplete")
	b.wait(nowhere, "True/Converged")
	b.wantCondition(nowhere, dcv1.ConditionReady, "True/Converged", "0 of 0 tasks run: no active node fits spec.placement")
	b.wait(nowhereJob, "False/NoSuitableNode")
	if everywhere.Status.ReplicaSummary != "2/2" || job.Status.ReplicaSummary != "3/3" || globalJob.Status.ReplicaSummary != "2/2" {
		t.Errorf("replicas are %s, %s and %s", everywhere.Status.ReplicaSummary, job.Status.ReplicaSummary, globalJob.Status.ReplicaSummary)
	}
}

// TestSwarmServiceSuspended: nothing is written while spec.suspend is true.
func TestSwarmServiceSuspended(t *testing.T) {
	t.Parallel()
	b := startSwarm(t, 1, 0)
	early := b.newService("early", func(s *dcv1.SwarmServiceSpec) { s.Suspend = ptr.To(true) })
	b.Create(t, early)
	b.wait(early, "False/Suspended")
	b.wantCondition(early, dcv1.ConditionStalled, "")
	if v := b.onEngine("early"); v != nil {
		t.Errorf("a suspended object has created %+v", v)
	}
	b.change(early, func(s *dcv1.SwarmServiceSpec) { s.Suspend = nil })
	b.wait(early, "True/Converged")

	b.change(early, func(s *dcv1.SwarmServiceSpec) { s.Suspend = ptr.To(true) })
	b.wait(early, "False/Suspended")
	b.byHand("early", func(s *engineswarm.ServiceSpec) { s.Mode.Replicated.Replicas = ptr.To[uint64](4) })
	b.until(early, func(s *dcv1.SwarmService) error {
		if s.Status.DesiredReplicas != 4 {
			return fmt.Errorf("status says %d replicas, want 4", s.Status.DesiredReplicas)
		}
		return nil
	})
	b.wantCondition(early, dcv1.ConditionDrifted, "True/DriftFound", "spec.replicas is 4, want 2")
	if n := *b.onEngine("early").Spec.Mode.Replicated.Replicas; n != 4 {
		t.Errorf("a suspended service was corrected to %d replicas", n)
	}
	b.change(early, func(s *dcv1.SwarmServiceSpec) { s.Suspend = nil })
	b.wait(early, "True/Converged")
	if n := *b.onEngine("early").Spec.Mode.Replicated.Replicas; n != 2 {
		t.Errorf("the service has %d replicas after its suspension, want 2", n)
	}
}
