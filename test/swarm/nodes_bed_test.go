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
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// whole is how long a swarm may take to have all its managers again: who elects a leader
// waits for 10 to 20 s first.
const whole = time.Minute

// kill ends engines at once, and everything that they know but what is on their disks.
func (b *bed) kill(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		b.engines[name].Kill(t)
		b.dead[name] = true
	}
}

// heal starts the engines that were killed, and waits until the swarm is whole.
func (b *bed) heal(t *testing.T) {
	t.Helper()
	began := time.Now()
	for _, name := range managers {
		if b.dead[name] {
			b.engines[name].Start(b.t)
			delete(b.dead, name)
		}
	}
	testenv.Eventually(t, whole, func(context.Context) error { return b.isWhole() })
	var hosts dcv1.DockerHostList
	if err := b.Client.List(t.Context(), &hosts, client.InNamespace(b.ns)); err != nil {
		t.Fatal(err)
	}
	for i := range hosts.Items {
		b.WaitReady(t, &hosts.Items[i], "True/Connected", soon)
	}
	t.Logf("the swarm was whole again after %s", time.Since(began).Round(time.Millisecond))
}

// isWhole reports what the swarm lacks, as every one of its managers sees it.
func (b *bed) isWhole() error {
	for _, name := range managers {
		var nodes []engineswarm.Node
		answer, err := b.engines[name].TryCall(http.MethodGet, "/nodes", nil)
		if err == nil {
			err = json.Unmarshal(answer, &nodes)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		leaders := 0
		for _, n := range nodes {
			m := n.ManagerStatus
			if n.Status.State != engineswarm.NodeStateReady || m == nil || m.Reachability != engineswarm.ReachabilityReachable {
				return fmt.Errorf("%s: node %s is %s, as a manager %+v", name, n.Description.Hostname, n.Status.State, m)
			}
			if m.Leader {
				leaders++
			}
		}
		if len(nodes) != len(managers) || leaders != 1 {
			return fmt.Errorf("%s: %d nodes, %d leaders", name, len(nodes), leaders)
		}
	}
	return nil
}

// waitDown waits until the swarm knows that a node is down.
func (b *bed) waitDown(t *testing.T, name string) {
	t.Helper()
	testenv.Eventually(t, soon, func(context.Context) error {
		if n := b.node(t, name); n.Status.State != engineswarm.NodeStateDown {
			return fmt.Errorf("node %s is %s", name, n.Status.State)
		}
		return nil
	})
}

// roles are the manager that leads, and those that follow.
func (b *bed) roles(t *testing.T) (leader string, followers []string) {
	t.Helper()
	leader = b.leader(t)
	return leader, slices.DeleteFunc(slices.Clone(managers), func(name string) bool { return name == leader })
}

// services is how many services of the swarm an object owns, whatever they are called.
func (b *bed) services(t *testing.T, svc *dcv1.SwarmService) int {
	t.Helper()
	return len(get[[]engineswarm.Service](t, b, "/services"+filter("label", dcv1.LabelOwnerUID+"="+string(svc.UID))))
}

// gradual is a rollout that takes long enough for something to happen in the middle. That
// tasks die meanwhile, with their engines, is no reason to stop it.
func gradual(s *dcv1.SwarmServiceSpec) {
	*s.Replicas = 4
	s.UpdateConfig.FailureAction = dcv1.SwarmFailureContinue
	s.UpdateConfig.Delay = &metav1.Duration{Duration: 3 * time.Second}
}

// runGradual runs such a service, on a host of the bed's.
func (b *bed) runGradual(t *testing.T, name, host string) *dcv1.SwarmService {
	t.Helper()
	return b.run(t, name, func(s *dcv1.SwarmServiceSpec) { gradual(s); s.HostRef.Name = host })
}

// startRollout changes the image, and waits until some tasks have the new one, and others
// do not.
func (b *bed) startRollout(t *testing.T, services ...*dcv1.SwarmService) {
	t.Helper()
	for _, svc := range services {
		b.change(t, svc, func(s *dcv1.SwarmServiceSpec) { s.Image = newImage })
	}
	for _, svc := range services {
		b.until(t, svc, soon, func(s *dcv1.SwarmService) error {
			u, n := s.Status.UpdateStatus, s.Status.UpdatedReplicas
			if u == nil || u.State != dcv1.SwarmUpdating || n == 0 || n == *s.Spec.Replicas {
				return fmt.Errorf("%s: update status is %+v, %d tasks are updated", s.Name, u, n)
			}
			return readyIs(s, "False/Updating")
		})
	}
}

// rolledOut waits for the end of a rollout, and checks that it is one: the service that
// there was, with all its tasks as the spec has them. It returns how many updates Events
// tell of.
func (b *bed) rolledOut(t *testing.T, svc *dcv1.SwarmService) (updates int) {
	t.Helper()
	id := svc.Status.ServiceID
	b.until(t, svc, whole, func(s *dcv1.SwarmService) error { return readyIs(s, "True/Converged") })
	n := *svc.Spec.Replicas
	wantReplicas(t, svc, n)
	if u := svc.Status.UpdateStatus; u == nil || u.State != dcv1.SwarmUpdateCompleted {
		t.Errorf("%s: update status is %+v", svc.Name, u)
	}
	if v := b.service(t, svc.Name); v == nil || v.ID != id || svc.Status.ServiceID != id || b.services(t, svc) != 1 {
		t.Errorf("%s: of service %s became %d, of which status knows %s: %+v", svc.Name, id, b.services(t, svc), svc.Status.ServiceID, v)
	}
	var env []string
	for _, e := range svc.Spec.Env {
		env = append(env, e.Name+"="+*e.Value)
	}
	tasks := b.tasks(t, svc)
	for _, task := range tasks {
		if c := task.Spec.ContainerSpec; c.Image != svc.Spec.Image || !slices.Equal(c.Env, env) {
			t.Errorf("%s: a task runs %s with %v", svc.Name, c.Image, c.Env)
		}
	}
	if len(tasks) != int(n) {
		t.Errorf("%s: %d tasks run", svc.Name, len(tasks))
	}
	b.WaitEvent(t, svc, "Normal Updated") // it is told after the status
	e := b.eventCounts(t, svc)
	t.Logf("%s: events are %v", svc.Name, e)
	if e["Normal Created"] != 1 || e["Warning DriftCorrected"] != 0 {
		t.Errorf("%s: events are %v, want one of the creation, and none of drift", svc.Name, e)
	}
	return e["Normal Updated"]
}
