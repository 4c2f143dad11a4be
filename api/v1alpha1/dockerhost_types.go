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

// DockerHostSpec says where a Docker engine is, how to reach it and how to tell
// that it is well.
//
// +kubebuilder:validation:XValidation:rule="!self.endpoint.startsWith('tcp://') || has(self.tls) || (has(self.insecure) && self.insecure)",message="spec.tls is required for a tcp:// endpoint; to talk in plain text without authentication, set spec.insecure to true",fieldPath=".tls",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || self.endpoint.startsWith('tcp://')",message="spec.tls goes with a tcp:// endpoint only",fieldPath=".tls",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!(has(self.insecure) && self.insecure) || (self.endpoint.startsWith('tcp://') && !has(self.tls))",message="spec.insecure goes with a tcp:// endpoint without spec.tls only",fieldPath=".insecure",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!self.endpoint.startsWith('ssh://') || has(self.ssh)",message="spec.ssh is required for an ssh:// endpoint: spec.ssh.secretRef names the Secret with the keys ssh-privatekey and known_hosts",fieldPath=".ssh",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="!has(self.ssh) || self.endpoint.startsWith('ssh://')",message="spec.ssh goes with an ssh:// endpoint only",fieldPath=".ssh",reason=FieldValueForbidden
type DockerHostSpec struct {
	// endpoint is the engine's address: `unix:///path/to/socket`, `tcp://host:port`
	// or `ssh://user@host[:port][/path/to/socket]`. A unix endpoint is a socket on
	// the manager's own machine, and is allowed only in the namespaces that the
	// manager's --unix-endpoint-namespaces names. A tcp endpoint needs spec.tls, or
	// spec.insecure. An ssh endpoint needs spec.ssh; its socket is
	// /var/run/docker.sock unless the path says otherwise.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.startsWith('unix://') || self.startsWith('tcp://') || self.startsWith('ssh://')",message="spec.endpoint must begin with unix://, tcp:// or ssh://"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('unix://') || self.matches('^unix:///[^?#]*[^/?#]$')",message="spec.endpoint: a unix endpoint is unix:// and an absolute path, as in unix:///var/run/docker.sock"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('tcp://') || self.matches('^tcp://([A-Za-z0-9._-]+|[[][0-9A-Fa-f:.]+[]]):[0-9]{1,5}/?$')",message="spec.endpoint: a tcp endpoint is tcp://host:port with nothing after the port, as in tcp://10.0.0.5:2376"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('ssh://') || self.matches('^ssh://[A-Za-z0-9._~%-]+@([A-Za-z0-9._-]+|[[][0-9A-Fa-f:.]+[]])(:[0-9]{1,5})?(/[^?#]*)?$')",message="spec.endpoint: an ssh endpoint is ssh://user@host[:port][/path/to/socket] without a password, as in ssh://docker@10.0.0.5"
	Endpoint string `json:"endpoint,omitempty"`

	// tls says how to prove to each other who is who over tcp: mutual TLS, as
	// `dockerd --tlsverify` asks for it.
	//
	// +optional
	TLS *DockerHostTLS `json:"tls,omitempty"`

	// insecure allows a tcp endpoint without TLS. Whoever can reach such an engine
	// owns its machine, and whoever sits between can change what is said.
	//
	// +optional
	Insecure *bool `json:"insecure,omitempty"`

	// ssh says how to log in over ssh. Host keys are always verified.
	//
	// +optional
	SSH *DockerHostSSH `json:"ssh,omitempty"`

	// healthCheck says how often the engine is probed, and how many probes decide.
	//
	// +optional
	// +default={}
	HealthCheck DockerHostHealthCheck `json:"healthCheck,omitempty,omitzero"`

	// connection bounds the connections to the engine.
	//
	// +optional
	// +default={}
	Connection DockerHostConnection `json:"connection,omitempty,omitzero"`

	// suspend ends every connection to the engine, and makes none, while true.
	//
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// default makes this the host that tools take when none is named. One host a
	// namespace can be it: of several the oldest is, and the others report that in
	// their condition Default.
	//
	// +optional
	Default *bool `json:"default,omitempty"`
}

// DockerHostTLS is the client's side of mutual TLS.
type DockerHostTLS struct {
	// secretRef names the Secret that holds `ca.crt` (who may sign the engine's
	// certificate), `tls.crt` and `tls.key` (the client certificate), all in PEM.
	//
	// +required
	SecretRef LocalSecretReference `json:"secretRef,omitempty,omitzero"`

	// serverName is the name that the engine's certificate must carry, where that
	// is not the endpoint's host.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServerName string `json:"serverName,omitempty"`
}

