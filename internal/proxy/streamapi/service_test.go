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

package streamapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// counting is a command that writes numbered lines.
const counting = `i=0; while true; do i=$((i+1)); echo "$i"; sleep 0.05; done`

// swarmBed has a swarm of simulated nodes: a manager and two workers, of which one is no
// DockerHost.
type swarmBed struct {
	*fleetBed
	manager hostcache.Key
}

func newSwarmBed(t *testing.T) *swarmBed {
	t.Helper()
	b := &swarmBed{fleetBed: newFleetBed(t)}
	s := sim.NewSwarm(sim.SwarmOptions{TaskDelay: time.Millisecond})
	t.Cleanup(s.Close)
	_, b.manager = b.host("manager", sim.Options{Swarm: s, Role: swarm.NodeRoleManager}, nil)
	b.host("worker", sim.Options{Swarm: s, Role: swarm.NodeRoleWorker}, nil)
	stranger := sim.New(sim.Options{Name: "stranger", Images: 1, Swarm: s, Role: swarm.NodeRoleWorker})
	t.Cleanup(stranger.Close)
	b.eventually("the nodes are listed", func() bool {
		nodes, err := b.cache.List(b.manager, engine.Nodes)
		known, _ := b.cache.SwarmOf(b.manager)
		return err == nil && len(nodes.Items) == 3 && len(known.Hosts) == 2
	})
	return b
}

func (b *swarmBed) live() engine.Engine {
	b.Helper()
	e, err := b.cache.Engine(b.manager)
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// service makes a service whose tasks run a script on some nodes.
func (b *swarmBed) service(name, script string, mode swarm.ServiceMode, constraints ...string) (id string) {
	b.Helper()
	grace := time.Duration(0)
	id, err := b.live().ServiceCreate(b.Context(), swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: name}, Mode: mode,
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: "app-0:1", Command: []string{"sh", "-c", script}, StopGracePeriod: &grace},
			Placement:     &swarm.Placement{Constraints: constraints},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return id
}

func replicated(n uint64) swarm.ServiceMode {
	return swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &n}}
}

// force has all tasks of a service replaced.
func (b *swarmBed) force(id string) {
	b.Helper()
	raw, err := b.live().Inspect(b.Context(), engine.Services, id)
	if err != nil {
		b.Fatal(err)
	}
	var v swarm.Service
	if err := json.Unmarshal(raw, &v); err != nil {
		b.Fatal(err)
	}
	v.Spec.TaskTemplate.ForceUpdate++
	if err := b.live().ServiceUpdate(b.Context(), id, v.Version.Index, v.Spec); err != nil {
		b.Fatal(err)
	}
}

// TestServiceLogs follows a service on two nodes through an update: each task's lines are
// there, once and in their order.
func TestServiceLogs(t *testing.T) {
	b := newSwarmBed(t)
	id := b.service("web", counting, replicated(2), "node.hostname!=stranger")
	b.eventually("two tasks run", func() bool { return b.tasks(id, "running") == 2 })
	lines := b.logs("ann", b.path(b.manager, "log"), "service", "web", "follow", "true")
	next := map[string]int{}
	take := func(until int) {
		t.Helper()
		lines.until("lines of "+strconv.Itoa(until)+" tasks", func(l lineSeen) bool {
			if l.Type != "" {
				return false
			}
			if next[l.Container]++; strconv.Itoa(next[l.Container]) != l.Text {
				t.Fatalf("%s %.12s wrote %q, want %d", l.Name, l.Container, l.Text, next[l.Container])
			}
			if l.Name != "web.1" && l.Name != "web.2" {
				t.Errorf("a task is named %q", l.Name)
			}
			full := 0
			for _, n := range next {
				if n >= 20 {
					full++
				}
			}
			return full >= until
		})
	}
	take(2)
	b.force(id)
	take(4)
	if err := b.live().ServiceRemove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for _, l := range lines.all() { // it ends with the service
		if l.Type == "" {
			if next[l.Container]++; strconv.Itoa(next[l.Container]) != l.Text {
				t.Errorf("at the end %.12s wrote %q, want %d", l.Container, l.Text, next[l.Container])
			}
		}
	}
	if len(next) != 4 {
		t.Errorf("%d tasks wrote, want 4", len(next))
	}
}

