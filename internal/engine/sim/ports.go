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
	"cmp"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// ephemeralPort is the first of the ports given out where a binding names none.
const ephemeralPort = 49153

// published is one port of the host that a running container holds.
type published struct {
	port network.Port
	host netip.Addr
	num  uint16
}

// portJSON is a port in a list as sent: an unpublished one has no address.
type portJSON struct {
	container.PortSummary
	IP *netip.Addr `json:"IP,omitempty"`
}

// publish takes the host's ports for a container that starts.
func (e *Engine) publish(c *containerObject) error {
	c.published = nil
	taken := map[netip.AddrPort]bool{}
	for _, other := range e.containers.order {
		for _, p := range other.published {
			taken[netip.AddrPortFrom(p.host, p.num)] = true
		}
	}
	var all []published
	for _, port := range sortedPorts(maps.Keys(c.host.PortBindings)) {
		for _, b := range c.host.PortBindings[port] {
			hosts := []netip.Addr{b.HostIP}
			if !b.HostIP.IsValid() {
				hosts = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
			}
			n, err := strconv.ParseUint(cmp.Or(b.HostPort, "0"), 10, 16)
			if err != nil {
				return errorf(http.StatusBadRequest, "invalid port specification: %q", b.HostPort)
			}
			num := uint16(n)
			if num == 0 {
				if num, err = freePort(taken, hosts[0]); err != nil {
					return err
				}
			}
			for _, h := range hosts {
				at := netip.AddrPortFrom(h, num)
				if taken[at] {
					return errorf(http.StatusInternalServerError, "driver failed programming external connectivity on endpoint %s (%s): Bind for %s failed: port is already allocated", c.name, derivedID("endpoint", c.id), at)
				}
				taken[at] = true
				all = append(all, published{port, h, num})
			}
		}
	}
	c.published = all
	return nil
}

// freePort is the first port of the ephemeral ones that nothing holds.
func freePort(taken map[netip.AddrPort]bool, host netip.Addr) (uint16, error) {
	for num := ephemeralPort; num <= 0xffff; num++ {
		if !taken[netip.AddrPortFrom(host, uint16(num))] {
			return uint16(num), nil
		}
	}
	return 0, errorf(http.StatusInternalServerError, "all ports are allocated")
}

// sortedPorts puts ports in the order of their numbers.
func sortedPorts(ports func(yield func(network.Port) bool)) []network.Port {
	return slices.SortedFunc(ports, func(a, b network.Port) int {
		return cmp.Or(cmp.Compare(a.Num(), b.Num()), cmp.Compare(a.Proto(), b.Proto()))
	})
}

// exposed are the ports that the configuration names, bound or not.
func (c *containerObject) exposed() []network.Port {
	all := maps.Clone(c.config.ExposedPorts)
	if all == nil {
		all = network.PortSet{}
	}
	for p := range c.host.PortBindings {
		all[p] = struct{}{}
	}
	return sortedPorts(maps.Keys(all))
}

// portSummaries are the ports of a running container as a list has them.
func (c *containerObject) portSummaries() []portJSON {
	ports := []portJSON{}
	if !c.running() {
		return ports
	}
	for _, port := range c.exposed() {
		bound := false
		for i := range c.published {
			if p := &c.published[i]; p.port == port {
				bound = true
				ports = append(ports, portJSON{container.PortSummary{PrivatePort: port.Num(), PublicPort: p.num, Type: string(port.Proto())}, &p.host})
			}
		}
		if !bound {
			ports = append(ports, portJSON{PortSummary: container.PortSummary{PrivatePort: port.Num(), Type: string(port.Proto())}})
		}
	}
	return ports
}

// portMap are the ports of a running container as inspect has them.
func (c *containerObject) portMap() network.PortMap {
	all := network.PortMap{}
	if !c.running() {
		return all
	}
	for _, port := range c.exposed() {
		all[port] = nil
	}
	for _, p := range c.published {
		all[p.port] = append(all[p.port], network.PortBinding{HostIP: p.host, HostPort: strconv.Itoa(int(p.num))})
	}
	return all
}
