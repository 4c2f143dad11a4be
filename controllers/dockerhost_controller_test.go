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

package controllers_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

func TestHostBecomesReadyAndStaysSilent(t *testing.T) {
	c := connect(t, sim.Options{Name: "box", Containers: 5, Images: 2})

	s := c.host.Status
	if s.Engine.ID != c.box.ID() || s.Engine.Name != "box" || s.Engine.Version != "20.10.24" || s.Engine.APIVersion != "1.41" {
		t.Errorf("engine = %+v", s.Engine)
	}
	if *s.Containers.Total != 5 || *s.Containers.Running != 5 || *s.Images != 2 {
		t.Errorf("containers = %+v, images = %d", s.Containers, *s.Images)
	}

	// Several probes pass (the interval is 1 s), and nothing is written: the Event
	// of the connection goes first, off the clock.
	c.WaitEvents(t, c.host, "Normal Connected")
	before, version := c.mgr.Writes(), c.host.ResourceVersion
	timer := time.NewTimer(3500 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
	if writes := c.mgr.Writes() - before; writes != 0 {
		t.Errorf("%d writes while nothing changed", writes)
	}
	c.WaitReady(t, c.host, "True/Connected", time.Second)
	if c.host.ResourceVersion != version {
		t.Errorf("the object changed from %s to %s while nothing happened", version, c.host.ResourceVersion)
	}
}

func TestCountsFollowTheEngine(t *testing.T) {
	c := connect(t, sim.Options{Name: "box", Containers: 3})

	list := c.box.call(t, http.MethodGet, "/containers/json", "")
	id := strings.Split(strings.Split(list, `"Id":"`)[1], `"`)[0]
	c.box.call(t, http.MethodPost, "/containers/"+id+"/kill", "")
	c.WaitCounts(t, c.host, 2, 1, time.Second)
	c.box.call(t, http.MethodDelete, "/containers/"+id, "")
	c.WaitCounts(t, c.host, 2, 0, time.Second)
}

// call makes one request of the engine's API, past the manager.
func (h *simHost) call(t *testing.T, method, path, body string) string {
	t.Helper()
	return unixCall(t, h.socket, method, path, body)
}

// TestEngineClockJumps moves an engine's clock back and forth and cuts its
// connections: events are asked for by the engine's own time, and none is missed.
func TestEngineClockJumps(t *testing.T) {
	c := connect(t, sim.Options{Name: "box", Containers: 5})
	running, stopped := int32(5), int32(0)
	for _, skew := range []time.Duration{-time.Hour, time.Hour, 0} {
		if err := c.box.SetFault(sim.Fault{Skew: sim.Duration(skew)}); err != nil {
			t.Fatal(err)
		}
		c.box.Cut()
		if _, _, err := c.box.Do("kill", fmt.Sprintf("c%d", stopped), "", nil); err != nil {
			t.Fatal(err)
		}
		running, stopped = running-1, stopped+1
		c.WaitCounts(t, c.host, running, stopped, 10*time.Second)
	}
	c.WaitReady(t, c.host, "True/Connected", time.Second)
	c.WaitEvents(t, c.host, "Normal Connected")
}

func TestLostAndFound(t *testing.T) {
	c := connect(t, sim.Options{Name: "box", Containers: 1})
	c.replace(t, sim.Options{Name: "box", Containers: 1})
	c.WaitEvents(t, c.host, "Normal Connected", "Warning DialFailed", "Normal Connected")
}

func TestAnotherEngineIsReported(t *testing.T) {
	c := connect(t, sim.Options{Name: "box", Seed: "one"})
	c.replace(t, sim.Options{Name: "box", Seed: "two"})
	c.WaitEvents(t, c.host, "Normal Connected", "Warning DialFailed", "Normal Connected", "Warning EngineReplaced")
}

func TestSuspend(t *testing.T) {
	c := connect(t, sim.Options{Name: "box"})
	testenv.Update(t, c.Cluster, c.host, func(h *dcv1.DockerHost) { h.Spec.Suspend = ptr.To(true) })
	c.WaitReady(t, c.host, "False/Suspended", 2*time.Second)
	testenv.Update(t, c.Cluster, c.host, func(h *dcv1.DockerHost) { h.Spec.Suspend = nil })
	c.WaitReady(t, c.host, "True/Connected", 2*time.Second)
}

func TestSpecChangesThatTouchNoConnectionAreObserved(t *testing.T) {
	c := connect(t, sim.Options{Name: "box"})
	testenv.Update(t, c.Cluster, c.host, func(h *dcv1.DockerHost) { h.Spec.HealthCheck.FailureThreshold = 9 })
	c.WaitReady(t, c.host, "True/Connected", 2*time.Second)
	if c.host.Status.ObservedGeneration != c.host.Generation {
		t.Errorf("observedGeneration = %d, want %d", c.host.Status.ObservedGeneration, c.host.Generation)
	}
}

func TestDefaultHostMovesOn(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	cluster.StartManager(t, testenv.ManagerOptions(ns))
	box := startSim(t, sim.Options{Name: "box"})
	first, second := testenv.NewHost(ns, "a", box.endpoint()), testenv.NewHost(ns, "b", box.endpoint())
	first.Spec.Default, second.Spec.Default = ptr.To(true), ptr.To(true)
	cluster.Create(t, first)
	cluster.Create(t, second)
	isDefault := func(host *dcv1.DockerHost, want metav1.ConditionStatus) {
		t.Helper()
		cluster.WaitHost(t, host, 5*time.Second, func(h *dcv1.DockerHost) error {
			for _, c := range h.Status.Conditions {
				if c.Type == dcv1.ConditionDefault && c.Status == want {
					return nil
				}
			}
			return fmt.Errorf("%s: conditions = %+v, want Default %s", h.Name, h.Status.Conditions, want)
		})
	}
	isDefault(first, metav1.ConditionTrue)
	isDefault(second, metav1.ConditionFalse)
	cluster.Delete(t, first)
	isDefault(second, metav1.ConditionTrue)
}

func TestSecretsAreFollowed(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	cluster.StartManager(t, testenv.ManagerOptions(ns))
	host := testenv.NewHost(ns, "remote", "tcp://127.0.0.1:1")
	host.Spec.TLS = &dcv1.DockerHostTLS{SecretRef: dcv1.LocalSecretReference{Name: "certs"}}
	cluster.Create(t, host)
	cluster.WaitReady(t, host, "False/CredentialsMissing", 2*time.Second)

	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "certs"},
		Data:       map[string][]byte{"ca.crt": []byte("x"), "tls.crt": []byte("x")},
	}
	cluster.Create(t, secret)
	cluster.WaitMessage(t, host, "lacks tls.key", time.Second)
	secret.Data["tls.key"] = []byte("no key")
	if err := cluster.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	cluster.WaitReady(t, host, "False/CredentialsInvalid", time.Second)
	cluster.Delete(t, secret)
	cluster.WaitReady(t, host, "False/CredentialsMissing", time.Second)
}

