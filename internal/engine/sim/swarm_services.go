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
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
)

// serviceObject is one service. Its fields are guarded by Swarm.mu; a spec is
// never changed once it is set.
type serviceObject struct {
	meta
	id       string
	spec     *swarm.ServiceSpec
	previous *swarm.ServiceSpec
	status   *swarm.UpdateStatus
	tasks    []*taskObject // those of Swarm.tasks that are its own
	endpoint swarm.Endpoint
	// template is the task template as JSON: what tells whether a task is old.
	template string
	// iteration and executed are a job's.
	iteration uint64
	executed  int64
	// busy are the slots that an update is replacing.
	busy map[string]bool
	// attempts are the restarts of each slot since the template changed.
	attempts map[string]uint64
	rollout  *rollout
	removed  bool
	// missed: the orchestrator overlooks the tasks that are too many.
	missed bool
}

var (
	errOutOfSequence = errorf(http.StatusInternalServerError, "rpc error: code = Unknown desc = update out of sequence")
	serviceName      = regexp.MustCompile(`^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$`)
	imageName        = regexp.MustCompile(`^[a-z0-9][a-zA-Z0-9._:/@-]*$`)
)

func invalid(format string, args ...any) error {
	return errorf(http.StatusBadRequest, "rpc error: code = InvalidArgument desc = %s", fmt.Sprintf(format, args...))
}

// maxTasks bounds what one service makes.
const maxTasks = 10_000

// checkService says what is wrong with a spec, and fills in what the engine does.
func checkService(spec *swarm.ServiceSpec) error {
	c := spec.TaskTemplate.ContainerSpec
	switch {
	case c == nil:
		return errorf(http.StatusBadRequest, "mismatched Runtime and *Spec fields")
	case len(spec.Name) > 63:
		return invalid("name must be 63 characters or fewer")
	case !serviceName.MatchString(spec.Name):
		return invalid("name must be valid as a DNS name component")
	case c.Image == "":
		return invalid("ContainerSpec: image reference must be provided")
	case !imageName.MatchString(c.Image):
		return invalid("ContainerSpec: %q is not a valid repository/tag", c.Image)
	}
	if spec.Labels == nil {
		spec.Labels = map[string]string{}
	}
	if c.Isolation == "" {
		c.Isolation = container.IsolationDefault
	}
	spec.TaskTemplate.Runtime = swarm.RuntimeContainer
	if err := checkMode(&spec.Mode); err != nil {
		return err
	}
	if err := checkEnv(c.Env); err != nil {
		return err
	}
	if p := spec.TaskTemplate.RestartPolicy; p != nil {
		if p.Condition == "" {
			p.Condition = swarm.RestartPolicyConditionAny
		}
		if p.MaxAttempts == nil {
			p.MaxAttempts = new(uint64)
		}
	}
	for _, u := range []*swarm.UpdateConfig{spec.UpdateConfig, spec.RollbackConfig} {
		if u != nil && u.Order == "" {
			u.Order = swarm.UpdateOrderStopFirst
		}
		if u != nil && u.FailureAction == "" {
			u.FailureAction = swarm.UpdateFailureActionPause
		}
	}
	if es := spec.EndpointSpec; es != nil {
		if es.Mode == "" {
			es.Mode = swarm.ResolutionModeVIP
		}
		for i := range es.Ports {
			if es.Ports[i].Protocol == "" {
				es.Ports[i].Protocol = network.TCP
			}
			if es.Ports[i].PublishMode == "" {
				es.Ports[i].PublishMode = swarm.PortConfigPublishModeIngress
			}
		}
	}
	return nil
}

// checkEnv refuses a variable that is no template, and tells the whole of it.
func checkEnv(env []string) error {
	for _, v := range env {
		if _, err := template.New("expansion").Parse(v); err != nil {
			return invalid("expanding env %q: %v", v, err)
		}
	}
	return nil
}

// checkMode fills in a mode's defaults, and bounds its tasks.
func checkMode(m *swarm.ServiceMode) error {
	one := uint64(1)
	if m.Replicated == nil && m.Global == nil && m.ReplicatedJob == nil && m.GlobalJob == nil {
		m.Replicated = &swarm.ReplicatedService{}
	}
	tasks := one
	if m.Replicated != nil {
		if m.Replicated.Replicas == nil {
			m.Replicated.Replicas = &one
		}
		tasks = *m.Replicated.Replicas
	}
	if j := m.ReplicatedJob; j != nil {
		if j.MaxConcurrent == nil {
			j.MaxConcurrent = &one
		}
		if j.TotalCompletions == nil {
			j.TotalCompletions = j.MaxConcurrent
		}
		tasks = max(*j.TotalCompletions, *j.MaxConcurrent)
	}
	if tasks > maxTasks {
		return invalid("not simulated: a service of more than %d tasks", maxTasks)
	}
	return nil
}

