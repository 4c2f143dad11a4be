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

// SwarmServiceStatus is what is known of a service. It is written when something
// changed, never as a heartbeat.
type SwarmServiceStatus struct {
	// conditions are Ready, Progressing and Drifted; Reconciling or Stalled while they
	// apply.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status speaks of.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// serviceID is the service's id on the swarm.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ServiceID string `json:"serviceID,omitempty"`

	// clusterID is the id of the swarm that the service is on.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ClusterID string `json:"clusterID,omitempty"`

	// servedBy is the DockerHost through which the swarm was last spoken to.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServedBy string `json:"servedBy,omitempty"`

	// specVersion is the engine's version of the service that this status speaks of.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	SpecVersion int64 `json:"specVersion,omitempty"`

	// appliedHash tells one thing that was asked of the swarm from another: the spec with the
	// Secrets and ConfigMaps that it names. What the service is otherwise is drift as long as
	// this stays. It is keyed, and tells nothing of them.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	AppliedHash string `json:"appliedHash,omitempty"`

	// image is spec.image as it was when its digest was looked up.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`

	// imageDigest is the digest that the tasks run.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ImageDigest string `json:"imageDigest,omitempty"`

	// replicas is the number of tasks that there are: what the scale subresource shows.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Replicas int32 `json:"replicas,omitempty"`

	// selector is what the scale subresource shows as the selector of Pods. It selects
	// none, since tasks are no Pods; a HorizontalPodAutoscaler must have one, and works
	// with metrics of type Object or External and a target of type AverageValue.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Selector string `json:"selector,omitempty"`

	// replicaSummary is running and desired tasks, as in 3/3; of a job, completed and
	// wanted ones.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ReplicaSummary string `json:"replicaSummary,omitempty"`

	// desiredReplicas is how many tasks there should be.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	DesiredReplicas int32 `json:"desiredReplicas,omitempty"`

	// runningReplicas is how many tasks run.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	RunningReplicas int32 `json:"runningReplicas,omitempty"`

	// updatedReplicas is how many tasks run what the spec says.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	UpdatedReplicas int32 `json:"updatedReplicas,omitempty"`

	// completedReplicas is how many tasks of a job have completed.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	CompletedReplicas int32 `json:"completedReplicas,omitempty"`

	// updateStatus is what the engine says of the last rollout.
	//
	// +optional
	UpdateStatus *SwarmUpdateStatus `json:"updateStatus,omitempty"`

	// distribution is how many tasks run on which node: the first 100 nodes by name.
	//
	// +optional
	// +listType=map
	// +listMapKey=nodeID
	// +kubebuilder:validation:MaxItems=100
	Distribution []SwarmNodeReplicas `json:"distribution,omitempty"`

	// taskErrors are the last errors of tasks, the newest first, each text once.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	TaskErrors []SwarmTaskError `json:"taskErrors,omitempty"`
}

// SwarmUpdateState is how far a rollout is.
//
// +kubebuilder:validation:Enum=Updating;Paused;Completed;RollbackStarted;RollbackPaused;RollbackCompleted
type SwarmUpdateState string

// The states of a rollout.
const (
	SwarmUpdating          SwarmUpdateState = "Updating"
	SwarmUpdatePaused      SwarmUpdateState = "Paused"
	SwarmUpdateCompleted   SwarmUpdateState = "Completed"
	SwarmRollbackStarted   SwarmUpdateState = "RollbackStarted"
	SwarmRollbackPaused    SwarmUpdateState = "RollbackPaused"
	SwarmRollbackCompleted SwarmUpdateState = "RollbackCompleted"
)

// SwarmUpdateStatus is what the engine says of a rollout.
type SwarmUpdateStatus struct {
	// state is how far it is.
	//
	// +optional
	State SwarmUpdateState `json:"state,omitempty"`

	// startedAt is when it began.
	//
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`

	// completedAt is when it ended.
	//
	// +optional
	CompletedAt *metav1.Time `json:"completedAt,omitempty"`

	// message is the engine's own.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// SwarmNodeReplicas is how many tasks run on a node.
type SwarmNodeReplicas struct {
	// nodeID is the node's id in the swarm.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	NodeID string `json:"nodeID,omitempty"`

	// node is the node's host name.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Node string `json:"node,omitempty"`

	// replicas is how many tasks run there.
	//
	// +required
	// +kubebuilder:validation:Minimum=1
	Replicas int32 `json:"replicas,omitempty"`
}

// SwarmTaskError is what went wrong with a task.
type SwarmTaskError struct {
	// taskID is the task's.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	TaskID string `json:"taskID,omitempty"`

	// node is the host name of the node it was on, if it was placed.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Node string `json:"node,omitempty"`

	// time is when it happened.
	//
	// +optional
	Time *metav1.Time `json:"time,omitempty"`

	// state is the task's state, as the engine spells it.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	State string `json:"state,omitempty"`

	// error is the engine's own text.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Error string `json:"error,omitempty"`
}
