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
	"time"

	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// testKilledInRollout kills an engine that runs tasks of three services that are rolled
// out: one that is looked after through another manager, one that changes to another, and
// one that knows no other. Each says what it sees, and is rolled out when it is back.
func testKilledInRollout(t *testing.T, b *part) {
	victim, other := b.victim, b.others[0]
	near, moving, far := b.in(b.Namespace(t)), b.in(b.Namespace(t)), b.in(b.Namespace(t))
	near.createHosts(t, other)
	moving.createHosts(t, victim)
	far.createHosts(t, victim)
	stays := near.runGradual(t, "rollout-near", other)
	moves := moving.runGradual(t, "rollout-moving", victim)
	waits := far.runGradual(t, "rollout-far", victim)
	moving.createHosts(t, other) // the first one serves
	if moves.Status.ServedBy != victim {
		t.Fatalf("served by %s, and there was no host but %s", moves.Status.ServedBy, victim)
	}
	b.startRollout(t, stays, moves, waits)
	b.begin(t)

	far.wait(t, waits, "False/"+dcv1.ReasonHostNotReady)
	if r := reasonOf(waits, dcv1.ConditionReconciling); r != "True/"+dcv1.ReasonHostNotReady || reasonOf(waits, dcv1.ConditionStalled) != "" {
		t.Errorf("Reconciling is %s, Stalled %s", r, reasonOf(waits, dcv1.ConditionStalled))
	}
	left := func(s *dcv1.SwarmService) error {
		if s.Status.ServedBy != other || distribution(s)[victim] != 0 || s.Status.ObservedGeneration != s.Generation {
			return fmt.Errorf("%s is served by %s, %d tasks run on %s, which is dead", s.Name, s.Status.ServedBy, distribution(s)[victim], victim)
		}
		return nil
	}
	near.until(t, stays, soon, left)
	moving.until(t, moves, soon, left)
	for _, svc := range []*dcv1.SwarmService{stays, moves} {
		if reasonOf(svc, dcv1.ConditionStalled) != "" || reasonOf(svc, dcv1.ConditionReady) == "True/Converged" && svc.Status.ReplicaSummary != "4/4" {
			t.Errorf("%s: Stalled is %s, Ready %s with %s tasks", svc.Name, reasonOf(svc, dcv1.ConditionStalled), reasonOf(svc, dcv1.ConditionReady), svc.Status.ReplicaSummary)
		}
	}

	b.end(t)
	for _, svc := range []*dcv1.SwarmService{stays, moves, waits} {
		if n := b.rolledOut(t, svc); n != 1 {
			t.Errorf("%s was updated %d times", svc.Name, n)
		}
	}
}

// testDeadNode: what ran on a node that is dead runs elsewhere where it may, and where it
// may not the status says why, until the node is back.
func testDeadNode(t *testing.T, p *part) {
	victim, other := p.victim, p.others[0]
	alive := map[string]int32{p.others[0]: 1, p.others[1]: 1}
	b := p.in(p.Namespace(t))
	b.createHosts(t, other)
	run := func(name string, change func(*dcv1.SwarmServiceSpec)) *dcv1.SwarmService {
		return b.run(t, name, func(s *dcv1.SwarmServiceSpec) { s.HostRef.Name = other; change(s) })
	}
	global := run("dead-global", func(s *dcv1.SwarmServiceSpec) { s.Mode, s.Replicas = dcv1.SwarmGlobal, nil })
	pinned := run("dead-pinned", func(s *dcv1.SwarmServiceSpec) {
		s.Placement = &dcv1.SwarmPlacement{Constraints: []string{"node.hostname == " + victim}}
	})
	free := run("dead-free", func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](6) })
	single := run("dead-single", spread)
	versions := map[*dcv1.SwarmService]uint64{}
	for _, svc := range []*dcv1.SwarmService{global, pinned, free, single} {
		versions[svc] = b.service(t, svc.Name).Version.Index
	}
	p.begin(t)
	b.waitDown(t, victim)

	down := time.Now()
	b.until(t, free, soon, func(s *dcv1.SwarmService) error {
		if distribution(s)[victim] != 0 {
			return fmt.Errorf("tasks run on %v", distribution(s))
		}
		return readyIs(s, "True/Converged")
	})
	took := time.Since(down)
	if t.Logf("the status told of it %s after the swarm", took.Round(time.Millisecond)); took > tolerably {
		t.Errorf("the status told of the dead node %s after the swarm only", took)
	}
	wantReplicas(t, free, 6)
	b.until(t, global, soon, func(s *dcv1.SwarmService) error {
		if err := wantDistribution(s, alive); err != nil {
			return err
		}
		return readyIs(s, "True/Converged")
	})
	wantReplicas(t, global, 2)
	b.wantStalled(t, single, dcv1.ReasonNoSuitableNode, "2 of 3 tasks run", "no suitable node")
	if err := wantDistribution(single, alive); err != nil {
		t.Error(err)
	}
	b.wantStalled(t, pinned, dcv1.ReasonNoSuitableNode, "0 of 2 tasks run", "no suitable node")
	if d := reasonOf(pinned, dcv1.ConditionDrifted); d != "False/"+dcv1.ReasonInSync {
		t.Errorf("Drifted is %s: a dead node is no drift", d)
	}

	p.end(t)
	for svc, want := range map[*dcv1.SwarmService]map[string]int32{global: onEach, single: onEach, pinned: {victim: 2}} {
		b.until(t, svc, soon, func(s *dcv1.SwarmService) error {
			if err := wantDistribution(s, want); err != nil {
				return err
			}
			return readyIs(s, "True/Converged")
		})
	}
	for svc, version := range versions {
		if e := b.eventCounts(t, svc); b.service(t, svc.Name).Version.Index != version || e["Normal Updated"] != 0 || e["Warning DriftCorrected"] != 0 {
			t.Errorf("%s: a dead node changed the service from version %d to %d, with events %v", svc.Name, version, b.service(t, svc.Name).Version.Index, e)
		}
	}
}
