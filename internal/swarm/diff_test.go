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
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// least is the least that a SwarmService says.
func least() (dcv1.SwarmServiceSpec, Inputs) {
	return dcv1.SwarmServiceSpec{SwarmContainer: dcv1.SwarmContainer{Image: "busybox:1"}}, Inputs{ServiceName: "cli"}
}

const digest = "@sha256:abababababababababababababababababababababababababababababababab"

// TestNoDrift: ways in which a service differs from what would be created, and is what the
// spec says all the same.
func TestNoDrift(t *testing.T) {
	tests := map[string]struct {
		spec   func(*dcv1.SwarmServiceSpec)
		engine func(*swarm.ServiceSpec)
	}{
		"the docker CLI's defaults": {nil, func(s *swarm.ServiceSpec) { *s = cliSpec() }},
		"a digest":                  {nil, image("busybox:1" + digest)},
		"the registry's name":       {nil, image("docker.io/library/busybox:1" + digest)},
		"the tag latest":            {func(s *dcv1.SwarmServiceSpec) { s.Image = "busybox" }, image("busybox:latest" + digest)},
		"Docker's own labels": {nil, func(s *swarm.ServiceSpec) {
			s.Labels = map[string]string{"com.docker.stack.namespace": "shop", "com.docker.stack.image": "busybox:1"}
		}},
		"a forced update": {nil, func(s *swarm.ServiceSpec) { s.TaskTemplate.ForceUpdate = 7 }},
		"a forced update beyond the spec": {func(s *dcv1.SwarmServiceSpec) { s.ForceUpdate = ptr.To[int64](3) },
			func(s *swarm.ServiceSpec) { s.TaskTemplate.ForceUpdate = 4 }},
		"platforms": {nil, func(s *swarm.ServiceSpec) {
			s.TaskTemplate.Placement = &swarm.Placement{Platforms: []swarm.Platform{{OS: "linux"}}}
		}},
		"another order of variables": {func(s *dcv1.SwarmServiceSpec) {
			s.Env = []dcv1.SwarmEnvVar{{Name: "B", Value: ptr.To("2")}, {Name: "A", Value: ptr.To("1")}}
		}, inSpec(func(c *swarm.ContainerSpec) { c.Env = []string{"A=1", "B=2"} })},
		"a variable twice": {func(s *dcv1.SwarmServiceSpec) { s.Env = []dcv1.SwarmEnvVar{{Name: "A", Value: ptr.To("1")}} },
			inSpec(func(c *swarm.ContainerSpec) { c.Env = []string{"A=0", "A=1"} })},
		"another order of constraints": {func(s *dcv1.SwarmServiceSpec) {
			s.Placement = &dcv1.SwarmPlacement{Constraints: []string{"node.role==worker", "node.labels.a != b"}}
		}, func(s *swarm.ServiceSpec) {
			s.TaskTemplate.Placement = &swarm.Placement{Constraints: []string{"node.labels.a!=b", "node.role == worker"}}
		}},
		"another order of mounts": {func(s *dcv1.SwarmServiceSpec) {
			s.Mounts = []dcv1.SwarmMount{{Type: dcv1.SwarmMountVolume, Target: "/b", Source: "v"}, {Type: dcv1.SwarmMountBind, Target: "/a", Source: "/a"}}
		}, inSpec(func(c *swarm.ContainerSpec) {
			c.Mounts = []mount.Mount{{Target: "/a", Source: "/a", BindOptions: &mount.BindOptions{Propagation: "rprivate"}},
				{Type: "volume", Target: "/b", Source: "v", VolumeOptions: &mount.VolumeOptions{DriverConfig: &mount.Driver{Name: "local"}}}}
		})},
		"another order of ports": {func(s *dcv1.SwarmServiceSpec) {
			s.Ports = []dcv1.SwarmPort{{TargetPort: 2}, {TargetPort: 1, PublishedPort: ptr.To[int32](9)}}
		}, func(s *swarm.ServiceSpec) {
			s.EndpointSpec = &swarm.EndpointSpec{Mode: "vip", Ports: []swarm.PortConfig{
				{Protocol: "tcp", TargetPort: 1, PublishedPort: 9, PublishMode: "ingress"}, {Protocol: "tcp", TargetPort: 2, PublishMode: "ingress"}}}
		}},
		"names of capabilities": {func(s *dcv1.SwarmServiceSpec) {
			s.Capabilities = &dcv1.SwarmCapabilities{Add: []string{"NET_ADMIN", "SYS_TIME"}}
		}, inSpec(func(c *swarm.ContainerSpec) { c.CapabilityAdd = []string{"CAP_SYS_TIME", "CAP_NET_ADMIN"} })},
		"other units": {func(s *dcv1.SwarmServiceSpec) {
			s.Resources = &dcv1.SwarmResources{Limits: &dcv1.SwarmLimits{CPU: ptr.To(resource.MustParse("0.5")), Memory: ptr.To(resource.MustParse("134217728"))}}
		}, func(s *swarm.ServiceSpec) {
			s.TaskTemplate.Resources = &swarm.ResourceRequirements{Limits: &swarm.Limit{NanoCPUs: 5e8, MemoryBytes: 128 << 20}, Reservations: &swarm.Resources{}}
		}},
		"an unset swappiness": {nil, func(s *swarm.ServiceSpec) {
			s.TaskTemplate.Resources = &swarm.ResourceRequirements{MemorySwappiness: ptr.To[int64](-1)}
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			spec, in := least()
			if tt.spec != nil {
				tt.spec(&spec)
			}
			d := mustBuild(t, spec, in)
			have := mustBuild(t, spec, in).Spec
			tt.engine(&have)
			if diff := d.Diff(have); !diff.Empty() {
				t.Errorf("drift: %s", diff)
			}
		})
	}
}

