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

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

const (
	// serviceHostIndex and serviceNameIndex find the SwarmServices of a host, and those
	// that name a service.
	serviceHostIndex = "spec.hostRef.name"
	serviceNameIndex = "spec.serviceName"
)

// SwarmSources is the part of the host cache that tells of changes.
type SwarmSources interface {
	SourceFor(requests func(hostcache.Change) []reconcile.Request) source.Source
	SwarmSource(requests func(hostcache.SwarmChange) []reconcile.Request) source.Source
}

// SetupWithManager registers the reconciler; changes is the host cache.
func (r *SwarmServiceReconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, changes SwarmSources) error {
	r.init()
	for index, of := range map[string]func(*dcv1.SwarmService) string{
		serviceHostIndex: func(s *dcv1.SwarmService) string { return s.Spec.HostRef.Name },
		serviceNameIndex: (*dcv1.SwarmService).ServiceName,
	} {
		err := mgr.GetFieldIndexer().IndexField(ctx, &dcv1.SwarmService{}, index, func(o client.Object) []string {
			return []string{of(o.(*dcv1.SwarmService))}
		})
		if err != nil {
			return fmt.Errorf("indexing SwarmServices by %s: %w", index, err)
		}
	}
	// What is followed for a leader that ends is nobody's interest.
	err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		r.memories.stop()
		return nil
	}))
	if err != nil {
		return fmt.Errorf("adding the end of the SwarmServices' controller: %w", err)
	}
	named, err := watchNamed(ctx, mgr, ctrl.NewControllerManagedBy(mgr))
	if err != nil {
		return err
	}
	return named.
		Named("swarmservice").
		For(&dcv1.SwarmService{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WatchesRawSource(changes.SourceFor(r.ofHost)).
		WatchesRawSource(changes.SwarmSource(r.ofSwarm)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: serviceWorkers,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](serviceRetryFirst, serviceRetryLast),
		}).
		Complete(r)
}

func (r *SwarmServiceReconciler) init() {
	if r.Clock == nil {
		r.Clock = clock.RealClock{}
	}
	if r.Metrics == nil {
		r.Metrics = NewSwarmServiceMetrics()
	}
	r.memories = newServiceMemories(r.Hosts.FollowTasks)
}

// ofHost finds the services whose host has turned. Those of a swarm hear of it from the
// swarm; these are what a host says that is none, or not yet.
func (r *SwarmServiceReconciler) ofHost(ch hostcache.Change) []reconcile.Request {
	if !ch.Condition {
		return nil
	}
	return r.requests(ch.Key.Namespace, client.MatchingFields{serviceHostIndex: ch.Key.Name})
}

// ofSwarm finds the services that a change of a swarm concerns.
func (r *SwarmServiceReconciler) ofSwarm(ch hostcache.SwarmChange) []reconcile.Request {
	if ch.All {
		return r.requests(ch.Key.Namespace)
	}
	var list []reconcile.Request
	for _, name := range ch.Names {
		// Of another swarm's too: it may wait for a service to be gone.
		list = append(list, r.requests(ch.Key.Namespace, client.MatchingFields{serviceNameIndex: name})...)
	}
	for _, id := range ch.ServiceIDs {
		if key, ok := r.memories.byService(ch.Key, id); ok {
			list = append(list, reconcile.Request{NamespacedName: key})
		}
	}
	return list
}

func (r *SwarmServiceReconciler) requests(namespace string, opts ...client.ListOption) []reconcile.Request {
	services := &dcv1.SwarmServiceList{}
	opts = append(opts, client.InNamespace(namespace), client.UnsafeDisableDeepCopy)
	if err := r.Client.List(context.Background(), services, opts...); err != nil {
		// The list is served from memory; it fails only while the informer starts, and
		// then every service is reconciled anyway.
		ctrl.Log.WithName("swarmservice").V(1).Info("The SwarmServices are not listed yet", "namespace", namespace, "message", err.Error())
		return nil
	}
	list := make([]reconcile.Request, 0, len(services.Items))
	for i := range services.Items {
		list = append(list, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&services.Items[i])})
	}
	return list
}
