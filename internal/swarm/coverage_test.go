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
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/swarm"
)

// notMapped are the SDK's fields that a SwarmService does not have, with the reasons.
var notMapped = map[string]string{
	"TaskTemplate.PluginSpec":                                                  "a SwarmService runs containers; the plugin runtime is experimental",
	"TaskTemplate.NetworkAttachmentSpec":                                       "the engine's own, for containers that join a network; it refuses services with it",
	"TaskTemplate.ContainerSpec.Mounts[].Consistency":                          "for Docker Desktop; swarm keeps no such field",
	"TaskTemplate.ContainerSpec.Mounts[].ImageOptions":                         "for type image, which swarm refuses",
	"TaskTemplate.ContainerSpec.Mounts[].ClusterOptions":                       "has no fields, and swarm keeps none",
	"TaskTemplate.ContainerSpec.Mounts[].BindOptions.CreateMountpoint":         "the engine drops it on the way to swarm",
	"TaskTemplate.ContainerSpec.Mounts[].BindOptions.ReadOnlyNonRecursive":     "the engine drops it on the way to swarm",
	"TaskTemplate.ContainerSpec.Mounts[].BindOptions.ReadOnlyForceRecursive":   "the engine drops it on the way to swarm",
	"TaskTemplate.ContainerSpec.Configs[].Runtime":                             "written for the config of a credential spec, and of use for nothing else",
	"TaskTemplate.Runtime":                                                     "always container",
	"TaskTemplate.Resources.Reservations.GenericResources[].NamedResourceSpec": "nodes name theirs; swarm takes a service that asks by name, and places no task of it",
}

// samples are other values for fields that do not take any.
var samples = map[string]string{
	"UpdateConfig.FailureAction":                                   "pause",
	"RollbackConfig.FailureAction":                                 "pause",
	"UpdateConfig.Order":                                           "stop-first",
	"RollbackConfig.Order":                                         "stop-first",
	"EndpointSpec.Mode":                                            "vip",
	"EndpointSpec.Ports[].Protocol":                                "sctp",
	"EndpointSpec.Ports[].PublishMode":                             "ingress",
	"TaskTemplate.RestartPolicy.Condition":                         "none",
	"TaskTemplate.ContainerSpec.Image":                             "busybox:2",
	"TaskTemplate.ContainerSpec.Isolation":                         "hyperv",
	"TaskTemplate.ContainerSpec.Mounts[].Type":                     "npipe",
	"TaskTemplate.ContainerSpec.Mounts[].BindOptions.Propagation":  "shared",
	"TaskTemplate.ContainerSpec.Privileges.Seccomp.Mode":           "unconfined",
	"TaskTemplate.ContainerSpec.Privileges.AppArmor.Mode":          "default",
	"TaskTemplate.ContainerSpec.Hosts[]":                           "10.0.0.9 nine",
	"TaskTemplate.ContainerSpec.Env[]":                             "NEW=x",
	"TaskTemplate.ContainerSpec.CapabilityAdd[]":                   "CAP_SYS_TIME",
	"TaskTemplate.ContainerSpec.CapabilityDrop[]":                  "CAP_SYS_TIME",
	"TaskTemplate.ContainerSpec.Ulimits[].Name":                    "nproc",
	"TaskTemplate.ContainerSpec.StopSignal":                        "SIGQUIT",
	"TaskTemplate.ContainerSpec.Secrets[].File.UID":                "77",
	"TaskTemplate.ContainerSpec.Mounts[].Source":                   "/other",
	"TaskTemplate.ContainerSpec.Mounts[].Target":                   "/elsewhere",
	"TaskTemplate.ContainerSpec.Healthcheck.Test[]":                "CMD-SHELL",
	"TaskTemplate.ContainerSpec.User":                              "70",
	"TaskTemplate.ContainerSpec.Dir":                               "/other",
	"TaskTemplate.Placement.Constraints[]":                         "node.labels.c == d",
	"TaskTemplate.ContainerSpec.Mounts[].VolumeOptions.Subpath":    "other",
	"TaskTemplate.ContainerSpec.Mounts[].TmpfsOptions.Options[][]": "nodev",
	"TaskTemplate.ContainerSpec.Privileges.CredentialSpec.Config":  "config2",
}

// sdkField is a leaf of a spec's value, and the way to it.
type sdkField struct {
	path string // without indexes and keys
	// set changes it in the spec that it belongs to.
	set func()
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	addrType     = reflect.TypeFor[netip.Addr]()
	bytesType    = reflect.TypeFor[[]byte]()
)