func TestUnixEndpointWhereItIsNotAllowed(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	options := testenv.ManagerOptions(ns)
	options.UnixEndpointNamespaces = []string{"somewhere-else"}
	cluster.StartManager(t, options)
	box := startSim(t, sim.Options{Name: "box"})
	host := testenv.NewHost(ns, "box", box.endpoint())
	cluster.Create(t, host)
	cluster.WaitReady(t, host, "False/EndpointForbidden", 2*time.Second)
}

func TestManagerKeepsToItsNamespaces(t *testing.T) {
	cluster := testenv.Start(t)
	mine, other := cluster.Namespace(t), cluster.Namespace(t)
	cluster.StartManager(t, testenv.ManagerOptions(mine))
	box := startSim(t, sim.Options{Name: "box"})
	foreign := testenv.NewHost(other, "box", box.endpoint())
	cluster.Create(t, foreign)
	host := testenv.NewHost(mine, "box", box.endpoint())
	cluster.Create(t, host)
	cluster.WaitReady(t, host, "True/Connected", 5*time.Second)
	cluster.WaitHost(t, foreign, time.Second, func(h *dcv1.DockerHost) error {
		if len(h.Status.Conditions) != 0 {
			return fmt.Errorf("a host of another namespace has a status: %+v", h.Status)
		}
		return nil
	})
}

func TestDeletingAHostOfADeadEngine(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	cluster.StartManager(t, testenv.ManagerOptions(ns))
	host := testenv.NewHost(ns, "dead", "unix:///nowhere/docker.sock")
	cluster.Create(t, host)
	cluster.WaitReady(t, host, "False/DialFailed", 5*time.Second)
	cluster.Delete(t, host)
	testenv.Eventually(t, time.Second, func(ctx context.Context) error {
		if err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(host), host); client.IgnoreNotFound(err) != nil || err == nil {
			return fmt.Errorf("still there (%v)", err)
		}
		return nil
	})
}
