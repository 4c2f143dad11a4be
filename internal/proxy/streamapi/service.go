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
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/target"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// maxEndedTasks is how many tasks that have ended are shown at the beginning, the newest:
// a swarm keeps five of each slot.
const maxEndedTasks = 50

// serviceSources picks the containers of a service's tasks, on all hosts of the swarm that
// the caller may read the logs of.
type serviceSources struct {
	c       *call
	list    *sourceList
	manager hostcache.Key
	id      string
	service string // its name
	follow  bool
	// past is true for who wants tasks that have ended, too.
	past bool
	// first are the tasks at the time asked, until those of the inventory are newer.
	first  []engine.Object
	asked  time.Time
	looked bool
}

// openService opens the logs of a service, which a manager of the swarm names.
func openService(ctx context.Context, c *call, manager hostcache.Key, q logQuery) (sourceSet, error) {
	id, name, err := c.h.service(ctx, manager, q.service)
	if err != nil {
		return nil, err
	}
	e, _, err := target.Find(c.h.options.Hosts, manager)
	if err != nil {
		return nil, err
	}
	// While nobody looked, the inventory's tasks may be 15 s old.
	asked := time.Now()
	tasks, err := e.List(ctx, engine.Tasks, engine.ListOptions{})
	if err != nil {
		return nil, err
	}
	hosts, err := c.followNamespace(ctx, logRight, manager.Namespace)
	if err != nil {
		return nil, err
	}
	list := newSourceList()
	p := &serviceSources{
		c: c, list: list, manager: manager, id: id, service: name, follow: q.Follow, past: !q.Follow || q.Tail != 0,
		first: append([]engine.Object{}, tasks...), asked: asked,
	}
	return openInventories(ctx, c, hosts, list, p, q.Follow)
}

// service finds a service by its id, its name or the beginning of its id: in the inventory,
// and then, as that is a moment late, at the engine.
func (h *Handler) service(ctx context.Context, manager hostcache.Key, name string) (id, found string, err error) {
	e, _, err := target.Find(h.options.Hosts, manager)
	if err != nil {
		return "", "", err
	}
	listing, err := h.options.Hosts.List(manager, engine.Services)
	if err != nil {
		return "", "", err // where the host is no manager, with what to do
	}
	o, missing := target.Object(engine.Services, listing.Items, name)
	if missing == nil {
		return o.ID, o.Name, nil
	}
	if !target.IsMissing(missing) {
		return "", "", missing
	}
	raw, err := e.Inspect(ctx, engine.Services, name)
	if engine.IsNotFound(err) {
		return "", "", missing
	}
	if err != nil {
		return "", "", err
	}
	made, err := engine.ParseObject(engine.Services, raw)
	if err != nil {
		return "", "", missing
	}
	return made.ID, made.Name, nil
}

// watched implements picker: the manager's inventory has the whole swarm.
func (p *serviceSources) watched(host hostcache.Key) (bellKey, bool) {
	return bellKey{host: host, swarm: true}, host == p.manager
}

// look implements picker. It looks at all of the service, whatever has changed.
func (p *serviceSources) look(hosts []allowedHost, _ map[hostcache.Key]bool) {
	tasks, err := p.c.h.options.Hosts.List(p.manager, engine.Tasks)
	if err == nil && !tasks.ObservedAt.Before(p.asked) {
		p.first = nil // they are older
	}
	items := p.first
	switch {
	case items != nil:
	case err != nil:
		p.list.notice("the tasks of service %s cannot be listed at present: %s", p.service, err)
		return // those that are known are read on
	default:
		items = tasks.Items
	}
	as := late
	switch {
	case p.looked:
	case p.past:
		as = whole
	default:
		as = early
	}
	p.looked = true
	p.list.replace(func(stream.LogSource) bool { return true }, p.choose(hosts, p.tasks(items)), as)
	if services, err := p.c.h.options.Hosts.List(p.manager, engine.Services); err == nil && p.gone(services.Items) {
		p.list.fix() // what is left is read to its end
	}
}

// gone reports whether the service was removed, with all of its tasks.
func (p *serviceSources) gone(services []engine.Object) bool {
	return !slices.ContainsFunc(services, func(o engine.Object) bool { return o.ID == p.id }) && len(p.list.everything()) == 0
}

// task is what matters of a task of the service.
type task struct {
	object *engine.Object
	Slot   int
	NodeID string
	Status struct{ ContainerStatus struct{ ContainerID string } }
}

// begun are states of tasks whose container ran.
var begun = []string{"running", "complete", "failed", "shutdown", "orphaned", "remove"}

func (t *task) running() bool { return t.object.State == "running" }

// tasks returns those of the service that have a log, of the ended ones the newest.
func (p *serviceSources) tasks(items []engine.Object) []task {
	var all []task
	for i := range items {
		o := &items[i]
		if o.ServiceID != p.id || !slices.Contains(begun, o.State) {
			continue
		}
		t := task{object: o}
		if json.Unmarshal(o.Raw, &t) == nil && t.Status.ContainerStatus.ContainerID != "" {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b task) int {
		return cmp.Or(compareBool(b.running(), a.running()), b.object.Created.Compare(a.object.Created))
	})
	ended := 0
	return slices.DeleteFunc(all, func(t task) bool {
		if !t.running() {
			ended++
		}
		return ended > maxEndedTasks
	})
}

// choose finds the hosts of tasks. What cannot be shown is said.
func (p *serviceSources) choose(hosts []allowedHost, tasks []task) (all []chosen) {
	readable := make(map[hostcache.Key]bool, len(hosts))
	for _, host := range hosts {
		readable[host.key] = true
	}
	swarm, _ := p.c.h.options.Hosts.SwarmOf(p.manager)
	nodes, _ := p.c.h.options.Hosts.List(p.manager, engine.Nodes)
	for i := range tasks {
		t := &tasks[i]
		node := nodeName(nodes.Items, t.NodeID)
		name := fmt.Sprintf("%s.%d", p.service, t.Slot)
		if t.Slot == 0 { // of a global service
			name = p.service + "." + node
		}
		host, declared := swarm.Hosts[t.NodeID]
		switch {
		case !declared:
			if t.running() {
				p.list.notice("what runs on node %s is not shown: it is no connected DockerHost of the namespace %s; declare it as one", node, p.manager.Namespace)
			}
			continue
		case !readable[host]:
			if t.running() {
				p.list.notice("what runs on node %s is not shown: you may not read its logs; %s", node, advice())
			}
			continue
		case !p.follow && !p.connected(host):
			p.list.notice("what runs on node %s is left out: its host %s is not connected", node, host.Name)
			continue
		}
		all = append(all, chosen{
			source: stream.LogSource{Host: host, Container: t.Status.ContainerStatus.ContainerID}, name: name, running: t.running(), began: true,
		})
	}
	return all
}

func (p *serviceSources) connected(host hostcache.Key) bool {
	state, _ := p.c.h.options.Hosts.State(host)
	return state.Connected()
}

// advice says how to get the right to read logs.
func advice() string {
	if role, ok := access.LeastRole(logRight); ok {
		return "a HostPermission with the role " + string(role) + " would allow it"
	}
	return "no HostPermission allows it"
}

// nodeName is a node's host name, its id where that is not known.
func nodeName(nodes []engine.Object, id string) string {
	i, found := slices.BinarySearchFunc(nodes, id, func(o engine.Object, id string) int { return cmp.Compare(o.ID, id) })
	if !found || nodes[i].Name == "" {
		return id
	}
	return nodes[i].Name
}
