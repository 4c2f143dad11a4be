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
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/status"
)

const (
	// serviceWorkers is how many services are looked after at once: each waits a few
	// milliseconds for the engine and the API server.
	serviceWorkers = 32
	// serviceFinalizer holds the object until its service is gone, or left alone.
	serviceFinalizer = dcv1.Prefix + "swarmservice"
	// tellingPause is how often a status tells of what is on its way. Most services arrive
	// within it, and cost one write instead of three.
	tellingPause = 2 * time.Second
	// serviceRetryFirst and serviceRetryLast are the pauses after an error, which doubles
	// them: of an API server or an audit trail that is back nobody tells.
	serviceRetryFirst, serviceRetryLast = 50 * time.Millisecond, 30 * time.Second
	// maxNote is how many bytes the API server takes of an Event's note.
	maxNote = 1024
)

// SwarmServiceReconciler keeps a service of a swarm what its SwarmService says, and
// reports how it fares. It runs on the leader.
//
// It reads what the host cache has listed, so that a service that is as it should be
// costs no call to an engine, and it writes to the engine once a change. What it
// remembers between two reconciliations may be lost at any moment.
type SwarmServiceReconciler struct {
	Client   client.Client
	Hosts    SwarmHosts
	Inputs   SwarmInputs
	Audit    audit.Recorder
	Recorder events.EventRecorder
	Metrics  *SwarmServiceMetrics
	Clock    clock.PassiveClock

	memories *serviceMemories
	digests  digests
}

// +kubebuilder:rbac:groups=dockercontrol.dev,resources=swarmservices,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=dockercontrol.dev,resources=swarmservices/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=dockercontrol.dev,resources=swarmservices/finalizers,verbs=update

// Reconcile brings one service to what its spec says, and its status to what is known.
func (r *SwarmServiceReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	svc := &dcv1.SwarmService{}
	if err := r.Client.Get(ctx, req.NamespacedName, svc); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("reading the SwarmService: %w", err)
	}
	if !svc.DeletionTimestamp.IsZero() {
		return r.finalize(ctx, svc)
	}
	t := &serviceTurn{
		SwarmServiceReconciler: r, svc: svc, before: svc.DeepCopy(),
		memory: r.memories.of(req.NamespacedName), now: r.Clock.Now(),
	}
	if t.memory.wrote.isAhead(svc, t.now) {
		return ctrl.Result{RequeueAfter: conflictPause}, nil // to write it again is a conflict
	}
	t.run(ctx)
	return t.save(ctx)
}

func (r *SwarmServiceReconciler) forget(req ctrl.Request) {
	r.memories.forget(req.NamespacedName)
	r.Metrics.forget(req.Namespace, req.Name)
}

// serviceTurn is one reconciliation of a service.
type serviceTurn struct {
	*SwarmServiceReconciler
	svc, before *dcv1.SwarmService
	memory      *serviceMemory
	now         time.Time
	on          SwarmAccess
	// registryAuth goes with every write of the service; a secret.
	registryAuth string
	// appliedHashes are those of what the swarm is asked for; nil without keys.
	appliedHashes func([]byte) []string

	view serviceView
	// silent: too little is known to say anything.
	silent bool
	// again is when to look again though nothing may have changed; 0 for never.
	again time.Duration
	// err is tried again, later each time.
	err    error
	events []hostEvent
}

// run finds the service, brings it to what the spec says, and gathers what is known.
func (t *serviceTurn) run(ctx context.Context) {
	t.recallMade()
	on, gone, err := t.locate(ctx, t.svc)
	if err != nil {
		t.err, t.silent = err, true
		return
	}
	if gone != nil {
		t.away(gone)
		return
	}
	t.on, t.memory.awaySince = on, time.Time{}
	if left := t.leftBehind(); left != nil {
		t.follow("", false)
		t.fault(left)
		return
	}
	t.view.clusterID, t.view.servedBy = on.Swarm.ClusterID, on.Via.Name
	have, found := t.find(ctx)
	if !found {
		return
	}
	t.view.known = true
	t.apply(ctx, have)
	t.look()
	t.clearSurplus(ctx)
}

// away notes that the swarm cannot be asked. What ends by itself is told when it lasts.
func (t *serviceTurn) away(why *away) {
	t.follow("", false)
	if why.starting {
		t.silent = true
		return
	}
	if why.passes && !saysReady(t.svc, why.Reason) {
		if t.memory.awaySince.IsZero() {
			t.memory.awaySince = t.now
		}
		if left := awayGrace - t.now.Sub(t.memory.awaySince); left > 0 {
			t.silent, t.again = true, left
			return
		}
	}
	t.view.fault, t.view.passes = &why.SpecFault, why.passes
}

