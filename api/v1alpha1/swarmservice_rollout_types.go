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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SwarmFailureAction is what a failing rollout does.
//
// +kubebuilder:validation:Enum=Pause;Continue;Rollback
type SwarmFailureAction string

// The failure actions.
const (
	SwarmFailurePause    SwarmFailureAction = "Pause"
	SwarmFailureContinue SwarmFailureAction = "Continue"
	SwarmFailureRollback SwarmFailureAction = "Rollback"
)

// SwarmUpdateOrder is whether an old task stops before its successor starts.
//
// +kubebuilder:validation:Enum=StopFirst;StartFirst
type SwarmUpdateOrder string

// The orders.
const (
	SwarmStopFirst  SwarmUpdateOrder = "StopFirst"
	SwarmStartFirst SwarmUpdateOrder = "StartFirst"
)

// SwarmUpdateConfig says how changes are rolled out.
type SwarmUpdateConfig struct {
	// parallelism is how many tasks are replaced at once; 0 is all of them.
	//
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=0
	Parallelism *int64 `json:"parallelism,omitempty"`

	// delay is the time between one batch and the next.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('8760h')",message="delay must be at most 8760h"
	Delay *metav1.Duration `json:"delay,omitempty"`

	// failureAction is what too many failures lead to: Pause, Continue or Rollback.
	//
	// +optional
	// +default="Pause"
	FailureAction SwarmFailureAction `json:"failureAction,omitempty"`

	// monitor is how long a new task is watched for failure.
	//
	// +optional
	// +default="5s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('8760h')",message="monitor must be more than 0s and at most 8760h"
	Monitor *metav1.Duration `json:"monitor,omitempty"`

	// maxFailureRatio is the part of the tasks that may fail, from "0" to "1".
	//
	// +optional
	// +default="0"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^(0(\.[0-9]{1,12})?|1(\.0{1,12})?)$`
	MaxFailureRatio string `json:"maxFailureRatio,omitempty"`

	// order is whether an old task stops before its successor starts.
	//
	// +optional
	// +default="StopFirst"
	Order SwarmUpdateOrder `json:"order,omitempty"`
}

// SwarmEndpointMode is how a service is reached by its name.
//
// +kubebuilder:validation:Enum=VIP;DNSRoundRobin
type SwarmEndpointMode string

// The endpoint modes.
const (
	SwarmEndpointVIP           SwarmEndpointMode = "VIP"
	SwarmEndpointDNSRoundRobin SwarmEndpointMode = "DNSRoundRobin"
)

// SwarmProtocol is a port's protocol.
//
// +kubebuilder:validation:Enum=TCP;UDP;SCTP
type SwarmProtocol string

// The protocols.
const (
	SwarmTCP  SwarmProtocol = "TCP"
	SwarmUDP  SwarmProtocol = "UDP"
	SwarmSCTP SwarmProtocol = "SCTP"
)

// SwarmPublishMode is where a published port is open.
//
// +kubebuilder:validation:Enum=Ingress;Host
type SwarmPublishMode string

// The publish modes.
const (
	SwarmPublishIngress SwarmPublishMode = "Ingress"
	SwarmPublishHost    SwarmPublishMode = "Host"
)

// SwarmPort is a port that a service publishes.
type SwarmPort struct {
	// name is for people to read.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// protocol is TCP, UDP or SCTP.
	//
	// +optional
	// +default="TCP"
	Protocol SwarmProtocol `json:"protocol,omitempty"`

	// targetPort is the port in the container.
	//
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	TargetPort int32 `json:"targetPort,omitempty"`

	// publishedPort is the port on the nodes; with 0 the swarm chooses one.
	//
	// +optional
	// +default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	PublishedPort *int32 `json:"publishedPort,omitempty"`

	// publishMode is Ingress for the routing mesh on every node, or Host for the node
	// that a task runs on.
	//
	// +optional
	// +default="Ingress"
	PublishMode SwarmPublishMode `json:"publishMode,omitempty"`
}
