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
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/swarm"
)

// nodeObject is one node of a swarm. Its fields are guarded by Swarm.mu.
type nodeObject struct {
	meta
	id           string
	number       int
	name         string
	engine       *Engine // nil once it has closed
	version      string
	role         swarm.NodeRole
	availability swarm.NodeAvailability
	labels       map[string]string
	state        swarm.NodeState
	away         bool        // its engine is stopped
	timer        *time.Timer // until it counts as down
}

var (
	tlsInfo = swarm.TLSInfo{
		TrustRoot:         "-----BEGIN CERTIFICATE-----\nc2ltdWxhdGVk\n-----END CERTIFICATE-----\n",
		CertIssuerSubject: []byte("simulated"), CertIssuerPublicKey: []byte("simulated"),
	}
	addressPool = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
)

func (n *nodeObject) manager() bool { return n.role == swarm.NodeRoleManager }
func (n *nodeObject) ready() bool   { return n.state == swarm.NodeStateReady }

func (n *nodeObject) address() string {
	return fmt.Sprintf("10.200.%d.%d", n.number/250, n.number%250+1)
}

// join makes an engine a node.
func (s *Swarm) join(e *Engine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &nodeObject{
		id: swarmID("node", e.opts.Seed), number: len(s.nodes), name: e.opts.Name, engine: e, version: e.opts.Version,
		role: e.opts.Role, availability: swarm.NodeAvailabilityActive, labels: map[string]string{}, state: swarm.NodeStateReady,
	}
	s.touch(&n.meta)
	s.nodes = append(s.nodes, n)
	s.emit(events.NodeEventType, events.ActionUpdate, n.id, "name", n.name, "state.new", "ready", "state.old", "unknown")
	s.nudge()
}

// setAway tells the swarm that an engine has stopped, or is back; gone is for good.
func (s *Swarm) setAway(e *Engine, away, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.nodes, func(n *nodeObject) bool { return n.engine == e })
	if i < 0 {
		return
	}
	n := s.nodes[i]
	if gone {
		n.engine = nil
	}
	if n.away == away {
		return
	}
	n.away = away
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
	if !away {
		s.setState(n, swarm.NodeStateReady)
		return
	}
	n.timer = time.AfterFunc(s.opts.NodeTimeout, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if n.away && s.ctx.Err() == nil {
			s.setState(n, swarm.NodeStateDown)
		}
	})
}

func (s *Swarm) setState(n *nodeObject, state swarm.NodeState) {
	if n.state == state {
		return
	}
	old := n.state
	n.state = state
	s.touch(&n.meta)
	s.emit(events.NodeEventType, events.ActionUpdate, n.id, "name", n.name, "state.new", string(state), "state.old", string(old))
	s.nudge()
}

// leader is the first manager that lives.
func (s *Swarm) leader() *nodeObject {
	for _, n := range s.nodes {
		if n.manager() && !n.away {
			return n
		}
	}
	return nil
}

func (s *Swarm) nodeJSON(n *nodeObject) swarm.Node {
	out := swarm.Node{
		ID: n.id, Meta: n.json(),
		Spec: swarm.NodeSpec{Annotations: swarm.Annotations{Labels: n.labels}, Role: n.role, Availability: n.availability},
		Description: swarm.NodeDescription{
			Hostname: n.name, Platform: swarm.Platform{Architecture: "x86_64", OS: "linux"},
			Resources: swarm.Resources{NanoCPUs: machineCPUs * 1e9, MemoryBytes: machineMemory},
			Engine: swarm.EngineDescription{EngineVersion: n.version, Plugins: []swarm.PluginDescription{
				{Type: "Log", Name: "json-file"}, {Type: "Network", Name: "bridge"}, {Type: "Network", Name: "host"},
				{Type: "Network", Name: "null"}, {Type: "Network", Name: "overlay"}, {Type: "Volume", Name: "local"},
			}},
			TLSInfo: tlsInfo,
		},
		Status: swarm.NodeStatus{State: n.state, Addr: n.address()},
	}
	if n.state == swarm.NodeStateDown {
		out.Status.Message = "heartbeat failure"
	}
	if n.manager() {
		out.ManagerStatus = &swarm.ManagerStatus{Leader: n == s.leader(), Reachability: swarm.ReachabilityReachable, Addr: n.address() + ":2377"}
		if n.away {
			out.ManagerStatus.Reachability = swarm.ReachabilityUnreachable
		}
	}
	return out
}

func (s *Swarm) listNodes(r *request) (int, any, error) {
	f, err := parseFilters(r)
	if err == nil {
		err = f.allow("id", "label", "name", "role", "membership", "node.label")
	}
	if err != nil {
		return 0, nil, err
	}
	list := []swarm.Node{}
	for _, n := range s.nodes {
		if f.prefix("id", n.id) && f.prefix("name", n.name) && f.exact("role", string(n.role)) && f.labels("node.label", n.labels) && f.exact("membership", "accepted") && !f.has("label") {
			list = append(list, s.nodeJSON(n))
		}
	}
	return http.StatusOK, list, nil
}

func (s *Swarm) node(ref string) (*nodeObject, error) {
	return byRef(s.nodes, "node", ref, func(n *nodeObject) string { return n.id }, func(n *nodeObject) string { return n.name })
}

func (s *Swarm) inspectNode(r *request) (int, any, error) {
	n, err := s.node(r.name)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s.nodeJSON(n), nil
}

func (s *Swarm) updateNode(r *request, spec *swarm.NodeSpec) (int, any, error) {
	version, err := strconv.ParseUint(r.query.Get("version"), 10, 64)
	if err != nil {
		return 0, nil, errorf(http.StatusBadRequest, "invalid node version '%s': %v", r.query.Get("version"), err)
	}
	n, err := s.node(r.name)
	if err != nil {
		return 0, nil, err
	}
	if version != n.index {
		return 0, nil, errOutOfSequence
	}
	if spec.Role != swarm.NodeRoleManager && spec.Role != swarm.NodeRoleWorker || spec.Availability == "" {
		return 0, nil, errorf(http.StatusBadRequest, "invalid node spec: role and availability must be set")
	}
	attrs := []string{"name", n.name}
	change := func(what, old, now string) {
		if old != now {
			attrs = append(attrs, what+".new", now, what+".old", old)
		}
	}
	change("availability", string(n.availability), string(spec.Availability))
	change("role", string(n.role), string(spec.Role))
	n.role, n.availability, n.labels = spec.Role, spec.Availability, orEmpty(spec.Labels)
	s.touch(&n.meta)
	s.emit(events.NodeEventType, events.ActionUpdate, n.id, attrs...)
	s.nudge()
	return http.StatusOK, nil, nil
}

// allows reports whether every placement constraint holds for the node.
func (n *nodeObject) allows(constraints []string) bool {
	for _, c := range constraints {
		key, value, equal := strings.Cut(c, "==")
		if !equal {
			key, value, _ = strings.Cut(c, "!=")
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		have := ""
		switch label, isLabel := strings.CutPrefix(key, "node.labels."); {
		case isLabel:
			have = n.labels[label]
		case key == "node.id":
			have = n.id
		case key == "node.hostname":
			have = n.name
		case key == "node.role":
			have = string(n.role)
		case key == "node.platform.os":
			have = "linux"
		}
		if strings.EqualFold(have, value) != equal {
			return false
		}
	}
	return true
}
