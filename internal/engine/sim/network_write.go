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
	"slices"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
)

// networkRequest is the body of a network's creation. CheckDuplicate was part of
// it until API 1.44; since then duplicates are always refused.
type networkRequest struct {
	network.CreateRequest
	CheckDuplicate bool
}

func (e *Engine) serveNetworkCreate(w http.ResponseWriter, r *request) error {
	var req networkRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	s, err := e.manager()
	manages := err == nil
	if manages {
		taken := s.hasNetwork(req.Name)
		s.mu.Unlock()
		if taken {
			return errorf(http.StatusConflict, "network with name %s already exists", req.Name)
		}
	}
	e.mu.Lock()
	n, err := e.createNetwork(req, r, manages)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	if n.driver == "overlay" {
		if s, err = e.manager(); err != nil {
			return err
		}
		err = s.createSwarmNetwork(n)
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusCreated, network.CreateResponse{ID: n.id})
	return nil
}

// createNetwork makes a network of the engine's own. One of the swarm it only looks at,
// and leaves to the swarm.
func (e *Engine) createNetwork(req networkRequest, r *request, manages bool) (*networkObject, error) {
	if req.Name == "" {
		return nil, errorf(http.StatusInternalServerError, "invalid name: ")
	}
	if slices.ContainsFunc(e.networks, func(n *networkObject) bool { return n.predefined && n.name == req.Name }) {
		return nil, errorf(http.StatusForbidden, "operation is not permitted on predefined %s network ", req.Name)
	}
	for _, n := range e.networks {
		if n.name == req.Name && (req.CheckDuplicate || !r.before("1.44")) {
			return nil, errorf(http.StatusConflict, "network with name %s already exists", req.Name)
		}
	}
	n := &networkObject{
		id: newID(), name: req.Name, driver: req.Driver, scope: "local", created: e.clock.tick(),
		labels: req.Labels, options: req.Options, internal: req.Internal, attachable: req.Attachable,
	}
	switch n.driver {
	case "", "bridge":
		n.driver = "bridge"
	case "macvlan", "ipvlan":
	case "overlay":
		if !manages {
			return nil, errNotManager
		}
	default:
		return nil, errorf(http.StatusNotFound, "plugin %q not found", n.driver)
	}
	if req.IPAM != nil && len(req.IPAM.Config) > 0 && req.IPAM.Config[0].Subnet.IsValid() {
		n.subnet = req.IPAM.Config[0].Subnet.Masked()
		if !n.subnet.Addr().Is4() || n.subnet.Bits() > 29 {
			return nil, errorf(http.StatusBadRequest, "not simulated: a subnet that is not IPv4 with room for hosts: %s", n.subnet)
		}
		if e.subnetTaken(n.subnet) {
			return nil, errorf(http.StatusForbidden, "Pool overlaps with other one on this address space")
		}
	} else if n.driver != "overlay" {
		var err error
		if n.subnet, err = e.freeSubnet(); err != nil {
			return nil, err
		}
	}
	if n.driver == "overlay" {
		return n, nil // the swarm adds it to its own
	}
	e.networks = append(e.networks, n)
	e.emit(events.NetworkEventType, events.ActionCreate, n.id, nil, "name", n.name, "type", n.driver)
	return n, nil
}

func (e *Engine) serveNetworkRemove(w http.ResponseWriter, r *request) error {
	n, err := lookUpNetwork(e.localNetworks(), e.swarmNetworks(), r.name, "")
	if err != nil {
		return err
	}
	if n.scope == "swarm" && !n.ingress {
		s, err := e.manager()
		if err != nil {
			return err
		}
		err = s.removeSwarmNetwork(n)
		s.mu.Unlock()
		if err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return e.removeNetwork(w, n)
}

// removeNetwork removes a network of the engine's own.
func (e *Engine) removeNetwork(w http.ResponseWriter, n *networkObject) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case !slices.Contains(e.networks, n):
		return errorf(http.StatusNotFound, "network %s not found", n.id) // somebody was faster
	case n.predefined:
		return errorf(http.StatusForbidden, "%s is a pre-defined network and cannot be removed", n.name)
	case len(e.members(n)) > 0:
		return errorf(http.StatusForbidden, "error while removing network: network %s id %s has active endpoints", n.name, n.id)
	}
	e.forgetNetwork(n)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// forgetNetwork removes a network that no running container is on. The caller holds e.mu.
func (e *Engine) forgetNetwork(n *networkObject) {
	e.networks = slices.DeleteFunc(e.networks, func(o *networkObject) bool { return o == n })
	for _, c := range e.containers.order {
		for _, ep := range c.ends {
			if ep.net == n {
				ep.net = nil
			}
		}
	}
	e.emit(events.NetworkEventType, events.ActionDestroy, n.id, nil, "name", n.name, "type", n.driver)
}

func (e *Engine) serveNetworkConnect(w http.ResponseWriter, r *request) error {
	var req network.ConnectRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	n, c, err := e.networkAndContainer(r.name, req.Container)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(c.ends, func(ep *endpoint) bool { return ep.net == n }) {
		return errorf(http.StatusForbidden, "endpoint with name %s already exists in network %s", c.name, n.name)
	}
	ep := &endpoint{name: n.name, net: n}
	if req.EndpointConfig != nil {
		ep.aliases = req.EndpointConfig.Aliases
	}
	if !n.predefined {
		ep.aliases = append(slices.Clone(ep.aliases), c.id[:12])
	}
	c.ends = append(slices.Clone(c.ends), ep)
	if c.running() {
		ep.address = n.allocate()
		e.emitEndpoint(c, ep, events.ActionConnect)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (e *Engine) serveNetworkDisconnect(w http.ResponseWriter, r *request) error {
	var req network.DisconnectRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	n, c, err := e.networkAndContainer(r.name, req.Container)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(c.ends, func(ep *endpoint) bool { return ep.net == n })
	if i < 0 {
		return errorf(http.StatusInternalServerError, "container %s is not connected to network %s", c.id, n.name)
	}
	if c.running() {
		e.emitEndpoint(c, c.ends[i], events.ActionDisconnect)
	}
	c.ends = slices.Delete(slices.Clone(c.ends), i, i+1)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (e *Engine) networkAndContainer(netRef, ref string) (*networkObject, *containerObject, error) {
	n, err := e.network(netRef)
	if err != nil {
		return nil, nil, err
	}
	c, err := e.containers.get(ref)
	if err == nil && (c.host.NetworkMode == container.NetworkMode("host") || n.name == "host") {
		err = errorf(http.StatusForbidden, "container sharing network namespace with another container or host cannot be connected to any other network")
	}
	return n, c, err
}
