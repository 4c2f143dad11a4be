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

package mask

// swarmMeta is what every object of a swarm has.
const swarmMeta = "ID Version.Index CreatedAt UpdatedAt"

// cluster is the swarm itself: join tokens, the CA's key and external CAs are left out, its certificate is public.
var cluster = fields{
	swarmMeta: keep,
	"RootRotationInProgress DefaultAddrPool.* SubnetSize DataPathPort": keep,

	"TLSInfo":    tlsInfo,
	"JoinTokens": fields{"Worker Manager": hide},
	"Spec": fields{
		"Name Orchestration.TaskHistoryRetentionLimit Dispatcher.HeartbeatPeriod": keep,
		"CAConfig.NodeCertExpiry EncryptionConfig.AutoLockManagers":               keep,

		"Labels": labels,
		"Raft":   fields{"SnapshotInterval KeepOldSnapshots LogEntriesForSlowFollowers ElectionTick HeartbeatTick": keep},

		"TaskDefaults.LogDriver.Name": keep,
	},
}

// tlsInfo is compared by "docker node ls" to tell nodes with an old certificate.
var tlsInfo = fields{"TrustRoot CertIssuerSubject CertIssuerPublicKey": keep}

var service = fields{
	swarmMeta:               keep,
	"Spec":                  serviceSpec,
	"PreviousSpec":          serviceSpec,
	"Endpoint.Spec":         endpointSpec,
	"Endpoint.Ports.*":      portConfig,
	"Endpoint.VirtualIPs.*": fields{"NetworkID Addr": keep},
	"UpdateStatus":          fields{"State StartedAt CompletedAt Message": keep},
	"ServiceStatus":         fields{"RunningTasks DesiredTasks CompletedTasks": keep},
	"JobStatus":             fields{"JobIteration.Index LastExecution": keep},
}

var serviceSpec = fields{
	"Name":                     keep,
	"Labels":                   labels,
	"TaskTemplate":             taskSpec,
	"Mode.Replicated.Replicas": keep,
	"Mode.Global":              keep,
	"Mode.GlobalJob":           keep,
	"Mode.ReplicatedJob":       fields{"MaxConcurrent TotalCompletions": keep},
	"UpdateConfig":             rollout,
	"RollbackConfig":           rollout,
	"Networks.*":               attachment,
	"EndpointSpec":             endpointSpec,
}

var rollout = fields{"Parallelism Delay FailureAction Monitor MaxFailureRatio Order": keep}

var endpointSpec = fields{"Mode": keep, "Ports.*": portConfig}

var portConfig = fields{"Name Protocol TargetPort PublishedPort PublishMode": keep}

// attachment is a network to be in, without the driver's options.
var attachment = fields{"Target Aliases.*": keep}

// taskSpec is without placement constraints: they quote the labels of nodes.
var taskSpec = fields{
	"ForceUpdate Runtime LogDriver.Name": keep,

	"ContainerSpec":                     containerSpec,
	"PluginSpec":                        fields{"name remote disabled": keep, "env.*": pair},
	"NetworkAttachmentSpec.ContainerID": keep,
	"Resources":                         fields{"SwapBytes MemorySwappiness": keep},
	"Resources.Limits":                  fields{"NanoCPUs MemoryBytes Pids": keep},
	"Resources.Reservations":            fields{"NanoCPUs MemoryBytes": keep},
	"RestartPolicy":                     fields{"Condition Delay MaxAttempts Window": keep},
	"Placement":                         fields{"MaxReplicas": keep},
	"Placement.Platforms.*":             fields{"Architecture OS": keep},
	"Networks.*":                        attachment,
}

var containerSpec = fields{
	"Image Hostname Dir User Groups.* StopSignal StopGracePeriod Isolation": keep,
	// docker service logs reads a stream by TTY.
	"TTY OpenStdin ReadOnly Init OomScoreAdj CapabilityAdd.* CapabilityDrop.*": keep,

	"Env.*":                      pair,
	"Labels":                     labels,
	"Healthcheck":                healthcheck,
	"Mounts.*":                   fields{"Type Target ReadOnly Consistency": keep},
	"DNSConfig.Nameservers.*":    keep,
	"Ulimits.*":                  fields{"Name Hard Soft": keep},
	"Privileges.NoNewPrivileges": keep,
	"Secrets.*":                  fields{"SecretID SecretName": keep, "File": secretFile},
	"Configs.*":                  fields{"ConfigID ConfigName": keep, "File": secretFile},
}

// secretFile is where a secret or a config is put.
var secretFile = fields{"Name UID GID Mode": keep}

var task = fields{
	swarmMeta: keep,
	"Name ServiceID NodeID Slot DesiredState JobIteration.Index": keep,

	"Labels": labels,
	"Spec":   taskSpec,
	"Status": fields{
		"Timestamp State Message": keep,

		"Err":                taskError,
		"ContainerStatus":    fields{"ContainerID PID ExitCode": keep},
		"PortStatus.Ports.*": portConfig,
	},
	"NetworksAttachments.*": fields{"Addresses.*": keep, "Network": swarmNetwork},
}

// swarmNetwork is a network as tasks have it.
var swarmNetwork = fields{
	swarmMeta:          keep,
	"DriverState.Name": keep,
	"IPAMOptions":      swarmIPAM,
	"Spec": fields{
		"Name IPv6Enabled Internal Attachable Ingress ConfigFrom.Network Scope DriverConfiguration.Name": keep,

		"Labels":      labels,
		"IPAMOptions": swarmIPAM,
	},
}

var swarmIPAM = fields{
	"Driver.Name": keep,
	"Configs.*":   fields{"Subnet Range Gateway": keep},
}

var swarmNode = fields{
	swarmMeta:       keep,
	"Spec":          fields{"Name Role Availability": keep, "Labels": labels},
	"Status":        fields{"State Message Addr": keep},
	"ManagerStatus": fields{"Leader Reachability Addr": keep},
	"Description": fields{
		"Hostname Platform.Architecture Platform.OS Engine.EngineVersion": keep,

		"Resources":        fields{"NanoCPUs MemoryBytes": keep},
		"Engine.Labels":    labels,
		"Engine.Plugins.*": fields{"Type Name": keep},
		"TLSInfo":          tlsInfo,
	},
}

// secret is a swarm's secret or config, without the Data that a config's answer has.
var secret = fields{
	swarmMeta: keep,
	"Spec":    fields{"Name Driver.Name Templating.Name": keep, "Labels": labels},
}
