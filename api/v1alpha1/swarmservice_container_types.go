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

// SwarmContainer is what a service's containers are made of.
type SwarmContainer struct {
	// image is what the containers run, as `docker pull` spells it. A tag is resolved
	// to a digest when this text changes, and at no other time.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^\S+$`
	Image string `json:"image,omitempty"`

	// command replaces the image's entrypoint.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MaxLength=65536
	Command []string `json:"command,omitempty"`

	// args replace the image's command.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MaxLength=65536
	Args []string `json:"args,omitempty"`

	// env are environment variables, beside those of the image.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=1024
	Env []SwarmEnvVar `json:"env,omitempty"`

	// workingDir is where the command starts.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	WorkingDir string `json:"workingDir,omitempty"`

	// user is who the command runs as: a name or number, and a group after a colon.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	User string `json:"user,omitempty"`

	// groups are further groups of that user.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Groups []string `json:"groups,omitempty"`

	// hostname is the containers' host name. The engine's templates work, as in
	// `{{.Node.Hostname}}`.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Hostname string `json:"hostname,omitempty"`

	// containerLabels are the labels of the tasks' containers.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=256
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) > 0 && size(k) <= 512 && size(self[k]) <= 8192)",message="spec.containerLabels: a key has 1 to 512 characters, a value at most 8192"
	ContainerLabels map[string]string `json:"containerLabels,omitempty"`

	// init runs a small init as process 1, which reaps zombies and passes on signals.
	// Without it, the engine's own setting decides.
	//
	// +optional
	Init *bool `json:"init,omitempty"`

	// tty gives the containers a terminal.
	//
	// +optional
	TTY *bool `json:"tty,omitempty"`

	// stdin keeps the containers' standard input open.
	//
	// +optional
	Stdin *bool `json:"stdin,omitempty"`

	// readOnlyRootFilesystem mounts the containers' root read-only.
	//
	// +optional
	ReadOnlyRootFilesystem *bool `json:"readOnlyRootFilesystem,omitempty"`

	// stopSignal is what ends a container, as in SIGTERM.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	StopSignal string `json:"stopSignal,omitempty"`

	// stopGracePeriod is how long a container may take to end before it is killed.
	// Without it, 10s.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('8760h')",message="spec.stopGracePeriod must be at most 8760h"
	StopGracePeriod *metav1.Duration `json:"stopGracePeriod,omitempty"`

	// healthcheck replaces the image's health check, or parts of it.
	//
	// +optional
	Healthcheck *SwarmHealthcheck `json:"healthcheck,omitempty"`

	// mounts are what the containers see of volumes and of their nodes' files.
	//
	// +optional
	// +listType=map
	// +listMapKey=target
	// +kubebuilder:validation:MaxItems=128
	Mounts []SwarmMount `json:"mounts,omitempty"`

	// secrets are files in the containers' memory, /run/secrets/TARGET each.
	//
	// +optional
	// +listType=map
	// +listMapKey=target
	// +kubebuilder:validation:MaxItems=256
	Secrets []SwarmSecretFile `json:"secrets,omitempty"`

	// configs are files in the containers, /TARGET each.
	//
	// +optional
	// +listType=map
	// +listMapKey=target
	// +kubebuilder:validation:MaxItems=256
	Configs []SwarmConfigFile `json:"configs,omitempty"`

	// extraHosts are lines of the containers' /etc/hosts.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	ExtraHosts []SwarmHostAlias `json:"extraHosts,omitempty"`

	// dns replaces how the containers resolve names.
	//
	// +optional
	DNS *SwarmDNS `json:"dns,omitempty"`

	// capabilities are given and taken beside those that the engine gives by default.
	//
	// +optional
	Capabilities *SwarmCapabilities `json:"capabilities,omitempty"`

	// privileges say how the kernel confines the containers.
	//
	// +optional
	Privileges *SwarmPrivileges `json:"privileges,omitempty"`

	// sysctls are kernel parameters of the containers' namespaces.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=128
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) > 0 && size(k) <= 256 && size(self[k]) <= 1024)",message="spec.sysctls: a key has 1 to 256 characters, a value at most 1024"
	Sysctls map[string]string `json:"sysctls,omitempty"`

	// ulimits bound what a process may use.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Ulimits []SwarmUlimit `json:"ulimits,omitempty"`

	// oomScoreAdj makes the kernel more or less ready to kill the containers when
	// memory runs out, from -1000 to 1000.
	//
	// +optional
	// +kubebuilder:validation:Minimum=-1000
	// +kubebuilder:validation:Maximum=1000
	OOMScoreAdj *int32 `json:"oomScoreAdj,omitempty"`

	// isolation is how Windows containers are kept apart.
	//
	// +optional
	Isolation SwarmIsolation `json:"isolation,omitempty"`
}

