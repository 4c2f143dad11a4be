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
	"strings"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const (
	// strayAge is how old what another object of the same name left must be to be
	// collected: its service may be about to be written.
	strayAge = 10 * time.Minute
	// settlePause is the pause between two looks at tasks that have yet to let go of what
	// the service no longer has. Nothing tells of their end.
	settlePause = 5 * time.Second
	// releasePatience is how long a deletion waits for the last tasks to let go of a
	// network, which takes as long as they take to stop.
	releasePatience = 2 * time.Minute
)

// Settled removes the secrets, configs and networks that were made for the service and
// that it no longer has, once no task has them either. A rollout that may yet be undone
// keeps them.
func (s *SwarmObjects) Settled(ctx context.Context, svc *dcv1.SwarmService, on SwarmAccess) (again time.Duration, err error) {
	s.mu.Lock()
	have, known := s.inUse[svc.UID]
	s.mu.Unlock()
	if !known || have.clean {
		return 0, nil // not resolved since the start: it will be
	}
	now := s.Clock.Now()
	if err := s.shelves.refresh(ctx, on, now); err != nil {
		return 0, err
	}
	left := s.shelves.filter(on.Swarm, func(key objectKey, f ownedObject) bool {
		if have.ids[f.id] || key.kind == engine.Networks && have.networks[key.name] {
			return false
		}
		// After a restore from a backup the object has another UID.
		stray := f.namespace == svc.Namespace && f.name == svc.Name && now.Sub(f.created) > strayAge
		return f.owner == string(svc.UID) || stray
	})
	if len(left) > 0 {
		needed, settled, err := neededObjects(ctx, on, svc.ServiceName())
		if err != nil || !settled {
			return settlePause, err
		}
		for key, f := range left {
			if needed[f.id] {
				again = settlePause
				continue
			}
			// One that another service has stays: its owner is known by its label, for people.
			// A network goes with the last service that wants it made.
			if _, err := s.removeObject(ctx, on, key, f); err != nil {
				return 0, err
			}
		}
	}
	if again == 0 {
		s.cleaned(svc.UID, have)
	}
	return again, nil
}

// cleaned notes that a service owns nothing that it does not use, unless it was resolved
// to something else meanwhile.
func (s *SwarmObjects) cleaned(uid types.UID, have serviceObjects) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, known := s.inUse[uid]; known && now.same(have) {
		now.clean = true
		s.inUse[uid] = now
	}
}

// neededObjects are the secrets, configs and networks that the service or a task of it has.
// It is not settled while the engine may go back to the spec before.
func neededObjects(ctx context.Context, on SwarmAccess, service string) (ids map[string]bool, settled bool, err error) {
	raw, err := on.Engine.Inspect(ctx, engine.Services, service)
	if engine.IsNotFound(err) {
		return nil, true, nil // and so it needs nothing
	}
	if err != nil {
		return nil, false, err
	}
	var have engineswarm.Service
	if err := json.Unmarshal(raw, &have); err != nil || have.ID == "" {
		return nil, false, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's description of service %s cannot be read", service)
	}
	if u := have.UpdateStatus; u != nil && u.State != "" && u.State != engineswarm.UpdateStateCompleted && u.State != engineswarm.UpdateStateRollbackCompleted {
		return nil, false, nil
	}
	tasks, err := on.Engine.List(ctx, engine.Tasks, engine.ListOptions{Service: have.ID})
	if err != nil {
		return nil, false, err
	}
	ids = map[string]bool{}
	addObjects(ids, have.Spec.TaskTemplate)
	for _, o := range tasks {
		var task engineswarm.Task
		if err := json.Unmarshal(o.Raw, &task); err != nil {
			return nil, false, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's description of task %s cannot be read", o.ID)
		}
		if !hasEnded(task.Status.State) {
			addObjects(ids, task.Spec)
		}
	}
	return ids, true, nil
}

func addObjects(ids map[string]bool, t engineswarm.TaskSpec) {
	for _, n := range t.Networks {
		ids[n.Target] = true
	}
	c := t.ContainerSpec
	if c == nil {
		return
	}
	for _, ref := range c.Secrets {
		ids[ref.SecretID] = true
	}
	for _, ref := range c.Configs {
		ids[ref.ConfigID] = true
	}
}

func hasEnded(state engineswarm.TaskState) bool {
	switch state {
	case engineswarm.TaskStateComplete, engineswarm.TaskStateShutdown, engineswarm.TaskStateFailed, engineswarm.TaskStateRejected,
		engineswarm.TaskStateRemove, engineswarm.TaskStateOrphaned:
		return true
	}
	return false
}

