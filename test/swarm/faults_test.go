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
	"net/http"
	"testing"

	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// refused checks that a service is Stalled for a reason, with nothing of it on the swarm.
func (b *bed) refused(t *testing.T, svc *dcv1.SwarmService, reason string, says ...string) {
	t.Helper()
	b.wantStalled(t, svc, reason, says...)
	if v := b.service(t, svc.Name); v != nil || svc.Status.ServiceID != "" {
		t.Errorf("the swarm has %+v, status has service %q", v, svc.Status.ServiceID)
	}
	if secrets := b.secretsOf(t, svc); len(secrets) > 0 {
		t.Errorf("the swarm has secrets %v for what it refused", secrets)
	}
	b.wantEvents(t, svc, "Warning "+reason)
}

func testBadImageReference(t *testing.T, b *bed) {
	svc := b.create(t, "bad-reference", func(s *dcv1.SwarmServiceSpec) { s.Image = "NOT:an:image" })
	b.refused(t, svc, dcv1.ReasonImageInvalid, "spec.image")
	b.change(t, svc, func(s *dcv1.SwarmServiceSpec) { s.Image = image })
	b.wait(t, svc, "True/Converged")
}

// testMissingImage: the nodes reach no registry, as with one that is down.
func testMissingImage(t *testing.T, b *bed) {
	svc := b.create(t, "missing-image", func(s *dcv1.SwarmServiceSpec) { s.Image = "nowhere:1" })
	b.wantStalled(t, svc, dcv1.ReasonImagePullFailed, "0 of 2 tasks run", "nowhere:1")
	if errors := svc.Status.TaskErrors; len(errors) == 0 || errors[0].Node == "" || errors[0].State != "rejected" {
		t.Errorf("task errors are %+v", errors)
	}
	b.change(t, svc, func(s *dcv1.SwarmServiceSpec) { s.Image = image })
	b.wait(t, svc, "True/Converged")
}

func testPlacement(t *testing.T, b *bed) {
	svc := b.create(t, "placement", func(s *dcv1.SwarmServiceSpec) {
		s.Placement = &dcv1.SwarmPlacement{Constraints: []string{"node.hostname == nobody"}}
	})
	b.wantStalled(t, svc, dcv1.ReasonNoSuitableNode, "0 of 2 tasks run", "no suitable node")
	b.change(t, svc, func(s *dcv1.SwarmServiceSpec) { s.Placement.Constraints = []string{"node.hostname == m2"} })
	b.wait(t, svc, "True/Converged")
	if err := wantDistribution(svc, map[string]int32{"m2": 2}); err != nil {
		t.Error(err)
	}
}

// testIngressPortTaken: the swarm has each ingress port once, and refuses the service.
func testIngressPortTaken(t *testing.T, b *bed) {
	ingress := func(s *dcv1.SwarmServiceSpec) {
		s.Replicas, s.EndpointMode = ptr.To[int32](0), dcv1.SwarmEndpointVIP
		s.Ports = []dcv1.SwarmPort{{TargetPort: 80, PublishedPort: ptr.To[int32](9090)}}
	}
	b.run(t, "ingress", ingress)
	second := b.create(t, "ingress-second", ingress)
	b.refused(t, second, dcv1.ReasonPortConflict, "spec.ports", "9090", "ingress")
	b.change(t, second, func(s *dcv1.SwarmServiceSpec) { s.Ports[0].PublishedPort = ptr.To[int32](9091) })
	b.wait(t, second, "True/Converged")
}

// testHostPortTaken: each node has a host port once, and takes no second task with it.
func testHostPortTaken(t *testing.T, b *bed) {
	onHost := func(s *dcv1.SwarmServiceSpec) {
		s.Ports = []dcv1.SwarmPort{{TargetPort: 80, PublishedPort: ptr.To[int32](9092), PublishMode: dcv1.SwarmPublishHost}}
	}
	first := b.run(t, "host-port", func(s *dcv1.SwarmServiceSpec) { spread(s); onHost(s) })
	second := b.create(t, "host-port-second", onHost)
	b.wantStalled(t, second, dcv1.ReasonNoSuitableNode, "port")
	b.Delete(t, first)
	b.wait(t, second, "True/Converged")
}

func testUnknownNetwork(t *testing.T, b *bed) {
	svc := b.create(t, "no-network", func(s *dcv1.SwarmServiceSpec) { s.Networks = []dcv1.SwarmNetwork{{Name: "nowhere"}} })
	b.refused(t, svc, dcv1.ReasonNetworkNotFound, "spec.networks[nowhere]", "createIfMissing")
	b.change(t, svc, func(s *dcv1.SwarmServiceSpec) { s.Networks = nil })
	b.wait(t, svc, "True/Converged")
}

// testMissingSecret: the Secret may come later, by itself.
func testMissingSecret(t *testing.T, b *bed) {
	svc := b.create(t, "no-secret", func(s *dcv1.SwarmServiceSpec) {
		withSecret(s)
		s.Secrets[0].SecretKeyRef.Name = "later"
	})
	b.refused(t, svc, dcv1.ReasonSecretNotFound, "spec.secrets[key].secretKeyRef", `"later"`)
	secret := newSecret(b.ns, secretValue+"-later")
	secret.Name = "later"
	b.Create(t, secret)
	b.wait(t, svc, "True/Converged")
	b.waitOutputs(t, svc, secretValue+"-later")
}

// testNoManager: a host that is in no swarm, and then a worker of one, cannot have a
// service; other nodes can.
func testNoManager(t *testing.T, b *bed) {
	d := testbed.StartDockerd(t, testbed.DockerdOptions{Name: "w0", Network: b.network})
	d.ImportBusybox(t, image)
	host := testenv.NewHost(b.ns, "w0", d.Endpoint())
	b.Create(t, host)
	svc := b.create(t, "no-manager", func(s *dcv1.SwarmServiceSpec) {
		s.HostRef.Name, s.Mode, s.Replicas = "w0", dcv1.SwarmGlobal, nil
	})
	b.wantStalled(t, svc, dcv1.ReasonHostNotInSwarm, "spec.hostRef", "w0", "docker swarm join")
	d.JoinSwarm(t, b.manager(t), false)
	b.wantStalled(t, svc, dcv1.ReasonHostNotManager, "spec.hostRef", "w0", "docker node promote")
	if v := b.service(t, svc.Name); v != nil || svc.Status.ServiceID != "" || len(svc.Finalizers) > 0 {
		t.Errorf("the swarm has %+v, status has service %q, finalizers %v", v, svc.Status.ServiceID, svc.Finalizers)
	}
	b.change(t, svc, func(s *dcv1.SwarmServiceSpec) { s.HostRef.Name = "m0" })
	b.wait(t, svc, "True/Converged")
	if err := wantDistribution(svc, map[string]int32{"m0": 1, "m1": 1, "m2": 1, "w0": 1}); err != nil {
		t.Error(err)
	}
	d.Call(t, http.MethodPost, "/swarm/leave", nil)
	b.manager(t).Call(t, http.MethodDelete, "/nodes/"+b.node(t, "w0").ID+"?force=1", nil)
	b.until(t, svc, soon, func(s *dcv1.SwarmService) error { return wantDistribution(s, onEach) })
	b.Delete(t, host)
	b.waitGone(t, host)
}
