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

package hostapi

import (
	"cmp"
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
)

// source is one inventory that a caller may read: a host's, or a swarm's.
type source struct {
	key sourceKey
	// host is whose right opens the inventory: the host itself, or of a swarm's managers
	// the one that shows the caller most.
	host hostcache.Key
	// masked is true for a caller without Inspect (get) there.
	masked bool
}

// fleet is what a caller may read of one kind at one moment, sorted by key.
type fleet struct {
	sources []source
	// failed are hosts of which it is not known what they hold.
	failed []failedHost
}

// unknown says why a host is not in the inventory.
func (h *Handler) unknown(ctx context.Context, host hostcache.Key) error {
	err := h.options.Hosts.Get(ctx, host, &dcv1.DockerHost{})
	switch {
	case apierrors.IsNotFound(err):
		return apistatus.HostNotFound(host)
	case err != nil:
		return err
	}
	return apistatus.HostUnavailable(host, dcv1.ReasonConnecting, notDeclared)
}

// notDeclared is said of a DockerHost that is younger than what this replica has read.
const notDeclared = "this replica has not connected to it yet"

// fleet returns what the request may read.
func (rq *request) fleet(ctx context.Context) (fleet, error) {
	if rq.at.Host != "" {
		return rq.single(ctx)
	}
	hosts, err := rq.declared(ctx)
	if err != nil {
		return fleet{}, err
	}
	a := rq.h.options.Authorizer
	if hosts, err = a.Hosts(ctx, rq.who, rq.kind.right, hosts); err != nil {
		return fleet{}, err
	}
	open, err := a.Hosts(ctx, rq.who, inspect, hosts)
	if err != nil {
		return fleet{}, err
	}
	unmasked := make(map[hostcache.Key]bool, len(open))
	for _, host := range open {
		unmasked[host] = true
	}
	if rq.kind.swarm {
		return rq.swarms(hosts, unmasked), nil
	}
	var f fleet
	for _, host := range hosts {
		if _, known := rq.h.options.Inventory.State(host); !known {
			f.failed = append(f.failed, failedHost{Namespace: host.Namespace, Name: host.Name, Reason: dcv1.ReasonConnecting, Message: notDeclared})
			continue
		}
		f.sources = append(f.sources, source{key: sourceOf(host), host: host, masked: !unmasked[host]})
	}
	return f, nil
}

func sourceOf(host hostcache.Key) sourceKey {
	return sourceKey{Namespace: host.Namespace, Name: host.Name}
}

// single is the fleet of one host, which was authorized before.
func (rq *request) single(ctx context.Context) (fleet, error) {
	host := rq.at.Key()
	open, err := rq.h.options.Authorizer.Allowed(ctx, rq.who.User, host, inspect)
	if err != nil {
		return fleet{}, err
	}
	return fleet{sources: []source{{key: sourceOf(host), host: host, masked: !open}}}, nil
}

// declared returns the DockerHosts that the path and the host selector mean, sorted.
func (rq *request) declared(ctx context.Context) ([]authz.Host, error) {
	var list dcv1.DockerHostList
	options := []client.ListOption{client.UnsafeDisableDeepCopy} // read only, here
	if rq.at.Namespace != "" {
		options = append(options, client.InNamespace(rq.at.Namespace))
	}
	if err := rq.h.options.Hosts.List(ctx, &list, options...); err != nil {
		return nil, err
	}
	hosts := make([]authz.Host, 0, len(list.Items))
	for i := range list.Items {
		host := &list.Items[i]
		if rq.query.hosts == nil || rq.query.hosts.Matches(labels.Set(host.Labels)) {
			hosts = append(hosts, client.ObjectKeyFromObject(host))
		}
	}
	slices.SortFunc(hosts, func(a, b authz.Host) int { return sourceOf(a).compare(sourceOf(b)) })
	return hosts, nil
}

// swarms finds the swarms that the hosts are managers of. A swarm is one by its cluster
// ID and the namespace: an engine can claim any ID.
func (rq *request) swarms(hosts []hostcache.Key, unmasked map[hostcache.Key]bool) fleet {
	var f fleet
	best := map[sourceKey]manager{}
	for _, host := range hosts {
		state, known := rq.h.options.Inventory.State(host)
		id := state.Info.Swarm.ClusterID()
		switch {
		case !known:
			f.failed = append(f.failed, failedHost{Namespace: host.Namespace, Name: host.Name, Reason: dcv1.ReasonConnecting, Message: notDeclared})
		case state.Phase == hostcache.PhaseSuspended, state.Version == engine.Version{}:
			// Whether it is a manager is not known.
			if !state.Connected() {
				f.failed = append(f.failed, failureOf(host, state, nil))
			}
		case id != "" && state.Info.Swarm.ControlAvailable:
			key := sourceKey{Namespace: host.Namespace, Name: id}
			m := manager{host: host, open: unmasked[host], connected: state.Connected()}
			if was, has := best[key]; !has || m.compare(was) < 0 {
				best[key] = m
			}
		}
	}
	for key, m := range best {
		f.sources = append(f.sources, source{key: key, host: m.host, masked: !m.open})
	}
	slices.SortFunc(f.sources, func(a, b source) int { return a.key.compare(b.key) })
	return f
}

// manager is a host through which a swarm can be read.
type manager struct {
	host            hostcache.Key
	open, connected bool
}

// compare puts first what shows most, then what lives, then the first by name.
func (m manager) compare(other manager) int {
	rank := func(m manager) int {
		n := 0
		if !m.open {
			n += 2
		}
		if !m.connected {
			n++
		}
		return n
	}
	return cmp.Or(cmp.Compare(rank(m), rank(other)), sourceOf(m.host).compare(sourceOf(other.host)))
}
