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
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/moby/moby/api/types/network"
)

// networkObject is one network. Its fields are guarded by Engine.mu.
type networkObject struct {
	id, name, driver, scope string
	created                 int64
	subnet                  netip.Prefix
	labels, options         map[string]string
	internal, attachable    bool
	ingress, predefined     bool
	nextHost                uint32
}

// endpoint is a container's place on a network: wanted by name until the first
// start, with an address while the container runs.
type endpoint struct {
	name    string
	net     *networkObject
	address netip.Addr
	aliases []string
}

// allocate hands out the network's addresses in order: .1 is the gateway's.
func (n *networkObject) allocate() netip.Addr {
	if !n.subnet.IsValid() {
		return netip.Addr{}
	}
	base := n.subnet.Masked().Addr().As4()
	host := binary.BigEndian.Uint32(base[:]) + 2 + n.nextHost%(1<<(32-n.subnet.Bits())-3)
	n.nextHost++
	binary.BigEndian.PutUint32(base[:], host)
	return netip.AddrFrom4(base)
}

func (n *networkObject) gateway() netip.Addr {
	if !n.subnet.IsValid() {
		return netip.Addr{}
	}
	return n.subnet.Masked().Addr().Next()
}

// endpointJSON is an endpoint as sent: without what newer engines added, for
// older ones.
type endpointJSON struct {
	network.EndpointSettings
	GwPriority *int      `json:",omitempty"` // since API 1.48
	DNSNames   *[]string `json:",omitempty"` // since API 1.44
}

func (c *containerObject) endpoint(ep *endpoint) *endpointJSON {
	out := &endpointJSON{EndpointSettings: network.EndpointSettings{Aliases: ep.aliases}}
	if ep.net != nil {
		out.NetworkID = ep.net.id
	}
	if ep.net == nil || !c.running() {
		return out
	}
	out.EndpointID = derivedID("endpoint", c.id, ep.net.id, at(c.state.startedAt))
	if ep.address.IsValid() {
		b := ep.address.As4()
		out.IPAddress, out.IPPrefixLen, out.Gateway = ep.address, ep.net.subnet.Bits(), ep.net.gateway()
		out.MacAddress = network.HardwareAddr{0x02, 0x42, b[0], b[1], b[2], b[3]}
	}
	return out
}

func (c *containerObject) networks() map[string]*endpointJSON {
	all := make(map[string]*endpointJSON, len(c.ends))
	for _, ep := range c.ends {
		all[ep.name] = c.endpoint(ep)
	}
	return all
}

// networkJSON is a network as sent; EnableIPv4 came with API 1.47.
type networkJSON struct {
	network.Inspect
	EnableIPv4 *bool  `json:"EnableIPv4,omitempty"`
	Containers *conns `json:"Containers,omitempty"`
}

type conns map[string]network.EndpointResource

func (e *Engine) networkJSON(n *networkObject, r *request, full bool) networkJSON {
	out := networkJSON{Inspect: network.Inspect{Network: network.Network{
		Name: n.name, ID: n.id, Created: time.Unix(0, n.created).UTC(), Scope: n.scope, Driver: n.driver,
		IPAM:     network.IPAM{Driver: "default", Config: []network.IPAMConfig{}},
		Internal: n.internal, Attachable: n.attachable, Ingress: n.ingress,
		Options: orEmpty(n.options), Labels: orEmpty(n.labels),
	}}}
	if n.subnet.IsValid() {
		out.IPAM.Config = []network.IPAMConfig{{Subnet: n.subnet, Gateway: n.gateway()}}
	}
	if !r.before("1.47") {
		yes := true
		out.EnableIPv4 = &yes
	}
	members := conns{}
	if full {
		members = e.members(n)
	}
	out.Containers = &members
	return out
}

func (e *Engine) members(n *networkObject) conns {
	members := conns{}
	for _, c := range e.containers.order {
		for _, ep := range c.ends {
			if ep.net != n || !c.running() {
				continue
			}
			full := c.endpoint(ep)
			m := network.EndpointResource{Name: c.name, EndpointID: full.EndpointID, MacAddress: full.MacAddress}
			if ep.address.IsValid() {
				m.IPv4Address = netip.PrefixFrom(ep.address, n.subnet.Bits())
			}
			members[c.id] = m
		}
	}
	return members
}

