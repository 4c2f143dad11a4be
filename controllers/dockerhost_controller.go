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
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/status"
)

const (
	// statusWorkers is how many statuses are written at once: a write waits a few
	// milliseconds for the API server, and at start every host has one.
	statusWorkers = 16
	// connectingGrace is how long a first attempt may last before the status says
	// so. Most take a few milliseconds, and saying so would double their writes.
	connectingGrace = 500 * time.Millisecond
	// conflictPause is how long the informer gets to see the version that was
	// written meanwhile; it takes a few milliseconds.
	conflictPause = 50 * time.Millisecond
)

// HostStates is the part of the host cache that tells what it knows.
type HostStates interface {
	State(key hostcache.Key) (hostcache.State, bool)
}

// DockerHostReconciler writes what the host cache knows of an engine into the
// DockerHost's status. It runs on the leader.
type DockerHostReconciler struct {
	Client   client.Client
	Hosts    HostStates
	Recorder events.EventRecorder
	Clock    clock.PassiveClock

	limiter    *countLimiter
	connecting *connectingSince
}

// +kubebuilder:rbac:groups=dockercontrol.dev,resources=dockerhosts,verbs=get;list;watch
// +kubebuilder:rbac:groups=dockercontrol.dev,resources=dockerhosts/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch;update

// Reconcile writes one host's status where it differs from what is known.
func (r *DockerHostReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	host := &dcv1.DockerHost{}
	if err := r.Client.Get(ctx, req.NamespacedName, host); err != nil {
		if apierrors.IsNotFound(err) {
			r.limiter.forget(req.NamespacedName)
			r.connecting.forget(req.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("reading the DockerHost: %w", err)
	}
	state, ok := r.Hosts.State(req.NamespacedName)
	if !ok || state.UID != host.UID || state.Generation != host.Generation {
		// The cache has not heard of this spec yet, and its Source will say when.
		return ctrl.Result{}, nil
	}
	if wait := r.connecting.hold(state, r.Clock.Now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	return r.save(ctx, host, state)
}

func (r *DockerHostReconciler) save(ctx context.Context, host *dcv1.DockerHost, state hostcache.State) (ctrl.Result, error) {
	now := r.Clock.Now()
	defaultHost, err := r.defaultHost(ctx, host)
	if err != nil {
		return ctrl.Result{}, err
	}
	before := host.DeepCopy()
	setHostStatus(host, state, defaultHost, now)
	next := ctrl.Result{RequeueAfter: nextExpiryWarning(state.Credentials.NotAfter, now)}
	if onlyCountsDiffer(&before.Status, &host.Status) {
		if wait := r.limiter.take(state.Key, now); wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
	}
	changed, err := status.Patch(ctx, r.Client, host, before)
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: conflictPause}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("writing the status: %w", err)
	}
	if changed {
		for _, e := range hostEvents(&before.Status, &host.Status) {
			r.Recorder.Eventf(host, nil, e.eventType, e.reason, e.action, "%s", e.message)
		}
	}
	return next, nil
}

func (r *DockerHostReconciler) defaultHost(ctx context.Context, host *dcv1.DockerHost) (string, error) {
	if !isTrue(host.Spec.Default) {
		return "", nil
	}
	hosts := &dcv1.DockerHostList{}
	if err := r.Client.List(ctx, hosts, client.InNamespace(host.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("listing the namespace's DockerHosts: %w", err)
	}
	return defaultHostOf(hosts.Items), nil
}

// onlyCountsDiffer reports whether two statuses differ, and in counts alone.
func onlyCountsDiffer(a, b *dcv1.DockerHostStatus) bool {
	if a.Containers == nil || b.Containers == nil || equality.Semantic.DeepEqual(a, b) {
		return false
	}
	c := b.DeepCopy()
	c.Containers, c.Images = a.Containers, a.Images
	return equality.Semantic.DeepEqual(a, c)
}

// SetupWithManager registers the reconciler; changes is the host cache's Source.
func (r *DockerHostReconciler) SetupWithManager(mgr ctrl.Manager, changes source.Source) error {
	r.limiter = newCountLimiter()
	r.connecting = newConnectingSince()
	if r.Clock == nil {
		r.Clock = clock.RealClock{}
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("dockerhost").
		For(&dcv1.DockerHost{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&dcv1.DockerHost{}, handler.EnqueueRequestsFromMapFunc(r.otherDefaults),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(changes).
		WithOptions(controller.Options{MaxConcurrentReconciles: statusWorkers}).
		Complete(r)
}

// otherDefaults finds the hosts whose Default condition may turn with this one:
// when a default host comes, goes or stops being it, those that also ask for it.
func (r *DockerHostReconciler) otherDefaults(ctx context.Context, changed client.Object) []reconcile.Request {
	hosts := &dcv1.DockerHostList{}
	if err := r.Client.List(ctx, hosts, client.InNamespace(changed.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing the namespace's DockerHosts")
		return nil
	}
	var requests []reconcile.Request
	for i := range hosts.Items {
		h := &hosts.Items[i]
		if isTrue(h.Spec.Default) && h.Name != changed.GetName() {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(h)})
		}
	}
	return requests
}
