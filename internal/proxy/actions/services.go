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

package actions

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/moby/moby/api/types/swarm"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// maxAttempts bounds how often a swarm object is read again after somebody else changed
// it first. The orchestrator itself writes a service twice in each update.
const maxAttempts = 5

// swarmObject is a service or a node as inspected. The spec is changed where an action
// says so and nowhere else: what is not known here stays as it is.
type swarmObject struct {
	ID           string
	Version      struct{ Index uint64 }
	Spec         json.RawMessage
	PreviousSpec json.RawMessage
}

// update reads a swarm object, changes it and writes it, again where the write was out of
// sequence.
func (c *call) update(ctx context.Context, kind engine.Kind, change func(*swarmObject) error, write func(context.Context, *swarmObject) error) error {
	for attempt := 1; ; attempt++ {
		raw, err := c.eng.Inspect(ctx, kind, c.route.Object)
		if err != nil {
			return err
		}
		var o swarmObject
		if err := json.Unmarshal(raw, &o); err != nil || o.ID == "" || len(o.Spec) == 0 {
			return engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's description of the %s cannot be read", c.line.kind)
		}
		if err := change(&o); err != nil {
			return err
		}
		err = write(ctx, &o)
		if !engine.IsConflict(err) || attempt == maxAttempts || ctx.Err() != nil {
			return err
		}
	}
}

// edit changes one member of a JSON object, which it makes where it is missing.
func edit(object json.RawMessage, change func(json.RawMessage) (json.RawMessage, error), path ...string) (json.RawMessage, error) {
	if len(path) == 0 {
		return change(object)
	}
	members := map[string]json.RawMessage{}
	if len(object) > 0 {
		if err := json.Unmarshal(object, &members); err != nil {
			return nil, fmt.Errorf("%s is in no JSON object", path[0])
		}
	}
	if members == nil { // it was null
		members = map[string]json.RawMessage{}
	}
	value, err := edit(members[path[0]], change, path[1:]...)
	if err != nil {
		return nil, err
	}
	members[path[0]] = value
	return json.Marshal(members)
}

// put is an edit that replaces the member.
func put(object json.RawMessage, value any, path ...string) (json.RawMessage, error) {
	return edit(object, func(json.RawMessage) (json.RawMessage, error) { return json.Marshal(value) }, path...)
}

// serviceUpdate is an action on a service, and the same on the SwarmService that keeps it.
type serviceUpdate struct {
	done     string
	rollback bool
	change   func(*swarmObject) error
	hint     string
	declare  func(context.Context, *owned) error
}

func (c *call) updateService(u serviceUpdate) error {
	return c.act(u.done, func(ctx context.Context, _ string) error {
		owner, err := c.owner(ctx, u.hint)
		if err != nil {
			return err
		}
		if owner != nil {
			return u.declare(ctx, owner)
		}
		return c.update(ctx, engine.Services, u.change, func(ctx context.Context, o *swarmObject) error {
			return c.eng.ServiceUpdateRaw(ctx, o.ID, o.Version.Index, o.Spec, u.rollback)
		})
	})
}

// scale changes the number of replicas, or of a job's completions in all.
func (a *Actions) scale(c *call) error {
	var o struct {
		Replicas *uint64 `json:"replicas"`
	}
	if err := c.read(&o); err != nil {
		return err
	}
	if o.Replicas == nil {
		return apistatus.BadRequest("replicas is missing")
	}
	return c.updateService(serviceUpdate{
		done: fmt.Sprintf("is to have %d replicas", *o.Replicas), hint: scaleHint, declare: c.scaleOwner(*o.Replicas),
		change: func(s *swarmObject) error { return scaled(s, *o.Replicas) },
	})
}

func scaled(s *swarmObject, replicas uint64) (err error) {
	var spec struct{ Mode swarm.ServiceMode }
	if err := json.Unmarshal(s.Spec, &spec); err != nil {
		return engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the mode of the service cannot be read")
	}
	switch {
	case spec.Mode.Replicated != nil:
		s.Spec, err = put(s.Spec, replicas, "Mode", "Replicated", "Replicas")
	case spec.Mode.ReplicatedJob != nil:
		s.Spec, err = put(s.Spec, replicas, "Mode", "ReplicatedJob", "TotalCompletions")
	default:
		err = apistatus.BadRequest("the service is global: it has one task a node and cannot be scaled")
	}
	return err
}

// rollback brings back the spec before the current one.
func (a *Actions) rollback(c *call) error {
	if err := c.read(&none{}); err != nil {
		return err
	}
	return c.updateService(serviceUpdate{
		done: "goes back to its previous spec", rollback: true, hint: editHint, declare: c.rollbackOwner,
		change: func(s *swarmObject) error {
			if len(s.PreviousSpec) == 0 || string(s.PreviousSpec) == "null" {
				return apistatus.New(409, "Conflict", "the service has no previous spec to go back to")
			}
			return nil
		},
	})
}

// force has every task replaced, though the spec says nothing new.
func (a *Actions) force(c *call) error {
	if err := c.read(&none{}); err != nil {
		return err
	}
	return c.updateService(serviceUpdate{done: "has its tasks replaced", hint: forceHint, declare: c.forceOwner, change: forced})
}

func forced(s *swarmObject) (err error) {
	s.Spec, err = edit(s.Spec, func(now json.RawMessage) (json.RawMessage, error) {
		var n uint64
		if len(now) > 0 {
			if err := json.Unmarshal(now, &n); err != nil {
				return nil, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "ForceUpdate of the service is not a number")
			}
		}
		return json.Marshal(n + 1)
	}, "TaskTemplate", "ForceUpdate")
	return err
}

// nodeOptions are what can be changed of a node; what is left out stays.
type nodeOptions struct {
	Availability string `json:"availability"`
	Role         string `json:"role"`
	// Labels replace all of the node's; null leaves them.
	Labels *map[string]string `json:"labels"`
}

func (o nodeOptions) check() error {
	switch swarm.NodeAvailability(o.Availability) {
	case "", swarm.NodeAvailabilityActive, swarm.NodeAvailabilityPause, swarm.NodeAvailabilityDrain:
	default:
		return apistatus.BadRequest("availability is active, pause or drain")
	}
	switch swarm.NodeRole(o.Role) {
	case "", swarm.NodeRoleManager, swarm.NodeRoleWorker:
	default:
		return apistatus.BadRequest("role is manager or worker")
	}
	if o.Availability == "" && o.Role == "" && o.Labels == nil {
		return apistatus.BadRequest("nothing to change: give availability, role or labels")
	}
	return nil
}

func (a *Actions) updateNode(c *call) error {
	var o nodeOptions
	if err := c.read(&o); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	change := func(n *swarmObject) (err error) {
		if o.Availability != "" {
			n.Spec, err = put(n.Spec, o.Availability, "Availability")
		}
		if err == nil && o.Role != "" {
			n.Spec, err = put(n.Spec, o.Role, "Role")
		}
		if err == nil && o.Labels != nil {
			n.Spec, err = put(n.Spec, *o.Labels, "Labels")
		}
		return err
	}
	return c.act("was updated", func(ctx context.Context, _ string) error {
		return c.update(ctx, engine.Nodes, change, func(ctx context.Context, n *swarmObject) error {
			return c.eng.NodeUpdate(ctx, n.ID, n.Version.Index, n.Spec)
		})
	})
}
