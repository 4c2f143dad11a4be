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
	"fmt"
	"strconv"
	"testing"
)

// Network is a switch that machines are plugged into, so that they reach each other and
// nothing else: no name server is on it, and no registry but those of StartRegistry. It
// ends with the test.
type Network struct {
	machine *Machine
	// address is the switch's own.
	address string
	ports   int
}

// StartNetwork makes a network without a machine on it.
func StartNetwork(t testing.TB) *Network {
	t.Helper()
	// A bridge of this machine's own would be subject to its packet filter.
	n := &Network{machine: startMachine(t, "switch", true)}
	n.address = fmt.Sprintf("198.19.%d.254", n.machine.slot.n)
	n.machine.run(t, "ip", "link", "add", "switch", "type", "bridge")
	n.machine.run(t, "ip", "address", "add", n.address+"/24", "dev", "switch")
	n.machine.run(t, "ip", "link", "set", "switch", "up")
	return n
}

// plug connects a machine to the network and returns its address there.
func (n *Network) plug(t testing.TB, m *Machine) string {
	t.Helper()
	n.ports++
	address := fmt.Sprintf("198.19.%d.%d", n.machine.slot.n, n.ports)
	port := "port" + strconv.Itoa(n.ports)
	run(t, "ip", "link", "add", port, "netns", strconv.Itoa(n.machine.pid),
		"type", "veth", "peer", "name", "eth1", "netns", strconv.Itoa(m.pid))
	n.machine.run(t, "ip", "link", "set", port, "master", "switch", "up")
	m.run(t, "ip", "address", "add", address+"/24", "dev", "eth1")
	m.run(t, "ip", "link", "set", "eth1", "up")
	return address
}