// tasks counts those of a service in a state, as they are listed.
func (b *swarmBed) tasks(service, state string) (n int) {
	listing, _ := b.cache.List(b.manager, engine.Tasks)
	for _, o := range listing.Items {
		if o.ServiceID == service && o.State == state {
			n++
		}
	}
	return n
}

// tasksNow counts them as the engine does, which the inventory follows in a while.
func (b *swarmBed) tasksNow(service, state string) (n int) {
	b.Helper()
	all, err := b.live().List(b.Context(), engine.Tasks, engine.ListOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for _, o := range all {
		if o.ServiceID == service && o.State == state {
			n++
		}
	}
	return n
}

// TestServiceLogsOnce reads what tasks have written, those that have ended too.
func TestServiceLogsOnce(t *testing.T) {
	b := newSwarmBed(t)
	id := b.service("job", "echo done; sleep 0.1", replicated(1), "node.hostname==worker")
	b.eventually("two tasks have ended", func() bool { return b.tasksNow(id, "complete") >= 2 })
	for _, name := range []string{"job", id, id[:10]} {
		var got []string
		for _, l := range b.logs("ann", b.path(b.manager, "log"), "service", name).all() {
			if l.Type == "" {
				got = append(got, l.Host+"/"+l.Name+" "+l.Text)
			}
		}
		if len(got) < 2 || slices.ContainsFunc(got, func(s string) bool { return s != "worker/job.1 done" }) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestServiceLogsLeaveOut: what runs where there is no host, or no right, is named.
func TestServiceLogsLeaveOut(t *testing.T) {
	b := newSwarmBed(t)
	id := b.service("agent", talk("hello"), swarm.ServiceMode{Global: &swarm.GlobalService{}})
	b.eventually("it runs on all nodes", func() bool { return b.tasks(id, "running") == 3 })
	worker := key("worker")
	b.rights.deny("eve", worker, access.Log, true)
	lines := b.logs("eve", b.path(b.manager, "log"), "service", "agent", "follow", "true")
	var notices []string
	texts := map[string]bool{}
	lines.until("a line and two notices", func(l lineSeen) bool {
		switch l.Type {
		case "notice":
			notices = append(notices, l.Message)
		case "":
			texts[l.Name+" "+l.Text] = true
		}
		return len(notices) == 2 && len(texts) == 1
	})
	if slices.Sort(notices); !strings.Contains(notices[0], "stranger") || !strings.Contains(notices[0], "declare") || !strings.Contains(notices[1], "worker") || !strings.Contains(notices[1], "Viewer") {
		t.Errorf("the notices are %q", notices)
	}
	if !texts["agent.manager hello"] {
		t.Errorf("the lines are %v", texts)
	}
	b.rights.deny("eve", worker, access.Log, false)
	lines.until("the node that may be read now", func(l lineSeen) bool { return l.Name == "agent.worker" && l.Text == "hello" })
	// There is a word where there is no line at all.
	lost := b.service("lost", talk("lost"), replicated(1), "node.hostname==stranger")
	b.eventually("it runs", func() bool { return b.tasks(lost, "running") == 1 })
	if l, _ := b.logs("ann", b.path(b.manager, "log"), "service", "lost", "follow", "true").next(); l.Type != "notice" {
		t.Errorf("of a service that cannot be seen comes %+v", l)
	}
}

func TestServiceLogsRefusals(t *testing.T) {
	b := newSwarmBed(t)
	one := b.service("web-one", talk("x"), replicated(1))
	b.eventually("it is listed", func() bool { return b.tasks(one, "running") == 1 })
	b.status(b.get("ann", b.path(b.manager, "log?service=none")), http.StatusNotFound)
	s := b.status(b.get("ann", b.path(key("worker"), "log?service=web-one")), http.StatusConflict)
	if !strings.Contains(s.Message, "manager") {
		t.Errorf("a worker says %q", s.Message)
	}
	b.status(b.get("ann", b.path(b.manager, "log?service=web-one&container=x")), http.StatusBadRequest)
	b.status(b.get("ann", fleetLog+"?service=web-one"), http.StatusBadRequest)
	b.rights.deny("eve", b.manager, access.Log, true)
	b.status(b.get("eve", b.path(b.manager, "log?service=none")), http.StatusForbidden)
}
