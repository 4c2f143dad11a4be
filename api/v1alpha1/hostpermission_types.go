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

// HostPermissionSpec says who may do what on which DockerHosts of the namespace,
// and until when.
//
// +kubebuilder:validation:XValidation:rule="(has(self.hostNames) && size(self.hostNames) > 0) || has(self.hostSelector)",message="spec.hostNames or spec.hostSelector is required: name the hosts, select them by their labels, or both; an empty spec.hostSelector ({}) selects every host of the namespace"
type HostPermissionSpec struct {
	// subjects are who gets the role: users, groups and ServiceAccounts, as in a
	// RoleBinding.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	Subjects []HostPermissionSubject `json:"subjects,omitempty"`

	// role is what the subjects may do. A Viewer looks: lists, logs, stats, events,
	// with secrets masked. An Operator runs what there is: starts and stops, execs,
	// attaches, copies files, pulls images; that is root in every container. An
	// Admin may do everything the engine can; that is root on the host.
	//
	// +required
	Role HostRole `json:"role,omitempty"`

	// hostNames are names of DockerHosts in the namespace. One that does not exist
	// is covered as soon as it does.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	HostNames []string `json:"hostNames,omitempty"`

	// hostSelector selects DockerHosts of the namespace by their labels, beside those
	// of spec.hostNames. The empty selector selects all of them. Grants follow when
	// hosts come, go or change their labels.
	//
	// +optional
	HostSelector *metav1.LabelSelector `json:"hostSelector,omitempty"`

	// expiresAt is when the permission ends; without it, it does not. At that moment
	// the RoleBinding and the Role are removed.
	//
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}

// HostRole is what a HostPermission lets its subjects do.
//
// +kubebuilder:validation:Enum=Viewer;Operator;Admin
type HostRole string

// The roles, each with the rights of the one before.
const (
	HostViewer   HostRole = "Viewer"
	HostOperator HostRole = "Operator"
	HostAdmin    HostRole = "Admin"
)

// SubjectKind is the kind of a subject.
//
// +kubebuilder:validation:Enum=User;Group;ServiceAccount
type SubjectKind string

// The kinds of subjects.
const (
	SubjectUser           SubjectKind = "User"
	SubjectGroup          SubjectKind = "Group"
	SubjectServiceAccount SubjectKind = "ServiceAccount"
)

// HostPermissionSubject is a user, a group or a ServiceAccount, as in a RoleBinding.
//
// +kubebuilder:validation:XValidation:rule="!has(self.__namespace__) || self.kind == 'ServiceAccount'",message="spec.subjects: namespace goes with kind ServiceAccount only; users and groups have none",fieldPath=".namespace",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="self.kind != 'ServiceAccount' || !self.name.contains(':')",message="spec.subjects: name is the ServiceAccount's own name, without system:serviceaccount: before it; its namespace goes into the field namespace",fieldPath=".name"
// +kubebuilder:validation:XValidation:rule="!(self.name in ['system:anonymous', 'system:unauthenticated'])",message="spec.subjects: name must not be system:anonymous or system:unauthenticated: who is not authenticated gets no rights on a host",fieldPath=".name",reason=FieldValueForbidden
type HostPermissionSubject struct {
	// kind is User, Group or ServiceAccount.
	//
	// +required
	Kind SubjectKind `json:"kind,omitempty"`

	// name is the user's, the group's or the ServiceAccount's.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name,omitempty"`

	// namespace is the ServiceAccount's; the HostPermission's own where it is left out.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// HostPermissionStatus is what is granted at present.
type HostPermissionStatus struct {
	// conditions are Ready, and Reconciling or Stalled while they apply.
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

	// matchedHosts are the names of the DockerHosts that the permission covers now, in
	// alphabetical order: the first 100 of them. The Role names all.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	MatchedHosts []string `json:"matchedHosts,omitempty"`

	// matchedHostCount is the number of DockerHosts that the permission covers now.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	MatchedHostCount *int32 `json:"matchedHostCount,omitempty"`

	// expired is true once spec.expiresAt has passed.
	//
	// +optional
	Expired *bool `json:"expired,omitempty"`

	// roleName is the Role that holds the rights; absent while nothing is granted.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=300
	RoleName string `json:"roleName,omitempty"`

	// roleBindingName is the RoleBinding that gives the Role to the subjects; absent
	// while nothing is granted.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=300
	RoleBindingName string `json:"roleBindingName,omitempty"`
}

// HostPermission says who may do what on which DockerHosts. It becomes one Role with
// the names of these hosts and one RoleBinding, both of which the manager keeps as
// they should be. Whoever writes one needs the verb grant on dockerhosts.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=hp,categories=dockercontrol
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.role`
// +kubebuilder:printcolumn:name="Hosts",type=integer,JSONPath=`.status.matchedHostCount`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="Subjects",type=string,priority=1,JSONPath=`.spec.subjects[*].name`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type HostPermission struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the object's metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says who may do what on which hosts, and until when.
	//
	// +required
	Spec HostPermissionSpec `json:"spec,omitempty,omitzero"`

	// status is what is granted at present.
	//
	// +optional
	Status HostPermissionStatus `json:"status,omitempty,omitzero"`
}

// HostPermissionList is a list of HostPermissions.
//
// +kubebuilder:object:root=true
type HostPermissionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	Items []HostPermission `json:"items"`
}

// HostPermissionLabel is on each Role and RoleBinding that belongs to a
// HostPermission; its value is that object's UID.
const HostPermissionLabel = Prefix + "hostpermission"
