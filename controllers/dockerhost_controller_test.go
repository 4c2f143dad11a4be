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
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

func TestHostBecomesReadyAndStaysSilent(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	mgr := cluster.StartManager(t, testenv.ManagerOptions(ns))
	box := startSim(t, sim.Options{Name: "box", Containers: 5, Images: 2})
	host := newHost(ns, "box", box.endpoint())
	create(t, cluster, host)
	waitReady(t, cluster, host, "True/Connected", 5*time.Second)

	s := host.Status
	if s.Engine.ID != box.ID() || s.Engine.Name != "box" || s.Engine.Version != "20.10.24" || s.Engine.APIVersion != "1.41" {
		t.Errorf("engine = %+v", s.Engine)
	}
	if *s.Containers.Total != 5 || *s.Containers.Running != 5 || *s.Images != 2 {
		t.Errorf("containers = %+v, images = %d", s.Containers, *s.Images)
	}

	// Several probes pass (the interval is 1 s), and nothing is written: the Event
	// of the connection goes first, off the clock.
	waitEvents(t, cluster, host, "Normal Connected")
	before, version := mgr.Writes(), host.ResourceVersion
	timer := time.NewTimer(3500 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
	if writes := mgr.Writes() - before; writes != 0 {
		t.Errorf("%d writes while nothing changed", writes)
	}
	waitReady(t, cluster, host, "True/Connected", time.Second)
	if host.ResourceVersion != version {
		t.Errorf("the object changed from %s to %s while nothing happened", version, host.ResourceVersion)
	}
}

func TestCountsFollowTheEngine(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	cluster.StartManager(t, testenv.ManagerOptions(ns))
	box := startSim(t, sim.Options{Name: "box", Containers: 3})
	host := newHost(ns, "box", box.endpoint())
	create(t, cluster, host)
	waitReady(t, cluster, host, "True/Connected", 5*time.Second)

	list := box.call(t, http.MethodGet, "/containers/json", "")
	id := strings.Split(strings.Split(list, `"Id":"`)[1], `"`)[0]
	box.call(t, http.MethodPost, "/containers/"+id+"/kill", "")
	waitCounts(t, cluster, host, 2, 1, time.Second)
	box.call(t, http.MethodDelete, "/containers/"+id, "")
	waitCounts(t, cluster, host, 2, 0, time.Second)
}

// call makes one request of the engine's API, past the manager.
func (h *simHost) call(t *testing.T, method, path, body string) string {
	t.Helper()
	return unixCall(t, h.socket, method, path, body)
}

func waitCounts(t *testing.T, c *testenv.Cluster, host *dcv1.DockerHost, running, stopped int32, within time.Duration) {
	t.Helper()
	waitHost(t, c, host, within, func(h *dcv1.DockerHost) error {
		n := h.Status.Containers
		if n == nil || *n.Running != running || *n.Stopped != stopped {
			return fmt.Errorf("containers = %+v, want %d running and %d stopped", n, running, stopped)
		}
		return nil
	})
}

func TestLostAndFound(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	cluster.StartManager(t, testenv.ManagerOptions(ns))
	box := startSim(t, sim.Options{Name: "box", Containers: 1})
	host := newHost(ns, "box", box.endpoint())
	create(t, cluster, host)
	waitReady(t, cluster, host, "True/Connected", 5*time.Second)
	box.Close()
	waitReady(t, cluster, host, "False/DialFailed", 4*time.Second)
	box.Engine = sim.New(sim.Options{Name: "box", Containers: 1})
	box.listen(t)
	waitReady(t, cluster, host, "True/Connected", 4*time.Second)
	waitEvents(t, cluster, host, "Normal Connected", "Warning DialFailed", "Normal Connected")
}

func TestAnotherEngineIsReported(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	cluster.StartManager(t, testenv.ManagerOptions(ns))
	box := startSim(t, sim.Options{Name: "box", Seed: "one"})
	host := newHost(ns, "box", box.endpoint())
	create(t, cluster, host)
	waitReady(t, cluster, host, "True/Connected", 5*time.Second)
	box.Close()
	waitReady(t, cluster, host, "False/DialFailed", 4*time.Second)
	box.Engine = sim.New(sim.Options{Name: "box", Seed: "two"})
	box.listen(t)
	waitReady(t, cluster, host, "True/Connected", 4*time.Second)
	waitEvents(t, cluster, host, "Normal Connected", "Warning DialFailed", "Normal Connected", "Warning EngineReplaced")
}

// waitEvents waits for exactly these Events on a host, as "Type Reason", each
// counted as often as it was seen.
func waitEvents(t *testing.T, c *testenv.Cluster, host *dcv1.DockerHost, want ...string) {
	t.Helper()
	testenv.Eventually(t, 10*time.Second, func(ctx context.Context) error {
		var events eventsv1.EventList
		if err := c.Client.List(ctx, &events, client.InNamespace(host.Namespace)); err != nil {
			return err
		}
		got := map[string]int{}
		for _, e := range events.Items {
			if e.Regarding.UID != host.UID {
				continue
			}
			n := 1
			if e.Series != nil {
				n = int(e.Series.Count)
			}
			got[e.Type+" "+e.Reason] += n
		}
		wanted := map[string]int{}
		for _, w := range want {
			wanted[w]++
		}
		if fmt.Sprint(got) != fmt.Sprint(wanted) {
			return fmt.Errorf("events = %v, want %v", got, wanted)
		}
		return nil
	})
}

func TestSuspend(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	cluster.StartManager(t, testenv.ManagerOptions(ns))
	box := startSim(t, sim.Options{Name: "box"})
	host := newHost(ns, "box", box.endpoint())
	create(t, cluster, host)
	waitReady(t, cluster, host, "True/Connected", 5*time.Second)
	update(t, cluster, host, func(h *dcv1.DockerHost) { h.Spec.Suspend = ptr.To(true) })
	waitReady(t, cluster, host, "False/Suspended", 2*time.Second)
	update(t, cluster, host, func(h *dcv1.DockerHost) { h.Spec.Suspend = nil })
	waitReady(t, cluster, host, "True/Connected", 2*time.Second)
}

func TestSpecChangesThatTouchNoConnectionAreObserved(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	cluster.StartManager(t, testenv.ManagerOptions(ns))
	box := startSim(t, sim.Options{Name: "box"})
	host := newHost(ns, "box", box.endpoint())
	create(t, cluster, host)
	waitReady(t, cluster, host, "True/Connected", 5*time.Second)
	update(t, cluster, host, func(h *dcv1.DockerHost) { h.Spec.HealthCheck.FailureThreshold = 9 })
	waitReady(t, cluster, host, "True/Connected", 2*time.Second)
	if host.Status.ObservedGeneration != host.Generation {
		t.Errorf("observedGeneration = %d, want %d", host.Status.ObservedGeneration, host.Generation)
	}
}

func TestDefaultHostMovesOn(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	cluster.StartManager(t, testenv.ManagerOptions(ns))
	box := startSim(t, sim.Options{Name: "box"})
	first, second := newHost(ns, "a", box.endpoint()), newHost(ns, "b", box.endpoint())
	first.Spec.Default, second.Spec.Default = ptr.To(true), ptr.To(true)
	create(t, cluster, first)
	create(t, cluster, second)
	isDefault := func(host *dcv1.DockerHost, want metav1.ConditionStatus) {
		t.Helper()
		waitHost(t, cluster, host, 5*time.Second, func(h *dcv1.DockerHost) error {
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
	if err := cluster.Client.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	isDefault(second, metav1.ConditionTrue)
}

func TestSecretsAreFollowed(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	cluster.StartManager(t, testenv.ManagerOptions(ns))
	host := newHost(ns, "remote", "tcp://127.0.0.1:1")
	host.Spec.TLS = &dcv1.DockerHostTLS{SecretRef: dcv1.LocalSecretReference{Name: "certs"}}
	create(t, cluster, host)
	waitReady(t, cluster, host, "False/CredentialsMissing", 2*time.Second)

	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "certs"},
		Data:       map[string][]byte{"ca.crt": []byte("x"), "tls.crt": []byte("x")},
	}
	create(t, cluster, secret)
	waitMessage(t, cluster, host, "lacks tls.key")
	secret.Data["tls.key"] = []byte("no key")
	if err := cluster.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	waitReady(t, cluster, host, "False/CredentialsInvalid", time.Second)
	if err := cluster.Client.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	waitReady(t, cluster, host, "False/CredentialsMissing", time.Second)
}

func waitMessage(t *testing.T, c *testenv.Cluster, host *dcv1.DockerHost, says string) {
	t.Helper()
	waitHost(t, c, host, time.Second, func(h *dcv1.DockerHost) error {
		for _, cond := range h.Status.Conditions {
			if cond.Type == dcv1.ConditionReady && strings.Contains(cond.Message, says) {
				return nil
			}
		}
		return fmt.Errorf("conditions = %+v, want Ready to say %q", h.Status.Conditions, says)
	})
}

func TestUnixEndpointWhereItIsNotAllowed(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	options := testenv.ManagerOptions(ns)
	options.UnixEndpointNamespaces = []string{"somewhere-else"}
	cluster.StartManager(t, options)
	box := startSim(t, sim.Options{Name: "box"})
	host := newHost(ns, "box", box.endpoint())
	create(t, cluster, host)
	waitReady(t, cluster, host, "False/EndpointForbidden", 2*time.Second)
}

func TestManagerKeepsToItsNamespaces(t *testing.T) {
	cluster := testenv.Start(t)
	mine, other := cluster.Namespace(t), cluster.Namespace(t)
	cluster.StartManager(t, testenv.ManagerOptions(mine))
	box := startSim(t, sim.Options{Name: "box"})
	foreign := newHost(other, "box", box.endpoint())
	create(t, cluster, foreign)
	host := newHost(mine, "box", box.endpoint())
	create(t, cluster, host)
	waitReady(t, cluster, host, "True/Connected", 5*time.Second)
	waitHost(t, cluster, foreign, time.Second, func(h *dcv1.DockerHost) error {
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
	host := newHost(ns, "dead", "unix:///nowhere/docker.sock")
	create(t, cluster, host)
	waitReady(t, cluster, host, "False/DialFailed", 5*time.Second)
	if err := cluster.Client.Delete(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, time.Second, func(ctx context.Context) error {
		if err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(host), host); client.IgnoreNotFound(err) != nil || err == nil {
			return fmt.Errorf("still there (%v)", err)
		}
		return nil
	})
}