// DockerHostSSH is the client's side of ssh.
type DockerHostSSH struct {
	// secretRef names the Secret that holds `ssh-privatekey`, `known_hosts` (the
	// engine's host keys, as `ssh-keyscan` prints them) and, where the key is
	// encrypted, `passphrase`.
	//
	// +required
	SecretRef LocalSecretReference `json:"secretRef,omitempty,omitzero"`
}

// LocalSecretReference names a Secret in the object's own namespace.
type LocalSecretReference struct {
	// name is the Secret's name.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be the name of a Secret: lower case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`
}

// DockerHostHealthCheck says how often an engine is probed and how many probes
// decide. An engine that answers nothing is reported after at most
// (interval + timeout) x failureThreshold.
type DockerHostHealthCheck struct {
	// interval is the time between two probes, at least 1s.
	//
	// +optional
	// +default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="spec.healthCheck.interval must be from 1s to 1h"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// timeout bounds one probe, and every other short call to the engine.
	//
	// +optional
	// +default="5s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('100ms') && duration(self) <= duration('5m')",message="spec.healthCheck.timeout must be from 100ms to 5m"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// failureThreshold is how many probes must fail in a row before the host is
	// not ready.
	//
	// +optional
	// +default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	FailureThreshold int32 `json:"failureThreshold,omitempty"`

	// successThreshold is how many probes must succeed in a row before a host that
	// was lost is ready again.
	//
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	SuccessThreshold int32 `json:"successThreshold,omitempty"`
}

// DockerHostConnection bounds the connections to an engine.
type DockerHostConnection struct {
	// maxConnections bounds the connections for short calls. Each stream (a log, an
	// exec session, the events) has a connection of its own beside them, and so have
	// probes and the inventory: whoever fills all connections does not make the host
	// look dead.
	//
	// +optional
	// +default=64
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	MaxConnections int32 `json:"maxConnections,omitempty"`

	// idleTimeout is how long an unused connection is kept.
	//
	// +optional
	// +default="1m30s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="spec.connection.idleTimeout must be from 1s to 24h"
	IdleTimeout *metav1.Duration `json:"idleTimeout,omitempty"`
}

// DockerHostStatus is what is known of the engine. It is written when something
// changed, never as a heartbeat: how long ago the engine was last heard is a
// metric.
type DockerHostStatus struct {
	// conditions are Ready, Reachable and CredentialsValid; Reconciling or Stalled
	// while they apply; Default on a host whose spec.default is true.
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

	// engine is what the engine says of itself.
	//
	// +optional
	Engine *EngineStatus `json:"engine,omitempty"`

	// capacity is the machine's.
	//
	// +optional
	Capacity *EngineCapacity `json:"capacity,omitempty"`

	// containers are the numbers of containers by state, as `docker info` counts them.
	//
	// +optional
	Containers *ContainerCounts `json:"containers,omitempty"`

	// images is the number of images, as `docker info` counts them.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Images *int32 `json:"images,omitempty"`

	// swarm is the engine's place in a swarm; absent when it is in none.
	//
	// +optional
	Swarm *SwarmStatus `json:"swarm,omitempty"`

	// credentials describes the client certificate or the ssh key in use.
	//
	// +optional
	Credentials *CredentialStatus `json:"credentials,omitempty"`
}

// EngineStatus is what an engine says of itself.
type EngineStatus struct {
	// id is the engine's own id. It changes when the engine is installed anew.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ID string `json:"id,omitempty"`

	// name is the engine's host name.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`

	// version is the engine's version.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Version string `json:"version,omitempty"`

	// apiVersion is the newest version of the API that the engine speaks.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	APIVersion string `json:"apiVersion,omitempty"`

	// minAPIVersion is the oldest version of the API that the engine speaks.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	MinAPIVersion string `json:"minAPIVersion,omitempty"`

	// os is the kind of operating system: linux or windows.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	OS string `json:"os,omitempty"`

	// osImage is the operating system's own name, such as "Debian GNU/Linux 12 (bookworm)".
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	OSImage string `json:"osImage,omitempty"`

	// arch is the machine's architecture, as the engine spells it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Arch string `json:"arch,omitempty"`

	// kernel is the kernel's version.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Kernel string `json:"kernel,omitempty"`

	// storageDriver is what stores images and containers, such as overlay2.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	StorageDriver string `json:"storageDriver,omitempty"`

	// cgroupVersion is 1 or 2.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	CgroupVersion string `json:"cgroupVersion,omitempty"`

	// rootless is true when the engine runs without root.
	//
	// +optional
	Rootless *bool `json:"rootless,omitempty"`
}

