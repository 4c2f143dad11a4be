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

	engineswarm "github.com/moby/moby/api/types/swarm"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// testDrain: the tasks leave a node that is drained, and the status follows.
func testDrain(t *testing.T, b *bed) {
	replicated := b.run(t, "drained", func(s *dcv1.SwarmServiceSpec) { s.Replicas = ptr.To[int32](6) })
	global := b.run(t, "drained-global", func(s *dcv1.SwarmServiceSpec) { s.Mode, s.Replicas = dcv1.SwarmGlobal, nil })
	if err := wantDistribution(replicated, map[string]int32{"m0": 2, "m1": 2, "m2": 2}); err != nil {
		t.Error(err)
	}
	version := b.service(t, "drained").Version.Index
	b.setAvailability(t, "m2", engineswarm.NodeAvailabilityDrain)
	t.Cleanup(func() { b.setAvailability(t, "m2", engineswarm.NodeAvailabilityActive) })
	for svc, want := range map[*dcv1.SwarmService]map[string]int32{replicated: {"m0": 3, "m1": 3}, global: {"m0": 1, "m1": 1}} {
		b.until(t, svc, soon, func(s *dcv1.SwarmService) error {
			if err := wantDistribution(s, want); err != nil {
				return err
			}
			return readyIs(s, "True/Converged")
		})
	}
	wantReplicas(t, replicated, 6)
	wantReplicas(t, global, 2)
	b.setAvailability(t, "m2", engineswarm.NodeAvailabilityActive)
	b.until(t, global, soon, func(s *dcv1.SwarmService) error { return wantDistribution(s, onEach) })
	if v := b.service(t, "drained").Version.Index; v != version {
		t.Errorf("a node's drain changed the service from version %d to %d", version, v)
	}
}

// testFailover kills the leader of the swarm, which spec.hostRef names, and through which
// the swarm is spoken to: another manager serves, also for writes, and the swarm is whole
// again when it is back.
func testFailover(t *testing.T, p *part) {
	victim, others := p.victim, p.others
	b := p.in(p.Namespace(t))
	b.createHosts(t, victim) // the first one serves
	svc := b.run(t, "failover", func(s *dcv1.SwarmServiceSpec) { spread(s); s.HostRef.Name = victim })
	if svc.Status.ServedBy != victim {
		t.Fatalf("served by %s, and there is no host but %s", svc.Status.ServedBy, victim)
	}
	b.createHosts(t, others...)
	id := svc.Status.ServiceID
	p.begin(t)
	began := time.Now()

	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 2}}
	if err := b.Client.SubResource("scale").Update(t.Context(), svc, client.WithSubResourceBody(scale)); err != nil {
		t.Fatal(err)
	}
	b.until(t, svc, time.Minute, func(s *dcv1.SwarmService) error {
		if s.Status.ServedBy == victim || s.Status.DesiredReplicas != 2 {
			return fmt.Errorf("served by %s, %d replicas desired", s.Status.ServedBy, s.Status.DesiredReplicas)
		}
		return readyIs(s, "True/Converged")
	})
	t.Logf("served by %s and scaled after %s", svc.Status.ServedBy, time.Since(began).Round(time.Millisecond))
	b.until(t, svc, time.Minute, func(s *dcv1.SwarmService) error {
		return wantDistribution(s, map[string]int32{others[0]: 1, others[1]: 1})
	})
	wantReplicas(t, svc, 2)

	p.end(t)
	b.change(t, svc, spread)
	b.until(t, svc, soon, func(s *dcv1.SwarmService) error {
		if err := wantDistribution(s, onEach); err != nil {
			return err
		}
		return readyIs(s, "True/Converged")
	})
	if svc.Status.ServiceID != id {
		t.Errorf("service %s became %s", id, svc.Status.ServiceID)
	}
}

// testNamespaceDeleted deletes a namespace with all that is in it, in no order, as
// Kubernetes' own controller does.
func testNamespaceDeleted(t *testing.T, b *bed) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "gone-"}}
	b.Create(t, ns)
	in := b.in(ns.Name)
	hosts := in.createHosts(t, managers...)
	in.Create(t, newSecret(in.ns, secretValue+"-gone"))
	var objects []client.Object
	for _, name := range []string{"gone-one", "gone-two"} {
		svc := in.newService(name, func(s *dcv1.SwarmServiceSpec) {
			withSecret(s)
			s.Networks = []dcv1.SwarmNetwork{{Name: "gone", CreateIfMissing: &dcv1.SwarmNetworkTemplate{}}}
		})
		in.Create(t, svc)
		objects = append(objects, svc)
	}
	for _, svc := range objects {
		in.wait(t, svc.(*dcv1.SwarmService), "True/Converged")
	}
	b.Delete(t, ns)
	for _, kind := range []client.Object{&corev1.Secret{}, &dcv1.DockerHost{}, &dcv1.SwarmService{}} {
		if err := b.Client.DeleteAllOf(t.Context(), kind, client.InNamespace(in.ns)); err != nil {
			t.Fatal(err)
		}
	}
	for _, host := range hosts {
		objects = append(objects, host)
	}
	for _, obj := range objects {
		b.waitGone(t, obj)
	}
	if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(ns), ns); err != nil {
		t.Fatal(err)
	}
	ns.Spec.Finalizers = nil
	if err := b.Client.SubResource("finalize").Update(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gone-one", "gone-two"} {
		if v := b.service(t, name); v != nil {
			t.Errorf("the swarm still has %+v", v)
		}
	}
	for _, svc := range objects[:2] {
		if left := b.secretsOf(t, svc.(*dcv1.SwarmService)); len(left) > 0 {
			t.Errorf("the swarm still has the secrets %v", left)
		}
	}
	b.waitNoNetwork(t, "gone")
}