// SwarmIsolation is how Windows containers are kept apart.
//
// +kubebuilder:validation:Enum=Default;Process;HyperV
type SwarmIsolation string

// The isolations.
const (
	SwarmIsolationDefault SwarmIsolation = "Default"
	SwarmIsolationProcess SwarmIsolation = "Process"
	SwarmIsolationHyperV  SwarmIsolation = "HyperV"
)

// SwarmEnvVar is an environment variable.
//
// +kubebuilder:validation:XValidation:rule="(has(self.value) ? 1 : 0) + (has(self.valueFrom) ? 1 : 0) + (has(self.unset) && self.unset ? 1 : 0) <= 1",message="spec.env: only one of value, valueFrom and unset can be given"
type SwarmEnvVar struct {
	// name is the variable's.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[^=\s]+$`
	Name string `json:"name,omitempty"`

	// value is the variable's; empty where nothing is given. Use valueFrom for what is
	// secret.
	//
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=65536
	Value *string `json:"value,omitempty"`

	// valueFrom takes the value from a Secret or a ConfigMap. The service is updated
	// when it changes. The engine keeps and shows values of the environment in plain
	// text: a file of spec.secrets is safer.
	//
	// +optional
	ValueFrom *SwarmEnvSource `json:"valueFrom,omitempty"`

	// unset removes the image's variable of that name.
	//
	// +optional
	Unset *bool `json:"unset,omitempty"`
}

// SwarmEnvSource is where a value of the environment comes from.
//
// +kubebuilder:validation:XValidation:rule="has(self.secretKeyRef) != has(self.configMapKeyRef)",message="spec.env: valueFrom must have one of secretKeyRef and configMapKeyRef"
type SwarmEnvSource struct {
	// secretKeyRef names a key of a Secret.
	//
	// +optional
	SecretKeyRef *LocalKeyReference `json:"secretKeyRef,omitempty"`

	// configMapKeyRef names a key of a ConfigMap.
	//
	// +optional
	ConfigMapKeyRef *LocalKeyReference `json:"configMapKeyRef,omitempty"`
}

// LocalKeyReference names a key of a Secret or ConfigMap in the object's own
// namespace.
type LocalKeyReference struct {
	// name is the Secret's or ConfigMap's.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// key is the key in it.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`

	// optional lets the Secret, the ConfigMap or the key be missing; then the variable
	// is not set, and the file is not there.
	//
	// +optional
	Optional *bool `json:"optional,omitempty"`
}

// SwarmHealthcheck is how the engine tells whether a container is well.
type SwarmHealthcheck struct {
	// test is the check, as the engine spells it: [NONE] for no check,
	// [CMD, program, argument...] or [CMD-SHELL, command]. Without it, the image's.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=65536
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || (self[0] == 'NONE' ? size(self) == 1 : self[0] in ['CMD', 'CMD-SHELL'] && size(self) > 1)",message="spec.healthcheck.test must be [NONE], [CMD, program, argument...] or [CMD-SHELL, command]"
	Test []string `json:"test,omitempty"`

	// interval is the time between two checks. Without it, the image's, or 30s.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1ms') && duration(self) <= duration('8760h')",message="spec.healthcheck.interval must be from 1ms to 8760h"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// timeout bounds one check. Without it, the image's, or 30s.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1ms') && duration(self) <= duration('8760h')",message="spec.healthcheck.timeout must be from 1ms to 8760h"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// startPeriod is the time at the start in which failures do not count.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1ms') && duration(self) <= duration('8760h')",message="spec.healthcheck.startPeriod must be from 1ms to 8760h"
	StartPeriod *metav1.Duration `json:"startPeriod,omitempty"`

	// startInterval is the time between two checks in the start period.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1ms') && duration(self) <= duration('8760h')",message="spec.healthcheck.startInterval must be from 1ms to 8760h"
	StartInterval *metav1.Duration `json:"startInterval,omitempty"`

	// retries is how many checks in a row must fail for a container to be unhealthy.
	// Without it, the image's, or 3.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	Retries int32 `json:"retries,omitempty"`
}

// SwarmHostAlias is a line of /etc/hosts.
type SwarmHostAlias struct {
	// ip is the address.
	//
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^\S+$`
	IP string `json:"ip,omitempty"`

	// hostnames are its names.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^\S+$`
	Hostnames []string `json:"hostnames,omitempty"`
}

// SwarmDNS is how containers resolve names.
type SwarmDNS struct {
	// nameservers are addresses of name servers.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=2
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(a, isIP(a))",message="spec.dns.nameservers must be IP addresses"
	Nameservers []string `json:"nameservers,omitempty"`

	// searches are domains to look a short name up in.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Searches []string `json:"searches,omitempty"`

	// options are the resolver's, as in ndots:2.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Options []string `json:"options,omitempty"`
}
