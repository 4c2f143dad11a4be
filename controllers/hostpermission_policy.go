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

package controllers

import admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

// PermissionPolicyName is the ValidatingAdmissionPolicy that asks who writes a
// HostPermission, and its binding; config/admission has both.
const PermissionPolicyName = "dockercontrol-hostpermission-grant"

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings,resourceNames=dockercontrol-hostpermission-grant,verbs=get;list;watch

var permissionPolicy = admissionPolicy{
	name: PermissionPolicyName, resource: "hostpermissions", says: "creation and update of HostPermissions",
	operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
}