// EngineCapacity is what an engine's machine has.
type EngineCapacity struct {
	// cpus is the number of processors.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	CPUs int32 `json:"cpus,omitempty"`

	// memory is the machine's memory.
	//
	// +optional
	Memory resource.Quantity `json:"memory,omitempty,omitzero"`
}

// ContainerCounts are numbers of containers.
type ContainerCounts struct {
	// running is the number of running containers, restarting ones included.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	Running *int32 `json:"running,omitempty"`

	// paused is the number of paused containers.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	Paused *int32 `json:"paused,omitempty"`

	// stopped is the number of containers that do not run: created, exited or dead.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	Stopped *int32 `json:"stopped,omitempty"`

	// total is the number of containers.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	Total *int32 `json:"total,omitempty"`
}

// SwarmRole is what an engine is in its swarm.
//
// +kubebuilder:validation:Enum=Manager;Worker
type SwarmRole string

// The roles.
const (
	SwarmManager SwarmRole = "Manager"
	SwarmWorker  SwarmRole = "Worker"
)

// SwarmStatus is an engine's place in a swarm.
type SwarmStatus struct {
	// role is Manager or Worker.
	//
	// +optional
	Role SwarmRole `json:"role,omitempty"`

	// nodeID is the engine's id in the swarm.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	NodeID string `json:"nodeID,omitempty"`

	// clusterID is the swarm's id. Only managers know it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ClusterID string `json:"clusterID,omitempty"`

	// controlAvailable is true on a manager that can serve the swarm now.
	//
	// +optional
	ControlAvailable *bool `json:"controlAvailable,omitempty"`

	// managers is the number of managers, as far as a manager knows.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Managers *int32 `json:"managers,omitempty"`

	// nodes is the number of nodes, as far as a manager knows.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Nodes *int32 `json:"nodes,omitempty"`

	// error is what the engine says is wrong with its place in the swarm.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Error string `json:"error,omitempty"`
}

// CredentialStatus describes credentials without giving any away.
type CredentialStatus struct {
	// notAfter is when the client certificate expires.
	//
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`

	// fingerprint is the SHA-256 of the client certificate, or of the ssh public key.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Fingerprint string `json:"fingerprint,omitempty"`
}

// DockerHost is a Docker engine, or one that speaks its API, and the way to reach
// it. Once applied it is connected, watched, and reported in its status.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=dh,categories=dockercontrol
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.spec.endpoint`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.engine.version`
// +kubebuilder:printcolumn:name="Containers",type=integer,JSONPath=`.status.containers.total`
// +kubebuilder:printcolumn:name="Running",type=integer,priority=1,JSONPath=`.status.containers.running`
// +kubebuilder:printcolumn:name="Images",type=integer,priority=1,JSONPath=`.status.images`
// +kubebuilder:printcolumn:name="Swarm",type=string,JSONPath=`.status.swarm.role`
// +kubebuilder:printcolumn:name="CPUs",type=integer,priority=1,JSONPath=`.status.capacity.cpus`
// +kubebuilder:printcolumn:name="Memory",type=string,priority=1,JSONPath=`.status.capacity.memory`
// +kubebuilder:printcolumn:name="OS",type=string,priority=1,JSONPath=`.status.engine.osImage`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type DockerHost struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the object's metadata. Labels decide which grants cover the host.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says where the engine is and how to reach it.
	//
	// +required
	Spec DockerHostSpec `json:"spec,omitempty,omitzero"`

	// status is what is known of the engine.
	//
	// +optional
	Status DockerHostStatus `json:"status,omitempty,omitzero"`
}

// DockerHostList is a list of DockerHosts.
//
// +kubebuilder:object:root=true
type DockerHostList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	Items []DockerHost `json:"items"`
}

// Keys of a Secret named by spec.tls.secretRef or spec.ssh.secretRef.
const (
	SecretKeyCA         = "ca.crt"
	SecretKeyCert       = "tls.crt"
	SecretKeyKey        = "tls.key"
	SecretKeySSHKey     = "ssh-privatekey"
	SecretKeyPassphrase = "passphrase"
	SecretKeyKnownHosts = "known_hosts"
)
