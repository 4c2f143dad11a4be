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
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// Desired is what a SwarmService asks of the engine.
type Desired struct {
	// Spec is the service's spec where the engine has none yet.
	Spec swarm.ServiceSpec
	// networks are the names of networks by id, for people to read.
	networks map[string]string
}

var root = field.NewPath("spec")

// builder gathers what is wrong, so that a user learns of all of it at once.
type builder struct {
	spec   *dcv1.SwarmServiceSpec
	in     Inputs
	faults Faults
}

// Build makes the engine's spec. Its error is of type Faults.
func Build(spec *dcv1.SwarmServiceSpec, in Inputs) (Desired, error) {
	b := &builder{spec: spec, in: in}
	out := swarm.ServiceSpec{
		Annotations:    swarm.Annotations{Name: b.serviceName(), Labels: b.labels()},
		Mode:           b.mode(),
		UpdateConfig:   b.updateConfig(root.Child("updateConfig"), spec.UpdateConfig),
		RollbackConfig: b.updateConfig(root.Child("rollbackConfig"), spec.RollbackConfig),
		EndpointSpec:   b.endpoint(),
		TaskTemplate:   b.task(),
	}
	b.checkVersion(out)
	if len(b.faults) > 0 {
		return Desired{}, b.faults
	}
	d := Desired{Spec: out, networks: make(map[string]string, len(in.Networks))}
	for name, id := range in.Networks {
		d.networks[id] = name
	}
	return d, nil
}

// serviceName checks what swarm checks: a DNS label that may have capitals and underscores.
func (b *builder) serviceName() string {
	name := b.in.ServiceName
	if !validServiceName(name) {
		b.fault(dcv1.ReasonServiceNameInvalid, field.Invalid(root.Child("serviceName"), name,
			"must have 1 to 63 letters, digits, '-' and '_', and begin and end with a letter or digit"))
	}
	return name
}

func validServiceName(name string) bool {
	if name == "" || len(name) > validation.DNS1123LabelMaxLength {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case (c == '-' || c == '_') && i > 0 && i < len(name)-1:
		default:
			return false
		}
	}
	return true
}

// labels are the user's and the owner's.
func (b *builder) labels() map[string]string {
	labels := make(map[string]string, len(b.spec.Labels)+4)
	maps.Copy(labels, b.spec.Labels)
	maps.Copy(labels, OwnerLabels(b.in.Owner))
	if b.in.PullSecret != "" {
		labels[dcv1.LabelPullSecret] = b.in.PullSecret
	}
	return labels
}

// OwnerLabels mark what belongs to a SwarmService; none where there is no owner.
func OwnerLabels(o Owner) map[string]string {
	if o.UID == "" {
		return nil
	}
	return map[string]string{
		dcv1.LabelOwnerUID:       string(o.UID),
		dcv1.LabelOwnerNamespace: o.Namespace,
		dcv1.LabelOwnerName:      o.Name,
	}
}

// mode also holds the fields that go with one mode only against it, as the CRD does.
func (b *builder) mode() swarm.ServiceMode {
	spec := b.spec
	replicas := ptr.Deref(spec.Replicas, 1)
	if replicas < 0 {
		b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(root.Child("replicas"), replicas, "must not be negative"))
	}
	job := spec.Mode == dcv1.SwarmReplicatedJob || spec.Mode == dcv1.SwarmGlobalJob
	global := spec.Mode == dcv1.SwarmGlobal || spec.Mode == dcv1.SwarmGlobalJob
	b.notWithMode(global && replicas != 1, root.Child("replicas"))
	b.notWithMode(global && spec.Placement != nil && spec.Placement.MaxReplicasPerNode != 0, root.Child("placement", "maxReplicasPerNode"))
	b.notWithMode(spec.MaxConcurrent != nil && spec.Mode != dcv1.SwarmReplicatedJob, root.Child("maxConcurrent"))
	b.notWithMode(job && spec.UpdateConfig != nil, root.Child("updateConfig"))
	b.notWithMode(job && spec.RollbackConfig != nil, root.Child("rollbackConfig"))

	switch spec.Mode {
	case dcv1.SwarmGlobal:
		return swarm.ServiceMode{Global: &swarm.GlobalService{}}
	case dcv1.SwarmGlobalJob:
		return swarm.ServiceMode{GlobalJob: &swarm.GlobalJob{}}
	case dcv1.SwarmReplicatedJob:
		concurrent := ptr.Deref(spec.MaxConcurrent, 1)
		if concurrent < 1 {
			b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(root.Child("maxConcurrent"), concurrent, "must be at least 1"))
		}
		return swarm.ServiceMode{ReplicatedJob: &swarm.ReplicatedJob{
			MaxConcurrent: ptr.To(uint64(concurrent)), TotalCompletions: ptr.To(uint64(replicas)),
		}}
	case dcv1.SwarmReplicated, "":
	default:
		b.fault(dcv1.ReasonModeInvalid, field.NotSupported(root.Child("mode"), spec.Mode,
			[]dcv1.SwarmServiceMode{dcv1.SwarmReplicated, dcv1.SwarmGlobal, dcv1.SwarmReplicatedJob, dcv1.SwarmGlobalJob}))
	}
	return swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: ptr.To(uint64(replicas))}}
}

func (b *builder) notWithMode(wrong bool, path *field.Path) {
	if wrong {
		b.fault(dcv1.ReasonModeInvalid, field.Forbidden(path, "does not go with spec.mode "+string(b.spec.Mode)))
	}
}

// image is as the spec spells it, or pinned by the caller.
func (b *builder) image() string {
	image := b.spec.Image
	if b.in.Image != "" {
		image = b.in.Image
	}
	if _, err := reference.ParseNormalizedNamed(image); err != nil {
		b.fault(dcv1.ReasonImageInvalid, field.Invalid(root.Child("image"), image, "is no reference to an image: "+err.Error()))
	}
	return image
}

// maxDuration is a year, as in the CRD. The engine counts nanoseconds in 63 bits; nobody waits longer.
const maxDuration = 8760 * time.Hour

// atMost checks a duration that may not be negative.
func (b *builder) atMost(path *field.Path, d time.Duration) time.Duration {
	if d < 0 || d > maxDuration {
		b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(path, d.String(), "must be from 0s to 8760h"))
	}
	return d
}

// count checks a number that the engine keeps without a sign.
func (b *builder) count(path *field.Path, n int64) uint64 {
	if n < 0 {
		b.fault(dcv1.ReasonQuantityOutOfRange, field.Invalid(path, n, "must not be negative"))
		return 0
	}
	return uint64(n)
}
