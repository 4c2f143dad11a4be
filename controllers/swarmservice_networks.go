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

package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/moby/moby/api/types/network"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
)

// swarmNetwork is what a network of the swarm is asked for.
type swarmNetwork struct {
	ID     string `json:"Id"`
	Name   string
	Labels map[string]string
}

// networkNames are the networks that a spec names.
func networkNames(svc *dcv1.SwarmService) map[string]bool {
	names := make(map[string]bool, len(svc.Spec.Networks))
	for _, n := range svc.Spec.Networks {
		names[n.Name] = true
	}
	return names
}

// lookUpNetworks finds the networks of the spec, and notes those that are to be made.
func (r *resolving) lookUpNetworks(ctx context.Context) error {
	for _, n := range r.svc.Spec.Networks {
		if id, found := r.shelves.recall(r.on.Swarm, engine.Networks, n.Name, r.Clock.Now()); found {
			r.out.Networks[n.Name] = id
			continue
		}
		have, err := findNetwork(ctx, r.on.Engine, n.Name)
		switch {
		case err != nil:
			return err
		case have != nil && !r.shelves.removed(r.on.Swarm, have.ID, r.Clock.Now()):
			r.out.Networks[n.Name] = have.ID
			r.shelves.note(r.on.Swarm, engine.Networks, n.Name, have.ID, r.Clock.Now())
		case n.CreateIfMissing == nil:
			if r.hasLocalNetwork(ctx, n.Name) {
				return r.localNetwork(n.Name)
			}
			return &SpecFault{dcv1.ReasonNetworkNotFound, fmt.Sprintf(
				"spec.networks[%s]: the swarm has no network of that name; create it, set createIfMissing, or name another.", n.Name)}
		default:
			r.networks = append(r.networks, n)
			r.out.Networks[n.Name] = pending
		}
	}
	return nil
}

// hasLocalNetwork reports whether the engine has a network of its own of a name. It is for
// a message, which does without where the engine does not say.
func (r *resolving) hasLocalNetwork(ctx context.Context, name string) bool {
	listed, err := r.on.Engine.List(ctx, engine.Networks, engine.ListOptions{Names: []string{name}})
	return err == nil && slices.ContainsFunc(listed, func(o engine.Object) bool { return networkScope(o) == "local" })
}

// localNetwork says that the network which people see is none of the swarm. The engine
// makes none of the swarm beside it.
func (r *resolving) localNetwork(name string) *SpecFault {
	return &SpecFault{dcv1.ReasonNetworkNotFound, fmt.Sprintf(
		"spec.networks[%s]: the swarm has no network of that name. DockerHost %s has one of its own, which no service can use, "+
			"and makes none of the swarm beside it: remove that one, or name another.", name, r.on.Via.Name)}
}

func networkScope(o engine.Object) string {
	var n struct{ Scope string }
	if json.Unmarshal(o.Raw, &n) != nil {
		return ""
	}
	return n.Scope
}

// findNetwork returns the network of the swarm of a name, or nil. The engine takes the
// beginning of an id for a name too.
func findNetwork(ctx context.Context, eng engine.Engine, name string) (*swarmNetwork, error) {
	raw, err := eng.InspectSwarmNetwork(ctx, name)
	if engine.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var n swarmNetwork
	if err := json.Unmarshal(raw, &n); err != nil || n.ID == "" {
		return nil, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's answer about network %q cannot be read", name)
	}
	if n.Name != name {
		return nil, nil
	}
	return &n, nil
}

// makeNetwork makes a network as the spec says. One that somebody else made meanwhile is
// as good.
func (r *resolving) makeNetwork(ctx context.Context, n dcv1.SwarmNetwork) error {
	field := "spec.networks[" + n.Name + "].createIfMissing"
	req, fault := r.networkRequest(n, field)
	if fault != nil {
		return fault
	}
	var id string
	err := r.on.Write(ctx, "create", audit.Object{Kind: "Network", Name: n.Name}, func(ctx context.Context, eng engine.Engine) (err error) {
		id, err = eng.NetworkCreate(ctx, req)
		return err
	})
	if id == "" && engine.IsConflict(err) {
		if id, err = r.otherNetwork(ctx, n.Name, err); err != nil && !engine.IsConflict(err) {
			return err
		}
	}
	if id == "" {
		switch engine.ClassOf(err) {
		case engine.ClassInvalid, engine.ClassNotFound, engine.ClassConflict, engine.ClassAuth:
			return &SpecFault{dcv1.ReasonFieldInvalid, fmt.Sprintf("%s: the engine does not make the network: %s", field, err)}
		}
		return err
	}
	r.out.Networks[n.Name] = id
	r.shelves.note(r.on.Swarm, engine.Networks, n.Name, id, r.Clock.Now())
	return nil
}

// otherNetwork finds the network for whose sake the engine does not make one of the name.
func (r *resolving) otherNetwork(ctx context.Context, name string, conflict error) (id string, err error) {
	have, err := findNetwork(ctx, r.on.Engine, name)
	switch {
	case err != nil:
		return "", err
	case have == nil:
		if r.hasLocalNetwork(ctx, name) {
			return "", r.localNetwork(name)
		}
		return "", conflict
	case r.shelves.removed(r.on.Swarm, have.ID, r.Clock.Now()):
		return "", engine.Errorf(engine.ClassServer, engine.CauseEngineError,
			"the network %q that was removed is still there until the tasks that were on it have stopped", name)
	}
	return have.ID, nil
}

func (r *resolving) networkRequest(n dcv1.SwarmNetwork, field string) (network.CreateRequest, *SpecFault) {
	t := n.CreateIfMissing
	labels := maps.Clone(t.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, swarm.OwnerLabels(owner(r.svc)))
	req := network.CreateRequest{
		Name: n.Name, Driver: t.Driver, Scope: "swarm", Options: t.DriverOptions, Labels: labels,
		Attachable: isTrue(t.Attachable), Internal: isTrue(t.Internal), EnableIPv6: t.IPv6,
	}
	if req.Driver == "" {
		req.Driver = "overlay"
	}
	for _, s := range t.Subnets {
		config, err := ipamConfig(s)
		if err != nil {
			return req, &SpecFault{dcv1.ReasonFieldInvalid, fmt.Sprintf("%s.subnets[%s]: %s.", field, s.Subnet, err)}
		}
		if req.IPAM == nil {
			req.IPAM = &network.IPAM{}
		}
		req.IPAM.Config = append(req.IPAM.Config, config)
	}
	return req, nil
}

func ipamConfig(s dcv1.SwarmSubnet) (c network.IPAMConfig, err error) {
	if c.Subnet, err = netip.ParsePrefix(s.Subnet); err != nil {
		return c, err
	}
	if s.IPRange != "" {
		if c.IPRange, err = netip.ParsePrefix(s.IPRange); err != nil {
			return c, err
		}
	}
	if s.Gateway != "" {
		if c.Gateway, err = netip.ParseAddr(s.Gateway); err != nil {
			return c, err
		}
	}
	return c, nil
}
