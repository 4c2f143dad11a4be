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
	"fmt"
	"testing"

	engineswarm "github.com/moby/moby/api/types/swarm"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// onEach is one task on each node.
var onEach = map[string]int32{"m0": 1, "m1": 1, "m2": 1}

// spread puts one task on each node, whatever else runs there.
func spread(s *dcv1.SwarmServiceSpec) {
	s.Replicas, s.Placement = ptr.To[int32](3), &dcv1.SwarmPlacement{MaxReplicasPerNode: 1}
}

func testReplicated(t *testing.T, b *bed) {
	svc := b.run(t, "replicated", spread)
	wantReplicas(t, svc, 3)
	if err := wantDistribution(svc, onEach); err != nil {
		t.Error(err)
	}
	if n := len(b.tasks(t, svc)); n != 3 {
		t.Errorf("%d tasks run on the swarm", n)
	}
	if svc.Status.SpecVersion != int64(b.service(t, "replicated").Version.Index) {
		t.Errorf("status speaks of version %d, the swarm has %d", svc.Status.SpecVersion, b.service(t, "replicated").Version.Index)
	}
	b.wantEvents(t, svc, "Normal Created")
	b.Delete(t, svc)
	b.waitGone(t, svc)
	if v := b.service(t, "replicated"); v != nil {
		t.Errorf("the swarm still has %+v", v)
	}
}

// firstReady is the first status that is Ready: nothing may be called so too early.
func (b *bed) firstReady(t *testing.T, name, reason string, change func(*dcv1.SwarmServiceSpec)) *dcv1.SwarmService {
	t.Helper()
	svc := b.create(t, name, change)
	seen := b.watch(t, svc).until(t, "True/"+reason, 1)
	return seen[len(seen)-1]
}

func testGlobal(t *testing.T, b *bed) {
	svc := b.firstReady(t, "global", "Converged", func(s *dcv1.SwarmServiceSpec) { s.Mode, s.Replicas = dcv1.SwarmGlobal, nil })
	wantReplicas(t, svc, 3)
	if err := wantDistribution(svc, onEach); err != nil {
		t.Error(err)
	}
}

func job(mode dcv1.SwarmServiceMode) func(*dcv1.SwarmServiceSpec) {
	return func(s *dcv1.SwarmServiceSpec) {
		s.Mode, s.Command, s.UpdateConfig = mode, []string{"true"}, nil
		s.RestartPolicy = &dcv1.SwarmRestartPolicy{Condition: dcv1.SwarmRestartOnFailure}
		if s.Replicas = nil; mode == dcv1.SwarmReplicatedJob {
			s.Replicas, s.MaxConcurrent = ptr.To[int32](5), ptr.To[int32](2)
		}
	}
}

func testReplicatedJob(t *testing.T, b *bed) {
	svc := b.firstReady(t, "replicated-job", "JobComplete", job(dcv1.SwarmReplicatedJob))
	if s := svc.Status; s.ReplicaSummary != "5/5" || s.CompletedReplicas != 5 || s.RunningReplicas != 0 {
		t.Errorf("%d tasks have completed, %d run, summary %s", s.CompletedReplicas, s.RunningReplicas, s.ReplicaSummary)
	}
	if n := len(b.tasks(t, svc)); n != 5 {
		t.Errorf("%d tasks of the swarm have completed, want 5", n)
	}
}

func testGlobalJob(t *testing.T, b *bed) {
	svc := b.firstReady(t, "global-job", "JobComplete", job(dcv1.SwarmGlobalJob))
	if s := svc.Status; s.ReplicaSummary != "3/3" || s.CompletedReplicas != 3 {
		t.Errorf("%d tasks have completed, summary %s", s.CompletedReplicas, s.ReplicaSummary)
	}
	nodes := map[string]bool{}
	for _, task := range b.tasks(t, svc) {
		nodes[task.NodeID] = task.Status.State == engineswarm.TaskStateComplete
	}
	if len(nodes) != 3 {
		t.Errorf("the job ran on nodes %v", nodes)
	}
}

// testNetwork: tasks on every node reach a service on one of them by its name, on a
// network that was made for them.
func testNetwork(t *testing.T, b *bed) {
	onNet := func(s *dcv1.SwarmServiceSpec) {
		s.Networks = []dcv1.SwarmNetwork{{Name: "back", CreateIfMissing: &dcv1.SwarmNetworkTemplate{}}}
	}
	web := b.run(t, "web", func(s *dcv1.SwarmServiceSpec) {
		onNet(s)
		s.Placement = &dcv1.SwarmPlacement{Constraints: []string{"node.hostname == m1"}}
		s.Command = []string{"sh", "-c", "mkdir /www && echo hello >/www/index.html && exec httpd -f -h /www -p 8080"}
	})
	if err := wantDistribution(web, map[string]int32{"m1": 2}); err != nil {
		t.Error(err)
	}
	ask := b.create(t, "ask", func(s *dcv1.SwarmServiceSpec) {
		job(dcv1.SwarmGlobalJob)(s)
		onNet(s)
		s.Command = []string{"wget", "-q", "-O", "-", "http://web:8080/"}
	})
	b.wait(t, ask, "True/JobComplete")
	for _, out := range b.outputs(t, ask) {
		if len(out) < 5 || out[len(out)-6:] != "hello\n" {
			t.Errorf("a task printed %q", out)
		}
	}
	for _, svc := range []*dcv1.SwarmService{ask, web} {
		b.Delete(t, svc)
		b.waitGone(t, svc)
	}
	b.waitNoNetwork(t, "back")
}

func testScale(t *testing.T, b *bed) {
	svc := b.run(t, "scale", nil)
	kept := b.taskIDs(t, svc)
	for _, n := range []int32{5, 1, 0, 2} {
		scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: n}}
		if err := b.Client.SubResource("scale").Update(t.Context(), svc, client.WithSubResourceBody(scale)); err != nil {
			t.Fatal(err)
		}
		svc.Generation = 0 // the write returns a Scale only
		b.until(t, svc, soon, func(s *dcv1.SwarmService) error {
			if *s.Spec.Replicas != n {
				return fmt.Errorf("spec.replicas is %d", *s.Spec.Replicas)
			}
			return readyIs(s, "True/Converged")
		})
		wantReplicas(t, svc, n)
		if err := b.Client.SubResource("scale").Get(t.Context(), svc, scale); err != nil {
			t.Fatal(err)
		}
		if scale.Status.Replicas != n || scale.Status.Selector == "" {
			t.Errorf("scaled to %d, the subresource says %+v", n, scale.Status)
		}
		if n == 5 {
			now := map[string]bool{}
			for _, id := range b.taskIDs(t, svc) {
				now[id] = true
			}
			for _, id := range kept {
				if !now[id] {
					t.Errorf("scaling up replaced the task %s", id)
				}
			}
		}
	}
	if u := b.service(t, "scale").UpdateStatus; u != nil && u.State != engineswarm.UpdateStateCompleted {
		t.Errorf("scaling left the update status %+v", u)
	}
}
