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
)

// SwarmMountType is what a mount is made of.
//
// +kubebuilder:validation:Enum=Bind;Volume;Tmpfs;NamedPipe;Cluster
type SwarmMountType string

// The types of mounts.
const (
	SwarmMountBind      SwarmMountType = "Bind"
	SwarmMountVolume    SwarmMountType = "Volume"
	SwarmMountTmpfs     SwarmMountType = "Tmpfs"
	SwarmMountNamedPipe SwarmMountType = "NamedPipe"
	SwarmMountCluster   SwarmMountType = "Cluster"
)

// SwarmMount is a file system that a container sees.
//
// +kubebuilder:validation:XValidation:rule="!(self.type in ['Bind', 'NamedPipe', 'Cluster']) || has(self.source)",message="spec.mounts: source is required with this type",fieldPath=".source",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="self.type != 'Tmpfs' || !has(self.source)",message="spec.mounts: source does not go with type Tmpfs",fieldPath=".source",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.bind) || self.type == 'Bind'",message="spec.mounts: bind goes with type Bind only",fieldPath=".bind",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.volume) || self.type == 'Volume'",message="spec.mounts: volume goes with type Volume only",fieldPath=".volume",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="!has(self.tmpfs) || self.type == 'Tmpfs'",message="spec.mounts: tmpfs goes with type Tmpfs only",fieldPath=".tmpfs",reason=FieldValueForbidden
type SwarmMount struct {
	// type is Bind for a path of the node, Volume for a volume, which the engine creates
	// on each node where it is missing, Tmpfs for memory, NamedPipe for a pipe of a
	// Windows node, Cluster for a cluster volume of the swarm.
	//
	// +required
	Type SwarmMountType `json:"type,omitempty"`

	// target is the path in the container.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Target string `json:"target,omitempty"`

	// source is the node's path or the volume's name. A Volume without one is
	// anonymous: each task has its own. The engine's templates work, as in
	// `data-{{.Task.Slot}}`.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Source string `json:"source,omitempty"`

	// readOnly keeps the containers from writing.
	//
	// +optional
	ReadOnly *bool `json:"readOnly,omitempty"`

	// bind are options of type Bind.
	//
	// +optional
	Bind *SwarmBindOptions `json:"bind,omitempty"`

	// volume are options of type Volume.
	//
	// +optional
	Volume *SwarmVolumeOptions `json:"volume,omitempty"`

	// tmpfs are options of type Tmpfs.
	//
	// +optional
	Tmpfs *SwarmTmpfsOptions `json:"tmpfs,omitempty"`
}

// SwarmPropagation is how mounts below a bind mount are passed on.
//
// +kubebuilder:validation:Enum=RPrivate;Private;RShared;Shared;RSlave;Slave
type SwarmPropagation string

// The propagations.
const (
	SwarmPropagationRPrivate SwarmPropagation = "RPrivate"
	SwarmPropagationPrivate  SwarmPropagation = "Private"
	SwarmPropagationRShared  SwarmPropagation = "RShared"
	SwarmPropagationShared   SwarmPropagation = "Shared"
	SwarmPropagationRSlave   SwarmPropagation = "RSlave"
	SwarmPropagationSlave    SwarmPropagation = "Slave"
)

// SwarmBindOptions are options of a bind mount.
type SwarmBindOptions struct {
	// propagation is how mounts below are passed on. Without it, RPrivate.
	//
	// +optional
	Propagation SwarmPropagation `json:"propagation,omitempty"`

	// nonRecursive leaves out what is mounted below.
	//
	// +optional
	NonRecursive *bool `json:"nonRecursive,omitempty"`
}

