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

	engineswarm "github.com/moby/moby/api/types/swarm"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

func green(s *dcv1.SwarmServiceSpec) {
	s.Env = []dcv1.SwarmEnvVar{{Name: "COLOR", Value: ptr.To("green")}}
}

// testLeaderKilled kills the leader while a rollout runs. What is asked for while there is
// none, a change and a new service, is done once when there is another.
func testLeaderKilled(t *testing.T, p *part) {
	leader, followers := p.victim, p.others
	b := p.in(p.Namespace(t))
	b.createHosts(t, followers[0]) // the first one serves
	b.createHosts(t, followers[1])
	svc := b.runGradual(t, "leader", followers[0])
	b.startRollout(t, svc)
	p.begin(t)
	b.change(t, svc, green)
	born := b.create(t, "leader-born", func(s *dcv1.SwarmServiceSpec) { s.HostRef.Name = followers[1] })
	b.until(t, born, whole, func(s *dcv1.SwarmService) error { return readyIs(s, "True/Converged") })
	// There is no Event of a write whose answer was lost with the leader.
	if n := b.rolledOut(t, svc); n < 1 || n > 2 {
		t.Errorf("%s was updated %d times", svc.Name, n)
	}
	if now := b.leader(t); now == leader {
		t.Errorf("%s leads, and is dead", now)
	}
	if e := b.eventCounts(t, born); b.services(t, born) != 1 || e["Normal Created"] > 1 || e["Normal Updated"]+e["Warning DriftCorrected"] != 0 {
		t.Errorf("%d services were born, with events %v", b.services(t, born), e)
	}
	p.end(t)
	if err := readyIs(svc, "True/Converged"); err != nil {
		t.Error(err)
	}
}

// testLeaderDemoted makes the leader a worker while a rollout runs, and back. A service
// that names it needs another manager, and runs on as it is.
func testLeaderDemoted(t *testing.T, b *bed) {
	leader, followers := b.roles(t)
	in := b.in(b.Namespace(t))
	in.createHosts(t, leader, followers[0])
	svc, named := in.runGradual(t, "demoted", followers[0]), in.runGradual(t, "demoted-named", leader)
	in.startRollout(t, svc)
	version := in.service(t, named.Name).Version.Index
	in.setRole(t, leader, engineswarm.NodeRoleWorker)
	in.change(t, svc, green)
	in.wantStalled(t, named, dcv1.ReasonHostNotManager, "spec.hostRef", leader, "docker node promote")
	if n := in.rolledOut(t, svc); n < 1 || n > 2 {
		t.Errorf("%s was updated %d times", svc.Name, n)
	}
	if v := in.service(t, named.Name); v == nil || v.Version.Index != version || in.services(t, named) != 1 {
		t.Errorf("the service of whom the host is no manager any more was at version %d, and is %+v", version, v)
	}
	in.setRole(t, leader, engineswarm.NodeRoleManager)
	in.heal(t)
	in.wait(t, named, "True/Converged")
	if e := in.eventCounts(t, named); e["Normal Created"] != 1 || e["Warning HostNotManager"] != 1 || e["Normal Updated"]+e["Warning DriftCorrected"] != 0 {
		t.Errorf("events are %v", e)
	}
}

// setRole is `docker node promote` and `demote`. Who leads may change meanwhile.
func (b *bed) setRole(t *testing.T, name string, role engineswarm.NodeRole) {
	t.Helper()
	b.updateNode(t, name, func(n *engineswarm.NodeSpec) { n.Role = role })
}
