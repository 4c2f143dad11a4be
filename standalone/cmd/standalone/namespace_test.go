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

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// A namespace is deleted in no order, another one each time: in some of so many the credentials go before the host,
// and both before the services.
const namespacesDeleted = 6

// deletionLimit is well below the five minutes after which what cannot be removed is let go.
const deletionLimit = 2 * time.Minute

// testNamespacesDeleted deletes namespaces with credentials, host and services. All of it goes, from the swarm too.
func (b *swarmBed) testNamespacesDeleted(t *testing.T) {
	var namespaces []string
	for range namespacesDeleted {
		ns := b.Namespace(t)
		namespaces = append(namespaces, ns)
		b.fill(t, ns)
	}
	if secrets := b.secretsOf(t, namespaces...); len(secrets) != 2*namespacesDeleted {
		t.Fatalf("the swarm has the secrets %v, want one for each service", secrets)
	}
	for _, ns := range namespaces {
		b.Delete(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	}
	for _, ns := range namespaces {
		b.waitNamespaceGone(t, ns)
	}
	for _, v := range b.engineServices(t) {
		if slices.ContainsFunc(namespaces, func(ns string) bool { return strings.HasPrefix(v.Spec.Name, ns) }) {
			t.Errorf("the swarm still has the service %s", v.Spec.Name)
		}
	}
	if secrets := b.secretsOf(t, namespaces...); len(secrets) > 0 {
		t.Errorf("the swarm still has the secrets %v", secrets)
	}
}

// testDeadSwarm deletes a namespace whose swarm does not answer any more. It goes as soon as the annotation says that
// its services may stay, before or after it is deleted.
func (b *swarmBed) testDeadSwarm(t *testing.T) {
	ns := b.Namespace(t)
	host, services := b.fill(t, ns)
	b.engine.Kill(t)
	b.WaitReady(t, host, "False/"+dcv1.ReasonDialFailed, soon)
	release := func(svc *dcv1.SwarmService) {
		testenv.Update(t, b.Cluster, svc, func(s *dcv1.SwarmService) {
			s.Annotations = map[string]string{dcv1.AnnotationForceFinalize: "true"}
		})
	}
	release(services[0])
	b.Delete(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	testenv.Eventually(t, soon, func(ctx context.Context) error {
		err := b.Client.Get(ctx, client.ObjectKeyFromObject(services[0]), services[0])
		if err == nil {
			return fmt.Errorf("%s is still there", services[0].Name)
		}
		return client.IgnoreNotFound(err)
	})
	until(t, b, services[1], soon, func(s *dcv1.SwarmService) error {
		if s.DeletionTimestamp.IsZero() {
			return fmt.Errorf("%s is not being deleted", s.Name)
		}
		return nil
	})
	release(services[1])
	b.waitNamespaceGone(t, ns)
}

// fill makes a host with credentials, and two services with a Secret, and waits until they run.
func (b *swarmBed) fill(t *testing.T, ns string) (*dcv1.DockerHost, []*dcv1.SwarmService) {
	t.Helper()
	host := b.createHost(t, ns)
	b.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "key"}, Data: map[string][]byte{"key": []byte(ns)}})
	var services []*dcv1.SwarmService
	for _, name := range []string{"one", "two"} {
		svc := &dcv1.SwarmService{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
		s := &svc.Spec
		s.HostRef.Name, s.ServiceName, s.Replicas = hostName, ns+"-"+name, ptr.To[int32](1)
		s.Image, s.Command, s.StopSignal = workerImage, []string{"sleep", "86400"}, "SIGKILL"
		s.Secrets = []dcv1.SwarmSecretFile{{Target: "key", SecretKeyRef: &dcv1.LocalKeyReference{Name: "key", Key: "key"}}}
		b.Create(t, svc)
		services = append(services, svc)
	}
	for _, svc := range services {
		b.waitConverged(t, svc, 1)
	}
	return host, services
}

// secretsOf are the secrets of the swarm that were made for services of namespaces.
func (b *swarmBed) secretsOf(t *testing.T, namespaces ...string) (names []string) {
	t.Helper()
	for _, secret := range listOf[engineswarm.Secret](t, b.engine, "/secrets") {
		if slices.ContainsFunc(namespaces, func(ns string) bool { return strings.HasPrefix(secret.Spec.Name, ns) }) {
			names = append(names, secret.Spec.Name)
		}
	}
	return names
}

func (b *swarmBed) waitNamespaceGone(t *testing.T, name string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	testenv.Eventually(t, deletionLimit, func(ctx context.Context) error {
		err := b.Client.Get(ctx, client.ObjectKeyFromObject(ns), ns)
		if err == nil {
			return fmt.Errorf("namespace %s is still there: %+v", name, ns.Status.Conditions)
		}
		return client.IgnoreNotFound(err)
	})
}
