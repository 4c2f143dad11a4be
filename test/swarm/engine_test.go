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
	"net/url"
	"slices"
	"testing"

	engineswarm "github.com/moby/moby/api/types/swarm"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// manager is an engine that answers for the swarm. One that has just started does not, nor
// does any of them while there is no leader.
func (b *bed) manager(t *testing.T) (found *testbed.Dockerd) {
	t.Helper()
	testenv.Eventually(t, soon, func(context.Context) (err error) {
		for _, name := range managers {
			if _, err = b.engines[name].TryCall(http.MethodGet, "/swarm", nil); err == nil {
				found = b.engines[name]
				return nil
			}
		}
		return err
	})
	return found
}

// get reads from the swarm, past everything under test. A manager may not answer while
// another is leaving, or a leader is elected.
func get[T any](t *testing.T, b *bed, path string) (v T) {
	t.Helper()
	testenv.Eventually(t, soon, func(context.Context) (err error) {
		for _, name := range managers {
			answer, e := b.engines[name].TryCall(http.MethodGet, path, nil)
			if e == nil {
				return json.Unmarshal(answer, &v)
			}
			err = e
		}
		return err
	})
	return v
}

// service is the swarm's service of a name, nil where it has none.
func (b *bed) service(t *testing.T, name string) *engineswarm.Service {
	t.Helper()
	for _, v := range get[[]engineswarm.Service](t, b, "/services"+filter("name", name)) {
		if v.Spec.Name == name { // the filter goes by the beginning
			return &v
		}
	}
	return nil
}

func filter(key, value string) string {
	return "?filters=" + url.QueryEscape(fmt.Sprintf("{%q:[%q]}", key, value))
}

// tasks are those of a service that should run, or that completed.
func (b *bed) tasks(t *testing.T, svc *dcv1.SwarmService) []engineswarm.Task {
	t.Helper()
	list := get[[]engineswarm.Task](t, b, "/tasks"+filter("service", svc.Status.ServiceID))
	return slices.DeleteFunc(list, func(task engineswarm.Task) bool {
		return task.Status.State != engineswarm.TaskStateRunning && task.Status.State != engineswarm.TaskStateComplete ||
			task.DesiredState == engineswarm.TaskStateShutdown || task.DesiredState == engineswarm.TaskStateRemove
	})
}

// taskIDs are the ids of a service's tasks, sorted.
func (b *bed) taskIDs(t *testing.T, svc *dcv1.SwarmService) []string {
	t.Helper()
	var ids []string
	for _, task := range b.tasks(t, svc) {
		ids = append(ids, task.ID)
	}
	slices.Sort(ids)
	return ids
}

// updateByHand changes a service as `docker service update` does. The swarm itself writes
// to its services too, so that a version may be old by the time it is used.
func (b *bed) updateByHand(t *testing.T, name string, change func(*engineswarm.ServiceSpec)) {
	t.Helper()
	testenv.Eventually(t, soon, func(context.Context) error {
		v := b.service(t, name)
		change(&v.Spec)
		_, err := b.manager(t).TryCall(http.MethodPost, fmt.Sprintf("/services/%s/update?version=%d", v.ID, v.Version.Index), v.Spec)
		return err
	})
}

// createByHand creates a service that nobody owns, of one container that sleeps.
func (b *bed) createByHand(t *testing.T, name string) (id string) {
	t.Helper()
	var made struct{ ID string }
	answer := b.manager(t).Call(t, http.MethodPost, "/services/create", engineswarm.ServiceSpec{
		Annotations: engineswarm.Annotations{Name: name, Labels: map[string]string{"by": "hand"}},
		TaskTemplate: engineswarm.TaskSpec{ContainerSpec: &engineswarm.ContainerSpec{
			Image: image, Command: []string{"sleep", "1000"}, StopSignal: "SIGKILL",
		}},
		Mode:         engineswarm.ServiceMode{Replicated: &engineswarm.ReplicatedService{Replicas: ptr.To[uint64](1)}},
		EndpointSpec: &engineswarm.EndpointSpec{Mode: engineswarm.ResolutionModeDNSRR},
	})
	if err := json.Unmarshal(answer, &made); err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func (b *bed) removeByHand(t *testing.T, id string) {
	t.Helper()
	b.manager(t).Call(t, http.MethodDelete, "/services/"+id, nil)
}

// waitNoNetwork waits until the swarm has no network of a name. A node has one a moment
// longer than the swarm.
func (b *bed) waitNoNetwork(t *testing.T, name string) {
	t.Helper()
	testenv.Eventually(t, soon, func(context.Context) error {
		for _, n := range get[[]struct{ Name string }](t, b, "/networks") {
			if n.Name == name {
				return fmt.Errorf("the swarm still has the network %s", name)
			}
		}
		return nil
	})
}

// node is the node of an engine.
func (b *bed) node(t *testing.T, name string) *engineswarm.Node {
	t.Helper()
	for _, n := range get[[]engineswarm.Node](t, b, "/nodes") {
		if n.Description.Hostname == name {
			return &n
		}
	}
	t.Fatalf("the swarm has no node %s", name)
	return nil
}

// leader is the name of the manager that leads.
func (b *bed) leader(t *testing.T) string {
	t.Helper()
	for _, n := range get[[]engineswarm.Node](t, b, "/nodes") {
		if n.ManagerStatus != nil && n.ManagerStatus.Leader {
			return n.Description.Hostname
		}
	}
	t.Fatal("the swarm has no leader")
	return ""
}

// setAvailability is `docker node update --availability`.
func (b *bed) setAvailability(t *testing.T, name string, a engineswarm.NodeAvailability) {
	t.Helper()
	b.updateNode(t, name, func(n *engineswarm.NodeSpec) { n.Availability = a })
}

// updateNode changes a node, which the swarm itself writes to as well.
func (b *bed) updateNode(t *testing.T, name string, change func(*engineswarm.NodeSpec)) {
	t.Helper()
	testenv.Eventually(t, soon, func(context.Context) error {
		n := b.node(t, name)
		change(&n.Spec)
		_, err := b.manager(t).TryCall(http.MethodPost, fmt.Sprintf("/nodes/%s/update?version=%d", n.ID, n.Version.Index), n.Spec)
		return err
	})
}

// outputs are what the containers of a service have printed.
func (b *bed) outputs(t *testing.T, svc *dcv1.SwarmService) (outputs []string) {
	t.Helper()
	names := map[string]string{}
	for _, n := range get[[]engineswarm.Node](t, b, "/nodes") {
		names[n.ID] = n.Description.Hostname
	}
	for _, task := range b.tasks(t, svc) {
		id := task.Status.ContainerStatus.ContainerID
		outputs = append(outputs, string(b.engines[names[task.NodeID]].Call(t, http.MethodGet, "/containers/"+id+"/logs?stdout=1&stderr=1", nil)))
	}
	return outputs
}
