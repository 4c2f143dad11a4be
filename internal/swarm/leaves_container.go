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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/swarm"
)

// defaultGrace is the engine's, where a service says nothing.
const defaultGrace = 10 * time.Second

func (l leaves) container(c *swarm.ContainerSpec) {
	l.text("spec.image", c.Image)
	l.private("spec.containerLabels", c.Labels)
	l.list("spec.command", c.Command, true)
	l.list("spec.args", c.Args, true)
	l.env(c.Env)
	l.text("spec.hostname", c.Hostname)
	l.text("spec.workingDir", c.Dir)
	l.text("spec.user", c.User)
	l.set("spec.groups", c.Groups)
	if c.Init != nil {
		l.put("spec.init", strconv.FormatBool(*c.Init), false)
	}
	l.text("spec.stopSignal", c.StopSignal)
	l.flag("spec.tty", c.TTY)
	l.flag("spec.stdin", c.OpenStdin)
	l.flag("spec.readOnlyRootFilesystem", c.ReadOnly)
	l.put("spec.stopGracePeriod", value(c.StopGracePeriod, defaultGrace).String(), false)
	l.healthcheck(c.Healthcheck)
	l.hosts(c.Hosts)
	if d := c.DNSConfig; d != nil {
		var addrs []string
		for _, a := range d.Nameservers {
			addrs = append(addrs, a.String())
		}
		l.list("spec.dns.nameservers", addrs, false)
		l.list("spec.dns.searches", d.Search, false)
		l.list("spec.dns.options", d.Options, false)
	}
	if c.Isolation != container.IsolationDefault {
		l.text("spec.isolation", show(isolations, c.Isolation))
	}
	l.public("spec.sysctls", c.Sysctls)
	l.set("spec.capabilities.add", capabilities(c.CapabilityAdd))
	l.set("spec.capabilities.drop", capabilities(c.CapabilityDrop))
	for _, u := range c.Ulimits {
		if u != nil {
			l.put(keyed("spec.ulimits", u.Name), strconv.FormatInt(u.Soft, 10)+":"+strconv.FormatInt(u.Hard, 10), false)
		}
	}
	l.number("spec.oomScoreAdj", c.OomScoreAdj)
	l.privileges(c.Privileges)
	for _, m := range c.Mounts {
		l.mount(m)
	}
	l.files(c)
}

// env: of a variable that is given twice, containers see the last.
func (l leaves) env(env []string) {
	for _, text := range env {
		name, v, set := strings.Cut(text, "=")
		if set {
			v = "=" + v // to tell an empty value from none
		}
		l[keyed("spec.env", name)] = leaf{value: v, private: true}
	}
}

func (l leaves) hosts(lines []string) {
	var tidy []string
	for _, line := range lines {
		tidy = append(tidy, words(line))
	}
	l.set("spec.extraHosts", tidy)
}

func (l leaves) healthcheck(h *container.HealthConfig) {
	if h == nil {
		return
	}
	l.list("spec.healthcheck.test", h.Test, true)
	l.duration("spec.healthcheck.interval", h.Interval)
	l.duration("spec.healthcheck.timeout", h.Timeout)
	l.duration("spec.healthcheck.startPeriod", h.StartPeriod)
	l.duration("spec.healthcheck.startInterval", h.StartInterval)
	l.number("spec.healthcheck.retries", int64(h.Retries))
}

