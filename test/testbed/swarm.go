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
	"net/http"
	"testing"
	"time"
)

// heartbeat is how often the nodes of a swarm report. The engine's default is 5 s, and a
// node is down after three of them: tests would wait for that only.
const heartbeat = 2 * time.Second

// StartSwarm starts engines that are the managers of one swarm, and waits until each is
// reachable. They pull from the network's registries.
func StartSwarm(t testing.TB, n *Network, names ...string) []*Dockerd {
	t.Helper()
	var managers []*Dockerd
	for _, name := range names {
		d := StartDockerd(t, DockerdOptions{Name: name, Network: n, Args: RegistryArgs()})
		if len(managers) == 0 {
			d.initSwarm(t)
		} else {
			d.JoinSwarm(t, managers[0], true)
		}
		managers = append(managers, d)
	}
	Eventually(t, engineLimit, "all managers of the swarm to be reachable", func() bool {
		return managers[0].reachableManagers() == len(names)
	})
	return managers
}

func (d *Dockerd) initSwarm(t testing.TB) {
	t.Helper()
	d.Call(t, http.MethodPost, "/swarm/init", map[string]any{
		"ListenAddr": d.networkAddress + ":2377", "AdvertiseAddr": d.networkAddress,
		"Spec": map[string]any{"Dispatcher": map[string]any{"HeartbeatPeriod": heartbeat}},
	})
}

// JoinSwarm makes the engine a node of the swarm that a manager on the same Network is of.
func (d *Dockerd) JoinSwarm(t testing.TB, manager *Dockerd, asManager bool) {
	t.Helper()
	var swarm struct {
		JoinTokens struct{ Worker, Manager string }
	}
	if err := json.Unmarshal(manager.Call(t, http.MethodGet, "/swarm", nil), &swarm); err != nil {
		t.Fatalf("read the tokens of the swarm: %v", err)
	}
	token := swarm.JoinTokens.Worker
	if asManager {
		token = swarm.JoinTokens.Manager
	}
	d.Call(t, http.MethodPost, "/swarm/join", map[string]any{
		"ListenAddr": d.networkAddress + ":2377", "AdvertiseAddr": d.networkAddress,
		"RemoteAddrs": []string{manager.networkAddress + ":2377"}, "JoinToken": token,
	})
}

func (a *api) reachableManagers() (n int) {
	answer, err := a.TryCall(http.MethodGet, "/nodes", nil)
	if err != nil {
		return 0
	}
	var nodes []struct {
		Status        struct{ State string }
		ManagerStatus struct{ Reachability string }
	}
	if json.Unmarshal(answer, &nodes) != nil {
		return 0
	}
	for _, node := range nodes {
		if node.Status.State == "ready" && node.ManagerStatus.Reachability == "reachable" {
			n++
		}
	}
	return n
}
