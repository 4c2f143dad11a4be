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
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// soonEnough is how soon a service should be what a test waits for.
const soonEnough = 10 * time.Second

// swarmBed is a swarm of simulated engines with a DockerHost each, and a manager.
type swarmBed struct {
	*testenv.Cluster
	t     *testing.T
	ns    string
	mgr   *testenv.Manager
	sims  []*sim.Swarm
	nodes []*simHost
	hosts []*dcv1.DockerHost
	// image is what real engines run.
	image string
}

// startSwarm makes a swarm of managers m0, m1 ... and workers after them.
func startSwarm(t *testing.T, managers, workers int) *swarmBed {
	t.Helper()
	cluster := testenv.Start(t)
	b := &swarmBed{Cluster: cluster, t: t, ns: cluster.Namespace(t)}
	b.mgr = cluster.StartManager(t, testenv.ManagerOptions(b.ns))
	b.join("m", managers, workers)
	return b
}

// join adds another swarm of engines, with hosts named by the prefix, and waits for them.
func (b *swarmBed) join(prefix string, managers, workers int) {
	b.t.Helper()
	b.swarm(prefix, managers, workers)
	for _, host := range b.hosts {
		b.WaitReady(b.t, host, "True/Connected", 5*time.Second)
	}
}

func (b *swarmBed) swarm(prefix string, managers, workers int) {
	b.t.Helper()
	s := sim.NewSwarm(sim.SwarmOptions{Seed: b.ns + prefix, NodeTimeout: 500 * time.Millisecond, TaskDelay: time.Millisecond})
	b.t.Cleanup(s.Close)
	b.sims = append(b.sims, s)
	for i := range managers + workers {
		opts := sim.Options{Name: fmt.Sprint(prefix, i), Seed: b.ns + fmt.Sprint(prefix, i), Images: 2, Swarm: s, Role: engineswarm.NodeRoleManager}
		if i >= managers {
			opts.Role = engineswarm.NodeRoleWorker
		}
		node := startSim(b.t, opts)
		host := testenv.NewHost(b.ns, opts.Name, node.endpoint())
		b.Create(b.t, host)
		b.nodes, b.hosts = append(b.nodes, node), append(b.hosts, host)
	}
}

// newService is a service of simulated containers that sleep.
func (b *swarmBed) newService(name string, change func(*dcv1.SwarmServiceSpec)) *dcv1.SwarmService {
	none, quick := &metav1.Duration{}, &metav1.Duration{Duration: 100 * time.Millisecond}
	svc := &dcv1.SwarmService{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name},
		Spec: dcv1.SwarmServiceSpec{
			HostRef:      dcv1.LocalDockerHostReference{Name: "m0"},
			Replicas:     ptr.To[int32](2),
			UpdateConfig: &dcv1.SwarmUpdateConfig{Monitor: quick},
		},
	}
	svc.Spec.Image, svc.Spec.Command, svc.Spec.StopGracePeriod = "app-0:1", []string{"sleep"}, none
	svc.Spec.Args = []string{"1000"}
	svc.Spec.RestartPolicy = &dcv1.SwarmRestartPolicy{Delay: quick}
	if change != nil {
		change(&svc.Spec)
	}
	return svc
}

// run creates a service and waits until it runs.
func (b *swarmBed) run(name string, change func(*dcv1.SwarmServiceSpec)) *dcv1.SwarmService {
	b.t.Helper()
	svc := b.newService(name, change)
	b.Create(b.t, svc)
	b.wait(svc, "True/Converged")
	return svc
}

func (b *swarmBed) change(svc *dcv1.SwarmService, change func(*dcv1.SwarmServiceSpec)) {
	b.t.Helper()
	testenv.Update(b.t, b.Cluster, svc, func(s *dcv1.SwarmService) { change(&s.Spec) })
}

// wait waits until Ready is want, as "True/Converged", at the newest generation.
func (b *swarmBed) wait(svc *dcv1.SwarmService, want string) {
	b.t.Helper()
	b.until(svc, func(s *dcv1.SwarmService) error {
		ready := meta.FindStatusCondition(s.Status.Conditions, dcv1.ConditionReady)
		if ready == nil || string(ready.Status)+"/"+ready.Reason != want || ready.ObservedGeneration != s.Generation {
			return fmt.Errorf("%s: Ready is %+v of generation %d, want %s", s.Name, ready, s.Generation, want)
		}
		return nil
	})
}

func (b *swarmBed) until(svc *dcv1.SwarmService, check func(*dcv1.SwarmService) error) {
	b.t.Helper()
	testenv.Eventually(b.t, soonEnough, func(ctx context.Context) error {
		if err := b.Client.Get(ctx, client.ObjectKeyFromObject(svc), svc); err != nil {
			return err
		}
		return check(svc)
	})
}

