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
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/swarm"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

func (b *builder) container() *swarm.ContainerSpec {
	s := b.spec
	out := &swarm.ContainerSpec{
		Image:          b.image(),
		Labels:         maps.Clone(s.ContainerLabels),
		Command:        slices.Clone(s.Command),
		Args:           slices.Clone(s.Args),
		Hostname:       s.Hostname,
		Env:            b.env(),
		Dir:            s.WorkingDir,
		User:           s.User,
		Groups:         slices.Clone(s.Groups),
		Privileges:     b.privileges(),
		StopSignal:     s.StopSignal,
		TTY:            ptr.Deref(s.TTY, false),
		OpenStdin:      ptr.Deref(s.Stdin, false),
		ReadOnly:       ptr.Deref(s.ReadOnlyRootFilesystem, false),
		Mounts:         b.mounts(),
		Healthcheck:    b.healthcheck(),
		Hosts:          b.hosts(),
		DNSConfig:      b.dns(),
		Secrets:        b.secrets(),
		Configs:        b.configs(),
		Isolation:      spell(b, root.Child("isolation"), isolations, s.Isolation),
		Sysctls:        maps.Clone(s.Sysctls),
		CapabilityAdd:  nil,
		CapabilityDrop: nil,
		Ulimits:        b.ulimits(),
		OomScoreAdj:    b.oomScoreAdj(),
	}
	if s.Init != nil {
		out.Init = ptr.To(*s.Init)
	}
	if s.StopGracePeriod != nil {
		out.StopGracePeriod = ptr.To(b.atMost(root.Child("stopGracePeriod"), s.StopGracePeriod.Duration))
	}
	if c := s.Capabilities; c != nil {
		out.CapabilityAdd, out.CapabilityDrop = capabilities(c.Add), capabilities(c.Drop)
	}
	return out
}

func (b *builder) oomScoreAdj() int64 {
	n := ptr.Deref(b.spec.OOMScoreAdj, 0)
	if n < -1000 || n > 1000 {
		b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(root.Child("oomScoreAdj"), n, "must be from -1000 to 1000"))
	}
	return int64(n)
}

// env keeps the spec's order. What has no value is not set.
func (b *builder) env() []string {
	var env []string
	for i, v := range b.spec.Env {
		path := root.Child("env").Index(i)
		switch {
		case v.Name == "" || strings.ContainsAny(v.Name, "=\x00"):
			b.invalid(path.Child("name"), v.Name, "must be the name of a variable, without '='")
		case v.ValueFrom != nil:
			value, ok := b.in.Env[v.Name]
			if ok {
				env = append(env, v.Name+"="+noTemplate(value))
			} else {
				b.missingSource(path.Child("valueFrom"), v.ValueFrom.SecretKeyRef, v.ValueFrom.ConfigMapKeyRef)
			}
		case ptr.Deref(v.Unset, false):
			env = append(env, v.Name)
		default:
			env = append(env, v.Name+"="+ptr.Deref(v.Value, ""))
		}
	}
	return env
}

// noTemplate keeps swarm, which takes each variable for a template of Go's text/template,
// from reading one in a value that came from elsewhere: a password may have braces. Of a
// template that it cannot read it would also tell the whole text, in an error.
func noTemplate(value string) string { return strings.ReplaceAll(value, "{{", `{{"{{"}}`) }

// missingSource says which Kubernetes object a reference does not find.
func (b *builder) missingSource(path *field.Path, secret, configMap *dcv1.LocalKeyReference) {
	switch {
	case secret != nil && !ptr.Deref(secret.Optional, false):
		b.fault(dcv1.ReasonSecretNotFound, field.NotFound(path.Child("secretKeyRef"), secret.Name+"/"+secret.Key))
	case configMap != nil && !ptr.Deref(configMap.Optional, false):
		b.fault(dcv1.ReasonConfigNotFound, field.NotFound(path.Child("configMapKeyRef"), configMap.Name+"/"+configMap.Key))
	case secret == nil && configMap == nil:
		b.fault(dcv1.ReasonFieldInvalid, field.Required(path, "one of secretKeyRef and configMapKeyRef"))
	}
}

func (b *builder) healthcheck() *container.HealthConfig {
	h := b.spec.Healthcheck
	if h == nil {
		return nil
	}
	path := root.Child("healthcheck")
	duration := func(name string, d *metav1.Duration) time.Duration {
		if d == nil {
			return 0
		}
		// The engine refuses less than a millisecond, where zero is to inherit.
		if d.Duration != 0 && d.Duration < time.Millisecond {
			b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(path.Child(name), d.Duration.String(), "must be at least 1ms"))
		}
		return b.atMost(path.Child(name), d.Duration)
	}
	if h.Retries < 0 {
		b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(path.Child("retries"), h.Retries, "must not be negative"))
	}
	return &container.HealthConfig{
		Test:          slices.Clone(h.Test),
		Interval:      duration("interval", h.Interval),
		Timeout:       duration("timeout", h.Timeout),
		StartPeriod:   duration("startPeriod", h.StartPeriod),
		StartInterval: duration("startInterval", h.StartInterval),
		Retries:       int(h.Retries),
	}
}

// hosts has one line a name: the engine reads the first name of a line only.
func (b *builder) hosts() []string {
	var lines []string
	for i, h := range b.spec.ExtraHosts {
		path := root.Child("extraHosts").Index(i)
		if !oneWord(h.IP) {
			b.invalid(path.Child("ip"), h.IP, "must be an address")
		}
		for j, name := range h.Hostnames {
			if !oneWord(name) {
				b.invalid(path.Child("hostnames").Index(j), name, "must be a host name")
			}
			lines = append(lines, h.IP+" "+name)
		}
	}
	return lines
}

func oneWord(s string) bool {
	f := strings.Fields(s)
	return len(f) == 1 && f[0] == s
}

func (b *builder) dns() *swarm.DNSConfig {
	d := b.spec.DNS
	if d == nil {
		return nil
	}
	out := &swarm.DNSConfig{Search: slices.Clone(d.Searches), Options: slices.Clone(d.Options)}
	for i, text := range d.Nameservers {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			b.invalid(root.Child("dns", "nameservers").Index(i), text, "must be an IP address")
			continue
		}
		out.Nameservers = append(out.Nameservers, addr)
	}
	return out
}

// capabilities are spelled as the engine does it: in capitals, CAP_ before all but ALL.
func capabilities(names []string) []string {
	var out []string
	for _, name := range names {
		out = append(out, capability(name))
	}
	return out
}

func capability(name string) string {
	name = strings.ToUpper(strings.TrimSpace(name))
	if name == "ALL" || strings.HasPrefix(name, "CAP_") {
		return name
	}
	return "CAP_" + name
}

func (b *builder) ulimits() []*container.Ulimit {
	var out []*container.Ulimit
	for i, u := range b.spec.Ulimits {
		soft, hard := ptr.Deref(u.Soft, 0), ptr.Deref(u.Hard, 0)
		if soft < -1 || hard < -1 || hard != -1 && (soft == -1 || soft > hard) {
			b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(root.Child("ulimits").Index(i), u.Name, "soft must be at most hard, where -1 is no limit"))
		}
		out = append(out, &container.Ulimit{Name: u.Name, Soft: soft, Hard: hard})
	}
	return out
}
