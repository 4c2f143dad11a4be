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
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/swarm"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// ids are what a full spec refers to; the engine checks that they are there.
type ids struct{ secret, config, network string }

var anyIDs = ids{secret: "secret1", config: "config1", network: "network1"}

// full is a spec that says something in every field that goes with the others.
func full(id ids) swarm.ServiceSpec {
	return swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: "full", Labels: map[string]string{"tier": "back"}},
		Mode:        swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: ptr.To[uint64](0)}},
		UpdateConfig: &swarm.UpdateConfig{Parallelism: 2, Delay: time.Second, FailureAction: swarm.UpdateFailureActionRollback,
			Monitor: 7 * time.Second, MaxFailureRatio: 0.25, Order: swarm.UpdateOrderStartFirst},
		RollbackConfig: &swarm.UpdateConfig{Parallelism: 3, Delay: 2 * time.Second, FailureAction: swarm.UpdateFailureActionContinue,
			Monitor: 8 * time.Second, MaxFailureRatio: 0.1, Order: swarm.UpdateOrderStartFirst},
		EndpointSpec: &swarm.EndpointSpec{Mode: swarm.ResolutionModeDNSRR, Ports: []swarm.PortConfig{
			{Name: "http", Protocol: network.TCP, TargetPort: 80, PublishedPort: 8080, PublishMode: swarm.PortConfigPublishModeHost},
			{Protocol: network.UDP, TargetPort: 53, PublishMode: swarm.PortConfigPublishModeHost},
		}},
		TaskTemplate: swarm.TaskSpec{
			Runtime:       swarm.RuntimeContainer,
			ContainerSpec: fullContainer(id),
			Resources: &swarm.ResourceRequirements{
				Limits: &swarm.Limit{NanoCPUs: 5e8, MemoryBytes: 64 << 20, Pids: 100},
				Reservations: &swarm.Resources{NanoCPUs: 1e8, MemoryBytes: 32 << 20, GenericResources: []swarm.GenericResource{
					{DiscreteResourceSpec: &swarm.DiscreteGenericResource{Kind: "SSD", Value: 1}},
					{DiscreteResourceSpec: &swarm.DiscreteGenericResource{Kind: "GPU", Value: 2}},
				}},
				SwapBytes: ptr.To[int64](16 << 20), MemorySwappiness: ptr.To[int64](10),
			},
			RestartPolicy: &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionOnFailure, Delay: ptr.To(3 * time.Second),
				MaxAttempts: ptr.To[uint64](4), Window: ptr.To(time.Minute)},
			Placement: &swarm.Placement{
				Constraints: []string{"node.role == manager", "node.labels.a != b"},
				Preferences: []swarm.PlacementPreference{{Spread: &swarm.SpreadOver{SpreadDescriptor: "node.labels.zone"}}},
				MaxReplicas: 5, Platforms: []swarm.Platform{{Architecture: "amd64", OS: "linux"}},
			},
			Networks:    []swarm.NetworkAttachmentConfig{{Target: id.network, Aliases: []string{"www"}, DriverOpts: map[string]string{"k": "v"}}},
			LogDriver:   &swarm.Driver{Name: "json-file", Options: map[string]string{"max-size": "1m"}},
			ForceUpdate: 2,
		},
	}
}