// removeObject removes a secret, config or network, unless a service has it, which the
// engine checks.
func (s *SwarmObjects) removeObject(ctx context.Context, on SwarmAccess, key objectKey, f ownedObject) (removed bool, err error) {
	err = on.Write(ctx, "remove", audit.Object{Kind: objectKindName(key.kind), ID: f.id, Name: key.name}, func(ctx context.Context, eng engine.Engine) error {
		remove := eng.ConfigRemove
		switch key.kind {
		case engine.Secrets:
			remove = eng.SecretRemove
		case engine.Networks:
			remove = eng.NetworkRemove
		}
		return ignoreNotFound(remove(ctx, f.id))
	})
	if inUse(err) {
		return false, nil
	}
	switch {
	case err != nil:
		return false, err
	case key.kind == engine.Networks:
		s.shelves.removeNetwork(on.Swarm, key.name, f.id, s.Clock.Now())
	default:
		s.shelves.remove(on.Swarm, key)
	}
	return true, nil
}

func ignoreNotFound(err error) error {
	if engine.IsNotFound(err) {
		return nil
	}
	return err
}

// inUse reports whether the engine refused to remove what something has.
func inUse(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "in use") || strings.Contains(text, "active endpoints")
}

// Release removes what was made for a service that is gone. What other services have
// stays, and so does all that an orphaned one needs.
func (s *SwarmObjects) Release(ctx context.Context, svc *dcv1.SwarmService, on SwarmAccess, orphaned bool) error {
	if !s.ownsNoFiles(svc.UID) {
		if err := s.releaseOwned(ctx, svc, on, orphaned); err != nil {
			return err
		}
	}
	if !orphaned {
		for _, n := range svc.Spec.Networks {
			if n.CreateIfMissing == nil {
				continue
			}
			if err := s.releaseNetwork(ctx, svc, on, n.Name); err != nil {
				return err
			}
		}
	}
	s.mu.Lock()
	delete(s.inUse, svc.UID)
	s.mu.Unlock()
	return nil
}

// ownsNoFiles reports whether a service is known to own no secret and no config: most have
// none, and two lists for each that goes would be most of what its end costs the engine.
func (s *SwarmObjects) ownsNoFiles(uid types.UID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	have, known := s.inUse[uid]
	return known && have.clean && len(have.ids) == 0
}

// releaseOwned removes the secrets and configs that were made for a service, and the
// networks that its spec no longer names.
func (s *SwarmObjects) releaseOwned(ctx context.Context, svc *dcv1.SwarmService, on SwarmAccess, orphaned bool) error {
	s.shelves.outdate(on.Swarm)
	if err := s.shelves.refresh(ctx, on, s.Clock.Now()); err != nil {
		return err
	}
	needed := map[string]bool{}
	if orphaned {
		var settled bool
		var err error
		if needed, settled, err = neededObjects(ctx, on, svc.ServiceName()); err != nil || !settled {
			return err
		}
	}
	named := networkNames(svc)
	for key, f := range s.shelves.filter(on.Swarm, func(key objectKey, f ownedObject) bool {
		return f.owner == string(svc.UID) && !needed[f.id] && (key.kind != engine.Networks || !named[key.name])
	}) {
		if _, err := s.removeObject(ctx, on, key, f); err != nil {
			return err
		}
	}
	return nil
}

// releaseNetwork removes a network that was made for this service, or for one that does not
// want it any more, unless something has it.
func (s *SwarmObjects) releaseNetwork(ctx context.Context, svc *dcv1.SwarmService, on SwarmAccess, name string) error {
	have, err := findNetwork(ctx, on.Engine, name)
	if err != nil || have == nil {
		return err
	}
	uid := have.Labels[dcv1.LabelOwnerUID]
	if uid == "" {
		return nil
	}
	if uid != string(svc.UID) {
		wanted, err := s.ownerWants(ctx, have)
		if err != nil || wanted {
			return err
		}
	}
	err = on.Write(ctx, "remove", audit.Object{Kind: "Network", ID: have.ID, Name: name}, func(ctx context.Context, eng engine.Engine) error {
		return ignoreNotFound(eng.NetworkRemove(ctx, have.ID))
	})
	if err == nil {
		s.shelves.removeNetwork(on.Swarm, name, have.ID, s.Clock.Now())
	}
	if !inUse(err) {
		return err
	}
	// The service's own last tasks let go of it in a moment; other services do not.
	if strings.Contains(err.Error(), "service") || svc.DeletionTimestamp == nil || s.Clock.Since(svc.DeletionTimestamp.Time) > releasePatience {
		return nil
	}
	return err
}

// ownerWants reports whether the SwarmService that a network was made for is still there,
// and its spec still names the network.
func (s *SwarmObjects) ownerWants(ctx context.Context, n *swarmNetwork) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, secretReadTimeout)
	defer cancel()
	owner := &dcv1.SwarmService{}
	err := s.Live.Get(ctx, client.ObjectKey{Namespace: n.Labels[dcv1.LabelOwnerNamespace], Name: n.Labels[dcv1.LabelOwnerName]}, owner)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && string(owner.UID) == n.Labels[dcv1.LabelOwnerUID] && networkNames(owner)[n.Name], err
}
