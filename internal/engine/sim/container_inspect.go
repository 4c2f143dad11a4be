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
	"slices"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/storage"
)

// inspectJSON is a container as sent, with what older engines say beside it.
type inspectJSON struct {
	container.InspectResponse
	HostConfig      hostJSON
	NetworkSettings settingsJSON
}

type hostJSON struct {
	*container.HostConfig
	KernelMemory    *int64 `json:",omitempty"` // until API 1.42
	KernelMemoryTCP *int64 `json:",omitempty"`
}

// settingsJSON are a container's networks; the fields beside them are the
// default bridge's again, until API 1.52.
type settingsJSON struct {
	Bridge      string
	SandboxID   string
	HairpinMode bool
	Ports       network.PortMap
	SandboxKey  string
	*bridgeJSON
	Networks map[string]*endpointJSON
}

type bridgeJSON struct {
	EndpointID             string
	Gateway                netip.Addr
	IPAddress              netip.Addr
	IPPrefixLen            int
	MacAddress             network.HardwareAddr
	IPv6Gateway            string
	GlobalIPv6Address      string
	GlobalIPv6PrefixLen    int
	LinkLocalIPv6Address   string
	LinkLocalIPv6PrefixLen int
	SecondaryIPAddresses   []string
	SecondaryIPv6Addresses []string
}

func (e *Engine) serveContainerInspect(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	c, err := e.containers.get(r.name)
	var out inspectJSON
	if err == nil {
		out = c.inspect(r)
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (c *containerObject) inspect(r *request) inspectJSON {
	argv, dir := c.command(), "/var/lib/docker/containers/"+c.id
	out := inspectJSON{InspectResponse: container.InspectResponse{
		ID: c.id, Created: at(c.created), Path: argv[0], Args: append([]string{}, argv[1:]...), State: c.stateJSON(), Image: c.image.id,
		ResolvConfPath: dir + "/resolv.conf", HostnamePath: dir + "/hostname", HostsPath: dir + "/hosts", LogPath: dir + "/" + c.id + "-json.log",
		Name: "/" + c.name, RestartCount: c.state.restarts, Driver: "overlay2", Platform: "linux", ExecIDs: c.execIDs(),
		Mounts: append([]container.MountPoint{}, c.mounts...), Config: c.config, GraphDriver: graphDriver(c.id),
	}}
	out.HostConfig.HostConfig = c.host
	if r.before("1.42") {
		out.HostConfig.KernelMemory, out.HostConfig.KernelMemoryTCP = new(int64), new(int64)
	}
	s := &out.NetworkSettings
	s.Ports, s.Networks = c.portMap(), c.networks()
	if c.state.startedAt != 0 {
		s.SandboxID = derivedID("sandbox", c.id, at(c.state.startedAt))
		s.SandboxKey = "/var/run/docker/netns/" + s.SandboxID[:12]
	}
	if r.before("1.52") {
		s.bridgeJSON = &bridgeJSON{}
		if b, ok := s.Networks["bridge"]; ok {
			s.EndpointID, s.Gateway, s.IPAddress, s.IPPrefixLen, s.MacAddress = b.EndpointID, b.Gateway, b.IPAddress, b.IPPrefixLen, b.MacAddress
		}
	}
	return out
}

func (c *containerObject) stateJSON() *container.State {
	s := &c.state
	return &container.State{
		Status: s.status, Running: c.running(), Paused: s.status == container.StatePaused, Restarting: s.status == container.StateRestarting,
		OOMKilled: s.oom, Pid: s.pid, ExitCode: s.exitCode, Error: s.failure, StartedAt: at(s.startedAt), FinishedAt: at(s.finished),
	}
}

func (c *containerObject) execIDs() []string {
	var ids []string
	for _, x := range c.execs {
		ids = append(ids, x.id)
	}
	slices.Sort(ids)
	return ids
}

func graphDriver(id string) *storage.DriverData {
	dir := "/var/lib/docker/overlay2/" + derivedID("layer", id)
	return &storage.DriverData{Name: "overlay2", Data: map[string]string{
		"LowerDir": dir + "-init/diff", "MergedDir": dir + "/merged", "UpperDir": dir + "/diff", "WorkDir": dir + "/work",
	}}
}
