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
	"strconv"

	"github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// zeroDuration is for where no duration is not the engine's default.
func zeroDuration() *metav1.Duration { return &metav1.Duration{} }

func (r *reader) task(t swarm.TaskSpec, out *dcv1.SwarmTask) {
	if t.Runtime != "" && t.Runtime != swarm.RuntimeContainer {
		r.note("Runtime", "is %s, and a SwarmService runs containers only", t.Runtime)
	}
	*out = dcv1.SwarmTask{
		Resources:     r.resources(t.Resources),
		Placement:     r.placement(t.Placement),
		RestartPolicy: r.restartPolicy(t.RestartPolicy),
		Networks:      r.networks(t.Networks),
	}
	if d := t.LogDriver; d != nil && (d.Name != "" || len(d.Options) > 0) {
		out.LogDriver = &dcv1.SwarmLogDriver{Name: d.Name, Options: orNil(d.Options)}
	}
	if t.ForceUpdate != 0 {
		out.ForceUpdate = ptr.To(r.int64("ForceUpdate", t.ForceUpdate))
	}
}

func (r *reader) resources(v *swarm.ResourceRequirements) *dcv1.SwarmResources {
	if v == nil {
		return nil
	}
	out := dcv1.SwarmResources{}
	if l := v.Limits; l != nil && *l != (swarm.Limit{}) {
		out.Limits = &dcv1.SwarmLimits{CPU: cpus(l.NanoCPUs), Memory: bytes(l.MemoryBytes), PIDs: l.Pids}
	}
	if s := v.Reservations; s != nil && (s.NanoCPUs != 0 || s.MemoryBytes != 0 || len(s.GenericResources) > 0) {
		out.Reservations = &dcv1.SwarmReservations{CPU: cpus(s.NanoCPUs), Memory: bytes(s.MemoryBytes)}
		for i, g := range s.GenericResources {
			switch {
			case g.NamedResourceSpec != nil:
				r.note("Resources.Reservations.GenericResources["+strconv.Itoa(i)+"]", "asks for one %s by its name, and swarm places no task that does", g.NamedResourceSpec.Kind)
			case g.DiscreteResourceSpec != nil:
				out.Reservations.Generic = append(out.Reservations.Generic,
					dcv1.SwarmGenericResource{Kind: g.DiscreteResourceSpec.Kind, Count: g.DiscreteResourceSpec.Value})
			default:
				r.note("Resources.Reservations.GenericResources["+strconv.Itoa(i)+"]", "is neither a number nor a name")
			}
		}
	}
	if n := v.SwapBytes; n != nil {
		out.MemorySwap = resource.NewQuantity(*n, resource.BinarySI)
	}
	if n := v.MemorySwappiness; n != nil && *n != -1 {
		if *n < 0 || *n > 100 {
			r.note("Resources.MemorySwappiness", "%d is not from 0 to 100", *n)
		} else {
			out.MemorySwappiness = ptr.To(int32(*n))
		}
	}
	if out == (dcv1.SwarmResources{}) {
		return nil
	}
	return &out
}

func cpus(nano int64) *resource.Quantity {
	if nano == 0 {
		return nil
	}
	return cpuQuantity(nano)
}

func bytes(n int64) *resource.Quantity {
	if n == 0 {
		return nil
	}
	return resource.NewQuantity(n, resource.BinarySI)
}

func (r *reader) placement(p *swarm.Placement) *dcv1.SwarmPlacement {
	if p == nil || len(p.Constraints)+len(p.Preferences)+len(p.Platforms) == 0 && p.MaxReplicas == 0 {
		return nil
	}
	out := &dcv1.SwarmPlacement{
		Constraints:        constraints(p.Constraints),
		MaxReplicasPerNode: r.int64("Placement.MaxReplicas", p.MaxReplicas),
	}
	for _, v := range p.Preferences {
		if v.Spread != nil {
			out.Spread = append(out.Spread, v.Spread.SpreadDescriptor)
		}
	}
	for i, v := range p.Platforms {
		if v.OS == "" {
			r.note("Placement.Platforms["+strconv.Itoa(i)+"]", "names no operating system")
			continue
		}
		out.Platforms = append(out.Platforms, dcv1.SwarmPlatform{OS: v.OS, Architecture: architecture(v.Architecture)})
	}
	return out
}

func (r *reader) restartPolicy(p *swarm.RestartPolicy) *dcv1.SwarmRestartPolicy {
	if p == nil {
		return nil
	}
	out := &dcv1.SwarmRestartPolicy{
		Condition:   known(r, "RestartPolicy.Condition", restartConditions, or(p.Condition, swarm.RestartPolicyConditionAny)),
		MaxAttempts: r.int64("RestartPolicy.MaxAttempts", value(p.MaxAttempts, 0)),
		Window:      duration(value(p.Window, 0)),
	}
	if d := p.Delay; d != nil && *d != defaultRestartDelay {
		out.Delay = &metav1.Duration{Duration: *d} // none at all is not the default
	}
	return out
}

func (r *reader) networks(list []swarm.NetworkAttachmentConfig) []dcv1.SwarmNetwork {
	var out []dcv1.SwarmNetwork
	for _, n := range list {
		out = append(out, dcv1.SwarmNetwork{
			Name: or(r.names.Networks[n.Target], n.Target), Aliases: append([]string(nil), n.Aliases...), DriverOptions: orNil(n.DriverOpts),
		})
	}
	return out
}
