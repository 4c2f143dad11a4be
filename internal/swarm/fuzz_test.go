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
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// FuzzEngineSpec: whatever an engine says is read without harm; and what is read without a
// note and built without a fault means the same again.
func FuzzEngineSpec(f *testing.F) {
	for _, s := range variants(anyIDs) {
		data, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"TaskTemplate": {"ContainerSpec": {"Secrets": [null, {}], "Configs": [null, {}], "Ulimits": [null], "Env": ["", "=", "A", "A=", "A=b"]}}}`))
	f.Add([]byte(`{"Mode": {"ReplicatedJob": {}}, "TaskTemplate": {"Placement": {"Preferences": [{}]}, "Runtime": "plugin"}}`))
	f.Add([]byte("\x00\x02\x07choices, not JSON"))
	f.Fuzz(checkEngineSpec)
}

func checkEngineSpec(t *testing.T, data []byte) {
	s, ok := specFrom[swarm.ServiceSpec](data)
	if !ok {
		return
	}
	checkReadBuild(t, s)
	checkReadBuild(t, partial(data, ordered(variants(anyIDs))))
}

func checkReadBuild(t *testing.T, s swarm.ServiceSpec) {
	t.Helper()
	for k := range OwnerLabels(Owner{UID: "any"}) {
		delete(s.Labels, k) // Read leaves them out
	}
	spec, notes := Read(s, Names{})
	d, err := Build(&spec, inputsFor(s))
	if err != nil || len(notes) > 0 {
		return
	}
	if diff := cmp.Diff(flatten(s, nil), flatten(d.Spec, nil), cmp.AllowUnexported(leaf{})); diff != "" {
		t.Errorf("(-engine +built)\n%s", diff)
	}
	checkMerge(t, d, s)
	checkMerge(t, d, full(anyIDs))
	checkMerge(t, d, swarm.ServiceSpec{})
}

// checkMerge: one write, and the service is what the spec says.
func checkMerge(t *testing.T, d Desired, have swarm.ServiceSpec) {
	t.Helper()
	diff := d.Diff(have)
	if text := diff.String(); len(text) > maxDiffText || (text == "") != diff.Empty() {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	merged, err := d.Merge(have, diff)
	if err != nil {
		t.Fatal(err)
	}
	if left := d.Diff(merged); !left.Empty() {
		t.Errorf("after a merge: %s", left)
	}
}

// FuzzSpec: whatever a user says is built or refused; what is built is read back without a
// note, and means the same.
func FuzzSpec(f *testing.F) {
	samples, err := os.ReadFile("../../config/samples/dockercontrol_v1alpha1_swarmservice.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for doc := range strings.SplitSeq(string(samples), "\n---\n") {
		var s dcv1.SwarmService
		if err := yaml.UnmarshalStrict([]byte(doc), &s); err != nil {
			f.Fatal(err)
		}
		seed(f, s.Spec)
	}
	for _, s := range variants(anyIDs) {
		spec, _ := Read(s, Names{})
		seed(f, spec)
	}
	f.Add([]byte("\x00\x02\x07choices, not JSON"))
	f.Fuzz(func(t *testing.T, data []byte) { checkSpec(t, data) })
}

// checkSpec returns how many specs made of the bytes could be built.
func checkSpec(t *testing.T, data []byte) int {
	spec, ok := specFrom[dcv1.SwarmServiceSpec](data)
	if !ok {
		return 0
	}
	var samples []dcv1.SwarmServiceSpec
	for _, s := range ordered(variants(anyIDs)) {
		sample, _ := Read(s, Names{})
		samples = append(samples, sample)
	}
	return checkBuildRead(t, spec) + checkBuildRead(t, partial(data, samples))
}

func checkBuildRead(t *testing.T, spec dcv1.SwarmServiceSpec) int {
	t.Helper()
	in := everything(spec)
	d, err := Build(&spec, in)
	if err != nil {
		if err.Error() == "" {
			t.Error("a fault without a word")
		}
		return 0
	}
	if diff := d.Diff(d.Spec); !diff.Empty() {
		t.Errorf("drift from itself: %s", diff)
	}
	again, notes := Read(d.Spec, Names{})
	if len(notes) > 0 {
		t.Errorf("notes %q", notes)
	}
	in.Owner = Owner{}
	second, err := Build(&again, withIDs(in))
	if err != nil {
		t.Errorf("built, read, and then: %v", err)
		return 0
	}
	for k := range OwnerLabels(Owner{UID: "any"}) {
		delete(d.Spec.Labels, k)
	}
	if diff := cmp.Diff(flatten(d.Spec, nil), flatten(second.Spec, nil), cmp.AllowUnexported(leaf{})); diff != "" {
		t.Errorf("(-first +second)\n%s", diff)
	}
	checkMerge(t, second, full(anyIDs))
	return 1
}

// ordered are a map's values by their keys, so that the same bytes make the same spec.
func ordered[T any](m map[string]T) []T {
	var out []T
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

func seed(f *testing.F, spec dcv1.SwarmServiceSpec) {
	f.Helper()
	data, err := json.Marshal(spec)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
}

// everything that a spec refers to is there.
func everything(spec dcv1.SwarmServiceSpec) Inputs {
	in := Inputs{
		ServiceName: "web", Owner: Owner{UID: types.UID("u")}, CredentialSpec: Object{"credential", "credential"},
		Env: map[string]string{}, Secrets: map[string]Object{}, Configs: map[string]Object{}, Networks: map[string]string{},
	}
	for _, v := range spec.Env {
		in.Env[v.Name] = "value"
	}
	for _, v := range spec.Secrets {
		in.Secrets[v.Target] = Object{"id", "name"}
	}
	for _, v := range spec.Configs {
		in.Configs[v.Target] = Object{"id", "name"}
	}
	for _, v := range spec.Networks {
		in.Networks[v.Name] = "id-" + v.Name
	}
	return in
}

// withIDs finds networks by their ids too, since Read had no names.
func withIDs(in Inputs) Inputs {
	networks := map[string]string{}
	for _, id := range in.Networks {
		networks[id] = id
	}
	in.Networks = networks
	return in
}