// modeName tells the modes apart.
func modeName(m swarm.ServiceMode) string {
	switch {
	case m.Global != nil:
		return "global"
	case m.ReplicatedJob != nil:
		return "replicated-job"
	case m.GlobalJob != nil:
		return "global-job"
	}
	return "replicated"
}

func (v *serviceObject) setSpec(spec *swarm.ServiceSpec) {
	v.spec, v.attempts = spec, map[string]uint64{}
	b, _ := json.Marshal(spec.TaskTemplate) // plain data
	v.template = string(b)
}

func (v *serviceObject) job() bool {
	return v.spec.Mode.ReplicatedJob != nil || v.spec.Mode.GlobalJob != nil
}

func (s *Swarm) service(ref string) (*serviceObject, error) {
	return byRef(s.services, "service", ref, func(v *serviceObject) string { return v.id }, func(v *serviceObject) string { return v.spec.Name })
}

func (s *Swarm) createService(_ *request, spec *swarm.ServiceSpec) (int, any, error) {
	v := &serviceObject{id: swarmID("service", newID()), busy: map[string]bool{}}
	if spec.Name == "" {
		spec.Name = "sim_" + v.id[:10]
	}
	if err := checkService(spec); err != nil {
		return 0, nil, err
	}
	if err := s.checkFiles(spec); err != nil {
		return 0, nil, err
	}
	if slices.ContainsFunc(s.services, func(o *serviceObject) bool { return strings.EqualFold(o.spec.Name, spec.Name) }) {
		return 0, nil, errorf(http.StatusConflict, "rpc error: code = AlreadyExists desc = name conflicts with an existing object: service %s already exists", spec.Name)
	}
	v.setSpec(spec)
	s.touch(&v.meta)
	v.executed = v.created
	s.services = append(s.services, v)
	s.allocatePorts(v)
	s.emit(events.ServiceEventType, events.ActionCreate, v.id, "name", spec.Name)
	if len(v.endpoint.Ports) > 0 { // the allocator's change comes a moment later
		s.touch(&v.meta)
		s.emit(events.ServiceEventType, events.ActionUpdate, v.id, "name", spec.Name)
	}
	s.nudge()
	return http.StatusCreated, struct{ ID string }{v.id}, nil
}

// allocatePorts fills in the service's endpoint. Callers hold s.mu.
func (s *Swarm) allocatePorts(v *serviceObject) {
	old := v.endpoint.Ports
	v.endpoint = swarm.Endpoint{}
	es := v.spec.EndpointSpec
	if es == nil {
		return
	}
	v.endpoint.Spec = *es
	v.endpoint.Ports = slices.Clone(es.Ports)
	for i := range v.endpoint.Ports {
		p := &v.endpoint.Ports[i]
		if p.PublishedPort != 0 || p.PublishMode != swarm.PortConfigPublishModeIngress {
			continue
		}
		if j := slices.IndexFunc(old, func(o swarm.PortConfig) bool { return o.TargetPort == p.TargetPort && o.Protocol == p.Protocol }); j >= 0 {
			p.PublishedPort = old[j].PublishedPort
			continue
		}
		p.PublishedPort = s.nextPort
		s.nextPort++
	}
	if es.Mode == swarm.ResolutionModeVIP && len(es.Ports) > 0 {
		v.endpoint.VirtualIPs = []swarm.EndpointVirtualIP{{NetworkID: swarmID("ingress", s.id), Addr: netip.MustParsePrefix("10.0.0.3/24")}}
	}
}

func (s *Swarm) updateService(r *request, spec *swarm.ServiceSpec) (int, any, error) {
	version, err := strconv.ParseUint(r.query.Get("version"), 10, 64)
	if err != nil {
		return 0, nil, errorf(http.StatusBadRequest, "invalid service version '%s': %v", r.query.Get("version"), err)
	}
	v, err := s.service(r.name)
	if err != nil {
		return 0, nil, err
	}
	if r.query.Get("rollback") == "previous" {
		if v.previous == nil {
			return 0, nil, errorf(http.StatusBadRequest, "rpc error: code = FailedPrecondition desc = service %s does not have a previous spec", v.id)
		}
		spec = v.previous
	}
	if err := checkService(spec); err != nil {
		return 0, nil, err
	}
	switch {
	case version != v.index:
		return 0, nil, errOutOfSequence
	case spec.Name != v.spec.Name:
		return 0, nil, errorf(http.StatusNotImplemented, "rpc error: code = Unimplemented desc = renaming services is not supported")
	case modeName(spec.Mode) != modeName(v.spec.Mode):
		return 0, nil, errorf(http.StatusNotImplemented, "rpc error: code = Unimplemented desc = service mode change is not allowed")
	}
	if err := s.checkFiles(spec); err != nil {
		return 0, nil, err
	}
	s.replaceSpec(v, spec)
	return http.StatusOK, swarm.ServiceUpdateResponse{}, nil
}

