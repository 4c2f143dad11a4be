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
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/util/validation/field"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// newer are the fields that an API version of 1.40 lacks, with the version that
// brought them. An engine below drops them without a word.
var newer = []struct {
	path  *field.Path
	since string
	used  func(s swarm.ServiceSpec, c *swarm.ContainerSpec) bool
}{
	{root.Child("mode"), "1.41", func(s swarm.ServiceSpec, _ *swarm.ContainerSpec) bool {
		return s.Mode.ReplicatedJob != nil || s.Mode.GlobalJob != nil
	}},
	{root.Child("capabilities"), "1.41", func(_ swarm.ServiceSpec, c *swarm.ContainerSpec) bool {
		return len(c.CapabilityAdd)+len(c.CapabilityDrop) > 0
	}},
	{root.Child("ulimits"), "1.41", func(_ swarm.ServiceSpec, c *swarm.ContainerSpec) bool { return len(c.Ulimits) > 0 }},
	{root.Child("resources", "limits", "pids"), "1.41", func(s swarm.ServiceSpec, _ *swarm.ContainerSpec) bool {
		r := s.TaskTemplate.Resources
		return r != nil && r.Limits != nil && r.Limits.Pids != 0
	}},
	{root.Child("mounts"), "1.42", anyMount(func(m mount.Mount) bool { return m.Type == mount.TypeCluster })},
	{root.Child("healthcheck", "startInterval"), "1.44", func(_ swarm.ServiceSpec, c *swarm.ContainerSpec) bool {
		return c.Healthcheck != nil && c.Healthcheck.StartInterval != 0
	}},
	{root.Child("privileges", "seccomp"), "1.44", privilege(func(p *swarm.Privileges) bool { return p.Seccomp != nil })},
	{root.Child("privileges", "appArmor"), "1.44", privilege(func(p *swarm.Privileges) bool { return p.AppArmor != nil })},
	{root.Child("privileges", "noNewPrivileges"), "1.44", privilege(func(p *swarm.Privileges) bool { return p.NoNewPrivileges })},
	{root.Child("mounts").Key("*").Child("volume", "subpath"), "1.45", anyMount(func(m mount.Mount) bool {
		return m.VolumeOptions != nil && m.VolumeOptions.Subpath != ""
	})},
	{root.Child("mounts").Key("*").Child("tmpfs", "options"), "1.46", anyMount(func(m mount.Mount) bool {
		return m.TmpfsOptions != nil && len(m.TmpfsOptions.Options) > 0
	})},
	{root.Child("oomScoreAdj"), "1.46", func(_ swarm.ServiceSpec, c *swarm.ContainerSpec) bool { return c.OomScoreAdj != 0 }},
	{root.Child("resources", "memorySwap"), "1.52", func(s swarm.ServiceSpec, _ *swarm.ContainerSpec) bool {
		return s.TaskTemplate.Resources != nil && s.TaskTemplate.Resources.SwapBytes != nil
	}},
	{root.Child("resources", "memorySwappiness"), "1.52", func(s swarm.ServiceSpec, _ *swarm.ContainerSpec) bool {
		return s.TaskTemplate.Resources != nil && s.TaskTemplate.Resources.MemorySwappiness != nil
	}},
}

func anyMount(used func(mount.Mount) bool) func(swarm.ServiceSpec, *swarm.ContainerSpec) bool {
	return func(_ swarm.ServiceSpec, c *swarm.ContainerSpec) bool {
		for _, m := range c.Mounts {
			if used(m) {
				return true
			}
		}
		return false
	}
}

func privilege(used func(*swarm.Privileges) bool) func(swarm.ServiceSpec, *swarm.ContainerSpec) bool {
	return func(_ swarm.ServiceSpec, c *swarm.ContainerSpec) bool {
		return c.Privileges != nil && used(c.Privileges)
	}
}

// checkVersion refuses what the engine would drop.
func (b *builder) checkVersion(s swarm.ServiceSpec) {
	if b.in.APIVersion == "" {
		return
	}
	for _, f := range newer {
		if engine.CompareAPIVersions(b.in.APIVersion, f.since) < 0 && f.used(s, s.TaskTemplate.ContainerSpec) {
			b.fault(dcv1.ReasonEngineTooOld, field.Forbidden(f.path, "needs version "+f.since+" of the Docker API, and the engine speaks "+b.in.APIVersion+": leave it out, or update the engine"))
		}
	}
}
