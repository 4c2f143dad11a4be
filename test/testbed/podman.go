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

package testbed

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

// Podman is Podman's service, a second implementation of the Engine API.
type Podman struct {
	*process
	*api
	machine *Machine
}

// StartPodman starts `podman system service` and waits until it answers. It ends
// with the test.
func StartPodman(t testing.TB) *Podman {
	t.Helper()
	requireRoot(t)
	require(t, "conmon", "conmon")
	require(t, "iptables", "iptables")
	program := require(t, "podman", "podman")
	p := &Podman{machine: startMachine(t, "podman", true)}
	p.api = newAPI(t, p.machine.path("podman.sock"))
	p.configure(t)
	cmd := p.machine.command(program, "--log-level=info", "system", "service", "--time=0", "unix://"+p.socket)
	cmd.Env = append(cmd.Env,
		"CONTAINERS_CONF="+p.machine.path("containers.conf"),
		"CONTAINERS_STORAGE_CONF="+p.machine.path("storage.conf"))
	p.process = p.machine.start(t, "podman", cmd)
	t.Cleanup(func() { p.removeContainers(t) })
	p.waitFor(t, engineLimit, p.Ready)
	return p
}

// removeContainers removes what the test has left running: their cgroups are
// under one parent for all Podmans of a machine, and outlive the processes.
func (p *Podman) removeContainers(t testing.TB) {
	var list []struct{ ID string }
	answer, err := p.TryCall(http.MethodGet, "/containers/json?all=1", nil)
	if err != nil || json.Unmarshal(answer, &list) != nil {
		return // the service is gone: so are its containers
	}
	for _, c := range list {
		if _, err := p.TryCall(http.MethodDelete, "/containers/"+c.ID+"?force=1&v=1", nil); err != nil {
			t.Logf("remove what is left in Podman: %v", err)
		}
	}
}

// ImportBusybox is Dockerd's.
func (p *Podman) ImportBusybox(t testing.TB, ref string) {
	t.Helper()
	p.importImage(t, ref, BusyboxTar(t))
}

// configure keeps everything in the machine's slot and asks for nothing that only
// a machine with systemd has. runc and iptables are there for dockerd anyway.
func (p *Podman) configure(t testing.TB) {
	t.Helper()
	m := p.machine
	writeFile(t, m.path("containers.conf"), fmt.Appendf(nil, `[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = %q
volume_path = %q
[network]
firewall_driver = "iptables"
network_config_dir = %q
`, m.makeDir(t, "tmp"), m.path("volumes"), m.makeDir(t, "networks")))
	writeFile(t, m.path("storage.conf"), fmt.Appendf(nil, `[storage]
driver = "overlay"
graphroot = %q
runroot = %q
`, m.path("data"), m.path("run")))
}
