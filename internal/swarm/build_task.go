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
	"regexp"
	"slices"
	"strconv"

	"github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

func (b *builder) task() swarm.TaskSpec {
	out := swarm.TaskSpec{
		Runtime:       swarm.RuntimeContainer,
		ContainerSpec: b.container(),
		Resources:     b.resources(),
		RestartPolicy: b.restartPolicy(),
		Placement:     b.placement(),
		Networks:      b.networks(),
		ForceUpdate:   b.count(root.Child("forceUpdate"), ptr.Deref(b.spec.ForceUpdate, 0)),
	}
	if l := b.spec.LogDriver; l != nil {
		out.LogDriver = &swarm.Driver{Name: l.Name, Options: maps.Clone(l.Options)}
	}
	return out
}

// The bounds of the CRD, which has the first three in CEL. A million processors in
// billionths and 4 EiB both stay within 63 bits; the engine refuses less than the minima.
var (
	minCPU    = resource.MustParse("1m")
	maxCPU    = resource.MustParse("1M")
	maxMemory = resource.MustParse("4Ei")
)

const minMemory = 4 << 20

func (b *builder) resources() *swarm.ResourceRequirements {
	r := b.spec.Resources
	if r == nil {
		return nil
	}
	path := root.Child("resources")
	out := &swarm.ResourceRequirements{}
	if l := r.Limits; l != nil {
		out.Limits = &swarm.Limit{
			NanoCPUs:    b.cpu(path.Child("limits", "cpu"), l.CPU),
			MemoryBytes: b.bytes(path.Child("limits", "memory"), l.Memory, minMemory),
			Pids:        int64(b.count(path.Child("limits", "pids"), l.PIDs)),
		}
	}
	if v := r.Reservations; v != nil {
		out.Reservations = &swarm.Resources{
			NanoCPUs:         b.cpu(path.Child("reservations", "cpu"), v.CPU),
			MemoryBytes:      b.bytes(path.Child("reservations", "memory"), v.Memory, minMemory),
			GenericResources: b.generic(path.Child("reservations", "generic"), v.Generic),
		}
	}
	if q := r.MemorySwap; q != nil {
		out.SwapBytes = ptr.To(b.swap(path.Child("memorySwap"), q))
		if out.Limits == nil || out.Limits.MemoryBytes == 0 {
			b.fault(dcv1.ReasonFieldInvalid, field.Forbidden(path.Child("memorySwap"), "goes with spec.resources.limits.memory only"))
		}
	}
	if n := r.MemorySwappiness; n != nil {
		if *n < 0 || *n > 100 {
			b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(path.Child("memorySwappiness"), *n, "must be from 0 to 100"))
		}
		out.MemorySwappiness = ptr.To(int64(*n))
	}
	return out
}

func (b *builder) cpu(path *field.Path, q *resource.Quantity) int64 {
	if q == nil {
		return 0
	}
	if q.Cmp(minCPU) < 0 || q.Cmp(maxCPU) > 0 {
		b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(path, q.String(), "must be from 1m to 1M"))
		return 0
	}
	return q.ScaledValue(resource.Nano)
}

func (b *builder) bytes(path *field.Path, q *resource.Quantity, least int64) int64 {
	if q == nil {
		return 0
	}
	if q.CmpInt64(least) < 0 || q.Cmp(maxMemory) > 0 {
		b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(path, q.String(),
			"must be from "+resource.NewQuantity(least, resource.BinarySI).String()+" to 4Ei"))
		return 0
	}
	return q.Value()
}

// swap may be -1, which is no limit.
func (b *builder) swap(path *field.Path, q *resource.Quantity) int64 {
	if q.CmpInt64(-1) == 0 {
		return -1
	}
	if q.Sign() < 0 {
		b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(path, q.String(), "must be -1 or from 0 to 4Ei"))
		return 0
	}
	return b.bytes(path, q, 0)
}

func (b *builder) generic(path *field.Path, list []dcv1.SwarmGenericResource) []swarm.GenericResource {
	var out []swarm.GenericResource
	for i, g := range list {
		if g.Count < 1 {
			b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(path.Index(i).Child("count"), g.Count, "must be at least 1"))
			continue
		}
		out = append(out, swarm.GenericResource{DiscreteResourceSpec: &swarm.DiscreteGenericResource{Kind: g.Kind, Value: g.Count}})
	}
	return out
}

func (b *builder) restartPolicy() *swarm.RestartPolicy {
	r := b.spec.RestartPolicy
	if r == nil {
		return nil
	}
	path := root.Child("restartPolicy")
	out := &swarm.RestartPolicy{
		Condition:   spell(b, path.Child("condition"), restartConditions, r.Condition),
		MaxAttempts: ptr.To(b.count(path.Child("maxAttempts"), r.MaxAttempts)),
	}
	if r.Delay != nil {
		out.Delay = ptr.To(b.atMost(path.Child("delay"), r.Delay.Duration))
	}
	if r.Window != nil {
		out.Window = ptr.To(b.atMost(path.Child("window"), r.Window.Duration))
	}
	return out
}