func image(ref string) func(*swarm.ServiceSpec) {
	return inSpec(func(c *swarm.ContainerSpec) { c.Image = ref })
}

func inSpec(change func(*swarm.ContainerSpec)) func(*swarm.ServiceSpec) {
	return func(s *swarm.ServiceSpec) { change(s.TaskTemplate.ContainerSpec) }
}

// TestDrift: each difference in words.
func TestDrift(t *testing.T) {
	tests := map[string]struct {
		spec   func(*dcv1.SwarmServiceSpec)
		engine func(*swarm.ServiceSpec)
		want   string
	}{
		"scaled": {nil, func(s *swarm.ServiceSpec) { s.Mode.Replicated.Replicas = ptr.To[uint64](5) }, "spec.replicas is 5, want 1"},
		"another tag": {nil, image("busybox:2" + digest),
			"spec.image is busybox:2" + digest + ", want busybox:1"},
		"a pinned image": {func(s *dcv1.SwarmServiceSpec) { s.Image = "busybox:1" + digest }, image("busybox:1"),
			"spec.image is busybox:1, want busybox:1" + digest},
		"a new variable": {nil, inSpec(func(c *swarm.ContainerSpec) { c.Env = []string{"TOKEN=hunter2"} }), "spec.env[TOKEN] is not in the spec"},
		"a variable gone": {func(s *dcv1.SwarmServiceSpec) { s.Env = []dcv1.SwarmEnvVar{{Name: "A", Value: ptr.To("hunter2")}} },
			inSpec(func(c *swarm.ContainerSpec) { c.Env = nil }), "spec.env[A] is missing"},
		"a variable changed": {func(s *dcv1.SwarmServiceSpec) { s.Env = []dcv1.SwarmEnvVar{{Name: "A", Value: ptr.To("hunter2")}} },
			inSpec(func(c *swarm.ContainerSpec) { c.Env = []string{"A="} }), "spec.env[A] has another value"},
		"a variable unset": {func(s *dcv1.SwarmServiceSpec) { s.Env = []dcv1.SwarmEnvVar{{Name: "A"}} },
			inSpec(func(c *swarm.ContainerSpec) { c.Env = []string{"A"} }), "spec.env[A] has another value"},
		"a resource by its name": {nil, func(s *swarm.ServiceSpec) {
			s.TaskTemplate.Resources = &swarm.ResourceRequirements{Reservations: &swarm.Resources{GenericResources: []swarm.GenericResource{
				{NamedResourceSpec: &swarm.NamedGenericResource{Kind: "SSD", Value: "sda1"}}}}}
		}, `spec.resources.reservations.generic is ["SSD sda1"], and not in the spec`},
		"a label":   {nil, func(s *swarm.ServiceSpec) { s.Labels = map[string]string{"a": "b"} }, "spec.labels[a] is not in the spec"},
		"a command": {nil, inSpec(func(c *swarm.ContainerSpec) { c.Command = []string{"sh"} }), "spec.command is not in the spec"},
		"a counter below": {func(s *dcv1.SwarmServiceSpec) { s.ForceUpdate = ptr.To[int64](3) },
			func(s *swarm.ServiceSpec) { s.TaskTemplate.ForceUpdate = 2 }, "spec.forceUpdate is 2, want 3"},
		"a default": {func(s *dcv1.SwarmServiceSpec) { s.UpdateConfig = &dcv1.SwarmUpdateConfig{Order: dcv1.SwarmStartFirst} },
			func(s *swarm.ServiceSpec) { s.UpdateConfig = nil }, "spec.updateConfig.order is StopFirst, want StartFirst"},
		"grace": {nil, inSpec(func(c *swarm.ContainerSpec) { c.StopGracePeriod = ptr.To(time.Minute) }), "spec.stopGracePeriod is 1m0s, want 10s"},
		"memory": {nil, func(s *swarm.ServiceSpec) {
			s.TaskTemplate.Resources = &swarm.ResourceRequirements{Limits: &swarm.Limit{MemoryBytes: 64 << 20}}
		}, "spec.resources.limits.memory is 64Mi, and not in the spec"},
		"a port": {func(s *dcv1.SwarmServiceSpec) {
			s.Ports = []dcv1.SwarmPort{{TargetPort: 80, PublishedPort: ptr.To[int32](8080)}}
		},
			func(s *swarm.ServiceSpec) { s.EndpointSpec = nil }, "spec.ports[80/TCP->8080].publishMode is missing, want Ingress"},
		"init by hand": {nil, inSpec(func(c *swarm.ContainerSpec) { c.Init = ptr.To(true) }), "spec.init is true, and not in the spec"},
		"a network": {nil, func(s *swarm.ServiceSpec) { s.TaskTemplate.Networks = []swarm.NetworkAttachmentConfig{{Target: "id2"}} },
			"spec.networks[id2] is id2, and not in the spec"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			spec, in := least()
			if tt.spec != nil {
				tt.spec(&spec)
			}
			d := mustBuild(t, spec, in)
			have := mustBuild(t, spec, in).Spec
			tt.engine(&have)
			if got := d.Diff(have).String(); got != tt.want {
				t.Errorf("drift: %s\nwant:  %s", got, tt.want)
			}
		})
	}
}

