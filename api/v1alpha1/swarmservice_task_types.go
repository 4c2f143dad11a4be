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

package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SwarmTask is how a service's tasks are placed, connected and restarted.
type SwarmTask struct {
	// resources bound what a task may use, and reserve what it needs.
	//
	// +optional
	Resources *SwarmResources `json:"resources,omitempty"`

	// placement says which nodes tasks run on.
	//
	// +optional
	Placement *SwarmPlacement `json:"placement,omitempty"`

	// restartPolicy says when a task that ended is replaced. Without it always, after
	// 5s.
	//
	// +optional
	RestartPolicy *SwarmRestartPolicy `json:"restartPolicy,omitempty"`

	// networks are what the tasks are connected to.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Networks []SwarmNetwork `json:"networks,omitempty"`

	// logDriver is where the containers' output goes. Without it, the engine's setting
	// decides.
	//
	// +optional
	LogDriver *SwarmLogDriver `json:"logDriver,omitempty"`

	// forceUpdate replaces all tasks when it grows beyond the service's own counter,
	// without any other change. A service forced by hand has a higher counter, which is
	// no drift.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	ForceUpdate *int64 `json:"forceUpdate,omitempty"`
}

// SwarmResources are limits and reservations of a task.
//
// +kubebuilder:validation:XValidation:rule="!has(self.memorySwap) || (has(self.limits) && has(self.limits.memory))",message="spec.resources.memorySwap goes with spec.resources.limits.memory only",fieldPath=".memorySwap",reason=FieldValueForbidden
type SwarmResources struct {
	// limits are what a task may use.
	//
	// +optional
	Limits *SwarmLimits `json:"limits,omitempty"`

	// reservations are what a node must have left for a task to be placed there.
	//
	// +optional
	Reservations *SwarmReservations `json:"reservations,omitempty"`

	// memorySwap is how much swap a task may use beside its memory; -1 is no limit.
	// Without it, as much as its memory.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('-1')) == 0 || (quantity(string(self)).compareTo(quantity('0')) >= 0 && quantity(string(self)).compareTo(quantity('4Ei')) <= 0)",message="spec.resources.memorySwap must be -1 or from 0 to 4Ei"
	MemorySwap *resource.Quantity `json:"memorySwap,omitempty"`

	// memorySwappiness is how ready the kernel is to swap, from 0 to 100. Without it,
	// the node's setting decides.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	MemorySwappiness *int32 `json:"memorySwappiness,omitempty"`
}

// SwarmLimits are what a task may use.
type SwarmLimits struct {
	// cpu is how many processors, as in 500m or 1.5.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('1m')) >= 0 && quantity(string(self)).compareTo(quantity('1M')) <= 0",message="spec.resources.limits.cpu must be from 1m to 1M"
	CPU *resource.Quantity `json:"cpu,omitempty"`

	// memory is how much memory, as in 512Mi.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('4Mi')) >= 0 && quantity(string(self)).compareTo(quantity('4Ei')) <= 0",message="spec.resources.limits.memory must be from 4Mi to 4Ei"
	Memory *resource.Quantity `json:"memory,omitempty"`

	// pids is how many processes and threads.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	PIDs int64 `json:"pids,omitempty"`
}

// SwarmReservations are what a node must have left.
type SwarmReservations struct {
	// cpu is how many processors, as in 500m or 1.5.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('1m')) >= 0 && quantity(string(self)).compareTo(quantity('1M')) <= 0",message="spec.resources.reservations.cpu must be from 1m to 1M"
	CPU *resource.Quantity `json:"cpu,omitempty"`

	// memory is how much memory, as in 512Mi.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('4Mi')) >= 0 && quantity(string(self)).compareTo(quantity('4Ei')) <= 0",message="spec.resources.reservations.memory must be from 4Mi to 4Ei"
	Memory *resource.Quantity `json:"memory,omitempty"`

	// generic are resources of kinds that nodes announce, such as GPUs: how many, since
	// swarm places no task that asks for one of them by its name.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Generic []SwarmGenericResource `json:"generic,omitempty"`
}

// SwarmGenericResource is a number of resources of a kind.
type SwarmGenericResource struct {
	// kind is what it is, as in GPU.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Kind string `json:"kind,omitempty"`

	// count is how many.
	//
	// +required
	// +kubebuilder:validation:Minimum=1
	Count int64 `json:"count,omitempty"`
}

