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
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/swarm"
)

// SwarmOptions say how a swarm behaves. The zero value is like Docker's own.
type SwarmOptions struct {
	// Seed is what ids are derived from. Default "swarm".
	Seed string
	// NodeTimeout is how long an engine may be away before its node counts as
	// down. Default 14 s, as seen of Docker's swarms.
	NodeTimeout time.Duration
	// TaskDelay is how long a task takes from its assignment to its start.
	// Default 50 ms.
	TaskDelay time.Duration
}

// Swarm is a cluster that engines are nodes of. Close it after its engines.
type Swarm struct {
	opts  SwarmOptions
	clock clock

	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu       sync.Mutex
	id       string
	created  int64
	index    uint64 // of the last change, as the engine's raft log counts
	nodes    []*nodeObject
	services []*serviceObject
	tasks    []*taskObject
	files    map[fileKind][]*fileObject // secrets and configs
	networks []*networkObject           // which never change
	nextPort uint32
	missNext bool          // the next scale-down is lost
	changed  chan struct{} // closed at the next change of a task
	wake     chan struct{} // wakes the orchestrator; has room for one
}

// NewSwarm makes a swarm without nodes. Options.Swarm joins engines to it.
func NewSwarm(opts SwarmOptions) *Swarm {
	if opts.Seed == "" {
		opts.Seed = "swarm"
	}
	if opts.NodeTimeout == 0 {
		opts.NodeTimeout = 14 * time.Second
	}
	if opts.TaskDelay == 0 {
		opts.TaskDelay = 50 * time.Millisecond
	}
	s := &Swarm{opts: opts, id: swarmID("swarm", opts.Seed), index: 10, nextPort: 30000, files: map[fileKind][]*fileObject{}, changed: make(chan struct{}), wake: make(chan struct{}, 1)}
	s.created = s.clock.tick()
	s.networks = s.predefinedNetworks()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.group.Go(s.orchestrate)
	return s
}

// Close ends the swarm's own work. Its tasks' containers are the engines'.
func (s *Swarm) Close() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.group.Wait()
}

// spawn runs f until the swarm closes, which waits for it. Callers hold s.mu.
func (s *Swarm) spawn(f func()) {
	if s.ctx.Err() == nil {
		s.group.Go(f)
	}
}

// nudge makes the orchestrator look again.
func (s *Swarm) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// meta is the version and times of a swarm object.
type meta struct {
	index            uint64
	created, updated int64
}

// touch gives an object the next version. Callers hold s.mu.
func (s *Swarm) touch(m *meta) {
	s.index++
	m.index, m.updated = s.index, s.clock.tick()
	if m.created == 0 {
		m.created = m.updated
	}
}

func (m *meta) json() swarm.Meta {
	return swarm.Meta{Version: swarm.Version{Index: m.index}, CreatedAt: time.Unix(0, m.created).UTC(), UpdatedAt: time.Unix(0, m.updated).UTC()}
}

// emit tells every manager of a change. Callers hold s.mu.
func (s *Swarm) emit(kind events.Type, action events.Action, id string, attrs ...string) {
	now := s.clock.tick()
	for _, n := range s.nodes {
		if n.manager() && n.engine != nil {
			n.engine.bus.publish(&event{kind: kind, action: action, id: id, scope: "swarm", extra: attrs, nano: now})
		}
	}
}

// quorum says why the swarm cannot be asked: too few managers live.
func (s *Swarm) quorum() error {
	all, live := 0, 0
	for _, n := range s.nodes {
		if n.manager() {
			all++
			if !n.away {
				live++
			}
		}
	}
	if live*2 <= all {
		return errorf(http.StatusServiceUnavailable, "rpc error: code = DeadlineExceeded desc = context deadline exceeded")
	}
	return nil
}

