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
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
)

// taskObject is one task. Its fields are guarded by Swarm.mu.
type taskObject struct {
	meta
	id        string
	service   *serviceObject
	slot      int
	key       string // the slot's or, of a global service, the node's
	node      *nodeObject
	spec      *swarm.ServiceSpec
	template  string
	iteration uint64
	state     swarm.TaskState
	desired   swarm.TaskState
	message   string
	failure   string
	stamp     int64
	container *containerObject
	pid       int
	exitCode  int
	notBefore int64 // a restart waits until then
	working   bool  // a goroutine starts or stops it
}

var taskOrder = []swarm.TaskState{
	swarm.TaskStateNew, swarm.TaskStateAllocated, swarm.TaskStatePending, swarm.TaskStateAssigned, swarm.TaskStateAccepted,
	swarm.TaskStatePreparing, swarm.TaskStateReady, swarm.TaskStateStarting, swarm.TaskStateRunning,
}

// over reports whether a task has ended.
func (t *taskObject) over() bool { return !slices.Contains(taskOrder, t.state) }

// live reports whether a task is, or is on its way to be, what its slot wants.
func (t *taskObject) live() bool {
	return !t.over() && (t.desired == swarm.TaskStateRunning || t.desired == swarm.TaskStateReady || t.desired == swarm.TaskStateComplete)
}

func (t *taskObject) name() string {
	if t.slot > 0 {
		return fmt.Sprintf("%s.%d.%s", t.spec.Name, t.slot, t.id)
	}
	return fmt.Sprintf("%s.%s.%s", t.spec.Name, t.key, t.id)
}

// set changes a task's state. Callers hold s.mu.
func (s *Swarm) set(t *taskObject, state swarm.TaskState, message, failure string) {
	t.state, t.message, t.failure = state, message, failure
	s.touch(&t.meta)
	t.stamp = t.updated
	s.tellChange()
}

// want changes what a task should become. Callers hold s.mu.
func (s *Swarm) want(t *taskObject, desired swarm.TaskState) {
	if t.desired == desired {
		return
	}
	t.desired = desired
	s.touch(&t.meta)
	s.tellChange()
}

func (s *Swarm) tellChange() {
	close(s.changed)
	s.changed = make(chan struct{})
	s.nudge()
}

func (s *Swarm) newTask(v *serviceObject, slot int, key string) *taskObject {
	t := &taskObject{
		id: swarmID("task", newID()), service: v, slot: slot, key: key, spec: v.spec, template: v.template, iteration: v.iteration,
		desired: swarm.TaskStateRunning,
	}
	if v.job() {
		t.desired = swarm.TaskStateComplete
	}
	s.set(t, swarm.TaskStateNew, "created", "")
	s.tasks, v.tasks = append(s.tasks, t), append(v.tasks, t)
	return t
}