// SwarmPlacement says which nodes tasks run on.
type SwarmPlacement struct {
	// constraints must all hold on a node, as in `node.role == worker` or
	// `node.labels.disk != ssd`. Values are not quoted: swarm takes letters, digits,
	// spaces and any of `:-_.*()?+[]\^$|/` in them.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^\s*[A-Za-z_][A-Za-z0-9_.-]+\s*(==|!=)\s*[A-Za-z0-9:_.*()?+\[\]\\^$|/-][A-Za-z0-9:_\s.*()?+\[\]\\^$|/-]*$`
	Constraints []string `json:"constraints,omitempty"`

	// spread are labels, as in node.labels.zone, over whose values tasks are spread
	// evenly, the first one first.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Spread []string `json:"spread,omitempty"`

	// maxReplicasPerNode bounds the tasks on one node.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxReplicasPerNode int64 `json:"maxReplicasPerNode,omitempty"`

	// platforms are what the image runs on. Without them, any, or what the registry said.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Platforms []SwarmPlatform `json:"platforms,omitempty"`
}

// SwarmPlatform is an operating system and an architecture.
type SwarmPlatform struct {
	// os is the operating system, as in linux.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	OS string `json:"os,omitempty"`

	// architecture is the processor's, as in amd64. Without it, any.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Architecture string `json:"architecture,omitempty"`
}

// SwarmRestartCondition is when a task that ended is replaced.
//
// +kubebuilder:validation:Enum=None;OnFailure;Any
type SwarmRestartCondition string

// The restart conditions.
const (
	SwarmRestartNone      SwarmRestartCondition = "None"
	SwarmRestartOnFailure SwarmRestartCondition = "OnFailure"
	SwarmRestartAny       SwarmRestartCondition = "Any"
)

// SwarmRestartPolicy says when a task that ended is replaced.
type SwarmRestartPolicy struct {
	// condition is None for never, OnFailure for one that failed, or Any.
	//
	// +optional
	// +default="Any"
	Condition SwarmRestartCondition `json:"condition,omitempty"`

	// delay is the time before it. Without it, 5s.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('8760h')",message="spec.restartPolicy.delay must be at most 8760h"
	Delay *metav1.Duration `json:"delay,omitempty"`

	// maxAttempts is how many times within the window. Without it, any number.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxAttempts int64 `json:"maxAttempts,omitempty"`

	// window is the time in which attempts count. Without it, for ever.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('8760h')",message="spec.restartPolicy.window must be at most 8760h"
	Window *metav1.Duration `json:"window,omitempty"`
}

// SwarmNetwork is a network that tasks are connected to.
type SwarmNetwork struct {
	// name is the network's.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^\S+$`
	Name string `json:"name,omitempty"`

	// aliases are further names of the service in the network.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Aliases []string `json:"aliases,omitempty"`

	// driverOptions are the network driver's, for the service's end of it.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	DriverOptions map[string]string `json:"driverOptions,omitempty"`

	// createIfMissing creates the network where the swarm has none of the name. It is
	// removed with the service when nothing else uses it.
	//
	// +optional
	CreateIfMissing *SwarmNetworkTemplate `json:"createIfMissing,omitempty"`
}

// SwarmNetworkTemplate is how a missing network is created.
type SwarmNetworkTemplate struct {
	// driver is the network driver.
	//
	// +optional
	// +default="overlay"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Driver string `json:"driver,omitempty"`

	// driverOptions are the driver's, as in `encrypted: ""`.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	DriverOptions map[string]string `json:"driverOptions,omitempty"`

	// labels are the network's.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Labels map[string]string `json:"labels,omitempty"`

	// attachable lets plain containers join.
	//
	// +optional
	Attachable *bool `json:"attachable,omitempty"`

	// internal cuts the network off from the outside.
	//
	// +optional
	Internal *bool `json:"internal,omitempty"`

	// ipv6 gives addresses of IPv6 too.
	//
	// +optional
	IPv6 *bool `json:"ipv6,omitempty"`

	// subnets are what addresses are taken from. Without them, the swarm's pool.
	//
	// +optional
	// +listType=map
	// +listMapKey=subnet
	// +kubebuilder:validation:MaxItems=16
	Subnets []SwarmSubnet `json:"subnets,omitempty"`
}

// SwarmSubnet is what addresses are taken from.
type SwarmSubnet struct {
	// subnet is the network's range of addresses.
	//
	// +required
	// +kubebuilder:validation:MinLength=4
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="spec.networks: subnet must be a range of addresses, as in 10.20.0.0/24"
	Subnet string `json:"subnet,omitempty"`

	// ipRange is the part of subnet that tasks get addresses from.
	//
	// +optional
	// +kubebuilder:validation:MinLength=4
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="spec.networks: ipRange must be a range of addresses, as in 10.20.0.128/25"
	IPRange string `json:"ipRange,omitempty"`

	// gateway is the subnet's gateway.
	//
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="spec.networks: gateway must be an IP address"
	Gateway string `json:"gateway,omitempty"`
}

// SwarmLogDriver is where output goes.
//
// +kubebuilder:validation:MinProperties=1
type SwarmLogDriver struct {
	// name is the driver's. Without it, the engine's own with other options.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`

	// options are the driver's.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Options map[string]string `json:"options,omitempty"`
}
