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
	"fmt"
	"maps"
	"math"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/swarm"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// Names are what the engine's ids stand for.
type Names struct {
	// Networks are names by id; a network without one goes by its id.
	Networks map[string]string
	// Configs are names by id, for credential specs.
	Configs map[string]string
}

// reader gathers notes.
type reader struct {
	names Names
	notes []string
}

// Read makes a SwarmService's spec of the engine's, and notes what it cannot say. What
// the engine has by default is left out. The host is the caller's to fill in. Values of
// the environment come out as they are: whoever is shown them must be allowed to inspect.
func Read(s swarm.ServiceSpec, names Names) (spec dcv1.SwarmServiceSpec, notes []string) {
	r := &reader{names: names}
	spec = dcv1.SwarmServiceSpec{ServiceName: s.Name, Labels: userLabels(s.Labels)}
	r.mode(s.Mode, &spec)
	spec.UpdateConfig = r.updateConfig("UpdateConfig", s.UpdateConfig)
	spec.RollbackConfig = r.updateConfig("RollbackConfig", s.RollbackConfig)
	r.endpoint(s.EndpointSpec, &spec)
	r.task(s.TaskTemplate, &spec.SwarmTask)
	if c := s.TaskTemplate.ContainerSpec; c != nil {
		r.container(c, &spec.SwarmContainer)
	} else {
		r.note("TaskTemplate", "the service does not run containers")
	}
	return spec, r.notes
}

func (r *reader) note(field, text string, args ...any) {
	r.notes = append(r.notes, field+": "+fmt.Sprintf(text, args...))
}

// userLabels are those that an owner did not set.
func userLabels(labels map[string]string) map[string]string {
	out := maps.Clone(labels)
	for k := range OwnerLabels(Owner{UID: "any"}) {
		delete(out, k)
	}
	delete(out, dcv1.LabelPullSecret)
	return orNil(out)
}

// orNil leaves out an empty map, and an entry's absence reads the same.
func orNil[M ~map[string]string](m M) M {
	if len(m) == 0 {
		return nil
	}
	return maps.Clone(m)
}

// known gives our spelling, and a note where there is none.
func known[K, E ~string](r *reader, field string, e enum[K, E], value E) K {
	if value == "" {
		return ""
	}
	k, ok := e.kube[value]
	if !ok {
		r.note(field, "the value %q is not known", value)
	}
	return k
}

func (r *reader) mode(m swarm.ServiceMode, spec *dcv1.SwarmServiceSpec) {
	switch {
	case m.Global != nil:
		spec.Mode = dcv1.SwarmGlobal
	case m.GlobalJob != nil:
		spec.Mode = dcv1.SwarmGlobalJob
	case m.ReplicatedJob != nil:
		spec.Mode = dcv1.SwarmReplicatedJob
		concurrent := value(m.ReplicatedJob.MaxConcurrent, 1)
		spec.MaxConcurrent = ptr.To(r.int32("Mode.ReplicatedJob.MaxConcurrent", concurrent))
		spec.Replicas = ptr.To(r.int32("Mode.ReplicatedJob.TotalCompletions", value(m.ReplicatedJob.TotalCompletions, concurrent)))
	default:
		spec.Mode = dcv1.SwarmReplicated
		spec.Replicas = ptr.To[int32](1)
		if m.Replicated != nil {
			spec.Replicas = ptr.To(r.int32("Mode.Replicated.Replicas", value(m.Replicated.Replicas, 1)))
		}
	}
}

func (r *reader) int32(field string, n uint64) int32 {
	if n > math.MaxInt32 {
		r.note(field, "%d is more than a SwarmService can say", n)
		return math.MaxInt32
	}
	return int32(n)
}

func (r *reader) int64(field string, n uint64) int64 {
	if n > math.MaxInt64 {
		r.note(field, "%d is more than a SwarmService can say", n)
		return math.MaxInt64
	}
	return int64(n)
}

// yes leaves out what is false.
func yes(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}

func duration(d time.Duration) *metav1.Duration {
	if d == 0 {
		return nil
	}
	return &metav1.Duration{Duration: d}
}

func (r *reader) updateConfig(field string, u *swarm.UpdateConfig) *dcv1.SwarmUpdateConfig {
	if u == nil {
		return nil
	}
	return &dcv1.SwarmUpdateConfig{
		Parallelism:     ptr.To(r.int64(field+".Parallelism", u.Parallelism)),
		Delay:           duration(u.Delay),
		FailureAction:   known(r, field+".FailureAction", failureActions, or(u.FailureAction, swarm.UpdateFailureActionPause)),
		Monitor:         duration(or(u.Monitor, defaultMonitor)),
		MaxFailureRatio: ratio(u.MaxFailureRatio),
		Order:           known(r, field+".Order", updateOrders, or(u.Order, swarm.UpdateOrderStopFirst)),
	}
}

func (r *reader) endpoint(e *swarm.EndpointSpec, spec *dcv1.SwarmServiceSpec) {
	if e == nil {
		return
	}
	if e.Mode != swarm.ResolutionModeVIP {
		spec.EndpointMode = known(r, "EndpointSpec.Mode", endpointModes, e.Mode)
	}
	for i, p := range e.Ports {
		field := "EndpointSpec.Ports[" + strconv.Itoa(i) + "]"
		if p.TargetPort == 0 || p.TargetPort > math.MaxUint16 || p.PublishedPort > math.MaxUint16 {
			r.note(field, "%d:%d are no ports", p.PublishedPort, p.TargetPort)
			continue
		}
		spec.Ports = append(spec.Ports, dcv1.SwarmPort{
			Name:          p.Name,
			Protocol:      known(r, field+".Protocol", protocols, or(p.Protocol, "tcp")),
			TargetPort:    int32(p.TargetPort),
			PublishedPort: ptr.To(int32(p.PublishedPort)),
			PublishMode:   known(r, field+".PublishMode", publishModes, or(p.PublishMode, swarm.PortConfigPublishModeIngress)),
		})
	}
}
