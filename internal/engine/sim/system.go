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

package sim

import (
	"net/http"
	"net/netip"
	"runtime"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"
)

// What every simulated machine has.
const (
	machineCPUs   = 2
	machineMemory = 8 << 30
	kernelVersion = "6.1.0-sim"
)

func (e *Engine) servePing(w http.ResponseWriter, r *request) error {
	h := w.Header()
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	// The Swarm header came with API 1.43; it is told to all who ask such an engine.
	if _, newest := e.apiVersions(); compareVersions(newest, "1.43") >= 0 {
		h.Set("Swarm", e.swarmHeader())
	}
	if r.Method == http.MethodHead {
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	_, _ = w.Write([]byte("OK"))
	return nil
}

func (e *Engine) swarmHeader() string {
	info := e.swarmInfo()
	state := string(info.LocalNodeState)
	if info.LocalNodeState == swarm.LocalNodeStateActive {
		if info.ControlAvailable {
			return state + "/manager"
		}
		return state + "/worker"
	}
	return state
}

func (e *Engine) serveVersion(w http.ResponseWriter, _ *request) error {
	oldest, newest := e.apiVersions()
	v := system.VersionResponse{
		Version: e.opts.Version, APIVersion: newest, MinAPIVersion: oldest, Os: "linux", Arch: runtime.GOARCH,
		GitCommit: "5d6db84", GoVersion: "go1.19.8", KernelVersion: kernelVersion, BuildTime: "2023-04-02T00:00:00.000000000+00:00",
	}
	v.Components = []system.ComponentVersion{
		{Name: "Engine", Version: v.Version, Details: map[string]string{
			"ApiVersion": v.APIVersion, "Arch": v.Arch, "BuildTime": v.BuildTime, "Experimental": "false", "GitCommit": v.GitCommit,
			"GoVersion": v.GoVersion, "KernelVersion": v.KernelVersion, "MinAPIVersion": v.MinAPIVersion, "Os": v.Os,
		}},
		{Name: "containerd", Version: "1.6.20", Details: map[string]string{"GitCommit": "1.6.20"}},
		{Name: "runc", Version: "1.1.5", Details: map[string]string{"GitCommit": "1.1.5"}},
		{Name: "docker-init", Version: "0.19.0", Details: map[string]string{"GitCommit": ""}},
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

// infoJSON is what an engine says of itself, with what older ones said beside it.
type infoJSON struct {
	system.Info
	*oldInfoJSON
	CDISpecDirs *[]string `json:",omitempty"` // since API 1.44
}

type oldInfoJSON struct {
	BridgeNfIptables, BridgeNfIp6tables bool // until API 1.50
	KernelMemory, KernelMemoryTCP       bool // until API 1.42
}

func (e *Engine) serveInfo(w http.ResponseWriter, r *request) error {
	info := infoJSON{Info: e.info()}
	info.Swarm = e.swarmInfo()
	if r.before("1.42") {
		info.oldInfoJSON = &oldInfoJSON{true, true, true, true}
	}
	if !r.before("1.44") {
		info.CDISpecDirs = &[]string{}
	}
	writeJSON(w, http.StatusOK, info)
	return nil
}

func (e *Engine) info() system.Info {
	info := system.Info{
		Driver:       "overlay2",
		DriverStatus: [][2]string{{"Backing Filesystem", "extfs"}, {"Supports d_type", "true"}, {"Native Overlay Diff", "true"}, {"userxattr", "false"}},
		Plugins: system.PluginsInfo{
			Volume:  []string{"local"},
			Network: []string{"bridge", "host", "ipvlan", "macvlan", "null", "overlay"},
			Log:     []string{"awslogs", "fluentd", "gcplogs", "gelf", "journald", "json-file", "local", "logentries", "splunk", "syslog"},
		},
		MemoryLimit: true, SwapLimit: true, CPUCfsPeriod: true, CPUCfsQuota: true, CPUShares: true, CPUSet: true,
		PidsLimit: true, IPv4Forwarding: true, OomKillDisable: true, NFd: 25, NGoroutines: 33,
		SystemTime: e.clock.now().Format(time.RFC3339Nano), LoggingDriver: "json-file", CgroupDriver: "cgroupfs", CgroupVersion: "1",
		NEventsListener: e.bus.listeners(), KernelVersion: kernelVersion, OperatingSystem: "Simulated GNU/Linux", OSVersion: "12",
		OSType: "linux", Architecture: "x86_64", IndexServerAddress: "https://index.docker.io/v1/",
		RegistryConfig: &registry.ServiceConfig{
			InsecureRegistryCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			IndexConfigs:          map[string]*registry.IndexInfo{"docker.io": {Name: "docker.io", Mirrors: []string{}, Secure: true, Official: true}},
			Mirrors:               []string{},
		},
		NCPU: machineCPUs, MemTotal: machineMemory, DockerRootDir: "/var/lib/docker", Name: e.opts.Name, Labels: []string{},
		ServerVersion: e.opts.Version, DefaultRuntime: "runc", InitBinary: "docker-init",
		Runtimes:         map[string]system.RuntimeWithStatus{"runc": {Runtime: system.Runtime{Path: "runc"}}},
		ContainerdCommit: system.Commit{ID: "1.6.20"}, RuncCommit: system.Commit{ID: "1.1.5"},
		SecurityOptions: []string{"name=seccomp,profile=default"},
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	info.ID, info.Images, info.Containers = e.id, len(e.images), len(e.containers.order)
	for _, c := range e.containers.order {
		switch {
		case c.state.status == container.StatePaused:
			info.ContainersPaused++
		case c.running():
			info.ContainersRunning++
		default:
			info.ContainersStopped++
		}
	}
	return info
}