// fields are the leaves below a value.
func fields(v reflect.Value, path string) []sdkField {
	switch {
	case v.Type() == addrType:
		return []sdkField{{path, func() { v.Set(reflect.ValueOf(netip.MustParseAddr("9.9.9.9"))) }}}
	case v.Type() == bytesType:
		return []sdkField{{path, func() { v.SetBytes([]byte(`{"a":1}`)) }}}
	case v.Type() == durationType:
		return []sdkField{{path, func() { v.SetInt(v.Int() + int64(time.Second)) }}}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		if v.Elem().Kind() == reflect.Struct && v.Elem().NumField() == 0 {
			return []sdkField{{path, func() { v.SetZero() }}}
		}
		return fields(v.Elem(), path)
	case reflect.Struct:
		var out []sdkField
		for i := range v.NumField() {
			out = append(out, fields(v.Field(i), join(path, v.Type().Field(i)))...)
		}
		return out
	case reflect.Slice:
		var out []sdkField
		for i := range v.Len() {
			out = append(out, fields(v.Index(i), path+"[]")...)
		}
		return out
	case reflect.Map:
		if v.Len() == 0 {
			return nil
		}
		key := v.MapKeys()[0]
		return []sdkField{{path + "{}", func() { v.SetMapIndex(key, reflect.ValueOf("changed")) }}}
	case reflect.String:
		return []sdkField{{path, func() {
			if s, ok := samples[path]; ok {
				v.SetString(s)
			} else {
				v.SetString(v.String() + "x")
			}
		}}}
	case reflect.Bool:
		return []sdkField{{path, func() { v.SetBool(!v.Bool()) }}}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return []sdkField{{path, func() { v.SetInt(v.Int() + 1) }}}
	case reflect.Uint32, reflect.Uint64:
		return []sdkField{{path, func() { v.SetUint(v.Uint() + 1) }}}
	case reflect.Float32:
		return []sdkField{{path, func() { v.SetFloat(0.5) }}}
	}
	panic(fmt.Sprintf("%s is a %v", path, v.Type()))
}

func join(path string, f reflect.StructField) string {
	if f.Anonymous {
		return path
	}
	return strings.TrimPrefix(path+"."+f.Name, ".")
}

// typePaths are the leaves of a type.
func typePaths(t reflect.Type, path string) []string {
	if t == addrType || t == bytesType || t == durationType {
		return []string{path}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typePaths(t.Elem(), path)
	case reflect.Slice:
		return typePaths(t.Elem(), path+"[]")
	case reflect.Map:
		return []string{path + "{}"}
	case reflect.Struct:
		if t.NumField() == 0 {
			return []string{path}
		}
		var out []string
		for i := range t.NumField() {
			out = append(out, typePaths(t.Field(i).Type, join(path, t.Field(i)))...)
		}
		return out
	}
	return []string{path}
}

func excluded(path string) bool {
	for p := range notMapped {
		if below(path, p) {
			return true
		}
	}
	return false
}

func below(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+".") || strings.HasPrefix(path, parent+"[")
}

// companions are the fields that must change together with another to make sense.
func companions(path string, s *swarm.ServiceSpec) {
	c := s.TaskTemplate.ContainerSpec
	switch path {
	case "TaskTemplate.ContainerSpec.Privileges.Seccomp.Mode":
		c.Privileges.Seccomp.Profile = nil
	case "TaskTemplate.ContainerSpec.Privileges.CredentialSpec.Config":
		c.Configs[len(c.Configs)-1].ConfigID = c.Privileges.CredentialSpec.Config
	}
}

// TestEveryFieldIsMapped changes each field of the SDK's spec, in specs that say something in
// every field: the leaves must show it, and it must survive Read and Build.
func TestEveryFieldIsMapped(t *testing.T) {
	mapped := map[string]bool{}
	for name, s := range variants(anyIDs) {
		if name == "empty" || name == "CLI" {
			continue // say nothing, in two spellings
		}
		for i := range fields(reflect.ValueOf(&s), "") {
			if path := checkField(t, name, i); path != "" {
				mapped[path] = true
			}
		}
	}
	all := typePaths(reflect.TypeFor[swarm.ServiceSpec](), "")
	for _, path := range all {
		switch {
		case excluded(path) && mapped[path]:
			t.Errorf("%s is excluded, and mapped", path)
		case !excluded(path) && !mapped[path]:
			t.Errorf("the SDK's field %s is neither mapped nor excluded with a reason", path)
		}
	}
	for path, reason := range notMapped {
		if reason == "" || !slices.ContainsFunc(all, func(p string) bool { return below(p, path) }) {
			t.Errorf("%s is excluded without a reason, or the SDK has no such field any more", path)
		}
	}
	if len(all) < 138 {
		t.Errorf("the SDK's spec has %d fields; it had 138", len(all))
	}
}

// checkField changes a variant's field number i. It returns its path where the change
// came through.
func checkField(t *testing.T, name string, i int) string {
	s := variants(anyIDs)[name]
	f := fields(reflect.ValueOf(&s), "")[i]
	if excluded(f.path) || name == "config" && !strings.Contains(f.path, "CredentialSpec") {
		return ""
	}
	before := flatten(s, nil)
	f.set()
	companions(f.path, &s)
	after := flatten(s, nil)
	if cmp.Equal(before, after, cmp.AllowUnexported(leaf{})) {
		t.Errorf("%s: a change of %s is not seen", name, f.path)
		return ""
	}
	spec, notes := Read(s, Names{})
	if len(notes) > 0 {
		t.Errorf("%s: with %s changed, Read notes %q", name, f.path, notes)
		return ""
	}
	d, err := Build(&spec, inputsFor(s))
	if err != nil {
		return "" // does not go with another field of this variant: another one has to do it
	}
	if diff := cmp.Diff(after, flatten(d.Spec, nil), cmp.AllowUnexported(leaf{})); diff != "" {
		t.Errorf("%s: %s does not survive Read and Build (-want +got)\n%s", name, f.path, diff)
	}
	return f.path
}
