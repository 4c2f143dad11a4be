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
	"maps"
	"strings"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

func (b *builder) mounts() []mount.Mount {
	var out []mount.Mount
	targets := map[string]bool{}
	for i, m := range b.spec.Mounts {
		path := root.Child("mounts").Index(i)
		if m.Target == "" || targets[m.Target] {
			b.invalid(path.Child("target"), m.Target, "must be there, and in one mount only")
		}
		targets[m.Target] = true
		if m.Type == "" {
			b.fault(dcv1.ReasonFieldInvalid, field.Required(path.Child("type"), "Bind, Volume, Tmpfs, NamedPipe or Cluster"))
		}
		v := mount.Mount{
			Type:     spell(b, path.Child("type"), mountTypes, m.Type),
			Source:   m.Source,
			Target:   m.Target,
			ReadOnly: ptr.Deref(m.ReadOnly, false),
		}
		if o := m.Bind; o != nil {
			// The engine takes a bind's options only where they have a propagation or are not recursive.
			propagation := spell(b, path.Child("bind", "propagation"), propagations, o.Propagation)
			if propagation == "" {
				propagation = mount.PropagationRPrivate
			}
			v.BindOptions = &mount.BindOptions{Propagation: propagation, NonRecursive: ptr.Deref(o.NonRecursive, false)}
		}
		if o := m.Volume; o != nil {
			v.VolumeOptions = &mount.VolumeOptions{NoCopy: ptr.Deref(o.NoCopy, false), Labels: maps.Clone(o.Labels), Subpath: o.Subpath}
			if o.Driver != "" || len(o.DriverOptions) > 0 {
				v.VolumeOptions.DriverConfig = &mount.Driver{Name: o.Driver, Options: maps.Clone(o.DriverOptions)}
			}
		}
		if o := m.Tmpfs; o != nil {
			v.TmpfsOptions = b.tmpfs(path.Child("tmpfs"), o)
		}
		out = append(out, v)
	}
	return out
}

func (b *builder) tmpfs(path *field.Path, o *dcv1.SwarmTmpfsOptions) *mount.TmpfsOptions {
	out := &mount.TmpfsOptions{SizeBytes: b.bytes(path.Child("size"), o.Size, 1), Mode: fs.FileMode(b.permissions(path.Child("mode"), o.Mode))}
	for i, option := range o.Options {
		if option == "" || option[0] == '=' {
			b.invalid(path.Child("options").Index(i), option, "must be a word or key=value")
		}
		// A flag alone, or a key and its value.
		if key, value, ok := strings.Cut(option, "="); ok {
			out.Options = append(out.Options, []string{key, value})
		} else {
			out.Options = append(out.Options, []string{option})
		}
	}
	return out
}

// permissions are the twelve bits that a file has.
func (b *builder) permissions(path *field.Path, mode int32) uint32 {
	if mode < 0 || mode > 0o7777 {
		b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(path, mode, "must be from 0 to 07777"))
		return 0
	}
	return uint32(mode)
}

// fileOwner fills in what the CRD does.
func (b *builder) fileOwner(path *field.Path, o dcv1.SwarmFileOwner) (uid, gid string, mode fs.FileMode) {
	uid, gid = o.UID, o.GID
	if uid == "" {
		uid = "0"
	}
	if gid == "" {
		gid = "0"
	}
	return uid, gid, fs.FileMode(b.permissions(path.Child("mode"), ptr.Deref(o.Mode, 0o444)))
}

func (b *builder) secrets() []*swarm.SecretReference {
	var out []*swarm.SecretReference
	targets := map[string]bool{}
	for i, s := range b.spec.Secrets {
		path := root.Child("secrets").Index(i)
		b.target(path, s.Target, targets)
		uid, gid, mode := b.fileOwner(path, s.SwarmFileOwner)
		object := b.in.Secrets[s.Target]
		if object.ID == "" || object.Name == "" {
			if s.SecretName != "" {
				b.fault(dcv1.ReasonSecretNotFound, field.NotFound(path.Child("secretName"), s.SecretName))
			} else {
				b.missingSource(path, s.SecretKeyRef, nil)
			}
			continue
		}
		out = append(out, &swarm.SecretReference{
			File:     &swarm.SecretReferenceFileTarget{Name: s.Target, UID: uid, GID: gid, Mode: mode},
			SecretID: object.ID, SecretName: object.Name,
		})
	}
	return out
}

