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
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/swarm"
)

// unit is a part of a spec that is kept or replaced as a whole.
type unit struct {
	paths []string
	keep  func(dst, have *swarm.ServiceSpec)
}

// inContainer and inPlacement keep a part of what may not be there at all.
func inContainer(path string, keep func(dst, have *swarm.ContainerSpec)) unit {
	return unit{[]string{path}, func(dst, have *swarm.ServiceSpec) {
		if have.TaskTemplate.ContainerSpec != nil {
			keep(dst.TaskTemplate.ContainerSpec, have.TaskTemplate.ContainerSpec)
		}
	}}
}

func inPlacement(path string, keep func(dst, have *swarm.Placement)) unit {
	return unit{[]string{path}, func(dst, have *swarm.ServiceSpec) {
		if have.TaskTemplate.Placement == nil {
			return
		}
		if dst.TaskTemplate.Placement == nil {
			dst.TaskTemplate.Placement = &swarm.Placement{}
		}
		keep(dst.TaskTemplate.Placement, have.TaskTemplate.Placement)
	}}
}

var units = []unit{
	{[]string{"spec.mode", "spec.replicas", "spec.maxConcurrent"}, func(dst, have *swarm.ServiceSpec) { dst.Mode = have.Mode }},
	{[]string{"spec.updateConfig"}, func(dst, have *swarm.ServiceSpec) { dst.UpdateConfig = have.UpdateConfig }},
	{[]string{"spec.rollbackConfig"}, func(dst, have *swarm.ServiceSpec) { dst.RollbackConfig = have.RollbackConfig }},
	{[]string{"spec.endpointMode", "spec.ports"}, func(dst, have *swarm.ServiceSpec) { dst.EndpointSpec = have.EndpointSpec }},
	{[]string{"spec.runtime"}, func(dst, have *swarm.ServiceSpec) { dst.TaskTemplate.Runtime = have.TaskTemplate.Runtime }},
	{[]string{"spec.resources"}, func(dst, have *swarm.ServiceSpec) { dst.TaskTemplate.Resources = have.TaskTemplate.Resources }},
	{[]string{"spec.restartPolicy"}, func(dst, have *swarm.ServiceSpec) { dst.TaskTemplate.RestartPolicy = have.TaskTemplate.RestartPolicy }},
	{[]string{"spec.networks"}, func(dst, have *swarm.ServiceSpec) { dst.TaskTemplate.Networks = have.TaskTemplate.Networks }},
	{[]string{"spec.logDriver"}, func(dst, have *swarm.ServiceSpec) { dst.TaskTemplate.LogDriver = have.TaskTemplate.LogDriver }},
	{[]string{"spec.forceUpdate"}, func(dst, have *swarm.ServiceSpec) { dst.TaskTemplate.ForceUpdate = have.TaskTemplate.ForceUpdate }},

	inPlacement("spec.placement.constraints", func(dst, have *swarm.Placement) { dst.Constraints = have.Constraints }),
	inPlacement("spec.placement.spread", func(dst, have *swarm.Placement) { dst.Preferences = have.Preferences }),
	inPlacement("spec.placement.maxReplicasPerNode", func(dst, have *swarm.Placement) { dst.MaxReplicas = have.MaxReplicas }),
	// The platforms that a registry named are those of the image.
	{[]string{"spec.placement.platforms", "spec.image"}, inPlacement("", func(dst, have *swarm.Placement) { dst.Platforms = have.Platforms }).keep},

	inContainer("spec.image", func(dst, have *swarm.ContainerSpec) { dst.Image = have.Image }),
	inContainer("spec.containerLabels", func(dst, have *swarm.ContainerSpec) { dst.Labels = have.Labels }),
	inContainer("spec.command", func(dst, have *swarm.ContainerSpec) { dst.Command = have.Command }),
	inContainer("spec.args", func(dst, have *swarm.ContainerSpec) { dst.Args = have.Args }),
	inContainer("spec.hostname", func(dst, have *swarm.ContainerSpec) { dst.Hostname = have.Hostname }),
	inContainer("spec.env", func(dst, have *swarm.ContainerSpec) { dst.Env = have.Env }),
	inContainer("spec.workingDir", func(dst, have *swarm.ContainerSpec) { dst.Dir = have.Dir }),
	inContainer("spec.user", func(dst, have *swarm.ContainerSpec) { dst.User = have.User }),
	inContainer("spec.groups", func(dst, have *swarm.ContainerSpec) { dst.Groups = have.Groups }),
	inContainer("spec.init", func(dst, have *swarm.ContainerSpec) { dst.Init = have.Init }),
	inContainer("spec.stopSignal", func(dst, have *swarm.ContainerSpec) { dst.StopSignal = have.StopSignal }),
	inContainer("spec.tty", func(dst, have *swarm.ContainerSpec) { dst.TTY = have.TTY }),
	inContainer("spec.stdin", func(dst, have *swarm.ContainerSpec) { dst.OpenStdin = have.OpenStdin }),
	inContainer("spec.readOnlyRootFilesystem", func(dst, have *swarm.ContainerSpec) { dst.ReadOnly = have.ReadOnly }),
	inContainer("spec.stopGracePeriod", func(dst, have *swarm.ContainerSpec) { dst.StopGracePeriod = have.StopGracePeriod }),
	inContainer("spec.healthcheck", func(dst, have *swarm.ContainerSpec) { dst.Healthcheck = have.Healthcheck }),
	inContainer("spec.extraHosts", func(dst, have *swarm.ContainerSpec) { dst.Hosts = have.Hosts }),
	inContainer("spec.dns", func(dst, have *swarm.ContainerSpec) { dst.DNSConfig = have.DNSConfig }),
	inContainer("spec.isolation", func(dst, have *swarm.ContainerSpec) { dst.Isolation = have.Isolation }),
	inContainer("spec.sysctls", func(dst, have *swarm.ContainerSpec) { dst.Sysctls = have.Sysctls }),
	inContainer("spec.capabilities", func(dst, have *swarm.ContainerSpec) {
		dst.CapabilityAdd, dst.CapabilityDrop = have.CapabilityAdd, have.CapabilityDrop
	}),
	inContainer("spec.ulimits", func(dst, have *swarm.ContainerSpec) { dst.Ulimits = have.Ulimits }),
	inContainer("spec.oomScoreAdj", func(dst, have *swarm.ContainerSpec) { dst.OomScoreAdj = have.OomScoreAdj }),
	inContainer("spec.mounts", func(dst, have *swarm.ContainerSpec) { dst.Mounts = have.Mounts }),
	inContainer("spec.secrets", func(dst, have *swarm.ContainerSpec) { dst.Secrets = have.Secrets }),
	// A credential spec's config is among the configs.
	{[]string{"spec.configs", "spec.privileges"}, func(dst, have *swarm.ServiceSpec) {
		if c := have.TaskTemplate.ContainerSpec; c != nil {
			dst.TaskTemplate.ContainerSpec.Configs = c.Configs
			dst.TaskTemplate.ContainerSpec.Privileges = c.Privileges
		}
	}},
}