// recallMade knows the service that was written while the status has yet to say so: it may
// not be left behind where spec.hostRef, or the object, does not stay that long.
func (t *serviceTurn) recallMade() {
	made, s := t.memory.made, &t.svc.Status
	switch {
	case made.uid != t.svc.UID || s.ServiceID != "":
		t.memory.made = madeService{}
	default:
		s.ServiceID, s.ClusterID = made.id, made.clusterID
	}
}

func (t *serviceTurn) fault(f *SpecFault) { t.view.fault = f }

// soon makes sure that the next look is not later than after d.
func (t *serviceTurn) soon(d time.Duration) {
	if d > 0 && (t.again == 0 || d < t.again) {
		t.again = d
	}
}

func (t *serviceTurn) event(eventType, reason, action, message string) {
	t.events = append(t.events, hostEvent{eventType, reason, action, message})
}

func (t *serviceTurn) follow(id string, follow bool) {
	t.memories.locate(client.ObjectKeyFromObject(t.svc), t.on.Swarm, id, follow)
}

// save writes the status where it differs, then what is news. Events of what was done
// are told in any case.
func (t *serviceTurn) save(ctx context.Context) (ctrl.Result, error) {
	if t.silent {
		t.tell(t.events)
		return t.next()
	}
	counts := setServiceStatus(t.svc, &t.view, t.now)
	t.soon(counts.settlesIn)
	t.Metrics.observe(t.svc)
	t.followUntilDone(ctx)
	if t.toldLater() {
		t.memory.heldEvents = append(t.memory.heldEvents, t.events...)
		return t.next()
	}
	news := append(t.memory.heldEvents, t.events...)
	t.memory.heldEvents = nil
	changed, err := status.Patch(ctx, t.Client, t.svc, t.before)
	if changed {
		t.memory.wrote = objectVersion{t.svc.UID, t.svc.ResourceVersion, t.now}
		news = withOutcome(news, serviceEvents(&t.before.Status, &t.svc.Status))
	}
	t.tell(news)
	if apierrors.IsConflict(err) {
		t.again = conflictPause
		return t.next()
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("writing the status: %w", err)
	}
	return t.next()
}

func (t *serviceTurn) tell(news []hostEvent) {
	for _, e := range news {
		t.Recorder.Eventf(t.svc, nil, e.eventType, e.reason, e.action, "%s", limit(e.message, maxNote))
	}
}

// toldLater reports whether the status may wait: what is on its way is told once in
// tellingPause, and not at all where it arrives sooner. What arrives, what stands in its
// way, and what is Ready no more is told at once.
func (t *serviceTurn) toldLater() bool {
	if !t.onItsWay() || equality.Semantic.DeepEqual(&t.before.Status, &t.svc.Status) {
		t.memory.heldSince = time.Time{}
		return false
	}
	if t.memory.heldSince.IsZero() {
		t.memory.heldSince = t.now
	}
	left := tellingPause - t.now.Sub(t.memory.heldSince)
	if left <= 0 {
		t.memory.heldSince = time.Time{}
		return false
	}
	t.soon(left)
	return true
}

// onItsWay reports whether the service is no more than on its way, and was when that was
// last told.
func (t *serviceTurn) onItsWay() bool {
	was := meta.FindStatusCondition(t.before.Status.Conditions, dcv1.ConditionReady)
	is := meta.FindStatusCondition(t.svc.Status.Conditions, dcv1.ConditionReady)
	return onItsWay[is.Reason] && t.view.fault == nil &&
		(was == nil || was.Status != metav1.ConditionTrue || was.ObservedGeneration != t.svc.Generation)
}

// next is when to look again: an error has its own pause.
func (t *serviceTurn) next() (ctrl.Result, error) {
	if t.err != nil {
		return ctrl.Result{}, t.err
	}
	return ctrl.Result{RequeueAfter: t.again}, nil
}

// wroteObject takes note of a write of the object itself, or of what it failed with.
func (t *serviceTurn) wroteObject(err error) (ok bool) {
	if err != nil {
		t.silent = true
		if t.again = conflictPause; !apierrors.IsConflict(err) {
			t.again, t.err = 0, err
		}
		return false
	}
	t.before.ResourceVersion, t.before.Finalizers = t.svc.ResourceVersion, t.svc.Finalizers
	t.memory.wrote = objectVersion{t.svc.UID, t.svc.ResourceVersion, t.now}
	return true
}

// hold adds the finalizer, before anything is made for the object.
func (t *serviceTurn) hold(ctx context.Context) error {
	if controllerutil.ContainsFinalizer(t.svc, serviceFinalizer) {
		return nil
	}
	before := t.svc.DeepCopy()
	controllerutil.AddFinalizer(t.svc, serviceFinalizer)
	if err := t.Client.Patch(ctx, t.svc, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("adding the finalizer: %w", err)
	}
	return nil
}
