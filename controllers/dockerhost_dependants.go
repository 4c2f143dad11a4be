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
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// dependantsFinalizer holds a DockerHost while SwarmServices need it.
const dependantsFinalizer = dcv1.Prefix + "swarmservices"

// dependantIndex finds the SwarmServices that hold a service by the hosts that they need.
const dependantIndex = "dependantOf"

// actionDelete is an Event's.
const actionDelete = "Delete"

// DockerHostDependantsReconciler keeps a deleted DockerHost, and its connection, until
// no SwarmService needs it to remove its service: when a namespace goes, everything in
// it is deleted at once. It runs on the leader.
type DockerHostDependantsReconciler struct {
	Client   client.Client
	Recorder events.EventRecorder

	told map[types.NamespacedName]types.UID // deleted hosts that are known to wait; one worker has it
}

// +kubebuilder:rbac:groups=dockercontrol.dev,resources=dockerhosts,verbs=get;list;watch;patch

// Reconcile gives one host the finalizer, or takes it away.
func (r *DockerHostDependantsReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	host := &dcv1.DockerHost{}
	if err := r.Client.Get(ctx, req.NamespacedName, host); err != nil {
		delete(r.told, req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	dependants, err := r.dependants(ctx, host)
	if err != nil {
		return ctrl.Result{}, err
	}
	needed := len(dependants) > 0
	r.tell(host, dependants)
	before := host.DeepCopy()
	switch has := controllerutil.ContainsFinalizer(host, dependantsFinalizer); {
	case needed && !has && host.DeletionTimestamp.IsZero():
		controllerutil.AddFinalizer(host, dependantsFinalizer)
	case !needed && has:
		controllerutil.RemoveFinalizer(host, dependantsFinalizer)
	default:
		return ctrl.Result{}, nil
	}
	err = r.Client.Patch(ctx, host, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: conflictPause}, nil
	}
	if err := client.IgnoreNotFound(err); err != nil {
		return ctrl.Result{}, fmt.Errorf("writing the finalizer: %w", err)
	}
	return ctrl.Result{}, nil
}

// dependants are the SwarmServices that hold a service, and speak through the host or
// name it; one of them at most while the host is not being deleted.
func (r *DockerHostDependantsReconciler) dependants(ctx context.Context, host *dcv1.DockerHost) ([]dcv1.SwarmService, error) {
	services := &dcv1.SwarmServiceList{}
	opts := []client.ListOption{client.InNamespace(host.Namespace), client.MatchingFields{dependantIndex: host.Name}, client.UnsafeDisableDeepCopy}
	if host.DeletionTimestamp.IsZero() {
		opts = append(opts, client.Limit(1))
	}
	if err := r.Client.List(ctx, services, opts...); err != nil {
		return nil, fmt.Errorf("listing the SwarmServices that need the host: %w", err)
	}
	return services.Items, nil
}

// tell says once of a deleted host what it waits for. Services that are being deleted too
// go by themselves, as where the whole namespace does.
func (r *DockerHostDependantsReconciler) tell(host *dcv1.DockerHost, dependants []dcv1.SwarmService) {
	key := client.ObjectKeyFromObject(host)
	if host.DeletionTimestamp.IsZero() || r.told[key] == host.UID {
		return
	}
	var staying []hostcache.Key
	for i := range dependants {
		if s := &dependants[i]; s.DeletionTimestamp.IsZero() {
			staying = append(staying, client.ObjectKeyFromObject(s))
		}
	}
	if len(staying) == 0 {
		return
	}
	if r.told == nil {
		r.told = map[types.NamespacedName]types.UID{}
	}
	r.told[key] = host.UID
	slices.SortFunc(staying, func(a, b hostcache.Key) int { return cmp.Compare(a.Name, b.Name) })
	r.Recorder.Eventf(host, nil, corev1.EventTypeWarning, dcv1.ReasonNeededBySwarmServices, actionDelete,
		"The DockerHost is deleted when no SwarmService needs it any more, and stays connected until then. These do: %s. "+
			"Delete them (with spec.deletionPolicy Orphan their services run on), or give them another manager of the swarm as spec.hostRef.", names(staying))
}

// SetupWithManager registers the reconciler.
func (r *DockerHostDependantsReconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(ctx, &dcv1.SwarmService{}, dependantIndex, func(o client.Object) []string {
		if !controllerutil.ContainsFinalizer(o, serviceFinalizer) {
			return nil
		}
		return neededHosts(o.(*dcv1.SwarmService))
	})
	if err != nil {
		return fmt.Errorf("indexing SwarmServices by the hosts that they need: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("dockerhost-dependants").
		For(&dcv1.DockerHost{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&dcv1.SwarmService{}, handler.EnqueueRequestsFromMapFunc(hostsOfService), builder.WithPredicates(holdingChanged)).
		Complete(r)
}

// holdingChanged lets through what may change which hosts a service needs.
var holdingChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*dcv1.SwarmService), e.ObjectNew.(*dcv1.SwarmService)
	return before.Spec.HostRef != after.Spec.HostRef || before.Status.ServedBy != after.Status.ServedBy ||
		controllerutil.ContainsFinalizer(before, serviceFinalizer) != controllerutil.ContainsFinalizer(after, serviceFinalizer)
}}

// hostsOfService asks for the hosts that a service needs.
func hostsOfService(_ context.Context, o client.Object) []reconcile.Request {
	var list []reconcile.Request
	for _, name := range neededHosts(o.(*dcv1.SwarmService)) {
		list = append(list, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}})
	}
	return list
}

// neededHosts names the hosts that a service needs: the one that it names, and the one
// that serves it.
func neededHosts(svc *dcv1.SwarmService) []string {
	list := []string{svc.Spec.HostRef.Name}
	if by := svc.Status.ServedBy; by != "" && by != list[0] {
		list = append(list, by)
	}
	return list
}