// constraintPattern is the CRD's: what swarm itself takes as a key, an operator and a value.
// It refuses a service with anything else, and by then the service's networks and secrets
// would be there.
var constraintPattern = regexp.MustCompile(`^\s*[A-Za-z_][A-Za-z0-9_.-]+\s*(==|!=)\s*[A-Za-z0-9:_.*()?+\[\]\\^$|/-][A-Za-z0-9:_\s.*()?+\[\]\\^$|/-]*$`)

func (b *builder) placement() *swarm.Placement {
	p := b.spec.Placement
	if p == nil {
		return nil
	}
	for i, c := range p.Constraints {
		if !constraintPattern.MatchString(c) {
			b.invalid(root.Child("placement", "constraints").Index(i), c,
				"must be a key, == or !=, and a value of letters, digits, spaces and any of :-_.*()?+[]\\^$|/, without quotes")
		}
	}
	out := &swarm.Placement{
		Constraints: slices.Clone(p.Constraints),
		MaxReplicas: b.count(root.Child("placement", "maxReplicasPerNode"), p.MaxReplicasPerNode),
	}
	for _, s := range p.Spread {
		out.Preferences = append(out.Preferences, swarm.PlacementPreference{Spread: &swarm.SpreadOver{SpreadDescriptor: s}})
	}
	for i, v := range p.Platforms {
		if v.OS == "" {
			b.fault(dcv1.ReasonFieldInvalid, field.Required(root.Child("placement", "platforms").Index(i).Child("os"), "as in linux"))
		}
		out.Platforms = append(out.Platforms, swarm.Platform{OS: v.OS, Architecture: v.Architecture})
	}
	return out
}

func (b *builder) networks() []swarm.NetworkAttachmentConfig {
	var out []swarm.NetworkAttachmentConfig
	for i, n := range b.spec.Networks {
		id := b.in.Networks[n.Name]
		if id == "" {
			b.fault(dcv1.ReasonNetworkNotFound, field.NotFound(root.Child("networks").Index(i).Child("name"), n.Name))
			continue
		}
		out = append(out, swarm.NetworkAttachmentConfig{Target: id, Aliases: slices.Clone(n.Aliases), DriverOpts: maps.Clone(n.DriverOptions)})
	}
	return out
}

func (b *builder) updateConfig(path *field.Path, u *dcv1.SwarmUpdateConfig) *swarm.UpdateConfig {
	if u == nil {
		return nil
	}
	out := &swarm.UpdateConfig{
		Parallelism:   b.count(path.Child("parallelism"), ptr.Deref(u.Parallelism, 1)),
		FailureAction: spell(b, path.Child("failureAction"), failureActions, u.FailureAction),
		Order:         spell(b, path.Child("order"), updateOrders, u.Order),
	}
	if u.Delay != nil {
		out.Delay = b.atMost(path.Child("delay"), u.Delay.Duration)
	}
	if u.Monitor != nil {
		out.Monitor = b.atMost(path.Child("monitor"), u.Monitor.Duration)
	}
	if u.MaxFailureRatio != "" {
		ratio, err := strconv.ParseFloat(u.MaxFailureRatio, 32)
		if err != nil || !(ratio >= 0 && ratio <= 1) {
			b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(path.Child("maxFailureRatio"), u.MaxFailureRatio, "must be from 0 to 1"))
		}
		out.MaxFailureRatio = float32(ratio)
	}
	return out
}

func (b *builder) endpoint() *swarm.EndpointSpec {
	mode := spell(b, root.Child("endpointMode"), endpointModes, b.spec.EndpointMode)
	if mode == "" && len(b.spec.Ports) == 0 {
		return nil
	}
	out := &swarm.EndpointSpec{Mode: mode}
	for i, p := range b.spec.Ports {
		path := root.Child("ports").Index(i)
		published := ptr.Deref(p.PublishedPort, 0)
		if p.TargetPort < 1 || p.TargetPort > 65535 || published < 0 || published > 65535 {
			b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(path, p.TargetPort, "a port must be from 1 to 65535"))
			continue
		}
		out.Ports = append(out.Ports, swarm.PortConfig{
			Name:          p.Name,
			Protocol:      spell(b, path.Child("protocol"), protocols, p.Protocol),
			TargetPort:    uint32(p.TargetPort),
			PublishedPort: uint32(published),
			PublishMode:   spell(b, path.Child("publishMode"), publishModes, p.PublishMode),
		})
	}
	return out
}
