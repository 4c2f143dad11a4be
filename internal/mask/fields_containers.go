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

// containerItem is a container in a list.
var containerItem = fields{
	"Id Names.* Image ImageID Created SizeRw SizeRootFs State Status": keep,
	"Command":                    hide,
	"Labels":                     labels,
	"Ports.*":                    fields{"IP PrivatePort PublicPort Type": keep},
	"HostConfig.NetworkMode":     keep,
	"Health":                     fields{"Status FailingStreak": keep},
	"NetworkSettings.Networks.*": endpoint,
	"Mounts.*":                   mountPoint,
	"ImageManifestDescriptor":    descriptor,
}

// container is a container's inspect. What is not there: Path and Args, ExecIDs (whoever holds one asks about the
// exec), paths of the host.
var container = fields{
	"Id Created Image Name RestartCount Driver Platform SizeRw SizeRootFs": keep,

	"State": fields{
		"Status Running Paused Restarting OOMKilled Dead Pid ExitCode StartedAt FinishedAt": keep,

		"Error":                 hide, // of a failed start: it quotes the command
		"Health.Status":         keep,
		"Health.FailingStreak":  keep,
		"Health.Log.*.Output":   hide,
		"Health.Log.*.Start":    keep,
		"Health.Log.*.End":      keep,
		"Health.Log.*.ExitCode": keep,
	},
	"Config":                  containerConfig,
	"HostConfig":              hostConfig,
	"GraphDriver.Name":        keep,
	"Mounts.*":                mountPoint,
	"ImageManifestDescriptor": descriptor,
	"NetworkSettings": fields{
		"Bridge SandboxID HairpinMode EndpointID Gateway IPAddress IPPrefixLen MacAddress": keep,
		"IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen":                                keep,

		"Ports.*.*":  portBinding,
		"Networks.*": endpoint,
	},
}

// containerConfig is what a container, and an image, says of what is to run.
var containerConfig = fields{
	"Hostname Domainname User Image WorkingDir StopSignal StopTimeout NetworkDisabled ArgsEscaped": keep,
	// docker logs and attach read a stream by Tty.
	"Tty OpenStdin StdinOnce AttachStdin AttachStdout AttachStderr": keep,

	"Env.*":          pair,
	"Labels":         labels,
	"ExposedPorts.*": keep,
	"Volumes.*":      keep,
	"Healthcheck":    healthcheck,
}

// healthcheck is without its Test, a command.
var healthcheck = fields{"Interval Timeout StartPeriod StartInterval Retries": keep}

var hostConfig = fields{
	"NetworkMode IpcMode PidMode UTSMode UsernsMode CgroupnsMode Isolation Runtime":           keep,
	"AutoRemove Privileged PublishAllPorts ReadonlyRootfs Init CapAdd.* CapDrop.* GroupAdd.*": keep,
	"VolumeDriver Dns.* ConsoleSize.*":                                                        keep,

	"Memory MemoryReservation MemorySwap MemorySwappiness KernelMemory ShmSize OomKillDisable OomScoreAdj": keep,
	"NanoCpus CpuShares CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpusetCpus CpusetMems":     keep,
	"CpuCount CpuPercent IOMaximumIOps IOMaximumBandwidth BlkioWeight PidsLimit":                           keep,

	"LogConfig.Type":   keep,
	"PortBindings.*.*": portBinding,
	"RestartPolicy":    fields{"Name MaximumRetryCount": keep},
	"Ulimits.*":        fields{"Name Hard Soft": keep},
}

var portBinding = fields{"HostIp HostPort": keep}

// mountPoint is without its Source, a path of the host.
var mountPoint = fields{"Type Name Destination Driver Mode RW Propagation": keep}

// endpoint is a container's place in a network, without the driver's options.
var endpoint = fields{
	"NetworkID EndpointID Gateway IPAddress IPPrefixLen MacAddress GwPriority": keep,
	"IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen Aliases.* DNSNames.*":   keep,
	"IPAMConfig.IPv4Address IPAMConfig.IPv6Address IPAMConfig.LinkLocalIPs.*":  keep,
}
