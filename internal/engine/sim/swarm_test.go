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

package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"
)

// testSwarm is a swarm of engines, the first of them managers.
func testSwarm(t *testing.T, managers, workers int) []*client {
	t.Helper()
	s := NewSwarm(SwarmOptions{NodeTimeout: 50 * time.Millisecond, TaskDelay: time.Millisecond})
	t.Cleanup(s.Close)
	var all []*client
	for i := range managers + workers {
		opts := Options{Name: fmt.Sprint("node-", i), Images: 1, Swarm: s, Role: swarm.NodeRoleManager}
		if i >= managers {
			opts.Role = swarm.NodeRoleWorker
		}
		all = append(all, serve(t, opts))
	}
	return all
}

// spec is a service that sleeps; change may change it.
func spec(name string, replicas uint64, change func(*swarm.ServiceSpec)) swarm.ServiceSpec {
	grace := time.Duration(0)
	s := swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: name},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: "app-0:1", Command: []string{"sleep", "1000"}, StopGracePeriod: &grace},
		},
		Mode:         swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &replicas}},
		UpdateConfig: &swarm.UpdateConfig{Parallelism: 1, Monitor: 50 * time.Millisecond},
	}
	if change != nil {
		change(&s)
	}
	return s
}

func (c *client) createService(s swarm.ServiceSpec) string {
	c.t.Helper()
	var out struct{ ID string }
	if err := json.Unmarshal(c.must(201, "POST", "/services/create", s), &out); err != nil {
		c.t.Fatal(err)
	}
	return out.ID
}

func (c *client) service(ref string) swarm.Service {
	c.t.Helper()
	var v swarm.Service
	c.read("/services/"+ref, &v)
	return v
}

// tasks are a service's tasks in a state, or all.
func (c *client) tasks(service string, state swarm.TaskState) []swarm.Task {
	c.t.Helper()
	var all, got []swarm.Task
	c.read("/tasks?filters="+escape(`{"service":["`+service+`"]}`), &all)
	for _, t := range all {
		if state == "" || t.Status.State == state {
			got = append(got, t)
		}
	}
	return got
}

func (c *client) waitRunning(service string, n int) []swarm.Task {
	c.t.Helper()
	var got []swarm.Task
	eventually(c.t, fmt.Sprint(n, " running tasks"), func() bool {
		got = c.tasks(service, swarm.TaskStateRunning)
		return len(got) == n
	})
	return got
}

func (c *client) updateService(ref string, s swarm.ServiceSpec) {
	c.t.Helper()
	c.must(200, "POST", fmt.Sprintf("/services/%s/update?version=%d", ref, c.service(ref).Version.Index), s)
}

func TestServices(t *testing.T) {
	nodes := testSwarm(t, 1, 2)
	c := nodes[0]
	id := c.createService(spec("web", 6, nil))
	c.must(409, "POST", "/services/create", spec("web", 1, nil))
	c.must(400, "POST", "/services/create", spec("bad name", 1, nil))
	c.must(400, "POST", "/services/create", spec("web2", 1, func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "" }))
	c.must(400, "POST", "/services/create", swarm.ServiceSpec{Annotations: swarm.Annotations{Name: "web3"}})
	tasks := c.waitRunning(id, 6)
	perNode := map[string]int{}
	for _, task := range tasks {
		perNode[task.NodeID]++
	}
	if len(perNode) != 3 || perNode[tasks[0].NodeID] != 2 {
		t.Errorf("the tasks are spread %v", perNode)
	}
	for _, n := range nodes {
		var list []struct{ Labels map[string]string }
		n.read("/containers/json", &list)
		if len(list) != 2 || list[0].Labels["com.docker.swarm.service.name"] != "web" {
			t.Errorf("a node has the containers %+v", list)
		}
	}
	c.updateService("web", spec("web", 2, nil))
	c.waitRunning(id, 2)
	var list []swarm.Service
	c.read("/services?status=true", &list)
	if len(list) != 1 || list[0].ServiceStatus == nil || *list[0].ServiceStatus != (swarm.ServiceStatus{RunningTasks: 2, DesiredTasks: 2}) {
		t.Errorf("the services are %+v", list)
	}
	c.must(500, "POST", "/services/web/update?version=1", spec("web", 1, nil))
	c.must(501, "POST", fmt.Sprint("/services/web/update?version=", list[0].Version.Index), spec("other", 1, nil))
	nodes[1].must(503, "GET", "/services", nil)
	c.must(200, "DELETE", "/services/web", nil)
	c.must(404, "GET", "/services/web", nil)
	eventually(t, "the containers to go", func() bool {
		left := 0
		for _, n := range nodes {
			var list []any
			n.read("/containers/json?all=1", &list)
			left += len(list)
		}
		return left == 0
	})
	var got []string
	for _, line := range told(t, c, "/events?since=1&filters="+escape(`{"type":["service"]}`), "service remove") {
		got = append(got, strings.TrimPrefix(line, "service "))
	}
	if !slices.Equal(got, []string{"create", "update", "remove"}) {
		t.Errorf("the events are %q", got)
	}
}

