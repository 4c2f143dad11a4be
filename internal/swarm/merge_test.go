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
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/moby/api/types/swarm"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

var bytewise = []cmp.Option{cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})}

func mustMerge(t *testing.T, d Desired, have swarm.ServiceSpec) swarm.ServiceSpec {
	t.Helper()
	out, err := d.Merge(have, d.Diff(have))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMergeIsWhatTheSpecSays: from any service to any spec in one write, and then no drift.
func TestMergeIsWhatTheSpecSays(t *testing.T) {
	for from, have := range variants(anyIDs) {
		for to, want := range variants(anyIDs) {
			d := rebuild(t, want)
			merged := mustMerge(t, d, have)
			if diff := d.Diff(merged); !diff.Empty() {
				t.Errorf("from %s to %s: still %s", from, to, diff)
			}
		}
	}
}

// TestMergeKeepsWhatIsRight: a service without drift is left as it is to the letter, or all
// its tasks would be replaced.
func TestMergeKeepsWhatIsRight(t *testing.T) {
	for name, have := range variants(anyIDs) {
		if merged := mustMerge(t, rebuild(t, have), have); !cmp.Equal(have, merged, bytewise...) {
			t.Errorf("%s: (-have +merged)\n%s", name, cmp.Diff(have, merged, bytewise...))
		}
	}

	spec, in := least()
	spec.Env = []dcv1.SwarmEnvVar{{Name: "B", Value: ptr.To("2")}, {Name: "A", Value: ptr.To("1")}}
	spec.Placement = &dcv1.SwarmPlacement{Constraints: []string{"node.role==worker"}}
	spec.Replicas = ptr.To[int32](4)
	have := cliSpec()
	have.TaskTemplate.ContainerSpec.Env = []string{"A=1", "B=2"}
	have.TaskTemplate.Placement.Constraints = []string{" node.role  ==  worker"}
	have.TaskTemplate.ForceUpdate = 9
	have.Labels = map[string]string{"com.docker.stack.namespace": "shop", "stray": "x"}

	want := cliSpec()
	want.TaskTemplate.ContainerSpec.Env = have.TaskTemplate.ContainerSpec.Env
	want.TaskTemplate.Placement.Constraints = have.TaskTemplate.Placement.Constraints
	want.TaskTemplate.ForceUpdate = 9
	want.Mode.Replicated.Replicas = ptr.To[uint64](4)
	want.Labels = map[string]string{"com.docker.stack.namespace": "shop"}
	d := mustBuild(t, spec, in)
	if got := mustMerge(t, d, have); !cmp.Equal(want, got, bytewise...) {
		t.Errorf("(-want +got)\n%s", cmp.Diff(want, got, bytewise...))
	}
}

// TestMergeOfAnotherImage: the digest and the platforms of the old one go.
func TestMergeOfAnotherImage(t *testing.T) {
	spec, in := least()
	spec.Image = "busybox:2"
	merged := mustMerge(t, mustBuild(t, spec, in), cliSpec())
	if got := merged.TaskTemplate.ContainerSpec.Image; got != "busybox:2" {
		t.Errorf("image %s", got)
	}
	if p := merged.TaskTemplate.Placement; p != nil && len(p.Platforms) > 0 {
		t.Errorf("platforms %v", p.Platforms)
	}
}

// TestMergeSharesNothing: what is written can be changed without harm to what was read.
func TestMergeSharesNothing(t *testing.T) {
	have, d := full(anyIDs), rebuild(t, full(anyIDs))
	merged := mustMerge(t, d, have)
	merged.TaskTemplate.ContainerSpec.Env[0] = "X=y"
	merged.Labels["new"] = "x"
	*merged.Mode.Replicated.Replicas = 99
	for name, s := range map[string]swarm.ServiceSpec{"the service": have, "the spec": d.Spec} {
		if !cmp.Equal(flatten(s, nil), flatten(full(anyIDs), nil), cmp.AllowUnexported(leaf{})) {
			t.Errorf("%s changed too", name)
		}
	}
}