func fullContainer(id ids) *swarm.ContainerSpec {
	return &swarm.ContainerSpec{
		Image: "busybox:1", Labels: map[string]string{"l": "v"}, Command: []string{"sleep"}, Args: []string{"1000"}, Hostname: "h",
		Env: []string{"A=b", "C=d=e", "EMPTY=", "GONE"}, Dir: "/srv", User: "7:8", Groups: []string{"9"},
		Privileges: &swarm.Privileges{
			CredentialSpec:  &swarm.CredentialSpec{File: "spec.json"},
			SELinuxContext:  &swarm.SELinuxContext{Disable: true, User: "u", Role: "r", Type: "t", Level: "l"},
			Seccomp:         &swarm.SeccompOpts{Mode: swarm.SeccompModeCustom, Profile: []byte(`{}`)},
			AppArmor:        &swarm.AppArmorOpts{Mode: swarm.AppArmorModeDisabled},
			NoNewPrivileges: true,
		},
		Init: ptr.To(true), StopSignal: "SIGINT", TTY: true, OpenStdin: true, ReadOnly: true,
		Mounts: []mount.Mount{
			{Type: mount.TypeBind, Source: "/tmp", Target: "/bind", ReadOnly: true,
				BindOptions: &mount.BindOptions{Propagation: mount.PropagationRSlave, NonRecursive: true}},
			{Type: mount.TypeVolume, Source: "vol", Target: "/vol", VolumeOptions: &mount.VolumeOptions{NoCopy: true,
				Labels: map[string]string{"v": "w"}, Subpath: "sub", DriverConfig: &mount.Driver{Name: "nfs", Options: map[string]string{"o": "p"}}}},
			{Type: mount.TypeTmpfs, Target: "/tmpfs", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 1 << 20, Mode: 0o1700, Options: [][]string{{"noexec"}, {"uid", "5"}}}},
		},
		StopGracePeriod: ptr.To(20 * time.Second),
		Healthcheck: &container.HealthConfig{Test: []string{"CMD", "true"}, Interval: time.Second, Timeout: 2 * time.Second,
			StartPeriod: 3 * time.Second, StartInterval: 4 * time.Second, Retries: 5},
		Hosts:     []string{"10.0.0.1 one", "10.0.0.2 two"},
		DNSConfig: &swarm.DNSConfig{Nameservers: []netip.Addr{netip.MustParseAddr("1.1.1.1")}, Search: []string{"example.com"}, Options: []string{"ndots:2"}},
		Secrets: []*swarm.SecretReference{{SecretID: id.secret, SecretName: "s1",
			File: &swarm.SecretReferenceFileTarget{Name: "key", UID: "1", GID: "2", Mode: 0o400}}},
		Configs: []*swarm.ConfigReference{{ConfigID: id.config, ConfigName: "c1",
			File: &swarm.ConfigReferenceFileTarget{Name: "/conf", UID: "3", GID: "4", Mode: 0o440}}},
		Isolation: container.IsolationProcess, Sysctls: map[string]string{"net.core.somaxconn": "512"},
		CapabilityAdd: []string{"CAP_NET_ADMIN"}, CapabilityDrop: []string{"CAP_MKNOD"},
		Ulimits: []*container.Ulimit{{Name: "nofile", Soft: 1024, Hard: 4096}}, OomScoreAdj: 100,
	}
}

// variants are a full spec, and what does not go with it.
func variants(id ids) map[string]swarm.ServiceSpec {
	with := func(change func(*swarm.ServiceSpec)) swarm.ServiceSpec {
		s := full(id)
		change(&s)
		return s
	}
	job := func(m swarm.ServiceMode) swarm.ServiceSpec {
		return with(func(s *swarm.ServiceSpec) {
			s.Mode, s.UpdateConfig, s.RollbackConfig, s.TaskTemplate.Placement.MaxReplicas = m, nil, nil, 0
		})
	}
	return map[string]swarm.ServiceSpec{
		"full": full(id),
		"global": with(func(s *swarm.ServiceSpec) {
			s.Mode, s.TaskTemplate.Placement.MaxReplicas = swarm.ServiceMode{Global: &swarm.GlobalService{}}, 0
		}),
		"job": job(swarm.ServiceMode{ReplicatedJob: &swarm.ReplicatedJob{
			MaxConcurrent: ptr.To[uint64](2), TotalCompletions: ptr.To[uint64](0)}}),
		"global job": job(swarm.ServiceMode{GlobalJob: &swarm.GlobalJob{}}),
		"registry":   with(func(s *swarm.ServiceSpec) { credentials(s, swarm.CredentialSpec{Registry: "r"}) }),
		"config": with(func(s *swarm.ServiceSpec) {
			credentials(s, swarm.CredentialSpec{Config: id.config})
			c := s.TaskTemplate.ContainerSpec
			c.Configs = append(c.Configs, &swarm.ConfigReference{ConfigID: id.config, ConfigName: "c1", Runtime: &swarm.ConfigReferenceRuntimeTarget{}})
		}),
		"empty": {
			Annotations:  swarm.Annotations{Name: "empty"},
			TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: "busybox"}},
		},
		"CLI": cliSpec(),
	}
}