// waitUpdate waits for a service's update status.
func (c *client) waitUpdate(ref string, state swarm.UpdateState) swarm.Service {
	c.t.Helper()
	var v swarm.Service
	eventually(c.t, "the update to be "+string(state), func() bool {
		v = c.service(ref)
		return v.UpdateStatus != nil && v.UpdateStatus.State == state
	})
	return v
}

func TestRollingUpdate(t *testing.T) {
	for _, order := range []swarm.UpdateOrder{swarm.UpdateOrderStopFirst, swarm.UpdateOrderStartFirst} {
		c := testSwarm(t, 1, 0)[0]
		id := c.createService(spec("web", 3, nil))
		old := c.waitRunning(id, 3)
		c.updateService("web", spec("web", 3, func(s *swarm.ServiceSpec) {
			s.TaskTemplate.ContainerSpec.Env = []string{"A=b"}
			s.UpdateConfig.Order = order
		}))
		v := c.waitUpdate("web", swarm.UpdateStateCompleted)
		now := c.waitRunning(id, 3)
		for _, task := range now {
			if slices.ContainsFunc(old, func(o swarm.Task) bool { return o.ID == task.ID }) || task.Spec.ContainerSpec.Env == nil {
				t.Errorf("%s: the task %s was not replaced", order, task.ID)
			}
		}
		if v.PreviousSpec == nil || v.UpdateStatus.CompletedAt == nil {
			t.Errorf("%s: the service is %+v", order, v)
		}
	}
}

func TestFailedUpdate(t *testing.T) {
	for action, want := range map[swarm.FailureAction]swarm.UpdateState{
		swarm.UpdateFailureActionPause:    swarm.UpdateStatePaused,
		swarm.UpdateFailureActionRollback: swarm.UpdateStateRollbackCompleted,
		swarm.UpdateFailureActionContinue: swarm.UpdateStateCompleted,
	} {
		c := testSwarm(t, 1, 0)[0]
		good := spec("web", 2, func(s *swarm.ServiceSpec) {
			s.RollbackConfig = &swarm.UpdateConfig{Parallelism: 1, Monitor: 50 * time.Millisecond}
		})
		id := c.createService(good)
		c.waitRunning(id, 2)
		bad := good
		bad.TaskTemplate.ContainerSpec = &swarm.ContainerSpec{Image: "app-0:1", Command: []string{"sh", "-c", "exit 9"}}
		// A task's end must be within the monitor to count, and is late on a busy machine.
		bad.UpdateConfig = &swarm.UpdateConfig{Parallelism: 1, Monitor: limit, FailureAction: action}
		if action == swarm.UpdateFailureActionContinue {
			bad.UpdateConfig.Monitor = 50 * time.Millisecond // it has no end but this
		}
		c.updateService("web", bad)
		c.waitUpdate("web", want)
		if action == swarm.UpdateFailureActionRollback {
			c.waitRunning(id, 2)
		}
		var failed []swarm.Task
		eventually(t, "a failed task", func() bool {
			failed = c.tasks(id, swarm.TaskStateFailed)
			return len(failed) > 0
		})
		if failed[0].Status.Err != "task: non-zero exit (9)" || failed[0].Status.ContainerStatus.ExitCode != 9 {
			t.Errorf("%s: the failed tasks are %+v", action, failed)
		}
	}
}

func TestTaskRestarts(t *testing.T) {
	c := testSwarm(t, 1, 0)[0]
	delay, twice := time.Millisecond, uint64(2)
	id := c.createService(spec("flaky", 1, func(s *swarm.ServiceSpec) {
		s.TaskTemplate.ContainerSpec.Command = []string{"sh", "-c", "exit 3"}
		s.TaskTemplate.RestartPolicy = &swarm.RestartPolicy{Delay: &delay, MaxAttempts: &twice}
	}))
	eventually(t, "three failures", func() bool { return len(c.tasks(id, swarm.TaskStateFailed)) == 3 })
	missing := c.createService(spec("missing", 1, func(s *swarm.ServiceSpec) { s.TaskTemplate.ContainerSpec.Image = "nope:1" }))
	eventually(t, "a rejection", func() bool {
		all := c.tasks(missing, swarm.TaskStateRejected)
		return len(all) > 0 && all[0].Status.Err == "No such image: nope:1"
	})
}

