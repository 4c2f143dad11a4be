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
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// awayGrace is for how long a swarm may be away before its services' statuses say so: a
// change of manager or leader takes less, and is no news to 1,000 services.
const awayGrace = 3 * time.Second

// away is why a swarm cannot be asked.
type away struct {
	SpecFault
	// passes: it ends without the user, as when a host comes back.
	passes bool
	// starting: nothing is known yet, and nothing is worth a status.
	starting bool
}

func awayFor(reason, format string, args ...any) *away {
	return &away{SpecFault: SpecFault{reason, fmt.Sprintf(format, args...)}, passes: true}
}

// locate finds a manager of the swarm that spec.hostRef is of, or says why there is none.
func (r *SwarmServiceReconciler) locate(ctx context.Context, svc *dcv1.SwarmService) (SwarmAccess, *away, error) {
	host := hostcache.Key{Namespace: svc.Namespace, Name: svc.Spec.HostRef.Name}
	if sw, is := r.Hosts.SwarmOf(host); is {
		on, gone := r.access(svc, sw)
		return on, gone, nil
	}
	state, known := r.Hosts.State(host)
	switch {
	case !known:
		err := r.Client.Get(ctx, host, &dcv1.DockerHost{})
		if apierrors.IsNotFound(err) {
			return SwarmAccess{}, &away{SpecFault: SpecFault{dcv1.ReasonHostNotFound,
				fmt.Sprintf("spec.hostRef: there is no DockerHost %q in the namespace; create it, or name another.", host.Name)}}, nil
		}
		if err != nil {
			return SwarmAccess{}, nil, fmt.Errorf("reading DockerHost %s: %w", host, err)
		}
		return SwarmAccess{}, &away{starting: true}, nil
	case state.Connected():
		return SwarmAccess{}, noManager(host.Name, state.Info.Swarm), nil
	}
	if sw, is := r.swarmByID(svc.Namespace, svc.Status.ClusterID); is {
		on, gone := r.access(svc, sw) // another manager of the swarm that the host was of
		return on, gone, nil
	}
	switch {
	case state.Phase == hostcache.PhaseSuspended:
		return SwarmAccess{}, awayFor(dcv1.ReasonHostNotReady, "DockerHost %s is suspended, and no other manager of its swarm is known: set its spec.suspend to false, or name another in spec.hostRef.", host.Name), nil
	case state.Err == nil:
		return SwarmAccess{}, &away{starting: true}, nil
	}
	return SwarmAccess{}, awayFor(dcv1.ReasonHostNotReady, "DockerHost %s is not connected: %s", host.Name, state.Err.Error()), nil
}

// noManager says what a connected engine is that is no manager of a swarm.
func noManager(host string, s engine.SwarmInfo) *away {
	switch {
	case s.Error != "" || s.ControlAvailable:
		return swarmFails(host, s.Error)
	case s.LocalNodeState == "active" || s.LocalNodeState == "pending" || s.NodeID != "":
		return &away{SpecFault: SpecFault{dcv1.ReasonHostNotManager,
			fmt.Sprintf("spec.hostRef: DockerHost %s is a worker of its swarm; name one that is a manager, or promote it with docker node promote.", host)}}
	}
	return &away{SpecFault: SpecFault{dcv1.ReasonHostNotInSwarm,
		fmt.Sprintf("spec.hostRef: DockerHost %s is in no swarm; run docker swarm init or docker swarm join there.", host)}}
}

// swarmFails says why the managers of a swarm do not answer.
func swarmFails(host, message string) *away {
	if noQuorum(message) {
		return awayFor(dcv1.ReasonQuorumLost,
			"The managers of the swarm have no majority, so that nothing can be changed: bring managers back, or run docker swarm init --force-new-cluster on one. (%s)", message)
	}
	return awayFor(dcv1.ReasonHostNotReady, "DockerHost %s does not answer for its swarm: %s", host, message)
}

// noQuorum knows how swarm says that it has no leader.
func noQuorum(message string) bool {
	for _, part := range []string{"does not have a leader", "code = DeadlineExceeded", "has no leader", "lost quorum"} {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}

func (r *SwarmServiceReconciler) swarmByID(namespace, clusterID string) (hostcache.Swarm, bool) {
	if clusterID == "" {
		return hostcache.Swarm{}, false
	}
	swarms := r.Hosts.Swarms(namespace)
	i := slices.IndexFunc(swarms, func(s hostcache.Swarm) bool { return s.Key.ClusterID == clusterID })
	if i < 0 {
		return hostcache.Swarm{}, false
	}
	return swarms[i], true
}

// access opens the way to a swarm through the manager that serves it.
func (r *SwarmServiceReconciler) access(svc *dcv1.SwarmService, sw hostcache.Swarm) (SwarmAccess, *away) {
	if sw.ServedBy == (hostcache.Key{}) {
		return SwarmAccess{}, awayFor(dcv1.ReasonHostNotReady, "No manager of the swarm is connected: %s.", names(sw.Managers))
	}
	if sw.Err != nil {
		return SwarmAccess{}, swarmFails(sw.ServedBy.Name, sw.Err.Error())
	}
	eng, err := r.Hosts.Engine(sw.ServedBy)
	state, known := r.Hosts.State(sw.ServedBy)
	if err != nil || !known {
		return SwarmAccess{}, awayFor(dcv1.ReasonHostNotReady, "No manager of the swarm is connected: %s.", names(sw.Managers))
	}
	return SwarmAccess{
		Engine: eng, Swarm: sw.Key, Via: sw.ServedBy, HostUID: string(state.UID),
		APIVersion: spoken(state.Version.APIVersion), service: svc, audit: r.Audit,
	}, nil
}

// spoken is the API version that is negotiated with an engine.
func spoken(version string) string {
	if engine.CompareAPIVersions(version, engine.MaxAPIVersion) > 0 {
		return engine.MaxAPIVersion
	}
	return version
}

func names(hosts []hostcache.Key) string {
	const most = 5
	list := make([]string, 0, most+1)
	for i, h := range hosts {
		if i == most {
			list = append(list, fmt.Sprintf("and %d more", len(hosts)-i))
			break
		}
		list = append(list, h.Name)
	}
	return strings.Join(list, ", ")
}