func credentials(s *swarm.ServiceSpec, c swarm.CredentialSpec) {
	s.TaskTemplate.ContainerSpec.Privileges.CredentialSpec = &c
}

// cliSpec is what "docker service create --name cli busybox:1" sends.
func cliSpec() swarm.ServiceSpec {
	return swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: "cli", Labels: map[string]string{}},
		Mode:        swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: ptr.To[uint64](1)}},
		UpdateConfig: &swarm.UpdateConfig{Parallelism: 1, FailureAction: swarm.UpdateFailureActionPause,
			Monitor: 5 * time.Second, Order: swarm.UpdateOrderStopFirst},
		RollbackConfig: &swarm.UpdateConfig{Parallelism: 1, FailureAction: swarm.UpdateFailureActionPause,
			Monitor: 5 * time.Second, Order: swarm.UpdateOrderStopFirst},
		EndpointSpec: &swarm.EndpointSpec{Mode: swarm.ResolutionModeVIP},
		TaskTemplate: swarm.TaskSpec{
			Runtime: swarm.RuntimeContainer,
			ContainerSpec: &swarm.ContainerSpec{
				Image: "busybox:1@sha256:" + strings.Repeat("ab", 32), Labels: map[string]string{}, Init: ptr.To(false),
				StopGracePeriod: ptr.To(10 * time.Second), DNSConfig: &swarm.DNSConfig{}, Isolation: container.IsolationDefault,
			},
			Resources:     &swarm.ResourceRequirements{Limits: &swarm.Limit{}, Reservations: &swarm.Resources{}},
			RestartPolicy: &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionAny, Delay: ptr.To(5 * time.Second), MaxAttempts: ptr.To[uint64](0)},
			Placement:     &swarm.Placement{Platforms: []swarm.Platform{{Architecture: "amd64", OS: "linux"}}},
		},
	}
}

// inputsFor are the inputs that give back what a spec refers to.
func inputsFor(s swarm.ServiceSpec) Inputs {
	in := Inputs{ServiceName: s.Name, Secrets: map[string]Object{}, Configs: map[string]Object{}, Networks: map[string]string{}}
	for _, n := range s.TaskTemplate.Networks {
		in.Networks[n.Target] = n.Target
	}
	c := s.TaskTemplate.ContainerSpec
	if c == nil {
		return in
	}
	for _, v := range c.Secrets {
		if v != nil && v.File != nil {
			in.Secrets[v.File.Name] = Object{v.SecretID, v.SecretName}
		}
	}
	for _, v := range c.Configs {
		switch {
		case v == nil:
		case v.File != nil:
			in.Configs[v.File.Name] = Object{v.ConfigID, v.ConfigName}
		case v.Runtime != nil:
			in.CredentialSpec = Object{v.ConfigID, v.ConfigName}
		}
	}
	return in
}

func mustBuild(t testing.TB, spec dcv1.SwarmServiceSpec, in Inputs) Desired {
	t.Helper()
	d, err := Build(&spec, in)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	return d
}

// rebuild reads a spec and builds it again.
func rebuild(t testing.TB, s swarm.ServiceSpec) Desired {
	t.Helper()
	spec, notes := Read(s, Names{})
	if len(notes) > 0 {
		t.Fatalf("Read notes %q", notes)
	}
	return mustBuild(t, spec, inputsFor(s))
}
