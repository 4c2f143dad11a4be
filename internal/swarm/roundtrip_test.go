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
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/moby/api/types/swarm"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// sameLeaves fails where two specs mean different things.
func sameLeaves(t *testing.T, want, got swarm.ServiceSpec) {
	t.Helper()
	if diff := cmp.Diff(flatten(want, nil), flatten(got, nil), cmp.AllowUnexported(leaf{})); diff != "" {
		t.Errorf("the specs differ (-want +got)\n%s", diff)
	}
}

// TestEngineRoundTrip: what the engine has, read and built again, is the same.
func TestEngineRoundTrip(t *testing.T) {
	for name, s := range variants(anyIDs) {
		t.Run(name, func(t *testing.T) {
			d := rebuild(t, s)
			sameLeaves(t, s, d.Spec)
			if diff := d.Diff(s); !diff.Empty() {
				t.Errorf("drift: %s", diff)
			}
		})
	}
}

// TestSpecRoundTrip: what is built, read again, is the same spec to the letter.
func TestSpecRoundTrip(t *testing.T) {
	for name, s := range variants(anyIDs) {
		t.Run(name, func(t *testing.T) {
			spec, _ := Read(s, Names{})
			d := mustBuild(t, spec, inputsFor(s))
			again, notes := Read(d.Spec, Names{})
			if len(notes) > 0 {
				t.Errorf("notes %q", notes)
			}
			if diff := cmp.Diff(spec, again, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			// And through JSON, as the API server keeps it.
			data, err := json.Marshal(spec)
			if err != nil {
				t.Fatal(err)
			}
			var stored dcv1.SwarmServiceSpec
			if err := json.Unmarshal(data, &stored); err != nil {
				t.Fatal(err)
			}
			sameLeaves(t, d.Spec, mustBuild(t, stored, inputsFor(s)).Spec)
		})
	}
}

// TestReadNames: networks and configs come out by their names, owners not at all.
func TestReadNames(t *testing.T) {
	s := variants(anyIDs)["config"]
	s.Labels = map[string]string{"a": "b"}
	for k, v := range OwnerLabels(Owner{UID: "u", Namespace: "ns", Name: "n"}) {
		s.Labels[k] = v
	}
	spec, notes := Read(s, Names{Networks: map[string]string{"network1": "back"}, Configs: map[string]string{"config1": "cred"}})
	if len(notes) > 0 {
		t.Errorf("notes %q", notes)
	}
	if got := spec.Networks[0].Name; got != "back" {
		t.Errorf("network %q", got)
	}
	if got := spec.Privileges.CredentialSpec.ConfigName; got != "cred" {
		t.Errorf("config %q", got)
	}
	if diff := cmp.Diff(map[string]string{"a": "b"}, spec.Labels); diff != "" {
		t.Error(diff)
	}
}

// TestReadNotes: what a SwarmService cannot say is said.
func TestReadNotes(t *testing.T) {
	tests := map[string]struct{ json, want string }{
		"plugin":        {`{"TaskTemplate": {"Runtime": "plugin", "PluginSpec": {}}}`, "Runtime: is plugin, and a SwarmService runs containers only"},
		"replicas":      {`{"Mode": {"Replicated": {"Replicas": 5000000000}}, "TaskTemplate": {"ContainerSpec": {}}}`, "Mode.Replicated.Replicas: 5000000000 is more than a SwarmService can say"},
		"aliases":       {`{"TaskTemplate": {"ContainerSpec": {"Hosts": ["10.0.0.1 a b"]}}}`, "Hosts: the engine reads the first name of a line only"},
		"no name":       {`{"TaskTemplate": {"ContainerSpec": {"Hosts": ["10.0.0.1"]}}}`, "Hosts: a line has no name"},
		"no variable":   {`{"TaskTemplate": {"ContainerSpec": {"Env": ["=x"]}}}`, "Env: a variable has no name"},
		"mount type":    {`{"TaskTemplate": {"ContainerSpec": {"Mounts": [{"Type": "image"}]}}}`, `Mounts[0].Type: the value "image" is not known`},
		"swappiness":    {`{"TaskTemplate": {"ContainerSpec": {}, "Resources": {"MemorySwappiness": 500}}}`, "Resources.MemorySwappiness: 500 is not from 0 to 100"},
		"runtime":       {`{"TaskTemplate": {"ContainerSpec": {"Configs": [{"ConfigName": "c", "ConfigID": "i", "Runtime": {}}]}}}`, "Configs: config c is for the runtime, and no credential spec uses it"},
		"resource":      {`{"TaskTemplate": {"ContainerSpec": {}, "Resources": {"Reservations": {"GenericResources": [{}]}}}}`, "Resources.Reservations.GenericResources[0]: is neither a number nor a name"},
		"named":         {`{"TaskTemplate": {"ContainerSpec": {}, "Resources": {"Reservations": {"GenericResources": [{"NamedResourceSpec": {"Kind": "SSD", "Value": "sda1"}}]}}}}`, "Resources.Reservations.GenericResources[0]: asks for one SSD by its name, and swarm places no task that does"},
		"tmpfs mode":    {`{"TaskTemplate": {"ContainerSpec": {"Mounts": [{"Type": "tmpfs", "TmpfsOptions": {"Mode": 2147484672}}]}}}`, "Mounts[0].TmpfsOptions.Mode: has more than permissions"},
		"tmpfs options": {`{"TaskTemplate": {"ContainerSpec": {"Mounts": [{"Type": "tmpfs", "TmpfsOptions": {"Options": [["a","b","c"]]}}]}}}`, "Mounts[0].TmpfsOptions.Options: an option is neither a word nor a key and its value"},
		"ports":         {`{"EndpointSpec": {"Ports": [{"PublishedPort": 80}]}, "TaskTemplate": {"ContainerSpec": {}}}`, "EndpointSpec.Ports[0]: 80:0 are no ports"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var s swarm.ServiceSpec
			if err := json.Unmarshal([]byte(tt.json), &s); err != nil {
				t.Fatal(err)
			}
			_, notes := Read(s, Names{})
			if len(notes) == 0 || notes[0] != tt.want {
				t.Errorf("notes %q, want %q first", notes, tt.want)
			}
		})
	}
}
