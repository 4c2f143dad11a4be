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

// SwarmServiceSpec is a service of a Docker Swarm, as `docker service create` knows
// it, and what to do about it. What is left out means what the engine does by
// default; only what is said here, and what was said before, is written.
//
// +kubebuilder:validation:XValidation:rule="self.mode in ['Replicated', 'ReplicatedJob'] || !has(self.replicas) || self.replicas == 1",message="spec.replicas goes with mode Replicated or ReplicatedJob only: the global modes run one task on each node",fieldPath=".replicas",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.maxConcurrent) || self.mode == 'ReplicatedJob'",message="spec.maxConcurrent goes with mode ReplicatedJob only",fieldPath=".maxConcurrent",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.updateConfig) || self.mode in ['Replicated', 'Global']",message="spec.updateConfig goes with mode Replicated or Global only: a job has no rolling update",fieldPath=".updateConfig",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.rollbackConfig) || self.mode in ['Replicated', 'Global']",message="spec.rollbackConfig goes with mode Replicated or Global only: a job has no rolling update",fieldPath=".rollbackConfig",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.placement) || !has(self.placement.maxReplicasPerNode) || self.mode in ['Replicated', 'ReplicatedJob']",message="spec.placement.maxReplicasPerNode goes with mode Replicated or ReplicatedJob only",fieldPath=".placement.maxReplicasPerNode",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.endpointMode) || self.endpointMode != 'DNSRoundRobin' || !has(self.ports) || self.ports.all(p, p.publishMode == 'Host')",message="spec.ports: with spec.endpointMode DNSRoundRobin every port must have publishMode Host, since the routing mesh needs a virtual IP",fieldPath=".ports"
type SwarmServiceSpec struct {
	// hostRef names the DockerHost, a manager of the swarm, that the service is on.
	// While it is down any other Ready manager of the same swarm in the namespace
	// serves. Moving to another host of the same swarm keeps the service.
	//
	// +required
	HostRef LocalDockerHostReference `json:"hostRef,omitempty,omitzero"`

	// serviceName is the service's name on the swarm; the object's own name where it
	// is left out. The engine cannot rename a service, so it cannot change.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9]([-_]*[A-Za-z0-9]+)*$`
	ServiceName string `json:"serviceName,omitempty"`

	// mode is how many tasks run where: Replicated runs spec.replicas of them, Global
	// one on each node, ReplicatedJob until spec.replicas of them have completed,
	// GlobalJob one on each node until it has completed. The engine cannot change the
	// mode of a service, so it cannot change here.
	//
	// +optional
	// +default="Replicated"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.mode cannot change: the engine knows no way; delete the object and create it anew"
	Mode SwarmServiceMode `json:"mode,omitempty"`

	// replicas is the number of tasks of a Replicated service, and how many times a
	// ReplicatedJob must complete. `kubectl scale` and HorizontalPodAutoscalers write
	// it. With the global modes it stays 1, which means nothing there.
	//
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`

	// maxConcurrent is how many tasks of a ReplicatedJob run at once. Without it, one
	// does.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxConcurrent *int32 `json:"maxConcurrent,omitempty"`

	// suspend leaves the service as it is on the swarm, and only reports, while true.
	//
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// deletionPolicy says what becomes of the service when the object is deleted:
	// Delete removes it too, Orphan leaves it running without an owner.
	//
	// +optional
	// +default="Delete"
	DeletionPolicy SwarmServiceDeletionPolicy `json:"deletionPolicy,omitempty"`

	// adoptionPolicy says what to do where the swarm has a service of the name that
	// nobody owns: Never leaves it alone and reports a Conflict, IfUnmanaged takes it
	// over and makes it what the spec says.
	//
	// +optional
	// +default="Never"
	AdoptionPolicy SwarmServiceAdoptionPolicy `json:"adoptionPolicy,omitempty"`

	// driftPolicy says what to do where the service is not, or no longer, what the spec
	// says: Correct makes it so, Report sets the condition Drifted.
	//
	// +optional
	// +default="Correct"
	DriftPolicy SwarmServiceDriftPolicy `json:"driftPolicy,omitempty"`

	// pullSecretRef names a Secret of type kubernetes.io/dockerconfigjson with which the
	// nodes pull the image.
	//
	// +optional
	PullSecretRef *LocalSecretReference `json:"pullSecretRef,omitempty"`

	// labels are the service's labels on the swarm, which its tasks' containers do not
	// have. Labels of Docker's own (com.docker.*, io.docker.*, org.dockerproject.*) that
	// are not said here are left as they are.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=256
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('dockercontrol.dev/') && size(k) > 0 && size(k) <= 512 && size(self[k]) <= 8192)",message="spec.labels: a key has 1 to 512 characters and does not begin with dockercontrol.dev/, which is the operator's; a value has at most 8192 characters"
	Labels map[string]string `json:"labels,omitempty"`

	SwarmContainer `json:",inline"`
	SwarmTask      `json:",inline"`

	// updateConfig says how a change is rolled out. Without it, one task after another
	// is replaced, and the first failure pauses.
	//
	// +optional
	UpdateConfig *SwarmUpdateConfig `json:"updateConfig,omitempty"`

	// rollbackConfig says how a rollback is rolled out. Without it, one task after
	// another is replaced, and the first failure pauses.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.failureAction) || self.failureAction != 'Rollback'",message="spec.rollbackConfig.failureAction must be Pause or Continue: a rollback is not rolled back",fieldPath=".failureAction"
	RollbackConfig *SwarmUpdateConfig `json:"rollbackConfig,omitempty"`

	// endpointMode is how other services reach this one by its name: VIP, which is what
	// the engine does by default, or DNSRoundRobin.
	//
	// +optional
	EndpointMode SwarmEndpointMode `json:"endpointMode,omitempty"`

	// ports are what the service publishes.
	//
	// +optional
	// +listType=map
	// +listMapKey=targetPort
	// +listMapKey=protocol
	// +listMapKey=publishedPort
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:XValidation:rule="self.all(p, p.publishedPort == 0 || self.exists_one(q, q.publishedPort == p.publishedPort && q.protocol == p.protocol))",message="spec.ports: a publishedPort and its protocol can be used once only"
	Ports []SwarmPort `json:"ports,omitempty"`
}

// LocalDockerHostReference names a DockerHost in the object's own namespace.
type LocalDockerHostReference struct {
	// name is the DockerHost's name.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be the name of a DockerHost: lower case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`
}

