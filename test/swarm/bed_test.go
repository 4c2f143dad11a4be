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
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

const (
	image, newImage = "busybox:1", "busybox:2"
	// soon is how long a change of a service may take to be done on an idle machine.
	soon = 20 * time.Second
	// promptly is how soon drift is to be corrected: it is promised, and takes some 0.1 s.
	promptly = 2 * time.Second
	// tolerably is by how much what takes a second or two on an idle machine may be late.
	tolerably = 20 * time.Second
)

// managers are the names of the engines, of their nodes, and of their DockerHosts.
var managers = []string{"m0", "m1", "m2"}

// bed is the swarm, the API server, and a namespace with a DockerHost of each engine.
type bed struct {
	*testenv.Cluster
	t       *testing.T // everything of the bed ends with it
	ns      string
	network *testbed.Network
	engines map[string]*testbed.Dockerd
	// dead are the engines that were killed, and are not back.
	dead map[string]bool
	// trail is the file of the audit trail.
	trail string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	cluster := testenv.Start(t)
	b := &bed{
		Cluster: cluster, t: t, ns: cluster.Namespace(t), network: testbed.StartNetwork(t),
		engines: map[string]*testbed.Dockerd{}, dead: map[string]bool{}, trail: filepath.Join(t.TempDir(), "audit.jsonl"),
	}
	for i, d := range testbed.StartSwarm(t, b.network, managers...) {
		d.ImportBusybox(t, image)
		d.ImportBusybox(t, newImage)
		b.engines[managers[i]] = d
	}
	o := testenv.ManagerOptions()
	o.Namespace, o.AuditFile = b.ns, b.trail
	cluster.StartManager(t, o)
	b.createHosts(t, managers...)
	return b
}

// in is the same bed with another namespace, without hosts.
func (b *bed) in(namespace string) *bed {
	other := *b
	other.ns = namespace
	return &other
}

// createHosts makes DockerHosts of managers of the swarm.
func (b *bed) createHosts(t *testing.T, names ...string) (hosts []*dcv1.DockerHost) {
	t.Helper()
	for _, name := range names {
		host := testenv.NewHost(b.ns, name, b.engines[name].Endpoint())
		b.Create(t, host)
		hosts = append(hosts, host)
	}
	for _, host := range hosts {
		b.WaitReady(t, host, "True/Connected", soon)
	}
	return hosts
}

// newService is a service of two containers that sleep, and end when they are told to.
func (b *bed) newService(name string, change func(*dcv1.SwarmServiceSpec)) *dcv1.SwarmService {
	svc := &dcv1.SwarmService{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name}}
	s := &svc.Spec
	s.HostRef.Name, s.Replicas = "m0", ptr.To[int32](2)
	s.Image, s.Command, s.StopSignal = image, []string{"sleep", "1000"}, "SIGKILL"
	s.EndpointMode = dcv1.SwarmEndpointDNSRoundRobin
	s.RestartPolicy = &dcv1.SwarmRestartPolicy{Delay: &metav1.Duration{Duration: time.Second}}
	s.UpdateConfig = &dcv1.SwarmUpdateConfig{Monitor: &metav1.Duration{Duration: time.Second}}
	if change != nil {
		change(s)
	}
	return svc
}

// create creates a service; its object goes with the test, and the service with it.
func (b *bed) create(t *testing.T, name string, change func(*dcv1.SwarmServiceSpec)) *dcv1.SwarmService {
	t.Helper()
	svc := b.newService(name, change)
	b.Create(t, svc)
	t.Cleanup(func() { b.removeAfter(t, svc) })
	return svc
}

// run creates a service and waits until it runs.
func (b *bed) run(t *testing.T, name string, change func(*dcv1.SwarmServiceSpec)) *dcv1.SwarmService {
	t.Helper()
	svc := b.create(t, name, change)
	b.wait(t, svc, "True/Converged")
	return svc
}

// removeAfter removes a service when its test is over. What a test leaves would fill the
// nodes that the next ones count on.
func (b *bed) removeAfter(t *testing.T, svc *dcv1.SwarmService) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := client.IgnoreNotFound(b.Client.Delete(ctx, svc))
		if err == nil && b.Client.Get(ctx, client.ObjectKeyFromObject(svc), svc) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Errorf("%s was not removed within a minute: %v, finalizers %v", svc.Name, err, svc.Finalizers)
			return
		}
	}
}

func (b *bed) change(t *testing.T, svc *dcv1.SwarmService, change func(*dcv1.SwarmServiceSpec)) {
	t.Helper()
	testenv.Update(t, b.Cluster, svc, func(s *dcv1.SwarmService) { change(&s.Spec) })
}

// until reads a service until check is content with it.
func (b *bed) until(t *testing.T, svc *dcv1.SwarmService, within time.Duration, check func(*dcv1.SwarmService) error) {
	t.Helper()
	testenv.Eventually(t, within, func(ctx context.Context) error {
		if err := b.Client.Get(ctx, client.ObjectKeyFromObject(svc), svc); err != nil {
			return err
		}
		return check(svc)
	})
}