// replaceSpec gives a service a new spec and, where its tasks change, begins to
// roll it out. Callers hold s.mu.
func (s *Swarm) replaceSpec(v *serviceObject, spec *swarm.ServiceSpec) {
	attrs := []string{"name", spec.Name}
	v.missed = false
	if old, now := v.spec.Mode.Replicated, spec.Mode.Replicated; old != nil && *old.Replicas != *now.Replicas {
		if s.missNext && *now.Replicas < *old.Replicas {
			v.missed, s.missNext = true, false
		}
		attrs = append(attrs, "replicas.new", fmt.Sprint(*now.Replicas), "replicas.old", fmt.Sprint(*old.Replicas))
	}
	if old, now := v.spec.TaskTemplate.ContainerSpec.Image, spec.TaskTemplate.ContainerSpec.Image; old != now {
		attrs = append(attrs, "image.new", now, "image.old", old)
	}
	template := v.template
	v.previous = v.spec
	v.setSpec(spec)
	s.allocatePorts(v)
	s.touch(&v.meta)
	s.emit(events.ServiceEventType, events.ActionUpdate, v.id, attrs...)
	if v.job() {
		v.iteration++
		v.executed = v.updated
	} else if v.template != template {
		s.startRollout(v, swarm.UpdateStateUpdating)
	}
	s.nudge()
}

func (s *Swarm) removeService(r *request) (int, any, error) {
	v, err := s.service(r.name)
	if err != nil {
		return 0, nil, err
	}
	v.removed = true
	v.endRollout()
	s.services = slices.DeleteFunc(s.services, func(o *serviceObject) bool { return o == v })
	s.emit(events.ServiceEventType, events.ActionRemove, v.id, "name", v.spec.Name)
	s.nudge()
	return http.StatusOK, nil, nil
}

func (s *Swarm) serviceJSON(v *serviceObject, status bool) swarm.Service {
	out := swarm.Service{ID: v.id, Meta: v.json(), Spec: *v.spec, PreviousSpec: v.previous, Endpoint: v.endpoint, UpdateStatus: v.status}
	if v.job() {
		out.JobStatus = &swarm.JobStatus{JobIteration: swarm.Version{Index: v.iteration}, LastExecution: time.Unix(0, v.executed).UTC()}
	}
	if status {
		st := s.serviceStatus(v)
		out.ServiceStatus = &st
	}
	return out
}

// serviceStatus counts a service's tasks.
func (s *Swarm) serviceStatus(v *serviceObject) swarm.ServiceStatus {
	var st swarm.ServiceStatus
	for _, t := range v.tasks {
		if t.state == swarm.TaskStateRunning && t.desired == swarm.TaskStateRunning {
			st.RunningTasks++
		}
		if t.state == swarm.TaskStateComplete && t.iteration == v.iteration && v.job() {
			st.CompletedTasks++
		}
	}
	switch m := v.spec.Mode; {
	case m.Replicated != nil:
		st.DesiredTasks = *m.Replicated.Replicas
	case m.ReplicatedJob != nil:
		st.DesiredTasks = *m.ReplicatedJob.MaxConcurrent
	default:
		st.DesiredTasks = uint64(len(s.slots(v)))
	}
	return st
}

func (s *Swarm) listServices(r *request) (int, any, error) {
	f, err := parseFilters(r)
	if err == nil {
		err = f.allow("name", "id", "label", "mode", "runtime")
	}
	if err != nil {
		return 0, nil, err
	}
	list := []swarm.Service{}
	for _, v := range s.services {
		if f.prefix("id", v.id) && f.prefix("name", v.spec.Name) && f.labels("label", v.spec.Labels) && f.exact("mode", modeName(v.spec.Mode)) && f.exact("runtime", "container") {
			list = append(list, s.serviceJSON(v, r.flag("status")))
		}
	}
	slices.SortFunc(list, func(a, b swarm.Service) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return http.StatusOK, list, nil
}

func (s *Swarm) inspectService(r *request) (int, any, error) {
	v, err := s.service(r.name)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s.serviceJSON(v, false), nil
}
