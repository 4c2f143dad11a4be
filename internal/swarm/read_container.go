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
	"math"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/swarm"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

func (r *reader) container(c *swarm.ContainerSpec, out *dcv1.SwarmContainer) {
	*out = dcv1.SwarmContainer{
		Image:                  c.Image,
		Command:                slices.Clone(c.Command),
		Args:                   slices.Clone(c.Args),
		Env:                    r.env(c.Env),
		WorkingDir:             c.Dir,
		User:                   c.User,
		Groups:                 slices.Clone(c.Groups),
		Hostname:               c.Hostname,
		ContainerLabels:        orNil(c.Labels),
		TTY:                    yes(c.TTY),
		Stdin:                  yes(c.OpenStdin),
		ReadOnlyRootFilesystem: yes(c.ReadOnly),
		StopSignal:             c.StopSignal,
		Healthcheck:            r.healthcheck(c.Healthcheck),
		Mounts:                 r.mounts(c.Mounts),
		Secrets:                r.secrets(c.Secrets),
		Configs:                r.configs(c),
		ExtraHosts:             r.hosts(c.Hosts),
		DNS:                    readDNS(c.DNSConfig),
		Privileges:             r.privileges(c.Privileges),
		Sysctls:                orNil(c.Sysctls),
		OOMScoreAdj:            nil,
	}
	if c.Init != nil {
		out.Init = ptr.To(*c.Init)
	}
	if d := c.StopGracePeriod; d != nil && *d != defaultGrace {
		out.StopGracePeriod = duration(*d)
		if out.StopGracePeriod == nil { // at once, which is not the default
			out.StopGracePeriod = zeroDuration()
		}
	}
	if len(c.CapabilityAdd)+len(c.CapabilityDrop) > 0 {
		out.Capabilities = &dcv1.SwarmCapabilities{Add: capabilities(c.CapabilityAdd), Drop: capabilities(c.CapabilityDrop)}
	}
	for _, u := range c.Ulimits {
		if u != nil {
			out.Ulimits = append(out.Ulimits, dcv1.SwarmUlimit{Name: u.Name, Soft: ptr.To(u.Soft), Hard: ptr.To(u.Hard)})
		}
	}
	if n := c.OomScoreAdj; n != 0 {
		if n < -1000 || n > 1000 {
			r.note("OomScoreAdj", "%d is not from -1000 to 1000", n)
		} else {
			out.OOMScoreAdj = ptr.To(int32(n))
		}
	}
	if c.Isolation != container.IsolationDefault {
		out.Isolation = known(r, "Isolation", isolations, c.Isolation)
	}
}

// env keeps the last of several values of a variable, in the place of the first.
func (r *reader) env(env []string) []dcv1.SwarmEnvVar {
	var out []dcv1.SwarmEnvVar
	index := map[string]int{}
	for _, text := range env {
		name, value, set := strings.Cut(text, "=")
		if name == "" || strings.Contains(name, "\x00") {
			r.note("Env", "a variable has no name")
			continue
		}
		v := dcv1.SwarmEnvVar{Name: name, Unset: yes(!set)}
		if set {
			v.Value = &value
		}
		if i, again := index[name]; again {
			out[i] = v
			continue
		}
		index[name] = len(out)
		out = append(out, v)
	}
	return out
}

func (r *reader) healthcheck(h *container.HealthConfig) *dcv1.SwarmHealthcheck {
	if h == nil || len(h.Test) == 0 && h.Interval == 0 && h.Timeout == 0 && h.StartPeriod == 0 && h.StartInterval == 0 && h.Retries == 0 {
		return nil
	}
	if h.Retries < 0 || h.Retries > math.MaxInt32 {
		r.note("Healthcheck.Retries", "%d is more than a SwarmService can say", h.Retries)
		h = &container.HealthConfig{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, StartInterval: h.StartInterval}
	}
	return &dcv1.SwarmHealthcheck{
		Test:          slices.Clone(h.Test),
		Interval:      duration(h.Interval),
		Timeout:       duration(h.Timeout),
		StartPeriod:   duration(h.StartPeriod),
		StartInterval: duration(h.StartInterval),
		Retries:       int32(h.Retries),
	}
}

// hosts reads what the engine does: the first name of each line.
func (r *reader) hosts(lines []string) []dcv1.SwarmHostAlias {
	var out []dcv1.SwarmHostAlias
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 2 {
			r.note("Hosts", "a line has no name")
			continue
		}
		if len(f) > 2 {
			r.note("Hosts", "the engine reads the first name of a line only")
		}
		out = append(out, dcv1.SwarmHostAlias{IP: f[0], Hostnames: f[1:2]})
	}
	return out
}

func readDNS(d *swarm.DNSConfig) *dcv1.SwarmDNS {
	if d == nil || len(d.Nameservers)+len(d.Search)+len(d.Options) == 0 {
		return nil
	}
	out := &dcv1.SwarmDNS{Searches: slices.Clone(d.Search), Options: slices.Clone(d.Options)}
	for _, a := range d.Nameservers {
		out.Nameservers = append(out.Nameservers, a.String())
	}
	return out
}

func (r *reader) privileges(p *swarm.Privileges) *dcv1.SwarmPrivileges {
	if p == nil {
		return nil
	}
	out := &dcv1.SwarmPrivileges{NoNewPrivileges: yes(p.NoNewPrivileges)}
	if s := p.Seccomp; s != nil && s.Mode != "" {
		out.Seccomp = &dcv1.SwarmSeccomp{Mode: known(r, "Privileges.Seccomp.Mode", seccompModes, s.Mode), Profile: string(s.Profile)}
	}
	if s := p.Seccomp; s != nil && s.Mode == "" && len(s.Profile) > 0 {
		r.note("Privileges.Seccomp", "has a profile without a mode")
	}
	if a := p.AppArmor; a != nil {
		out.AppArmor = known(r, "Privileges.AppArmor.Mode", appArmorModes, a.Mode)
	}
	if s := p.SELinuxContext; s != nil && *s != (swarm.SELinuxContext{}) {
		out.SELinux = &dcv1.SwarmSELinux{Disable: yes(s.Disable), User: s.User, Role: s.Role, Type: s.Type, Level: s.Level}
	}
	if c := p.CredentialSpec; c != nil && *c != (swarm.CredentialSpec{}) {
		out.CredentialSpec = &dcv1.SwarmCredentialSpec{File: c.File, Registry: c.Registry, ConfigName: or(r.names.Configs[c.Config], c.Config)}
	}
	if *out == (dcv1.SwarmPrivileges{}) {
		return nil
	}
	return out
}
