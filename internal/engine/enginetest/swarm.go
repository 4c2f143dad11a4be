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

package enginetest

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/moby/moby/api/types/swarm"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func (s *suite) testSwarm(t *testing.T) {
	if !s.Swarm {
		t.Run("no manager", s.testNoManager)
		return
	}
	subtests(t, []subtest{
		{"service and its tasks", s.testService},
		{"update out of sequence", s.testServiceSequence},
		{"update and rollback in JSON", s.testServiceRaw},
		{"errors", s.testServiceErrors},
		{"secrets", s.testSecrets},
		{"configs", s.testConfigs},
		{"its host and bridge", s.testSwarmPredefined},
		{"networks of the engine's own", s.testSwarmLocalNetwork},
		{"networks of the swarm", s.testSwarmNetwork},
		{"node", s.testNode},
		{"node update", s.testNodeUpdate},
	})
}

func (s *suite) testNoManager(t *testing.T) {
	_, err := s.e.ServiceCreate(s.context(t), s.serviceSpec(s.name("svc"), 1, nil))
	s.want(t, "create a service without a swarm", err, engine.ClassConflict)
}

func (s *suite) serviceSpec(name string, replicas uint64, labels map[string]string) swarm.ServiceSpec {
	return swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: name, Labels: labels},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: s.Image, Command: []string{"sleep", "1000"}, StopSignal: "SIGKILL"},
		},
		Mode: swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &replicas}},
	}
}

// createService creates a service that is removed after the test, with its tasks.
func (s *suite) createService(t testing.TB, spec swarm.ServiceSpec) string {
	t.Helper()
	id, err := s.e.ServiceCreate(s.context(t), spec)
	s.must(t, "create a service", err)
	s.cleanup(t, "remove the service", func(ctx context.Context) error { return s.e.ServiceRemove(ctx, id) })
	return id
}

// tasks lists a service's tasks that are in a state.
func (s *suite) tasks(t testing.TB, service, state string) []engine.Object {
	t.Helper()
	all, err := s.e.List(s.context(t), engine.Tasks, engine.ListOptions{})
	s.must(t, "list tasks", err)
	var found []engine.Object
	for _, o := range all {
		if o.ServiceID == service && o.State == state {
			found = append(found, o)
		}
	}
	return found
}

// waitTasks waits until n tasks of a service run.
func (s *suite) waitTasks(t testing.TB, service string, n int) []engine.Object {
	t.Helper()
	var found []engine.Object
	eventually(t, "tasks to run", func() bool {
		found = s.tasks(t, service, "running")
		return len(found) == n
	})
	return found
}

func (s *suite) service(t testing.TB, id string) swarm.Service {
	t.Helper()
	var v swarm.Service
	s.inspectInto(t, engine.Services, id, &v)
	return v
}

func (s *suite) testService(t *testing.T) {
	ctx := s.context(t)
	info, err := s.e.Info(ctx)
	s.must(t, "info", err)
	spec := s.serviceSpec(s.name("svc"), 1, map[string]string{"tier": "back"})
	id := s.createService(t, spec)
	first := s.waitTasks(t, id, 1)[0]
	if first.NodeID != info.Swarm.NodeID {
		t.Errorf("the task is on node %q; want %q", first.NodeID, info.Swarm.NodeID)
	}
	v := s.service(t, id)
	if v.Spec.Name != spec.Name || v.Spec.Labels["tier"] != "back" || v.Spec.TaskTemplate.ContainerSpec.Image != s.Image {
		t.Errorf("the service is %+v", v.Spec)
	}
	o, _ := s.find(t, engine.Services, id)
	if o.Version != v.Version.Index || o.Name != spec.Name || o.Labels["tier"] != "back" {
		t.Errorf("it is listed as %q, version %d, labels %v; it has the version %d", o.Name, o.Version, o.Labels, v.Version.Index)
	}

	of, err := s.e.List(ctx, engine.Tasks, engine.ListOptions{Service: id})
	if s.must(t, "list the service's tasks", err); len(of) != 1 || of[0].ID != first.ID {
		t.Errorf("the service's tasks are %+v, want %s", of, first.ID)
	}

	two := uint64(2)
	spec.Mode.Replicated.Replicas = &two
	s.must(t, "scale to 2", s.e.ServiceUpdate(ctx, id, o.Version, spec))
	s.waitTasks(t, id, 2)
	after := s.service(t, id)
	if after.Version.Index <= o.Version || after.PreviousSpec == nil {
		t.Errorf("after the update it has the version %d, before %d, the spec before that %v", after.Version.Index, o.Version, after.PreviousSpec)
	}
	if _, ok := s.find(t, engine.Tasks, first.ID); !ok {
		t.Error("scaling replaced the first task")
	}
	s.checkTask(t, first.ID, id)

	s.must(t, "remove", s.e.ServiceRemove(ctx, id))
	_, err = s.e.Inspect(ctx, engine.Services, id)
	s.want(t, "inspect of a removed service", err, engine.ClassNotFound)
	eventually(t, "tasks to go", func() bool { return len(s.tasks(t, id, "running")) == 0 })
}

