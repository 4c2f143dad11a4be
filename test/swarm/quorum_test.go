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
	"testing"

	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// testQuorumLost kills two managers of three. The status says so, whether it is a dead one
// or the last that spec.hostRef names; what is asked for meanwhile is done when they are
// back, but for an object that an annotation lets go.
func testQuorumLost(t *testing.T, b *bed) {
	_, followers := b.roles(t)
	last, dead := followers[0], followers[1]
	b = b.in(b.Namespace(t))
	b.createHosts(t, managers...)
	run := func(name, host string) *dcv1.SwarmService {
		return b.run(t, name, func(s *dcv1.SwarmServiceSpec) { s.HostRef.Name = host })
	}
	changed, named := run("quorum-changed", last), run("quorum-dead", dead)
	deleted, forced := run("quorum-deleted", last), run("quorum-forced", last)
	for _, name := range managers {
		if name != last {
			b.kill(t, name)
		}
	}
	for _, svc := range []*dcv1.SwarmService{changed, named, deleted, forced} {
		b.until(t, svc, whole, func(s *dcv1.SwarmService) error { return readyIs(s, "False/"+dcv1.ReasonQuorumLost) })
		if r, s := reasonOf(svc, dcv1.ConditionReconciling), reasonOf(svc, dcv1.ConditionStalled); r != "True/"+dcv1.ReasonQuorumLost || s != "" {
			t.Errorf("%s: Reconciling is %s, Stalled %s", svc.Name, r, s)
		}
	}
	b.change(t, changed, func(s *dcv1.SwarmServiceSpec) { green(s); s.Replicas = ptr.To[int32](3) })
	born := b.create(t, "quorum-born", func(s *dcv1.SwarmServiceSpec) { s.HostRef.Name = last })
	b.wait(t, born, "False/"+dcv1.ReasonQuorumLost)
	b.wait(t, changed, "False/"+dcv1.ReasonQuorumLost)
	b.Delete(t, deleted)
	b.Delete(t, forced)
	testenv.Update(t, b.Cluster, forced, func(s *dcv1.SwarmService) {
		if s.DeletionTimestamp.IsZero() {
			t.Errorf("%s is not being deleted", s.Name)
		}
		s.Annotations = map[string]string{dcv1.AnnotationForceFinalize: "true"}
	})
	b.waitGone(t, forced)
	b.WaitEvent(t, forced, "Warning Released")
	b.until(t, deleted, soon, func(*dcv1.SwarmService) error { return nil }) // it is still there

	b.heal(t)
	b.rolledOut(t, changed)
	b.wait(t, named, "True/Converged")
	b.wait(t, born, "True/Converged")
	b.waitGone(t, deleted)
	if v := b.service(t, deleted.Name); v != nil {
		t.Errorf("the swarm still has %+v", v)
	}
	for svc, updates := range map[*dcv1.SwarmService]int{changed: 1, named: 0, born: 0} {
		b.WaitEvent(t, svc, "Normal Created") // it is told after the status
		if e := b.eventCounts(t, svc); b.services(t, svc) != 1 || e["Normal Created"] != 1 || e["Normal Updated"] != updates || e["Warning QuorumLost"] == 0 {
			t.Errorf("%s: the swarm has %d services, events are %v", svc.Name, b.services(t, svc), e)
		}
	}
	v := b.service(t, forced.Name)
	if v == nil || v.Spec.Labels[dcv1.LabelOwnerUID] != string(forced.UID) {
		t.Fatalf("the swarm has %+v of the object that was let go", v)
	}
	b.removeByHand(t, v.ID)
}