// network finds a network by id, name, or the beginning of an id.
func (e *Engine) network(ref string) (*networkObject, error) {
	for _, n := range e.networks {
		if n.id == ref {
			return n, nil
		}
	}
	for _, n := range e.networks {
		if n.name == ref {
			return n, nil
		}
	}
	for _, n := range e.networks {
		if ref != "" && strings.HasPrefix(n.id, ref) {
			return n, nil
		}
	}
	return nil, errorf(http.StatusNotFound, "network %s not found", ref)
}

// predefinedNetworks are the three every engine has.
func (e *Engine) predefinedNetworks() []*networkObject {
	made := func(name, driver string) *networkObject {
		return &networkObject{
			id: derivedID("network", e.opts.Seed, name), name: name, driver: driver, scope: "local",
			created: e.clock.tick(), predefined: true,
		}
	}
	bridge := made("bridge", "bridge")
	bridge.subnet = netip.MustParsePrefix("172.17.0.0/16")
	bridge.options = bridgeOptions
	all := []*networkObject{made("none", "null"), made("host", "host"), bridge}
	if e.opts.Swarm == nil {
		return all
	}
	gateway, ingress := made("docker_gwbridge", "bridge"), made("ingress", "overlay")
	gateway.subnet = netip.MustParsePrefix("172.18.0.0/16")
	ingress.id, ingress.scope, ingress.ingress = swarmID("ingress", e.opts.Swarm.id), "swarm", true
	ingress.subnet = netip.MustParsePrefix("10.0.0.0/24")
	return append(all, gateway, ingress)
}

var bridgeOptions = map[string]string{
	"com.docker.network.bridge.default_bridge":       "true",
	"com.docker.network.bridge.enable_icc":           "true",
	"com.docker.network.bridge.enable_ip_masquerade": "true",
	"com.docker.network.bridge.host_binding_ipv4":    "0.0.0.0",
	"com.docker.network.bridge.name":                 "docker0",
	"com.docker.network.driver.mtu":                  "1500",
}

// freeSubnet is the first 172.x.0.0/16 that no network has.
func (e *Engine) freeSubnet() (netip.Prefix, error) {
	for x := byte(18); x < 32; x++ {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, x, 0, 0}), 16)
		if !e.subnetTaken(p) {
			return p, nil
		}
	}
	for x := 0; x < 256; x += 16 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, byte(x), 0}), 20)
		if !e.subnetTaken(p) {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network")
}

func (e *Engine) subnetTaken(p netip.Prefix) bool {
	for _, n := range e.networks {
		if n.subnet.IsValid() && n.subnet.Overlaps(p) {
			return true
		}
	}
	return false
}

func (e *Engine) serveNetworks(w http.ResponseWriter, r *request) error {
	f, err := parseFilters(r)
	if err != nil {
		return err
	}
	ofSwarm := e.swarmNetworks()
	e.mu.Lock()
	list := make([]networkJSON, 0, len(ofSwarm)+len(e.networks))
	for _, n := range ofSwarm {
		if !n.predefined && n.passes(f) {
			list = append(list, e.networkJSON(n, r, false))
		}
	}
	for _, n := range e.networks {
		if n.passes(f) {
			list = append(list, e.networkJSON(n, r, false))
		}
	}
	e.mu.Unlock()
	writeJSON(w, http.StatusOK, list)
	return nil
}

func (n *networkObject) passes(f filters) bool {
	kind := "custom"
	if n.predefined {
		kind = "builtin"
	}
	return f.exact("driver", n.driver) && f.prefix("id", n.id) && f.contains("name", n.name) &&
		f.exact("scope", n.scope) && f.labels("label", n.labels) && f.exact("type", kind)
}

func (e *Engine) serveNetworkInspect(w http.ResponseWriter, r *request) error {
	n, err := lookUpNetwork(e.localNetworks(), e.swarmNetworks(), r.name, r.query.Get("scope"))
	if err != nil {
		return err
	}
	e.mu.Lock()
	out := e.networkJSON(n, r, true)
	e.mu.Unlock()
	writeJSON(w, http.StatusOK, out)
	return nil
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
