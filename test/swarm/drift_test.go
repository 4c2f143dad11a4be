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
	"fmt"
	"strings"
	"testing"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

func replicas(n uint64) func(*engineswarm.ServiceSpec) {
	return func(s *engineswarm.ServiceSpec) { s.Mode.Replicated.Replicas = ptr.To(n) }
}

// testDriftReported: with driftPolicy Report the service stays as it was made by hand, and
// the status says what differs; so too where there is no service any more.
func testDriftReported(t *testing.T, b *bed) {
	svc := b.run(t, "reported", func(s *dcv1.SwarmServiceSpec) { s.DriftPolicy = dcv1.SwarmDriftReport })
	b.updateByHand(t, svc.Name, replicas(3))
	b.wantStalled(t, svc, dcv1.ReasonDriftFound, "spec.replicas is 3, want 2", "driftPolicy")
	if d := meta.FindStatusCondition(svc.Status.Conditions, dcv1.ConditionDrifted); reasonOf(svc, dcv1.ConditionDrifted) != "True/DriftFound" || d.ObservedGeneration != svc.Generation {
		t.Errorf("Drifted is %+v", d)
	}
	b.until(t, svc, soon, func(s *dcv1.SwarmService) error {
		if s.Status.ReplicaSummary != "3/3" {
			return fmt.Errorf("status counts %s", s.Status.ReplicaSummary)
		}
		return nil
	})
	b.wantEvents(t, svc, "Normal Created", "Warning DriftFound")
	b.removeByHand(t, svc.Status.ServiceID)
	b.until(t, svc, soon, func(s *dcv1.SwarmService) error {
		if ready := meta.FindStatusCondition(s.Status.Conditions, dcv1.ConditionReady); !strings.Contains(ready.Message, "removed") {
			return fmt.Errorf("Ready is %+v", ready)
		}
		return readyIs(s, "False/"+dcv1.ReasonDriftFound)
	})
	b.wantEvents(t, svc, "Normal Created", "Warning DriftFound", "Warning DriftFound")
	if v := b.service(t, svc.Name); v != nil {
		t.Errorf("the swarm has %+v", v)
	}
	b.change(t, svc, func(s *dcv1.SwarmServiceSpec) { s.DriftPolicy = dcv1.SwarmDriftCorrect })
	b.wait(t, svc, "True/Converged")
	wantReplicas(t, svc, 2)
}

// testFight: who changes the service back each time is corrected after 2 seconds, then 4,
// so that two who disagree do not restart its tasks without end. Meanwhile the status says
// what is going on.
func testFight(t *testing.T, b *bed) {
	svc := b.run(t, "fought", nil)
	seen := b.watch(t, svc)
	var corrections []time.Time
	for n := range 3 {
		b.updateByHand(t, svc.Name, replicas(uint64(3+n)))
		testenv.Eventually(t, soon, func(context.Context) error {
			v := b.service(t, svc.Name)
			corrections = append(corrections[:n], v.UpdatedAt) // before that, the enemy's
			return twoReplicas(v)
		})
	}
	for n, pause := range []time.Duration{2 * time.Second, 4 * time.Second} {
		took := corrections[n+1].Sub(corrections[n])
		// Swarm writes to the service too, when the tasks run.
		t.Logf("correction %d came %s after the one before, the pause is %s", n+2, took.Round(time.Millisecond), pause)
		if took < pause-time.Second || took > pause+tolerably {
			t.Errorf("correction %d came %s after the one before, the pause is %s", n+2, took, pause)
		}
	}
	b.settled(t, svc)
	wantReplicas(t, svc, 2)
	testenv.Eventually(t, soon, func(context.Context) error { // Events are told after the status
		if e := b.eventCounts(t, svc); e["Warning DriftCorrected"] != 3 || e["Normal Updated"] != 0 || e["Normal Created"] != 1 {
			return fmt.Errorf("events are %v, want one for each correction", e)
		}
		return nil
	})
	seen.wantSeen(t, "False/"+dcv1.ReasonDriftFound, "again and again")
}