func TestJob(t *testing.T) {
	c := testSwarm(t, 1, 0)[0]
	total, atOnce := uint64(3), uint64(2)
	id := c.createService(spec("job", 0, func(s *swarm.ServiceSpec) {
		s.UpdateConfig = nil
		s.Mode = swarm.ServiceMode{ReplicatedJob: &swarm.ReplicatedJob{TotalCompletions: &total, MaxConcurrent: &atOnce}}
		s.TaskTemplate.ContainerSpec.Command = []string{"true"}
	}))
	eventually(t, "the job to complete", func() bool { return len(c.tasks(id, swarm.TaskStateComplete)) == 3 })
	var list []swarm.Service
	c.read("/services?status=1", &list)
	if list[0].JobStatus == nil || list[0].ServiceStatus.CompletedTasks != 3 {
		t.Errorf("the job is %+v", list[0])
	}
}

func TestGlobalAndDrain(t *testing.T) {
	nodes := testSwarm(t, 1, 2)
	c := nodes[0]
	id := c.createService(spec("agent", 0, func(s *swarm.ServiceSpec) {
		s.Mode = swarm.ServiceMode{Global: &swarm.GlobalService{}}
		s.TaskTemplate.Placement = &swarm.Placement{Constraints: []string{"node.role==worker"}}
	}))
	c.waitRunning(id, 2)
	var list []swarm.Node
	c.read("/nodes", &list)
	worker := list[slices.IndexFunc(list, func(n swarm.Node) bool { return n.Description.Hostname == "node-1" })]
	worker.Spec.Availability = swarm.NodeAvailabilityDrain
	c.must(200, "POST", fmt.Sprintf("/nodes/%s/update?version=%d", worker.ID, worker.Version.Index), worker.Spec)
	c.must(500, "POST", fmt.Sprintf("/nodes/%s/update?version=%d", worker.ID, worker.Version.Index), worker.Spec)
	c.waitRunning(id, 1)
	replicated := c.createService(spec("nowhere", 1, func(s *swarm.ServiceSpec) {
		s.TaskTemplate.Placement = &swarm.Placement{Constraints: []string{"node.labels.zone == moon"}}
	}))
	eventually(t, "a pending task", func() bool {
		all := c.tasks(replicated, swarm.TaskStatePending)
		return len(all) == 1 && strings.HasPrefix(all[0].Status.Err, "no suitable node")
	})
}

// TestNodeDown is a worker's engine that stops: its tasks go elsewhere, and it
// comes back.
func TestNodeDown(t *testing.T) {
	nodes := testSwarm(t, 1, 2)
	c := nodes[0]
	id := c.createService(spec("web", 3, nil))
	c.waitRunning(id, 3)
	nodes[2].fault(Fault{Mode: Refuse})
	node := func() swarm.Node {
		var n swarm.Node
		c.read("/nodes/node-2", &n)
		return n
	}
	eventually(t, "the node to be down", func() bool { return node().Status.State == swarm.NodeStateDown })
	eventually(t, "its task to run elsewhere", func() bool {
		live := 0
		for _, task := range c.tasks(id, swarm.TaskStateRunning) {
			if task.NodeID != node().ID && task.DesiredState == swarm.TaskStateRunning {
				live++
			}
		}
		return live == 3
	})
	nodes[2].fault(Fault{})
	eventually(t, "the node to be back", func() bool { return node().Status.State == swarm.NodeStateReady })
	c.waitRunning(id, 3)
}

func TestManagers(t *testing.T) {
	nodes := testSwarm(t, 3, 0)
	leader := func(c *client) string {
		var list []swarm.Node
		c.read("/nodes", &list)
		for _, n := range list {
			if n.ManagerStatus != nil && n.ManagerStatus.Leader {
				return n.Description.Hostname
			}
		}
		return ""
	}
	if a, b := leader(nodes[0]), leader(nodes[2]); a != "node-0" || b != a {
		t.Errorf("the leader is %s, or %s", a, b)
	}
	nodes[0].fault(Fault{Mode: Refuse})
	if a := leader(nodes[2]); a != "node-1" {
		t.Errorf("the new leader is %s", a)
	}
	nodes[1].fault(Fault{Mode: Refuse})
	nodes[2].must(503, "GET", "/nodes", nil)
	var one, two struct{ Swarm swarm.Info }
	nodes[2].read("/info", &one)
	nodes[0].fault(Fault{})
	eventually(t, "the quorum to be back", func() bool {
		status, _, err := nodes[0].within(limit, "/nodes")
		return err == nil && status == 200
	})
	nodes[0].read("/info", &two)
	if one.Swarm.Cluster == nil || one.Swarm.Cluster.ID != two.Swarm.Cluster.ID || one.Swarm.NodeID == two.Swarm.NodeID || one.Swarm.Managers != 3 {
		t.Errorf("the managers' swarms are %+v and %+v", one.Swarm, two.Swarm)
	}
	var token swarm.Swarm
	nodes[0].read("/swarm", &token)
	if token.ID != two.Swarm.Cluster.ID || !strings.HasPrefix(token.JoinTokens.Worker, "SWMTKN-1-") {
		t.Errorf("the swarm is %+v", token)
	}
}