// TestSecretsStaySecret: no value that may be secret is in what is said of a difference,
// in whichever direction, or of a fault.
func TestSecretsStaySecret(t *testing.T) {
	const canary = "hunter2"
	spec, in := least()
	secret := map[string]string{"k": canary}
	spec.Env = []dcv1.SwarmEnvVar{{Name: "A", Value: ptr.To(canary)}, {Name: "B", ValueFrom: &dcv1.SwarmEnvSource{SecretKeyRef: &dcv1.LocalKeyReference{Name: "s", Key: "k"}}}}
	in.Env = map[string]string{"B": canary}
	spec.Labels, spec.ContainerLabels = secret, secret
	spec.Command, spec.Args = []string{canary}, []string{canary}
	spec.Healthcheck = &dcv1.SwarmHealthcheck{Test: []string{"CMD", canary}}
	spec.LogDriver = &dcv1.SwarmLogDriver{Name: "syslog", Options: secret}
	spec.Networks = []dcv1.SwarmNetwork{{Name: "n", DriverOptions: secret}}
	in.Networks = map[string]string{"n": "id"}
	spec.Mounts = []dcv1.SwarmMount{{Type: dcv1.SwarmMountVolume, Target: "/v", Volume: &dcv1.SwarmVolumeOptions{DriverOptions: secret, Labels: secret}}}
	full := mustBuild(t, spec, in)
	plain, inPlain := least()
	bare := mustBuild(t, plain, inPlain)

	other := mustBuild(t, spec, in).Spec
	other.TaskTemplate.ContainerSpec.Env = []string{"A=x", "B=x"}
	for name, diff := range map[string]Differences{"all missing": full.Diff(bare.Spec), "all extra": bare.Diff(full.Spec), "changed": full.Diff(other)} {
		if diff.Empty() {
			t.Errorf("%s: no differences", name)
		}
		if text := fmt.Sprintf("%+v %s", diff, diff); strings.Contains(text, canary) {
			t.Errorf("%s: %s", name, text)
		}
	}

	spec.Image, spec.Networks[0].Name = "Bad Image", "other"
	if _, err := Build(&spec, in); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("error %v", err)
	}
}

func TestDifferencesAreBounded(t *testing.T) {
	spec, in := least()
	d := mustBuild(t, spec, in)
	have := mustBuild(t, spec, in).Spec
	have.TaskTemplate.ContainerSpec.Sysctls = map[string]string{}
	for i := range 3000 {
		have.TaskTemplate.ContainerSpec.Sysctls[fmt.Sprintf("net.%04d", i)] = strings.Repeat("ü", 5000) + "\n"
	}
	diff := d.Diff(have)
	if len(diff.List) != maxDifferences || diff.More != 3000-maxDifferences {
		t.Errorf("%d listed, %d more", len(diff.List), diff.More)
	}
	text := diff.String()
	if len(text) > maxDiffText || strings.Contains(text, "\n") {
		t.Errorf("%d bytes: %q", len(text), text)
	}
	if !strings.HasPrefix(text, "spec.sysctls[net.0000] is ü") || !strings.HasSuffix(text, " more") {
		t.Errorf("text %q", text)
	}
}

// TestNetworksByName: people know networks by their names.
func TestNetworksByName(t *testing.T) {
	spec, in := least()
	spec.Networks = []dcv1.SwarmNetwork{{Name: "back", Aliases: []string{"a"}}}
	in.Networks = map[string]string{"back": "id1", "front": "id2"}
	d := mustBuild(t, spec, in)
	have := mustBuild(t, spec, in).Spec
	have.TaskTemplate.Networks = []swarm.NetworkAttachmentConfig{{Target: "id1"}, {Target: "id2"}}
	want := `spec.networks[back].aliases is missing, want ["a"]; spec.networks[front] is id2, and not in the spec`
	if got := d.Diff(have).String(); got != want {
		t.Errorf("drift: %s\nwant:  %s", got, want)
	}
}

// BenchmarkDiff is what one look at a service costs, one that says everything.
func BenchmarkDiff(b *testing.B) {
	have := full(anyIDs)
	d := rebuild(b, have)
	b.ReportAllocs()
	for b.Loop() {
		if !d.Diff(have).Empty() {
			b.Fatal("drift")
		}
	}
}
