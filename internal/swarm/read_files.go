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
	"io/fs"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

func (r *reader) mounts(list []mount.Mount) []dcv1.SwarmMount {
	var out []dcv1.SwarmMount
	for i, m := range list {
		field := "Mounts[" + strconv.Itoa(i) + "]"
		v := dcv1.SwarmMount{
			Type:     known(r, field+".Type", mountTypes, or(m.Type, mount.TypeBind)),
			Target:   m.Target,
			Source:   m.Source,
			ReadOnly: yes(m.ReadOnly),
		}
		if o := m.BindOptions; o != nil && (o.Propagation != "" && o.Propagation != mount.PropagationRPrivate || o.NonRecursive) {
			v.Bind = &dcv1.SwarmBindOptions{
				Propagation:  known(r, field+".BindOptions.Propagation", propagations, o.Propagation),
				NonRecursive: yes(o.NonRecursive),
			}
		}
		if o := m.VolumeOptions; o != nil {
			v.Volume = &dcv1.SwarmVolumeOptions{NoCopy: yes(o.NoCopy), Labels: orNil(o.Labels), Subpath: o.Subpath}
			if d := o.DriverConfig; d != nil {
				v.Volume.Driver, v.Volume.DriverOptions = d.Name, orNil(d.Options)
			}
		}
		if o := m.TmpfsOptions; o != nil {
			v.Tmpfs = r.tmpfs(field, o)
		}
		out = append(out, v)
	}
	return out
}

func (r *reader) tmpfs(field string, o *mount.TmpfsOptions) *dcv1.SwarmTmpfsOptions {
	out := &dcv1.SwarmTmpfsOptions{Mode: int32(o.Mode & 0o7777)}
	if o.Mode&^fs.FileMode(0o7777) != 0 {
		r.note(field+".TmpfsOptions.Mode", "has more than permissions")
	}
	if o.SizeBytes != 0 {
		out.Size = resource.NewQuantity(o.SizeBytes, resource.BinarySI)
	}
	for _, words := range o.Options {
		if text := strings.Join(words, "="); len(words) <= 2 && text != "" && text[0] != '=' {
			out.Options = append(out.Options, text)
		} else {
			r.note(field+".TmpfsOptions.Options", "an option is neither a word nor a key and its value")
		}
	}
	return out
}

func (r *reader) owner(field, uid, gid string, mode fs.FileMode) dcv1.SwarmFileOwner {
	if mode&^fs.FileMode(0o7777) != 0 {
		r.note(field+".File.Mode", "has more than permissions")
	}
	return dcv1.SwarmFileOwner{UID: or(uid, "0"), GID: or(gid, "0"), Mode: ptr.To(int32(mode & 0o7777))}
}

func (r *reader) secrets(list []*swarm.SecretReference) []dcv1.SwarmSecretFile {
	var out []dcv1.SwarmSecretFile
	for _, s := range list {
		if s == nil || s.File == nil {
			continue // the engine has none without a file
		}
		out = append(out, dcv1.SwarmSecretFile{
			Target: s.File.Name, SecretName: s.SecretName,
			SwarmFileOwner: r.owner("Secrets", s.File.UID, s.File.GID, s.File.Mode),
		})
	}
	return out
}

func (r *reader) configs(c *swarm.ContainerSpec) []dcv1.SwarmConfigFile {
	var credential string
	if c.Privileges != nil && c.Privileges.CredentialSpec != nil {
		credential = c.Privileges.CredentialSpec.Config
	}
	var out []dcv1.SwarmConfigFile
	for _, v := range c.Configs {
		switch {
		case v == nil:
		case v.File != nil:
			out = append(out, dcv1.SwarmConfigFile{
				Target: v.File.Name, ConfigName: v.ConfigName,
				SwarmFileOwner: r.owner("Configs", v.File.UID, v.File.GID, v.File.Mode),
			})
		case v.Runtime != nil && v.ConfigID != credential:
			r.note("Configs", "config %s is for the runtime, and no credential spec uses it", v.ConfigName)
		}
	}
	return out
}
