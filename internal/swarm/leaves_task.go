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
	"strings"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/api/resource"
)

// What swarm does where a service says nothing: github.com/moby/swarmkit, api/defaults.
const (
	defaultMonitor      = 5 * time.Second
	defaultRestartDelay = 5 * time.Second
)

func (l leaves) task(t swarm.TaskSpec, networks map[string]string) {
	if t.Runtime != swarm.RuntimeContainer {
		l.text("spec.runtime", string(t.Runtime)) // nothing of ours: not to be taken for a service of containers
	}
	l.resources(t.Resources)
	l.restartPolicy(value(t.RestartPolicy, swarm.RestartPolicy{}))
	l.placement(value(t.Placement, swarm.Placement{}))
	for _, n := range t.Networks {
		path := keyed("spec.networks", or(networks[n.Target], n.Target))
		l.put(path, n.Target, false)
		l.set(path+".aliases", n.Aliases)
		l.private(path+".driverOptions", n.DriverOpts)
	}
	if d := t.LogDriver; d != nil {
		l.text("spec.logDriver.name", d.Name)
		l.private("spec.logDriver.options", d.Options)
	}
	if t.ForceUpdate > 0 {
		l.unsigned("spec.forceUpdate", t.ForceUpdate)
	}
}

func (l leaves) resources(r *swarm.ResourceRequirements) {
	if r == nil {
		return
	}
	const path = "spec.resources"
	if v := r.Limits; v != nil {
		l.cpu(path+".limits.cpu", v.NanoCPUs)
		l.bytes(path+".limits.memory", v.MemoryBytes)
		l.number(path+".limits.pids", v.Pids)
	}
	if v := r.Reservations; v != nil {
		l.cpu(path+".reservations.cpu", v.NanoCPUs)
		l.bytes(path+".reservations.memory", v.MemoryBytes)
		var generic []string
		for _, g := range v.GenericResources {
			switch {
			case g.NamedResourceSpec != nil:
				generic = append(generic, g.NamedResourceSpec.Kind+" "+g.NamedResourceSpec.Value)
			case g.DiscreteResourceSpec != nil:
				generic = append(generic, g.DiscreteResourceSpec.Kind+"="+strconv.FormatInt(g.DiscreteResourceSpec.Value, 10))
			}
		}
		l.set(path+".reservations.generic", generic)
	}
	if r.SwapBytes != nil {
		l.put(path+".memorySwap", resource.NewQuantity(*r.SwapBytes, resource.BinarySI).String(), false)
	}
	if r.MemorySwappiness != nil && *r.MemorySwappiness >= 0 {
		l.put(path+".memorySwappiness", strconv.FormatInt(*r.MemorySwappiness, 10), false)
	}
}

func (l leaves) cpu(path string, nano int64) {
	if nano != 0 {
		l.put(path, cpuQuantity(nano).String(), false)
	}
}

func (l leaves) bytes(path string, n int64) {
	if n != 0 {
		l.put(path, resource.NewQuantity(n, resource.BinarySI).String(), false)
	}
}

func cpuQuantity(nano int64) *resource.Quantity {
	return resource.NewScaledQuantity(nano, resource.Nano)
}

func (l leaves) restartPolicy(r swarm.RestartPolicy) {
	const path = "spec.restartPolicy"
	l.text(path+".condition", show(restartConditions, or(r.Condition, swarm.RestartPolicyConditionAny)))
	l.text(path+".delay", value(r.Delay, defaultRestartDelay).String())
	l.unsigned(path+".maxAttempts", value(r.MaxAttempts, 0))
	l.text(path+".window", value(r.Window, 0).String())
}

func (l leaves) placement(p swarm.Placement) {
	const path = "spec.placement"
	l.set(path+".constraints", constraints(p.Constraints))
	var spread []string
	for _, v := range p.Preferences {
		if v.Spread != nil {
			spread = append(spread, v.Spread.SpreadDescriptor)
		}
	}
	l.list(path+".spread", spread, false)
	l.unsigned(path+".maxReplicasPerNode", p.MaxReplicas)
	var platforms []string
	for _, v := range p.Platforms {
		platforms = append(platforms, v.OS+"/"+architecture(v.Architecture))
	}
	l.set(path+".platforms", platforms)
}

// architecture spells those that the engine knows by two names as images do.
func architecture(name string) string {
	switch strings.ToLower(name) {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	}
	return name
}

func (l leaves) updateConfig(path string, u *swarm.UpdateConfig) {
	c := value(u, swarm.UpdateConfig{Parallelism: 1})
	l.unsigned(path+".parallelism", c.Parallelism)
	l.text(path+".delay", c.Delay.String())
	l.text(path+".failureAction", show(failureActions, or(c.FailureAction, swarm.UpdateFailureActionPause)))
	l.text(path+".monitor", or(c.Monitor, defaultMonitor).String())
	l.text(path+".maxFailureRatio", ratio(c.MaxFailureRatio))
	l.text(path+".order", show(updateOrders, or(c.Order, swarm.UpdateOrderStopFirst)))
}

// ratio is the shortest text that is the same number in 32 bits.
func ratio(f float32) string { return strconv.FormatFloat(float64(f), 'f', -1, 32) }

func (l leaves) endpoint(e *swarm.EndpointSpec) {
	v := value(e, swarm.EndpointSpec{})
	l.text("spec.endpointMode", show(endpointModes, or(v.Mode, swarm.ResolutionModeVIP)))
	for _, p := range v.Ports {
		// The keys of the CRD's list.
		key := strconv.FormatUint(uint64(p.TargetPort), 10) + "/" + show(protocols, or(p.Protocol, network.TCP))
		if p.PublishedPort != 0 {
			key += "->" + strconv.FormatUint(uint64(p.PublishedPort), 10)
		}
		path := keyed("spec.ports", key)
		l.put(path+".publishMode", show(publishModes, or(p.PublishMode, swarm.PortConfigPublishModeIngress)), false)
		l.text(path+".name", p.Name)
	}
}