// wait waits until Ready is want, as "True/Converged", at the newest generation.
func (b *bed) wait(t *testing.T, svc *dcv1.SwarmService, want string) {
	t.Helper()
	b.until(t, svc, soon, func(s *dcv1.SwarmService) error { return readyIs(s, want) })
}

func readyIs(s *dcv1.SwarmService, want string) error {
	ready := meta.FindStatusCondition(s.Status.Conditions, dcv1.ConditionReady)
	if ready == nil || reasonOf(s, dcv1.ConditionReady) != want || ready.ObservedGeneration != s.Generation {
		return fmt.Errorf("%s: Ready is %+v of generation %d, want %s", s.Name, ready, s.Generation, want)
	}
	return nil
}

// waitGone waits until an object is gone.
func (b *bed) waitGone(t *testing.T, obj client.Object) {
	t.Helper()
	testenv.Eventually(t, soon, func(ctx context.Context) error {
		err := b.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		if err == nil {
			return fmt.Errorf("%T %s is still there, with finalizers %v", obj, obj.GetName(), obj.GetFinalizers())
		}
		return client.IgnoreNotFound(err)
	})
}

// reasonOf is a condition as "True/Reason", or "" where there is none.
func reasonOf(s *dcv1.SwarmService, conditionType string) string {
	c := meta.FindStatusCondition(s.Status.Conditions, conditionType)
	if c == nil {
		return ""
	}
	return string(c.Status) + "/" + c.Reason
}

// wantStalled waits until a service is Stalled for a reason, and says so: the swarm may stop
// one task after another.
func (b *bed) wantStalled(t *testing.T, svc *dcv1.SwarmService, reason string, says ...string) {
	t.Helper()
	var stalled *metav1.Condition
	b.until(t, svc, soon, func(s *dcv1.SwarmService) error {
		if err := readyIs(s, "False/"+reason); err != nil {
			return err
		}
		stalled = meta.FindStatusCondition(s.Status.Conditions, dcv1.ConditionStalled)
		if stalled == nil || stalled.Status != metav1.ConditionTrue || stalled.Reason != reason {
			return fmt.Errorf("%s: Stalled is %+v, want True/%s", s.Name, stalled, reason)
		}
		for _, text := range says {
			if !strings.Contains(stalled.Message, text) {
				return fmt.Errorf("%s: Stalled says %q, want it to say %q", s.Name, stalled.Message, text)
			}
		}
		return nil
	})
	t.Logf("%s: %s", reason, stalled.Message)
}

// eventCounts are an object's Events, as "Warning Conflict". Those of the audit trail, one
// for each write to an engine, do not count, and no more do those of its arrival: where it
// comes soon, the Event of the change has it. Nor do those of tasks that swarm forgot to end,
// which it does now and then.
func (b *bed) eventCounts(t *testing.T, obj client.Object) map[string]int {
	t.Helper()
	var list eventsv1.EventList
	if err := b.Client.List(t.Context(), &list, client.InNamespace(obj.GetNamespace())); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, e := range list.Items {
		if e.Regarding.UID != obj.GetUID() || strings.HasPrefix(e.Reason, "EngineAction") || e.Reason == dcv1.ReasonConverged || e.Reason == dcv1.ReasonSurplusTasks {
			continue
		}
		n := 1
		if e.Series != nil {
			n = int(e.Series.Count)
		}
		counts[e.Type+" "+e.Reason] += n
	}
	return counts
}

// wantEvents waits until an object has these Events and no others, each as often as it is
// named.
func (b *bed) wantEvents(t *testing.T, obj client.Object, want ...string) {
	t.Helper()
	wanted := map[string]int{}
	for _, w := range want {
		wanted[w]++
	}
	testenv.Eventually(t, soon, func(context.Context) error {
		if got := b.eventCounts(t, obj); !maps.Equal(got, wanted) {
			return fmt.Errorf("%s has the events %v, want %v", obj.GetName(), got, wanted)
		}
		return nil
	})
}

// distribution is how many tasks run on which node.
func distribution(s *dcv1.SwarmService) map[string]int32 {
	on := map[string]int32{}
	for _, n := range s.Status.Distribution {
		on[n.Node] = n.Replicas
	}
	return on
}

func wantDistribution(s *dcv1.SwarmService, want map[string]int32) error {
	if got := distribution(s); !maps.Equal(got, want) {
		return fmt.Errorf("%s: tasks are distributed as %v, want %v", s.Name, got, want)
	}
	return nil
}

// wantReplicas checks the counts of a status.
func wantReplicas(t *testing.T, s *dcv1.SwarmService, n int32) {
	t.Helper()
	st := &s.Status
	if st.Replicas != n || st.RunningReplicas != n || st.UpdatedReplicas != n || st.DesiredReplicas != n || st.ReplicaSummary != fmt.Sprintf("%d/%d", n, n) {
		t.Errorf("%s: %d tasks, %d run, %d updated, %d desired, summary %s; want %d of each",
			s.Name, st.Replicas, st.RunningReplicas, st.UpdatedReplicas, st.DesiredReplicas, st.ReplicaSummary, n)
	}
}