// SwarmVolumeOptions are options of a volume, used where a node has yet to create it.
type SwarmVolumeOptions struct {
	// driver is the volume driver. Without it, local.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Driver string `json:"driver,omitempty"`

	// driverOptions are the driver's.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	DriverOptions map[string]string `json:"driverOptions,omitempty"`

	// labels are the volume's.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Labels map[string]string `json:"labels,omitempty"`

	// noCopy keeps a new volume empty, where it would get what the image has at target.
	//
	// +optional
	NoCopy *bool `json:"noCopy,omitempty"`

	// subpath is the folder of the volume to mount.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Subpath string `json:"subpath,omitempty"`
}

// SwarmTmpfsOptions are options of a file system in memory.
type SwarmTmpfsOptions struct {
	// size bounds what it holds, at most 4Ei. Without it, half of the node's memory.
	//
	// +optional
	Size *resource.Quantity `json:"size,omitempty"`

	// mode are the permissions of its root, as in 01777 (YAML) or 1023 (JSON).
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4095
	Mode int32 `json:"mode,omitempty"`

	// options are further mount options, each a word or key=value.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:Pattern=`^[^=,\s]+(=[^,\s]*)?$`
	Options []string `json:"options,omitempty"`
}

// SwarmFileOwner says whose a file is, and who may read it.
type SwarmFileOwner struct {
	// uid is the number of the user that owns the file.
	//
	// +optional
	// +default="0"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`

	// gid is the number of the group that owns the file.
	//
	// +optional
	// +default="0"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	GID string `json:"gid,omitempty"`

	// mode are the file's permissions, as in 0444 (YAML) or 292 (JSON).
	//
	// +optional
	// +default=292
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4095
	Mode *int32 `json:"mode,omitempty"`
}

// SwarmSecretFile is a secret that containers see as a file.
//
// +kubebuilder:validation:XValidation:rule="has(self.secretName) != has(self.secretKeyRef)",message="spec.secrets must have one of secretName and secretKeyRef"
type SwarmSecretFile struct {
	// target is the file's name in /run/secrets, or a path.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Target string `json:"target,omitempty"`

	// secretName names a secret that the swarm has.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	SecretName string `json:"secretName,omitempty"`

	// secretKeyRef names a key of a Kubernetes Secret. The operator makes a secret of
	// the swarm of it, another one when it changes, and removes those that no task uses.
	//
	// +optional
	SecretKeyRef *LocalKeyReference `json:"secretKeyRef,omitempty"`

	SwarmFileOwner `json:",inline"`
}

// SwarmConfigFile is a config that containers see as a file.
//
// +kubebuilder:validation:XValidation:rule="has(self.configName) != has(self.configMapKeyRef)",message="spec.configs must have one of configName and configMapKeyRef"
type SwarmConfigFile struct {
	// target is the file's path in the container.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Target string `json:"target,omitempty"`

	// configName names a config that the swarm has.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	ConfigName string `json:"configName,omitempty"`

	// configMapKeyRef names a key of a ConfigMap. The operator makes a config of the
	// swarm of it, another one when it changes, and removes those that no task uses.
	//
	// +optional
	ConfigMapKeyRef *LocalKeyReference `json:"configMapKeyRef,omitempty"`

	SwarmFileOwner `json:",inline"`
}

// SwarmUlimit bounds what a process may use.
//
// +kubebuilder:validation:XValidation:rule="self.hard == -1 || (self.soft != -1 && self.soft <= self.hard)",message="spec.ulimits: soft must be at most hard, where -1 is no limit"
type SwarmUlimit struct {
	// name is what is bounded, as in nofile.
	//
	// +required
	// +kubebuilder:validation:Enum=core;cpu;data;fsize;locks;memlock;msgqueue;nice;nofile;nproc;rss;rtprio;rttime;sigpending;stack
	Name string `json:"name,omitempty"`

	// soft is the limit that a process has, up to hard it may raise it; -1 is no limit.
	//
	// +required
	// +kubebuilder:validation:Minimum=-1
	Soft *int64 `json:"soft,omitempty"`

	// hard is the limit that a process cannot pass; -1 is no limit.
	//
	// +required
	// +kubebuilder:validation:Minimum=-1
	Hard *int64 `json:"hard,omitempty"`
}

