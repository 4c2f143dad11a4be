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

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
)

// swarmActor is who writes to swarms, in the audit trail.
const swarmActor = "dockercontrol:swarmservice-controller"

// SwarmHosts is what the host cache knows of hosts and swarms. Nothing in it waits for
// an engine.
type SwarmHosts interface {
	State(key hostcache.Key) (hostcache.State, bool)
	SwarmOf(host hostcache.Key) (hostcache.Swarm, bool)
	Swarms(namespace string) []hostcache.Swarm
	List(host hostcache.Key, kind engine.Kind) (hostcache.Listing, error)
	Engine(host hostcache.Key) (engine.Engine, error)
	FollowTasks(key hostcache.SwarmKey) (release func())
}

// SwarmAccess is a manager of a swarm that can be asked now, on behalf of one
// SwarmService.
type SwarmAccess struct {
	// Engine is for reading; what changes something goes through Write.
	Engine engine.Engine
	Swarm  hostcache.SwarmKey
	// Via is the DockerHost whose engine it is, HostUID its object's UID.
	Via     hostcache.Key
	HostUID string
	// APIVersion is what is spoken to the engine.
	APIVersion string

	service *dcv1.SwarmService
	audit   audit.Recorder
}

// serviceKind is what the trail calls services. Each write of one has an Event of the
// controller's own, which says more.
const serviceKind = "Service"

// Write changes something on the swarm, with a record of it in the audit trail before
// and after. Where the first cannot be written nothing is done.
func (a SwarmAccess) Write(ctx context.Context, verb string, object audit.Object, act func(context.Context, engine.Engine) error) error {
	record := audit.Record{
		Actor:  audit.Actor{User: swarmActor},
		Verb:   verb,
		Host:   audit.Host{Namespace: a.Via.Namespace, Name: a.Via.Name, UID: a.HostUID},
		Object: object,
		Regarding: audit.Regarding{
			Kind: "SwarmService", Namespace: a.service.Namespace, Name: a.service.Name, UID: string(a.service.UID),
		},
		Told: object.Kind == serviceKind,
	}
	return audit.Do(ctx, a.audit, record, func(ctx context.Context) error { return act(ctx, a.Engine) })
}

// owner is whom what is made on a swarm belongs to.
func owner(svc *dcv1.SwarmService) swarm.Owner {
	return swarm.Owner{UID: svc.UID, Namespace: svc.Namespace, Name: svc.Name}
}

// SpecFault is something that keeps a SwarmService from being what its spec says, and
// that a user can mend. It becomes the reason and the message of a condition.
type SpecFault struct {
	// Reason is one of the reasons of api/v1alpha1.
	Reason string
	// Message names the field, and says what to do.
	Message string
}

// Error is the message.
func (f *SpecFault) Error() string { return f.Message }
