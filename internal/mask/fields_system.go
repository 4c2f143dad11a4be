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

// volume is without the driver's options (passwords of a share), its status and the path on the host.
var volume = fields{
	"Name Driver Scope CreatedAt": keep,
	"Labels":                      labels,
	"UsageData.RefCount":          keep,
	"UsageData.Size":              keep,
	"ClusterVolume": fields{
		"ID Version.Index CreatedAt UpdatedAt": keep,
		"Spec.Group Spec.Availability":         keep,
		"Spec.AccessMode":                      fields{"Scope Sharing": keep},
		"Spec.CapacityRange":                   fields{"RequiredBytes LimitBytes": keep},
		"PublishStatus.*":                      fields{"NodeID State": keep},
		"Info.CapacityBytes":                   keep,
	},
}

// network is without the options of its drivers.
var network = fields{
	"Name Id Created Scope Driver EnableIPv4 EnableIPv6 Internal Attachable Ingress ConfigOnly ConfigFrom.Network": keep,

	"Labels":      labels,
	"IPAM.Driver": keep,
	"IPAM.Config.*": fields{
		"Subnet IPRange Gateway AuxiliaryAddresses.*": keep,
	},
	"Containers.*":          fields{"Name EndpointID MacAddress IPv4Address IPv6Address": keep},
	"Peers.*":               fields{"Name IP": keep},
	"Services.*":            fields{"VIP LocalLBIndex": keep},
	"Services.*.Tasks.*":    fields{"Name EndpointID EndpointIP": keep},
	"Status.IPAM.Subnets.*": fields{"IPsInUse DynamicIPsAvailable": keep},
}

// event is one event. An exec's id is left out as in an inspect.
var event = fields{
	"Type scope time timeNano id from Actor.ID": keep,

	"Action status":    eventAction,
	"Actor.Attributes": attributes,
}

// info is without proxies and mirrors (they can hold passwords), warnings, and the engine's paths and options.
var info = fields{
	"ID Name ServerVersion OperatingSystem OSType OSVersion Architecture KernelVersion SystemTime": keep,
	"Containers ContainersRunning ContainersPaused ContainersStopped Images NCPU MemTotal":         keep,
	"Driver LoggingDriver CgroupDriver CgroupVersion DefaultRuntime InitBinary Isolation":          keep,
	"MemoryLimit SwapLimit KernelMemory KernelMemoryTCP CpuCfsPeriod CpuCfsQuota CPUShares CPUSet": keep,
	"PidsLimit OomKillDisable IPv4Forwarding BridgeNfIptables BridgeNfIp6tables":                   keep,
	"Debug NFd NGoroutines NEventsListener ExperimentalBuild LiveRestoreEnabled":                   keep,
	"IndexServerAddress ProductLicense SecurityOptions.* FirewallBackend.Driver":                   keep,
	"ContainerdCommit.ID ContainerdCommit.Expected RuncCommit.ID RuncCommit.Expected":              keep,
	"InitCommit.ID InitCommit.Expected":                                                            keep,

	"HttpProxy HttpsProxy NoProxy": hide,
	"Labels.*":                     pair,
	"Runtimes.*":                   keep, // their names
	"Plugins":                      fields{"Volume.* Network.* Authorization.* Log.*": keep},
	"DefaultAddressPools.*":        fields{"Base Size": keep},
	"Swarm": fields{
		"NodeID NodeAddr LocalNodeState ControlAvailable Nodes Managers": keep,

		"Error":            hide,
		"RemoteManagers.*": fields{"NodeID Addr": keep},
		"Cluster":          cluster,
	},
}

// diskUsage has what there is twice: in the shape of 1.52 and later, and in the one before.
var diskUsage = fields{
	"LayersSize BuilderSize": keep,
	"Images.*":               imageItem,
	"Containers.*":           containerItem,
	"Volumes.*":              volume,
	"BuildCache.*":           buildCache,

	"ImageUsage":      usage(imageItem),
	"ContainerUsage":  usage(containerItem),
	"VolumeUsage":     usage(volume),
	"BuildCacheUsage": usage(buildCache),
}

func usage(item fields) fields {
	return fields{"ActiveCount TotalCount Reclaimable TotalSize": keep, "Items.*": item}
}

// buildCache is one record of it, described by the build step's command.
var buildCache = fields{
	"ID Parent Parents.* Type InUse Shared Size CreatedAt LastUsedAt UsageCount": keep,
	"Description": hide,
}

// plugin is an installed plugin.
var plugin = fields{
	"Id Name Enabled PluginReference": keep,
	"Settings.Env.*":                  pair,
	"Config.Description":              keep,
	"Config.DockerVersion":            keep,
	"Config.Interface":                fields{"Types.* ProtocolScheme": keep},
	"Config.Linux":                    fields{"Capabilities.* AllowAllDevices": keep},
	"Config.Network.Type":             keep,
	"Config.IpcHost Config.PidHost":   keep,
	"Config.Env.*":                    fields{"Name Settable.*": keep},
}