// SwarmCapabilities are capabilities given and taken.
type SwarmCapabilities struct {
	// add are given, as in NET_ADMIN, or ALL.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:Pattern=`^[A-Z][A-Z_0-9]*$`
	Add []string `json:"add,omitempty"`

	// drop are taken, as in MKNOD, or ALL.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:Pattern=`^[A-Z][A-Z_0-9]*$`
	Drop []string `json:"drop,omitempty"`
}

// SwarmPrivileges are how the kernel confines containers.
type SwarmPrivileges struct {
	// noNewPrivileges keeps processes from gaining more, through set-uid programs for one.
	//
	// +optional
	NoNewPrivileges *bool `json:"noNewPrivileges,omitempty"`

	// seccomp says which system calls there are.
	//
	// +optional
	Seccomp *SwarmSeccomp `json:"seccomp,omitempty"`

	// appArmor is the AppArmor profile: the engine's Default, or Disabled.
	//
	// +optional
	AppArmor SwarmAppArmorMode `json:"appArmor,omitempty"`

	// seLinux is the SELinux context.
	//
	// +optional
	SELinux *SwarmSELinux `json:"seLinux,omitempty"`

	// credentialSpec is the managed service account of Windows containers.
	//
	// +optional
	CredentialSpec *SwarmCredentialSpec `json:"credentialSpec,omitempty"`
}

// SwarmSeccompMode is which system calls there are.
//
// +kubebuilder:validation:Enum=Default;Unconfined;Custom
type SwarmSeccompMode string

// The seccomp modes.
const (
	SwarmSeccompDefault    SwarmSeccompMode = "Default"
	SwarmSeccompUnconfined SwarmSeccompMode = "Unconfined"
	SwarmSeccompCustom     SwarmSeccompMode = "Custom"
)

// SwarmSeccomp says which system calls there are.
//
// +kubebuilder:validation:XValidation:rule="(self.mode == 'Custom') == has(self.profile)",message="spec.privileges.seccomp: profile is required with mode Custom, and goes with no other",fieldPath=".profile"
type SwarmSeccomp struct {
	// mode is the engine's Default profile, Unconfined, or the Custom one in profile.
	//
	// +required
	Mode SwarmSeccompMode `json:"mode,omitempty"`

	// profile is a seccomp profile in JSON.
	//
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=262144
	Profile string `json:"profile,omitempty"`
}

// SwarmAppArmorMode is the AppArmor profile.
//
// +kubebuilder:validation:Enum=Default;Disabled
type SwarmAppArmorMode string

// The AppArmor modes.
const (
	SwarmAppArmorDefault  SwarmAppArmorMode = "Default"
	SwarmAppArmorDisabled SwarmAppArmorMode = "Disabled"
)

// SwarmSELinux is an SELinux context.
type SwarmSELinux struct {
	// disable turns SELinux off for the containers.
	//
	// +optional
	Disable *bool `json:"disable,omitempty"`

	// user is the context's user.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	User string `json:"user,omitempty"`

	// role is the context's role.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Role string `json:"role,omitempty"`

	// type is the context's type.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Type string `json:"type,omitempty"`

	// level is the context's level.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Level string `json:"level,omitempty"`
}

// SwarmCredentialSpec is where the managed service account of Windows containers is
// described.
//
// +kubebuilder:validation:XValidation:rule="(has(self.configName) ? 1 : 0) + (has(self.file) ? 1 : 0) + (has(self.registry) ? 1 : 0) == 1",message="spec.privileges.credentialSpec must have one of configName, file and registry"
type SwarmCredentialSpec struct {
	// configName names a config that the swarm has.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	ConfigName string `json:"configName,omitempty"`

	// file names a file in each node's CredentialSpecs folder.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	File string `json:"file,omitempty"`

	// registry names a value in each node's registry.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Registry string `json:"registry,omitempty"`
}