func (s *suite) checkTask(t *testing.T, id, service string) {
	t.Helper()
	var task swarm.Task
	s.inspectInto(t, engine.Tasks, id, &task)
	if task.ServiceID != service || task.Slot != 1 || task.DesiredState != swarm.TaskStateRunning || task.Spec.ContainerSpec.Image != s.Image {
		t.Errorf("the task is %+v", task)
	}
	status := task.Status.ContainerStatus
	if status == nil || status.PID <= 0 {
		t.Fatalf("the task's container is %+v", status)
	}
	if c := s.inspect(t, status.ContainerID); !c.State.Running || c.Config.Labels["com.docker.swarm.service.id"] != service {
		t.Errorf("the task's container is %+v", c)
	}
}

func (s *suite) testServiceSequence(t *testing.T) {
	ctx := s.context(t)
	spec := s.serviceSpec(s.name("svc"), 0, nil)
	id := s.createService(t, spec)
	version := s.service(t, id).Version.Index
	spec.Labels = map[string]string{"n": "1"}
	s.must(t, "update", s.e.ServiceUpdate(ctx, id, version, spec))
	spec.Labels = map[string]string{"n": "2"}
	s.want(t, "update of an old version", s.e.ServiceUpdate(ctx, id, version, spec), engine.ClassConflict)
	s.want(t, "update of a version to come", s.e.ServiceUpdate(ctx, id, version+1000, spec), engine.ClassConflict)
	if v := s.service(t, id); v.Spec.Labels["n"] != "1" {
		t.Errorf("a refused update changed the service: %v", v.Spec.Labels)
	}
}

func (s *suite) testServiceErrors(t *testing.T) {
	ctx := s.context(t)
	spec := s.serviceSpec(s.name("svc"), 0, nil)
	id := s.createService(t, spec)
	_, err := s.e.ServiceCreate(ctx, spec)
	s.want(t, "create a service of the same name", err, engine.ClassConflict)
	_, err = s.e.ServiceCreate(ctx, s.serviceSpec("not a name", 0, nil))
	s.want(t, "create a service with a bad name", err, engine.ClassInvalid)
	version := s.service(t, id).Version.Index
	renamed := s.serviceSpec(s.name("svc"), 0, nil)
	if err := s.e.ServiceUpdate(ctx, id, version, renamed); err == nil {
		t.Error("a service was renamed")
	}
	unknown := unknownID(engine.Services)
	s.want(t, "update an unknown service", s.e.ServiceUpdate(ctx, unknown, 1, spec), engine.ClassNotFound)
	s.want(t, "remove an unknown service", s.e.ServiceRemove(ctx, unknown), engine.ClassNotFound)
}

func (s *suite) testNode(t *testing.T) {
	info, err := s.e.Info(s.context(t))
	s.must(t, "info", err)
	nodes, err := s.e.List(s.context(t), engine.Nodes, engine.ListOptions{})
	s.must(t, "list nodes", err)
	if len(nodes) != 1 || nodes[0].ID != info.Swarm.NodeID || nodes[0].NodeID != info.Swarm.NodeID {
		t.Fatalf("the nodes are %+v; want the engine itself, %s", nodes, info.Swarm.NodeID)
	}
	var n swarm.Node
	if err := json.Unmarshal(nodes[0].Raw, &n); err != nil {
		t.Fatal(err)
	}
	if n.Spec.Role != swarm.NodeRoleManager || n.Spec.Availability != swarm.NodeAvailabilityActive || n.ManagerStatus == nil || !n.ManagerStatus.Leader {
		t.Errorf("the node is %+v, %+v; want an active leader", n.Spec, n.ManagerStatus)
	}
	if n.Description.Engine.EngineVersion != info.ServerVersion || n.Description.Resources.NanoCPUs != int64(info.NCPU)*1e9 || n.Description.Resources.MemoryBytes != info.MemTotal {
		t.Errorf("the node's description is %+v; info says %+v", n.Description, info)
	}
}