// assign finds a node for a new task. Callers hold s.mu.
func (s *Swarm) assign(t *taskObject) {
	var best *nodeObject
	fewest, refused := 0, 0
	for _, n := range s.nodes {
		if !s.suits(n, t.spec) || t.slot == 0 && n.id != t.key && t.service.spec.Mode.ReplicatedJob == nil {
			refused++
			continue
		}
		count := 0
		for _, o := range t.service.tasks {
			if o.node == n && o.live() {
				count++
			}
		}
		if p := t.spec.TaskTemplate.Placement; p != nil && p.MaxReplicas > 0 && uint64(count) >= p.MaxReplicas {
			refused++
			continue
		}
		if best == nil || count < fewest {
			best, fewest = n, count
		}
	}
	if best == nil {
		failure := fmt.Sprintf("no suitable node (%d %s not available for new tasks)", refused, plural(refused, "node", "nodes"))
		if t.state != swarm.TaskStatePending || t.failure != failure {
			s.set(t, swarm.TaskStatePending, "pending task scheduling", failure)
		}
		return
	}
	t.node = best
	s.set(t, swarm.TaskStateAssigned, "scheduler assigned task to node", "")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// suits reports whether a node takes new tasks of the spec.
func (s *Swarm) suits(n *nodeObject, spec *swarm.ServiceSpec) bool {
	p := spec.TaskTemplate.Placement
	return n.ready() && n.engine != nil && n.availability == swarm.NodeAvailabilityActive && (p == nil || n.allows(p.Constraints))
}

// launch starts an assigned task's container on its node's engine.
func (s *Swarm) launch(t *taskObject, e *Engine) {
	if !s.advance(t, swarm.TaskStatePreparing, "preparing") || !s.pause(s.opts.TaskDelay) {
		s.settle(t)
		return
	}
	c, err := s.createTaskContainer(e, t)
	s.mu.Lock()
	if err != nil {
		s.set(t, swarm.TaskStateRejected, "preparing", err.Error())
		t.working = false
		s.mu.Unlock()
		return
	}
	t.container = c
	s.mu.Unlock()
	if !s.advance(t, swarm.TaskStateStarting, "starting") {
		s.settle(t)
		return
	}
	e.mu.Lock()
	err = e.startContainer(c)
	pid := c.state.pid
	e.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	t.working = false
	switch {
	case err != nil:
		s.set(t, swarm.TaskStateFailed, "starting", err.Error())
	case !t.over(): // it may have ended already
		t.pid = pid
		s.set(t, swarm.TaskStateRunning, "started", "")
	}
}

// advance moves a task on, unless it is no longer wanted.
func (s *Swarm) advance(t *taskObject, state swarm.TaskState, message string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.live() || s.ctx.Err() != nil {
		return false
	}
	s.set(t, state, message, "")
	return true
}

// settle ends the launch of a task that is no longer wanted.
func (s *Swarm) settle(t *taskObject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.working = false
	if !t.over() && s.ctx.Err() == nil {
		s.set(t, swarm.TaskStateShutdown, "shutdown", "")
	}
}

func (s *Swarm) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

func (s *Swarm) createTaskContainer(e *Engine, t *taskObject) (*containerObject, error) {
	c := t.spec.TaskTemplate.ContainerSpec
	labels := map[string]string{
		"com.docker.swarm.node.id": t.node.id, "com.docker.swarm.service.id": t.service.id, "com.docker.swarm.service.name": t.spec.Name,
		"com.docker.swarm.task": "", "com.docker.swarm.task.id": t.id, "com.docker.swarm.task.name": t.name(),
	}
	for k, v := range c.Labels {
		labels[k] = v
	}
	req := container.CreateRequest{
		Config: &container.Config{
			Image: c.Image, Entrypoint: c.Command, Cmd: c.Args, Env: c.Env, Labels: labels, Hostname: c.Hostname, User: c.User,
			WorkingDir: c.Dir, Tty: c.TTY, OpenStdin: c.OpenStdin, StopSignal: c.StopSignal,
		},
		HostConfig: &container.HostConfig{Init: c.Init, Mounts: c.Mounts, ReadonlyRootfs: c.ReadOnly, PortBindings: hostPorts(t.spec)},
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.ctx.Err(); err != nil {
		return nil, err
	}
	made, err := e.createContainer(t.name(), req)
	if err != nil {
		return nil, err
	}
	made.onExit = func(code int) { s.taskExited(t, code) }
	return made, nil
}

// hostPorts are the ports that a service publishes on its tasks' nodes.
func hostPorts(spec *swarm.ServiceSpec) network.PortMap {
	all := network.PortMap{}
	if spec.EndpointSpec == nil {
		return all
	}
	for _, p := range spec.EndpointSpec.Ports {
		port, ok := network.PortFrom(uint16(p.TargetPort), p.Protocol)
		if ok && p.PublishMode == swarm.PortConfigPublishModeHost {
			all[port] = append(all[port], network.PortBinding{HostPort: fmt.Sprint(p.PublishedPort)})
		}
	}
	return all
}

func (s *Swarm) taskExited(t *taskObject, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil || t.over() {
		return
	}
	t.pid, t.exitCode = 0, code
	switch {
	case t.desired == swarm.TaskStateShutdown || t.desired == swarm.TaskStateRemove:
		s.set(t, swarm.TaskStateShutdown, "shutdown", "")
	case code == 0:
		s.set(t, swarm.TaskStateComplete, "finished", "")
	default:
		s.set(t, swarm.TaskStateFailed, "started", fmt.Sprintf("task: non-zero exit (%d)", code))
	}
}

// halt stops a task's container, and removes what is to go.
func (s *Swarm) halt(t *taskObject) {
	s.mu.Lock()
	c, n, grace := t.container, t.node, defaultGrace
	if g := t.spec.TaskTemplate.ContainerSpec.StopGracePeriod; g != nil {
		grace = *g
	}
	var e *Engine
	if n != nil {
		e = n.engine
	}
	s.mu.Unlock()
	if e != nil && c != nil && e.isRunning(c) {
		_ = e.stop(s.ctx, c, grace)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.working = false
	if !t.over() && s.ctx.Err() == nil {
		s.set(t, swarm.TaskStateShutdown, "shutdown", "")
	}
	s.nudge()
}

// discard removes an ended task and its container. Callers hold s.mu.
func (s *Swarm) discard(t *taskObject) {
	this := func(o *taskObject) bool { return o == t }
	s.tasks, t.service.tasks = slices.DeleteFunc(s.tasks, this), slices.DeleteFunc(t.service.tasks, this)
	if t.container == nil || t.node == nil || t.node.engine == nil {
		return
	}
	e, c := t.node.engine, t.container
	s.spawn(func() { _ = e.remove(c, true, true) })
}

// taskJSON is a task as sent; volumes came with API 1.42.
type taskJSON struct {
	swarm.Task
	Volumes *[]swarm.VolumeAttachment `json:",omitempty"`
}

func (t *taskObject) json() taskJSON {
	spec := t.spec.TaskTemplate
	spec.Runtime = ""
	out := taskJSON{Task: swarm.Task{
		ID: t.id, Meta: t.meta.json(), Annotations: swarm.Annotations{Labels: map[string]string{}}, Spec: spec, ServiceID: t.service.id, Slot: t.slot,
		Status: swarm.TaskStatus{
			Timestamp: time.Unix(0, t.stamp).UTC(), State: t.state, Message: t.message, Err: t.failure,
		},
		DesiredState: t.desired,
	}}
	if t.node != nil {
		out.NodeID = t.node.id
	}
	if t.container != nil {
		out.Status.ContainerStatus = &swarm.ContainerStatus{ContainerID: t.container.id, PID: t.pid, ExitCode: t.exitCode}
	}
	if t.service.job() {
		out.JobIteration = &swarm.Version{Index: t.iteration}
	}
	return out
}

func (s *Swarm) listTasks(r *request) (int, any, error) {
	f, err := parseFilters(r)
	if err == nil {
		err = f.allow("id", "label", "name", "node", "service", "desired-state", "runtime", "_up-to-date")
	}
	if err != nil {
		return 0, nil, err
	}
	services, nodes := map[string]bool{}, map[string]bool{}
	for _, ref := range f["service"] {
		v, err := s.service(ref)
		if err != nil {
			return 0, nil, err
		}
		services[v.id] = true
	}
	for _, ref := range f["node"] {
		n, err := s.node(ref)
		if err != nil {
			return 0, nil, err
		}
		nodes[n.id] = true
	}
	list := []taskJSON{}
	for _, t := range s.tasks {
		if f.has("service") && !services[t.service.id] || f.has("node") && (t.node == nil || !nodes[t.node.id]) ||
			!f.prefix("id", t.id) || !f.prefix("name", t.name()) || !f.desired(t) || f.has("label") {
			continue
		}
		list = append(list, t.json())
	}
	slices.SortFunc(list, func(a, b taskJSON) int { return strings.Compare(a.ID, b.ID) })
	return http.StatusOK, list, nil
}

// desired applies the filter of that name; accepted is an alias of shutdown.
func (f filters) desired(t *taskObject) bool {
	return f.exact("desired-state", string(t.desired))
}

func (s *Swarm) inspectTask(r *request) (int, any, error) {
	t, err := byRef(s.tasks, "task", r.name, func(t *taskObject) string { return t.id }, func(t *taskObject) string { return t.name() })
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, t.json(), nil
}