func (b *builder) configs() []*swarm.ConfigReference {
	var out []*swarm.ConfigReference
	targets := map[string]bool{}
	for i, c := range b.spec.Configs {
		path := root.Child("configs").Index(i)
		b.target(path, c.Target, targets)
		uid, gid, mode := b.fileOwner(path, c.SwarmFileOwner)
		object := b.in.Configs[c.Target]
		if object.ID == "" || object.Name == "" {
			if c.ConfigName != "" {
				b.fault(dcv1.ReasonConfigNotFound, field.NotFound(path.Child("configName"), c.ConfigName))
			} else {
				b.missingSource(path, nil, c.ConfigMapKeyRef)
			}
			continue
		}
		out = append(out, &swarm.ConfigReference{
			File:     &swarm.ConfigReferenceFileTarget{Name: c.Target, UID: uid, GID: gid, Mode: mode},
			ConfigID: object.ID, ConfigName: object.Name,
		})
	}
	// The engine wants the config of a credential spec among the configs too.
	if c := b.credentialConfig(); c.ID != "" {
		out = append(out, &swarm.ConfigReference{Runtime: &swarm.ConfigReferenceRuntimeTarget{}, ConfigID: c.ID, ConfigName: c.Name})
	}
	return out
}

func (b *builder) target(path *field.Path, target string, seen map[string]bool) {
	if target == "" || seen[target] {
		b.invalid(path.Child("target"), target, "must be there, and of one file only")
	}
	seen[target] = true
}

// credentialConfig is the config of a credential spec, where it has one.
func (b *builder) credentialConfig() Object {
	p := b.spec.Privileges
	if p == nil || p.CredentialSpec == nil || p.CredentialSpec.ConfigName == "" {
		return Object{}
	}
	return b.in.CredentialSpec
}

func (b *builder) privileges() *swarm.Privileges {
	p := b.spec.Privileges
	if p == nil {
		return nil
	}
	path := root.Child("privileges")
	out := &swarm.Privileges{NoNewPrivileges: ptr.Deref(p.NoNewPrivileges, false)}
	if s := p.Seccomp; s != nil {
		if (s.Mode == dcv1.SwarmSeccompCustom) != (s.Profile != "") {
			b.invalid(path.Child("seccomp", "mode"), string(s.Mode), "a profile is required with mode Custom, and goes with no other")
		}
		out.Seccomp = &swarm.SeccompOpts{Mode: spell(b, path.Child("seccomp", "mode"), seccompModes, s.Mode), Profile: []byte(s.Profile)}
	}
	if mode := spell(b, path.Child("appArmor"), appArmorModes, p.AppArmor); mode != "" {
		out.AppArmor = &swarm.AppArmorOpts{Mode: mode}
	}
	if s := p.SELinux; s != nil {
		out.SELinuxContext = &swarm.SELinuxContext{Disable: ptr.Deref(s.Disable, false), User: s.User, Role: s.Role, Type: s.Type, Level: s.Level}
	}
	if c := p.CredentialSpec; c != nil {
		out.CredentialSpec = &swarm.CredentialSpec{File: c.File, Registry: c.Registry}
		if c.ConfigName != "" {
			out.CredentialSpec.Config = b.in.CredentialSpec.ID
			if b.in.CredentialSpec.ID == "" {
				b.fault(dcv1.ReasonConfigNotFound, field.NotFound(path.Child("credentialSpec", "configName"), c.ConfigName))
			}
		}
		if n := count(c.ConfigName != "", c.File != "", c.Registry != ""); n != 1 {
			b.invalid(path.Child("credentialSpec"), n, "must have one of configName, file and registry")
		}
	}
	return out
}

func count(conditions ...bool) int {
	n := 0
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}