// Merge is what to write so that a service becomes what its spec says: the parts that
// already are, as the engine has them, and the spec's where they differ. diff is what Diff says of the same
// service. It shares nothing with have.
func (d Desired) Merge(have swarm.ServiceSpec, diff Differences) (swarm.ServiceSpec, error) {
	dst, err := clone(d.Spec)
	if err != nil {
		return swarm.ServiceSpec{}, err
	}
	had, err := clone(have)
	if err != nil {
		return swarm.ServiceSpec{}, err
	}
	for _, u := range units {
		if !diff.within(u.paths...) {
			u.keep(&dst, &had)
		}
	}
	dst.Labels = mergeLabels(dst.Labels, had.Labels)
	return dst, nil
}

// mergeLabels keeps Docker's own labels.
func mergeLabels(want, have map[string]string) map[string]string {
	out := make(map[string]string, len(want))
	for k, v := range have {
		if slices.ContainsFunc(dockerLabels, func(p string) bool { return strings.HasPrefix(keyed("spec.labels", k), p) }) {
			out[k] = v
		}
	}
	maps.Copy(out, want)
	return out
}

// clone goes through the JSON that the spec comes from and is sent as.
func clone(s swarm.ServiceSpec) (swarm.ServiceSpec, error) {
	var out swarm.ServiceSpec
	data, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return out, fmt.Errorf("copying a service's spec: %w", err)
	}
	return out, nil
}
