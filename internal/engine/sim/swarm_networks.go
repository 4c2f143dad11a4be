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
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/swarm"
)

// predefinedLabel is on the networks that every swarm has, beside its nodes' own of the
// same names. No list shows them.
const predefinedLabel = "com.docker.swarm.predefined"

func (s *Swarm) predefinedNetworks() []*networkObject {
	made := func(name string) *networkObject {
		return &networkObject{
			id: swarmID("network", s.id, name), name: name, driver: name, scope: "swarm", created: s.created, predefined: true,
			labels: map[string]string{predefinedLabel: "true"},
		}
	}
	return []*networkObject{made("bridge"), made("host")}
}

// swarmNetworks are the networks of the swarm that an engine manages; none where it
// manages none, or cannot be asked. None of them changes once it is made.
func (e *Engine) swarmNetworks() []*networkObject {
	s, err := e.manager()
	if err != nil {
		return nil
	}
	defer s.mu.Unlock()
	return slices.Clone(s.networks)
}

func (e *Engine) localNetworks() []*networkObject {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.networks)
}

// networkByRef finds a network by its id, its name, or the beginning of the id of one only.
func networkByRef(all []*networkObject, ref string) (*networkObject, error) {
	return byRef(all, "network", ref, func(n *networkObject) string { return n.id }, func(n *networkObject) string { return n.name })
}

// lookUpNetwork finds what an inspect is of. As in the engine, its own networks come
// before the swarm's, whose predefined ones are found by name with the scope swarm only.
func lookUpNetwork(local, ofSwarm []*networkObject, ref, scope string) (*networkObject, error) {
	var byName, byPrefix []*networkObject
	look := func(all []*networkObject) *networkObject {
		for _, n := range all {
			switch {
			case scope != "" && n.scope != scope:
			case n.id == ref:
				return n
			case n.name == ref:
				byName = append(byName, n)
			case strings.HasPrefix(n.id, ref):
				byPrefix = append(byPrefix, n)
			}
		}
		return nil
	}
	if n := look(local); n != nil {
		return n, nil
	}
	if n, err := networkByRef(ofSwarm, ref); err == nil && (strings.HasPrefix(n.id, ref) || scope == "swarm") {
		return n, nil
	}
	look(slices.DeleteFunc(slices.Clone(ofSwarm), func(n *networkObject) bool { return n.predefined }))
	found, by := byName, "name"
	if len(found) == 0 {
		found, by = byPrefix, "ID prefix"
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, errorf(http.StatusNotFound, "network %s not found", ref)
	}
	return nil, errorf(http.StatusBadRequest, "network %s is ambiguous (%d matches found on %s)", ref, len(found), by)
}

// createSwarmNetwork makes an overlay network, which its engine has found nothing wrong with.
func (s *Swarm) createSwarmNetwork(n *networkObject) error {
	if s.hasNetwork(n.name) {
		return errorf(http.StatusConflict, "network with name %s already exists", n.name)
	}
	n.id, n.scope = swarmID("network", newID()), "swarm"
	s.networks = append(s.networks, n)
	s.emit(events.NetworkEventType, events.ActionCreate, n.id, "name", n.name)
	return nil
}

func (s *Swarm) hasNetwork(name string) bool {
	return slices.ContainsFunc(s.networks, func(n *networkObject) bool { return n.name == name })
}

// removeSwarmNetwork removes a network that no service names and no task is on.
func (s *Swarm) removeSwarmNetwork(n *networkObject) error {
	switch {
	case !slices.Contains(s.networks, n):
		return errorf(http.StatusNotFound, "network %s not found", n.id) // somebody was faster
	case n.predefined:
		return errorf(http.StatusBadRequest, "rpc error: code = FailedPrecondition desc = network %s (%s) is a swarm predefined network and cannot be removed", n.id, n.name)
	}
	inUse := func(kind, id string) error {
		return errorf(http.StatusBadRequest, "rpc error: code = FailedPrecondition desc = network %s is in use by %s %s", n.id, kind, id)
	}
	for _, v := range s.services {
		if isOn(v.spec, n) {
			return inUse("service", v.id)
		}
	}
	for _, t := range s.tasks {
		if t.live() && isOn(t.spec, n) {
			return inUse("task", t.id)
		}
	}
	s.networks = slices.DeleteFunc(s.networks, func(o *networkObject) bool { return o == n })
	s.emit(events.NetworkEventType, events.ActionRemove, n.id, "name", n.name)
	return nil
}

func isOn(spec *swarm.ServiceSpec, n *networkObject) bool {
	return slices.ContainsFunc(spec.TaskTemplate.Networks, func(a swarm.NetworkAttachmentConfig) bool { return a.Target == n.id })
}

// withNetworks is withBody for the spec of a service, whose networks it finds. The
// engine's own are read first: no lock is taken under the other.
func withNetworks(h func(s *Swarm, r *request, spec *swarm.ServiceSpec) (int, any, error)) handler {
	return func(e *Engine, w http.ResponseWriter, r *request) error {
		local := e.localNetworks()
		return withBody(func(s *Swarm, r *request, spec *swarm.ServiceSpec) (int, any, error) {
			for i := range spec.TaskTemplate.Networks {
				target := &spec.TaskTemplate.Networks[i].Target
				n, err := s.serviceNetwork(local, *target)
				if err != nil {
					return 0, nil, err
				}
				*target = n.id
			}
			return h(s, r, spec)
		})(e, w, r)
	}
}

// serviceNetwork is the swarm's network that a service means. For an engine's own host or
// bridge the engine takes the swarm's; any other of its own it refuses.
func (s *Swarm) serviceNetwork(local []*networkObject, ref string) (*networkObject, error) {
	if n, err := networkByRef(s.networks, ref); err == nil {
		return n, nil
	}
	n, err := networkByRef(local, ref)
	switch {
	case err != nil:
		return nil, errorf(http.StatusInternalServerError, "network %s not found", ref)
	case n.ingress:
		return nil, invalid("Service cannot be explicitly attached to the ingress network %q", n.name)
	case slices.Contains([]string{"bridge", "host", "none"}, n.name):
		n, err := networkByRef(s.networks, n.name)
		if err != nil {
			err = fmt.Errorf("could not find the corresponding predefined swarm network: %w", err)
			return nil, errorf(http.StatusNotFound, "%s", err)
		}
		return n, nil
	}
	return nil, errorf(http.StatusForbidden,
		"The network %s cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.", n.name)
}