func (s *Swarm) clusterInfo() swarm.ClusterInfo {
	five, keep := int64(5), uint64(0)
	return swarm.ClusterInfo{
		ID: s.id, Meta: swarm.Meta{Version: swarm.Version{Index: 10}, CreatedAt: time.Unix(0, s.created).UTC(), UpdatedAt: time.Unix(0, s.created).UTC()},
		Spec: swarm.Spec{
			Annotations: swarm.Annotations{Name: "default", Labels: map[string]string{}}, Orchestration: swarm.OrchestrationConfig{TaskHistoryRetentionLimit: &five},
			Raft:       swarm.RaftConfig{SnapshotInterval: 10000, KeepOldSnapshots: &keep, LogEntriesForSlowFollowers: 500, ElectionTick: 10, HeartbeatTick: 1},
			Dispatcher: swarm.DispatcherConfig{HeartbeatPeriod: 5 * time.Second}, CAConfig: swarm.CAConfig{NodeCertExpiry: 90 * 24 * time.Hour},
		},
		TLSInfo: tlsInfo, DefaultAddrPool: addressPool, SubnetSize: 24, DataPathPort: 4789,
	}
}

// swarmInfo is the swarm as this engine's /info tells it.
func (e *Engine) swarmInfo() swarm.Info {
	s := e.opts.Swarm
	if s == nil {
		return swarm.Info{LocalNodeState: swarm.LocalNodeStateInactive}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info := swarm.Info{LocalNodeState: swarm.LocalNodeStateActive, RemoteManagers: []swarm.Peer{}}
	for _, n := range s.nodes {
		if n.manager() {
			info.RemoteManagers = append(info.RemoteManagers, swarm.Peer{NodeID: n.id, Addr: n.address() + ":2377"})
		}
		if n.engine == e {
			info.NodeID, info.NodeAddr, info.ControlAvailable = n.id, n.address(), n.manager()
		}
	}
	if info.ControlAvailable {
		cluster := s.clusterInfo()
		info.Cluster, info.Nodes = &cluster, len(s.nodes)
		info.Managers = len(info.RemoteManagers)
	}
	return info
}

// manager returns the engine's swarm, locked, if the engine manages it.
func (e *Engine) manager() (*Swarm, error) {
	s := e.opts.Swarm
	if s == nil {
		return nil, errNotManager
	}
	s.mu.Lock()
	for _, n := range s.nodes {
		if n.engine == e && n.manager() {
			if err := s.quorum(); err != nil {
				s.mu.Unlock()
				return nil, err
			}
			return s, nil
		}
	}
	s.mu.Unlock()
	return nil, errorf(http.StatusServiceUnavailable, "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.")
}

// managed makes a handler of one that works on the engine's locked swarm.
func managed(h func(s *Swarm, r *request) (status int, body any, err error)) handler {
	return withBody(func(s *Swarm, r *request, _ *struct{}) (int, any, error) { return h(s, r) })
}

// withBody is managed for a call that has a JSON body, which is read before the
// swarm is locked. *struct{} stands for none.
func withBody[T any](h func(s *Swarm, r *request, body *T) (status int, answer any, err error)) handler {
	return func(e *Engine, w http.ResponseWriter, r *request) error {
		in := new(T)
		if _, none := any(in).(*struct{}); !none {
			if err := decode(r, in); err != nil {
				return err
			}
		}
		s, err := e.manager()
		if err != nil {
			return err
		}
		status, body, err := h(s, r, in)
		s.mu.Unlock()
		switch {
		case err != nil:
			return err
		case body == nil:
			w.WriteHeader(status)
		default:
			writeJSON(w, status, body)
		}
		return nil
	}
}

func (s *Swarm) inspect(*request) (int, any, error) {
	token := func(role string) string {
		return fmt.Sprintf("SWMTKN-1-%s%s-%s", swarmID("ca", s.id), swarmID("ca2", s.id), swarmID(role, s.id))
	}
	return http.StatusOK, swarm.Swarm{ClusterInfo: s.clusterInfo(), JoinTokens: swarm.JoinTokens{Worker: token("worker"), Manager: token("manager")}}, nil
}

// byRef finds an object by id, name, or the beginning of an id.
func byRef[T any](all []T, kind, ref string, id, name func(T) string) (T, error) {
	var none T
	for _, match := range []func(T) bool{
		func(o T) bool { return id(o) == ref },
		func(o T) bool { return name(o) == ref },
	} {
		if i := slices.IndexFunc(all, match); i >= 0 && ref != "" {
			return all[i], nil
		}
	}
	found := none
	n := 0
	for _, o := range all {
		if ref != "" && len(id(o)) > len(ref) && id(o)[:len(ref)] == ref {
			found = o
			n++
		}
	}
	if n == 1 {
		return found, nil
	}
	return none, errorf(http.StatusNotFound, "%s %s not found", kind, ref)
}