func (l leaves) privileges(p *swarm.Privileges) {
	if p == nil {
		return
	}
	const path = "spec.privileges"
	l.flag(path+".noNewPrivileges", p.NoNewPrivileges)
	if s := p.Seccomp; s != nil {
		if s.Mode != swarm.SeccompModeDefault {
			l.text(path+".seccomp.mode", show(seccompModes, s.Mode))
		}
		if len(s.Profile) > 0 {
			l.put(path+".seccomp.profile", string(s.Profile), true) // not secret, but 100 lines of JSON
		}
	}
	if a := p.AppArmor; a != nil && a.Mode != swarm.AppArmorModeDefault {
		l.text(path+".appArmor", show(appArmorModes, a.Mode))
	}
	if s := p.SELinuxContext; s != nil {
		l.flag(path+".seLinux.disable", s.Disable)
		l.text(path+".seLinux.user", s.User)
		l.text(path+".seLinux.role", s.Role)
		l.text(path+".seLinux.type", s.Type)
		l.text(path+".seLinux.level", s.Level)
	}
	if c := p.CredentialSpec; c != nil {
		l.text(path+".credentialSpec.configName", c.Config)
		l.text(path+".credentialSpec.file", c.File)
		l.text(path+".credentialSpec.registry", c.Registry)
	}
}

func (l leaves) mount(m mount.Mount) {
	path := keyed("spec.mounts", m.Target)
	l.put(path+".type", show(mountTypes, or(m.Type, mount.TypeBind)), false)
	l.text(path+".source", m.Source)
	l.flag(path+".readOnly", m.ReadOnly)
	if o := m.BindOptions; o != nil {
		if o.Propagation != mount.PropagationRPrivate {
			l.text(path+".bind.propagation", show(propagations, o.Propagation))
		}
		l.flag(path+".bind.nonRecursive", o.NonRecursive)
	}
	if o := m.VolumeOptions; o != nil {
		l.flag(path+".volume.noCopy", o.NoCopy)
		l.private(path+".volume.labels", o.Labels)
		l.text(path+".volume.subpath", o.Subpath)
		if d := o.DriverConfig; d != nil {
			if d.Name != "local" {
				l.text(path+".volume.driver", d.Name)
			}
			l.private(path+".volume.driverOptions", d.Options)
		}
	}
	if o := m.TmpfsOptions; o != nil {
		l.number(path+".tmpfs.size", o.SizeBytes)
		if o.Mode != 0 {
			l.put(path+".tmpfs.mode", octal(uint32(o.Mode)), false)
		}
		var options []string
		for _, words := range o.Options {
			options = append(options, strings.Join(words, "="))
		}
		l.set(path+".tmpfs.options", options)
	}
}

func octal(mode uint32) string { return "0" + strconv.FormatUint(uint64(mode), 8) }

func (l leaves) files(c *swarm.ContainerSpec) {
	for _, s := range c.Secrets {
		if s == nil || s.File == nil {
			continue // the engine has none without a file
		}
		path := keyed("spec.secrets", s.File.Name)
		l.file(path, s.File.UID, s.File.GID, uint32(s.File.Mode))
		l.text(path+".secretName", s.SecretName)
		l.text(path+".id", s.SecretID)
	}
	var credential string
	if c.Privileges != nil && c.Privileges.CredentialSpec != nil {
		credential = c.Privileges.CredentialSpec.Config
	}
	for _, v := range c.Configs {
		switch {
		case v == nil:
		case v.File != nil:
			path := keyed("spec.configs", v.File.Name)
			l.file(path, v.File.UID, v.File.GID, uint32(v.File.Mode))
			l.text(path+".configName", v.ConfigName)
			l.text(path+".id", v.ConfigID)
		case v.Runtime != nil && v.ConfigID != credential: // else it goes with the credential spec
			l.put(keyed("spec.configs", v.ConfigName)+".runtime", v.ConfigID, false)
		}
	}
}

func (l leaves) file(path, uid, gid string, mode uint32) {
	l.text(path+".uid", or(uid, "0"))
	l.text(path+".gid", or(gid, "0"))
	l.text(path+".mode", octal(mode))
}

// constraint spells a constraint as the docker CLI's help does: spaces around the operator.
func constraint(text string) string {
	for _, op := range []string{"==", "!="} {
		if key, v, ok := strings.Cut(text, op); ok {
			return strings.TrimSpace(key) + " " + op + " " + strings.TrimSpace(v)
		}
	}
	return text
}

func constraints(list []string) []string {
	out := slices.Clone(list)
	for i := range out {
		out[i] = constraint(out[i])
	}
	return out
}
