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
	"maps"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
)

const (
	// releaseAfter is how long a deleted object waits for a swarm that cannot be reached.
	releaseAfter = 5 * time.Minute
	// releaseGrace is for how much of that this process itself must have found the swarm away:
	// one that has just started has yet to dial its managers.
	releaseGrace = time.Minute
	// finalizePause is the pause between two attempts where nothing tells of a change.
	finalizePause = 10 * time.Second
)

// finalize removes the service of a deleted object, or leaves it without an owner, and
// lets the object go.
func (r *SwarmServiceReconciler) finalize(ctx context.Context, svc *dcv1.SwarmService) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(svc, serviceFinalizer) {
		r.forget(ctrl.Request{NamespacedName: client.ObjectKeyFromObject(svc)})
		return ctrl.Result{}, nil
	}
	t := &serviceTurn{
		SwarmServiceReconciler: r, svc: svc,
		memory: r.memories.of(client.ObjectKeyFromObject(svc)), now: r.Clock.Now(),
	}
	if t.memory.released == svc.UID {
		return ctrl.Result{}, nil // its end, which the cache has yet to hear of, asks for nothing more
	}
	t.recallMade()
	t.tell(t.memory.heldEvents)
	t.memory.heldEvents = nil
	if svc.Annotations[dcv1.AnnotationForceFinalize] == "true" {
		return t.release(ctx, "the annotation "+dcv1.AnnotationForceFinalize+" says so")
	}
	on, gone, err := r.home(ctx, svc)
	switch {
	case err != nil:
		return ctrl.Result{}, err
	case gone != nil && svc.Status.ClusterID == "" && !gone.passes && !gone.starting:
		return t.letGo(ctx) // it was never on a swarm
	case gone != nil:
		return t.wait(ctx, gone.Message)
	}
	t.on = on
	if err := t.removeService(ctx); err != nil {
		if engineIsAway(err) {
			return t.wait(ctx, err.Error())
		}
		t.memory.awaySince = time.Time{}
		t.tellHeld(err)
		return ctrl.Result{}, err
	}
	return t.letGo(ctx)
}

// home finds the swarm that has the service, wherever spec.hostRef points to now.
func (r *SwarmServiceReconciler) home(ctx context.Context, svc *dcv1.SwarmService) (SwarmAccess, *away, error) {
	if sw, is := r.swarmByID(svc.Namespace, svc.Status.ClusterID); is {
		on, gone := r.access(svc, sw)
		return on, gone, nil
	}
	if svc.Status.ClusterID == "" {
		return r.locate(ctx, svc)
	}
	return SwarmAccess{}, awayFor(dcv1.ReasonHostNotReady, "no DockerHost of the namespace is a manager of the swarm that has the service"), nil
}

// wait holds the object a little longer, or lets it go where that was too long.
func (t *serviceTurn) wait(ctx context.Context, why string) (ctrl.Result, error) {
	if t.memory.awaySince.IsZero() {
		t.memory.awaySince = t.now
	}
	left := max(releaseAfter-t.now.Sub(t.svc.DeletionTimestamp.Time), releaseGrace-t.now.Sub(t.memory.awaySince))
	if left <= 0 {
		return t.release(ctx, "its swarm does not answer, more than 5 minutes after the deletion: "+why)
	}
	return ctrl.Result{RequeueAfter: min(left, finalizePause)}, nil
}

// engineIsAway reports whether it was an engine that failed, not we or the API server.
func engineIsAway(err error) bool {
	var e *engine.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Class == engine.ClassServer || e.Class == engine.ClassUnreachable || e.Class == engine.ClassTimeout
}

// tellHeld says once why an object stays: its end cannot be recorded, or the engine does not
// do what it takes.
func (t *serviceTurn) tellHeld(err error) {
	fault := refusedBy(err)
	if errors.Is(err, audit.ErrRefused) {
		fault = auditFault()
	}
	if fault == nil || t.memory.toldHeld == fault.Reason {
		return
	}
	t.memory.toldHeld = fault.Reason
	t.tell([]hostEvent{{corev1.EventTypeWarning, fault.Reason, actionRemoveService, "The object cannot go yet: " + fault.Message}})
}

// release lets the object go without its swarm.
func (t *serviceTurn) release(ctx context.Context, why string) (ctrl.Result, error) {
	message := "The object goes, and its service, if there is one, is left as it is: " + why
	t.tell([]hostEvent{{corev1.EventTypeWarning, dcv1.ReasonReleased, actionRemoveService, message}})
	return t.letGo(ctx)
}

// removeService removes or orphans the service, where it is the object's.
func (t *serviceTurn) removeService(ctx context.Context) error {
	orphan := t.svc.Spec.DeletionPolicy == dcv1.SwarmDeletionOrphan
	for range maxConflicts {
		have, err := inspectService(ctx, t.on.Engine, t.svc.ServiceName())
		if err != nil {
			return err
		}
		if have == nil || ownershipOf(t.svc, have) != ours {
			return t.Inputs.Release(ctx, t.svc, t.on, orphan)
		}
		again, err := t.part(ctx, have, orphan)
		if err != nil {
			return err
		}
		if !again {
			return t.Inputs.Release(ctx, t.svc, t.on, orphan)
		}
	}
	return errOutrun(t.svc.ServiceName())
}

// part takes the object and its service apart.
func (t *serviceTurn) part(ctx context.Context, have *engineswarm.Service, orphan bool) (again bool, err error) {
	if orphan && isJob(have) {
		t.tell([]hostEvent{{corev1.EventTypeNormal, dcv1.ReasonOrphaned, actionUpdateService,
			"The object goes, and its service stays. It keeps its owner's labels, since each write runs a job anew."}})
		return false, nil
	}
	if orphan {
		spec := have.Spec
		spec.Labels = maps.Clone(spec.Labels)
		for label := range swarm.OwnerLabels(owner(t.svc)) {
			delete(spec.Labels, label)
		}
		delete(spec.Labels, dcv1.LabelPullSecret)
		if again, err = t.write(ctx, have, spec); err == nil && !again {
			t.tell([]hostEvent{{corev1.EventTypeNormal, dcv1.ReasonOrphaned, actionUpdateService, "The object goes, and its service stays without an owner."}})
		}
		return again, err
	}
	err = t.on.Write(ctx, "remove", serviceObject(have), func(ctx context.Context, eng engine.Engine) error {
		return eng.ServiceRemove(ctx, have.ID)
	})
	if engine.IsNotFound(err) {
		return false, nil // somebody was faster
	}
	if err == nil {
		t.tell([]hostEvent{{corev1.EventTypeNormal, dcv1.ReasonDeleted, actionRemoveService, "The service was removed."}})
	}
	return false, err
}

// letGo removes the finalizer.
func (t *serviceTurn) letGo(ctx context.Context) (ctrl.Result, error) {
	err := t.dropFinalizer(ctx)
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: conflictPause}, nil
	}
	if err := client.IgnoreNotFound(err); err != nil {
		return ctrl.Result{}, err
	}
	t.memories.letGo(client.ObjectKeyFromObject(t.svc), t.svc.UID)
	t.Metrics.forget(t.svc.Namespace, t.svc.Name)
	return ctrl.Result{}, nil
}
