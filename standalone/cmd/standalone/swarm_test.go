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
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/manager"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

const (
	// workerImage is the image of the sample, which is made of busybox here.
	workerImage = "busybox:1.37"
	// hostName is the DockerHost of the sample.
	hostName = "swarm-01"
	// soon is how long a change of a service may take to be done on an idle machine.
	soon = 20 * time.Second
)

// swarmBed is a real swarm of one node with TLS, and the whole program with the real manager in it.
type swarmBed struct {
	*testenv.Cluster
	program *program
	ca      *testbed.CA
	engine  *testbed.Dockerd
}

// TestSwarmServices is what Kubernetes' own controllers do with the services of a real swarm.
func TestSwarmServices(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	b := &swarmBed{ca: testbed.NewCA(t, "fleet")}
	b.engine = testbed.StartDockerd(t, testbed.DockerdOptions{Name: hostName, TCP: true, CA: b.ca, Swarm: true})
	b.engine.Isolate(t)
	b.engine.ImportBusybox(t, workerImage)
	dir := filepath.Join(t.TempDir(), "data")
	b.program = start(ctx, t, dir, "--horizontal-pod-autoscaler-sync-period=500ms")
	b.Cluster = clusterOf(t, dir)

	t.Run("autoscaler", b.testAutoscaler)
	t.Run("namespaces deleted", b.testNamespacesDeleted)
	t.Run("namespace of a dead swarm deleted", b.testDeadSwarm)
	b.program.stop(t)
}

// clusterOf is the program's control plane, for its administrator.
func clusterOf(t *testing.T, dir string) *testenv.Cluster {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	c, err := client.New(config, client.Options{Scheme: manager.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return &testenv.Cluster{Config: config, Client: c}
}

// createHost makes the DockerHost of the engine in a namespace, with its credentials, and waits for it.
func (b *swarmBed) createHost(t *testing.T, namespace string) *dcv1.DockerHost {
	t.Helper()
	pair := b.ca.Client(t)
	b.Create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tls"},
		Data: map[string][]byte{
			dcv1.SecretKeyCA: b.ca.Cert, dcv1.SecretKeyCert: pair.Cert, dcv1.SecretKeyKey: pair.Key,
		},
	})
	host := testenv.NewHost(namespace, hostName, b.engine.TCPEndpoint())
	host.Spec.TLS = &dcv1.DockerHostTLS{SecretRef: dcv1.LocalSecretReference{Name: "tls"}}
	b.Create(t, host)
	b.WaitReady(t, host, "True/Connected", soon)
	return host
}

// until reads an object until check is content with it.
func until[T client.Object](t *testing.T, b *swarmBed, obj T, within time.Duration, check func(T) error) {
	t.Helper()
	testenv.Eventually(t, within, func(ctx context.Context) error {
		if err := b.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		return check(obj)
	})
}

// waitConverged waits until a service has so many replicas: the object, its status, and the swarm.
func (b *swarmBed) waitConverged(t *testing.T, svc *dcv1.SwarmService, replicas int32) {
	t.Helper()
	until(t, b, svc, soon, func(s *dcv1.SwarmService) error {
		ready := meta.FindStatusCondition(s.Status.Conditions, dcv1.ConditionReady)
		if *s.Spec.Replicas != replicas || s.Status.Replicas != replicas || ready == nil || ready.Reason != dcv1.ReasonConverged || ready.ObservedGeneration != s.Generation {
			return fmt.Errorf("%s has %d replicas, %d by its status, and is %+v; want %d, Converged", s.Name, *s.Spec.Replicas, s.Status.Replicas, ready, replicas)
		}
		return nil
	})
	for _, v := range b.engineServices(t) {
		if v.ID == svc.Status.ServiceID {
			if got := *v.Spec.Mode.Replicated.Replicas; got != uint64(replicas) {
				t.Errorf("the swarm has %d replicas of %s, want %d", got, svc.Name, replicas)
			}
			return
		}
	}
	t.Errorf("the swarm has no service %s", svc.Status.ServiceID)
}

// engineServices are what the swarm has, read without the code under test.
func (b *swarmBed) engineServices(t *testing.T) []engineswarm.Service {
	t.Helper()
	return listOf[engineswarm.Service](t, b.engine, "/services")
}

func listOf[T any](t *testing.T, engine *testbed.Dockerd, path string) (list []T) {
	t.Helper()
	if err := json.Unmarshal(engine.Call(t, http.MethodGet, path, nil), &list); err != nil {
		t.Fatalf("read %s of the engine: %v", path, err)
	}
	return list
}

// afterTest is a context for what is done when a test has ended.
func afterTest(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
}
