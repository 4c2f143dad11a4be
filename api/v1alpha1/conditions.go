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

// Types of conditions. Ready sums up; Reconciling and Stalled follow the kstatus
// convention: present and True while they apply, absent otherwise.
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"

	// ConditionReachable: the engine answers.
	ConditionReachable = "Reachable"
	// ConditionCredentialsValid: the Secret holds usable credentials.
	ConditionCredentialsValid = "CredentialsValid"
	// ConditionDefault: a host whose spec.default is true is its namespace's default.
	ConditionDefault = "Default"

	// ConditionProgressing: a rollout of a SwarmService is under way.
	ConditionProgressing = "Progressing"
	// ConditionDrifted: the service on the swarm is not what its spec says.
	ConditionDrifted = "Drifted"
)

// Reasons of a DockerHost's conditions and Events.
const (
	// ReasonConnected: the engine is connected, and its inventory is current.
	ReasonConnected = "Connected"
	// ReasonConnecting: the first attempt to connect with this spec is under way.
	ReasonConnecting = "Connecting"
	// ReasonSuspended: spec.suspend is true; there is no connection, as asked.
	ReasonSuspended = "Suspended"
	// ReasonEndpointInvalid: spec.endpoint cannot be understood.
	ReasonEndpointInvalid = "EndpointInvalid"
	// ReasonEndpointForbidden: the manager's flags do not allow the endpoint here.
	ReasonEndpointForbidden = "EndpointForbidden"
	// ReasonCredentialsMissing: the Secret, or a key that it must have, is missing.
	ReasonCredentialsMissing = "CredentialsMissing"
	// ReasonCredentialsInvalid: the Secret holds something that cannot be used.
	ReasonCredentialsInvalid = "CredentialsInvalid"
	// ReasonCertificateExpired: the client's or the engine's certificate has expired.
	ReasonCertificateExpired = "CertificateExpired"
	// ReasonCertificateUntrusted: the engine's certificate is not signed by ca.crt,
	// or is for another name.
	ReasonCertificateUntrusted = "CertificateUntrusted"
	// ReasonHostKeyMismatch: the ssh host key is not the one in known_hosts.
	ReasonHostKeyMismatch = "HostKeyMismatch"
	// ReasonAuthenticationFailed: the other side refused the credentials.
	ReasonAuthenticationFailed = "AuthenticationFailed"
	// ReasonForwardingRefused: ssh works, but its server does not open the engine's socket.
	ReasonForwardingRefused = "ForwardingRefused"
	// ReasonNameNotResolved: the endpoint's host name has no address.
	ReasonNameNotResolved = "NameNotResolved"
	// ReasonDialFailed: nothing answers at the endpoint.
	ReasonDialFailed = "DialFailed"
	// ReasonTimeout: the connection is made, or tried, and no answer comes in time.
	ReasonTimeout = "Timeout"
	// ReasonAPIVersionUnsupported: the engine is too old, or too new, to talk to.
	ReasonAPIVersionUnsupported = "APIVersionUnsupported"
	// ReasonEngineError: what answers fails, or is no Docker engine.
	ReasonEngineError = "EngineError"

	// ReasonNotRequired: the endpoint needs no credentials.
	ReasonNotRequired = "NotRequired"
	// ReasonValid: the credentials are usable.
	ReasonValid = "Valid"
	// ReasonNotChecked: nothing is known, for the host is suspended or another
	// fault comes first.
	ReasonNotChecked = "NotChecked"

	// ReasonNamespaceDefault: this host is the namespace's default.
	ReasonNamespaceDefault = "NamespaceDefault"
	// ReasonAnotherDefault: an older host of the namespace is its default.
	ReasonAnotherDefault = "AnotherDefault"

	// ReasonCertificateExpiring: the client certificate expires in 30, 7 or 1 days.
	ReasonCertificateExpiring = "CertificateExpiring"
	// ReasonEngineReplaced: another engine answers at the same endpoint.
	ReasonEngineReplaced = "EngineReplaced"
	// ReasonNeededBySwarmServices: the host is deleted once no SwarmService needs it.
	ReasonNeededBySwarmServices = "NeededBySwarmServices"
)

// Reasons of a HostPermission's conditions and Events.
const (
	// ReasonGranted: the Role and the RoleBinding are as the spec asks for.
	ReasonGranted = "Granted"
	// ReasonNoHostsMatched: the spec matches no DockerHost yet; those that come and
	// match will be covered.
	ReasonNoHostsMatched = "NoHostsMatched"
	// ReasonExpired: spec.expiresAt has passed; nothing is granted any more.
	ReasonExpired = "Expired"
	// ReasonSelectorInvalid: spec.hostSelector cannot be understood; nothing is granted.
	ReasonSelectorInvalid = "SelectorInvalid"
	// ReasonRoleConflict: a Role or RoleBinding of the name to be used belongs to
	// somebody else. It is left alone, and nothing is granted.
	ReasonRoleConflict = "RoleConflict"
	// ReasonAdmissionPolicyMissing: the policy that asks who may write HostPermissions
	// is not in force, so nothing is granted beyond what was before; or one of those that
	// ask who may write SwarmServices is not, so that no service is written.
	ReasonAdmissionPolicyMissing = "AdmissionPolicyMissing"
	// ReasonGrantFailed: the Role or the RoleBinding could not be written, which is
	// tried again.
	ReasonGrantFailed = "GrantFailed"

	// ReasonChanged: the permission covers other hosts, subjects or rights than before.
	ReasonChanged = "Changed"
	// ReasonRestored: the Role or the RoleBinding had been edited or removed, and is as
	// the spec asks for again.
	ReasonRestored = "Restored"
	// ReasonRevoked: the permission grants nothing any more.
	ReasonRevoked = "Revoked"
)
