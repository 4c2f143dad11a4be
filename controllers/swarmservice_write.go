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
	"errors"
	"strings"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
)

const (
	// maxConflicts is how often a write is tried again because somebody else was first.
	// Swarm itself writes to a new service, for its ports, and to one that it updates.
	maxConflicts = 5
	// refusalPause is how long the engine is not asked again for what it refused: what
	// stands in the way, such as a port of another service, may be gone by then.
	refusalPause = time.Minute
	// noRegistryAuth is {} in base64, an account without a name. Without any the engine
	// keeps the credentials that a service has. Other credentials restart no task.
	noRegistryAuth = "e30="
)

// create creates the service. again tells that there is one of the name.
func (t *serviceTurn) create(ctx context.Context, desired swarm.Desired) (id string, again bool, err error) {
	object := audit.Object{Kind: serviceKind, Name: desired.Spec.Name}
	err = t.on.Write(ctx, "create", object, func(ctx context.Context, eng engine.Engine) (err error) {
		id, err = eng.ServiceCreate(ctx, desired.Spec, engine.WithRegistryAuth(t.registryAuth))
		return err
	})
	if id != "" && errors.Is(err, audit.ErrOutcomeNotRecorded) {
		err = nil // it is there all the same, and Record has logged why it could not say so
	}
	return id, engine.IsConflict(err) && nameTaken(err), ignoreIf(err, nameTaken)
}

func nameTaken(err error) bool {
	return err != nil && engine.IsConflict(err) && strings.Contains(err.Error(), "already exists")
}

func outOfSequence(err error) bool {
	return err != nil && engine.IsConflict(err) && strings.Contains(err.Error(), "out of sequence")
}

func ignoreIf(err error, is func(error) bool) error {
	if is(err) {
		return nil
	}
	return err
}

// update writes what the service lacks. again tells that it is not what it was.
func (t *serviceTurn) update(ctx context.Context, desired swarm.Desired, have *engineswarm.Service) (again bool, err error) {
	merged, err := desired.Merge(have.Spec, t.view.diff)
	if err != nil {
		return false, err
	}
	if t.registryAuth == "" && have.Spec.Labels[dcv1.LabelPullSecret] != "" {
		t.registryAuth = noRegistryAuth // spec.pullSecretRef is gone
	}
	return t.write(ctx, have, merged)
}

func (t *serviceTurn) write(ctx context.Context, have *engineswarm.Service, spec engineswarm.ServiceSpec) (again bool, err error) {
	err = t.on.Write(ctx, "update", serviceObject(have), func(ctx context.Context, eng engine.Engine) error {
		return eng.ServiceUpdate(ctx, have.ID, have.Version.Index, spec, engine.WithRegistryAuth(t.registryAuth))
	})
	again = outOfSequence(err) || engine.IsNotFound(err)
	if again {
		return true, nil
	}
	return false, err
}

func serviceObject(have *engineswarm.Service) audit.Object {
	return audit.Object{Kind: serviceKind, ID: have.ID, Name: have.Spec.Name}
}

// failed sorts an error: what a user can mend is a fault, and what the engine refused is
// not asked again at once; everything else is tried again.
func (t *serviceTurn) failed(err error, sum string) {
	var fault *SpecFault
	if errors.As(err, &fault) {
		t.fault(fault)
		t.soon(refusalPause) // it may be the swarm's, or the namespace's, to mend
		return
	}
	if fault = refusedBy(err); fault != nil {
		t.refused(sum, fault)
		return
	}
	t.err = err
	var failure *engine.Error
	switch {
	case errors.Is(err, audit.ErrRefused):
		t.view.fault, t.view.passes = auditFault(), true
	case !errors.As(err, &failure) || failure.Class != engine.ClassServer:
		t.silent = true // the host's own status says what there is to say
	case noQuorum(failure.Error()):
		gone := swarmFails(t.on.Via.Name, failure.Error())
		t.view.fault, t.view.passes = &gone.SpecFault, true
	default:
		t.view.fault, t.view.passes = &SpecFault{dcv1.ReasonEngineError, "The engine fails, and is asked again: " + failure.Error()}, true
	}
}

// refused tells what the engine does not do; it is not asked for the same again at once.
func (t *serviceTurn) refused(sum string, fault *SpecFault) {
	t.memory.refused = refusal{sum, fault, t.now.Add(refusalPause)}
	t.soon(refusalPause)
	t.fault(fault)
}

func auditFault() *SpecFault {
	return &SpecFault{dcv1.ReasonAuditTrailFailed, "The manager cannot write its audit trail, and writes nothing to the swarm without it; " +
		"it tries again. See to the volume of --audit-file; the manager's log has the details."}
}

// isForbidden reports whether an engine that is connected does not do this one thing: it is
// asked for what it gives to nobody, or a plugin or a proxy in front of it forbids it.
func isForbidden(e *engine.Error) bool {
	return e.Class == engine.ClassAuth && e.Cause == engine.CauseAuthenticationFailed
}

// refusedBy is what the engine found wrong with a spec, nil where it failed otherwise.
func refusedBy(err error) *SpecFault {
	var e *engine.Error
	if !errors.As(err, &e) {
		return nil
	}
	text := e.Error()
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("already in use by service", "port is already allocated"):
		return &SpecFault{dcv1.ReasonPortConflict, "spec.ports: a port is taken: " + text}
	case e.Class == engine.ClassServer && has("service mode change", "renaming services"):
		return &SpecFault{dcv1.ReasonModeInvalid, "spec.mode: " + text}
	case has("not a swarm manager"):
		return nil
	case e.Class != engine.ClassInvalid && e.Class != engine.ClassNotFound && e.Class != engine.ClassConflict && !isForbidden(e):
		return nil
	case has("not a valid repository/tag", "invalid reference format", "image reference"):
		return &SpecFault{dcv1.ReasonImageInvalid, "spec.image: " + text}
	case has("expanding env"):
		return &SpecFault{dcv1.ReasonFieldInvalid, "spec.env: a value is no template that swarm can read; write {{\"{{\"}} for {{: " + text}
	case has("secret"):
		return &SpecFault{dcv1.ReasonSecretNotFound, "spec.secrets: " + text}
	case has("config "):
		return &SpecFault{dcv1.ReasonConfigNotFound, "spec.configs: " + text}
	case has("network"):
		return &SpecFault{dcv1.ReasonNetworkNotFound, "spec.networks: " + text}
	}
	return &SpecFault{dcv1.ReasonSpecRejected, "spec: " + text}
}