// condition is "True/Reason: message", or "" where there is none.
func condition(svc *dcv1.SwarmService, conditionType string) string {
	c := meta.FindStatusCondition(svc.Status.Conditions, conditionType)
	if c == nil {
		return ""
	}
	return string(c.Status) + "/" + c.Reason + ": " + c.Message
}

// waitSays waits until a condition says something.
func (b *swarmBed) waitSays(svc *dcv1.SwarmService, conditionType, says string) {
	b.t.Helper()
	b.until(svc, func(s *dcv1.SwarmService) error {
		if c := condition(s, conditionType); !strings.Contains(c, says) {
			return fmt.Errorf("%s: %s is %q, want it to say %q", s.Name, conditionType, c, says)
		}
		return nil
	})
}

func (b *swarmBed) wantCondition(svc *dcv1.SwarmService, conditionType, want string, says ...string) {
	b.t.Helper()
	got := condition(svc, conditionType)
	if !strings.HasPrefix(got, want) {
		b.t.Errorf("%s: %s is %q, want %s", svc.Name, conditionType, got, want)
	}
	for _, s := range says {
		if !strings.Contains(got, s) {
			b.t.Errorf("%s: %s is %q, want it to say %q", svc.Name, conditionType, got, s)
		}
	}
}

// onEngine is a service as the swarm has it, nil where it has none.
func (b *swarmBed) onEngine(name string) *engineswarm.Service {
	b.t.Helper()
	for _, s := range b.engineServices() {
		if s.Spec.Name == name {
			return &s
		}
	}
	return nil
}

func (b *swarmBed) engineServices() []engineswarm.Service {
	b.t.Helper()
	var list []engineswarm.Service
	if err := json.Unmarshal([]byte(unixCall(b.t, b.nodes[0].socket, http.MethodGet, "/services", "")), &list); err != nil {
		b.t.Fatal(err)
	}
	return list
}

// byHand changes a service as a user of docker would. A swarm itself writes to its
// services, so that a version may be old by the time it is used.
func (b *swarmBed) byHand(name string, change func(*engineswarm.ServiceSpec)) {
	b.t.Helper()
	testenv.Eventually(b.t, soonEnough, func(context.Context) error {
		v := b.onEngine(name)
		change(&v.Spec)
		body, err := json.Marshal(v.Spec)
		if err != nil {
			b.t.Fatal(err)
		}
		_, err = tryUnixCall(b.t, b.nodes[0].socket, http.MethodPost, fmt.Sprintf("/services/%s/update?version=%d", v.ID, v.Version.Index), string(body))
		return err
	})
}

// createByHand creates a service that nobody owns.
func (b *swarmBed) createByHand(name string, labels map[string]string, replicas uint64) string {
	b.t.Helper()
	body, err := json.Marshal(engineswarm.ServiceSpec{
		Annotations: engineswarm.Annotations{Name: name, Labels: labels},
		TaskTemplate: engineswarm.TaskSpec{ContainerSpec: &engineswarm.ContainerSpec{
			Image: "app-0:1", Command: []string{"sleep", "500"}, StopGracePeriod: new(time.Duration),
		}},
		Mode: engineswarm.ServiceMode{Replicated: &engineswarm.ReplicatedService{Replicas: &replicas}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(unixCall(b.t, b.nodes[0].socket, http.MethodPost, "/services/create", string(body))), &made); err != nil {
		b.t.Fatal(err)
	}
	return made.ID
}

func (b *swarmBed) removeByHand(id string) {
	b.t.Helper()
	unixCall(b.t, b.nodes[0].socket, http.MethodDelete, "/services/"+id, "")
}

// waitGone waits until an object is gone.
func (b *swarmBed) waitGone(obj client.Object) {
	b.t.Helper()
	testenv.Eventually(b.t, soonEnough, func(ctx context.Context) error {
		err := b.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		if err == nil {
			return fmt.Errorf("%s is still there: %v", obj.GetName(), obj.GetFinalizers())
		}
		return client.IgnoreNotFound(err)
	})
}

// waitEngine waits until the swarm's service is what check wants.
func (b *swarmBed) waitEngine(name string, check func(*engineswarm.Service) error) {
	b.t.Helper()
	testenv.Eventually(b.t, 2*time.Second, func(context.Context) error { return check(b.onEngine(name)) })
}

// events are an object's Events.
func (b *swarmBed) events(ctx context.Context, obj client.Object) ([]eventsv1.Event, error) {
	var all eventsv1.EventList
	if err := b.Client.List(ctx, &all, client.InNamespace(b.ns)); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all.Items, func(e eventsv1.Event) bool { return e.Regarding.UID != obj.GetUID() }), nil
}