// SwarmServiceMode is how many tasks run where.
//
// +kubebuilder:validation:Enum=Replicated;Global;ReplicatedJob;GlobalJob
type SwarmServiceMode string

// The modes.
const (
	SwarmReplicated    SwarmServiceMode = "Replicated"
	SwarmGlobal        SwarmServiceMode = "Global"
	SwarmReplicatedJob SwarmServiceMode = "ReplicatedJob"
	SwarmGlobalJob     SwarmServiceMode = "GlobalJob"
)

// SwarmServiceDeletionPolicy is what becomes of a service whose object is deleted.
//
// +kubebuilder:validation:Enum=Delete;Orphan
type SwarmServiceDeletionPolicy string

// The deletion policies.
const (
	SwarmDeletionDelete SwarmServiceDeletionPolicy = "Delete"
	SwarmDeletionOrphan SwarmServiceDeletionPolicy = "Orphan"
)

// SwarmServiceAdoptionPolicy is what becomes of a service that nobody owns.
//
// +kubebuilder:validation:Enum=Never;IfUnmanaged
type SwarmServiceAdoptionPolicy string

// The adoption policies.
const (
	SwarmAdoptionNever       SwarmServiceAdoptionPolicy = "Never"
	SwarmAdoptionIfUnmanaged SwarmServiceAdoptionPolicy = "IfUnmanaged"
)

// SwarmServiceDriftPolicy is what becomes of a service that is not what the spec says.
//
// +kubebuilder:validation:Enum=Correct;Report
type SwarmServiceDriftPolicy string

// The drift policies.
const (
	SwarmDriftCorrect SwarmServiceDriftPolicy = "Correct"
	SwarmDriftReport  SwarmServiceDriftPolicy = "Report"
)

// SwarmService is a service of a Docker Swarm that is created as its spec says, and
// kept so.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:shortName=sws,categories=dockercontrol
// +kubebuilder:validation:XValidation:rule="has(self.spec.serviceName) || (size(self.metadata.name) <= 63 && !self.metadata.name.contains('.'))",message="spec.serviceName is required, since metadata.name cannot be the name of a service: it has more than 63 characters, or a '.'",fieldPath=".spec.serviceName",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="(has(self.spec.serviceName) ? self.spec.serviceName : self.metadata.name) == (has(oldSelf.spec.serviceName) ? oldSelf.spec.serviceName : oldSelf.metadata.name)",message="spec.serviceName cannot change: the engine cannot rename a service; delete the object and create it anew",fieldPath=".spec.serviceName"
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Replicas",type=string,JSONPath=`.status.replicaSummary`
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.spec.image`
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.hostRef.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Update",type=string,priority=1,JSONPath=`.status.updateStatus.state`
// +kubebuilder:printcolumn:name="Served By",type=string,priority=1,JSONPath=`.status.servedBy`
// +kubebuilder:printcolumn:name="Service ID",type=string,priority=1,JSONPath=`.status.serviceID`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type SwarmService struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the object's metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says what the service is, and what to do about it.
	//
	// +required
	Spec SwarmServiceSpec `json:"spec,omitempty,omitzero"`

	// status is what is known of the service.
	//
	// +optional
	Status SwarmServiceStatus `json:"status,omitempty,omitzero"`
}

// ServiceName is the service's name on the swarm.
func (s *SwarmService) ServiceName() string {
	if s.Spec.ServiceName != "" {
		return s.Spec.ServiceName
	}
	return s.Name
}

// SwarmServiceList is a list of SwarmServices.
//
// +kubebuilder:object:root=true
type SwarmServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	Items []SwarmService `json:"items"`
}
