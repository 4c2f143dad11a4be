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

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/hostspec"
)

// secretReadTimeout bounds the live read of one Secret. Reads from a healthy API
// server take milliseconds; a stuck one must not hold a worker for a minute.
const secretReadTimeout = 10 * time.Second

// connectionWorkers is how many hosts are looked up at once: each look-up waits
// for one live read of a Secret, and 1,000 hosts should not queue behind it.
const connectionWorkers = 16

// hostSecretIndex finds the hosts that name a Secret.
const hostSecretIndex = "spec.secretRef"

// HostSetter is the part of the host cache that is told what to connect to.
type HostSetter interface {
	Set(hostcache.Host)
	Delete(hostcache.Key)
	State(hostcache.Key) (hostcache.State, bool)
}

// DockerHostConnectionReconciler keeps the host cache of this replica told of
// every DockerHost and its credentials.
//
// Secrets are watched as metadata only, and the named ones are read live when
// host or Secret changes: the manager never holds the cluster's Secrets.
type DockerHostConnectionReconciler struct {
	// Client reads DockerHosts from the informer cache.
	Client client.Client
	// SecretReader reads Secrets, and the namespaces of those that are gone, from the API
	// server itself.
	SecretReader client.Reader
	Hosts        HostSetter
	Policy       hostspec.EndpointPolicy
}

// +kubebuilder:rbac:groups=dockercontrol.dev,resources=dockerhosts,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get

// Reconcile tells the host cache what one DockerHost asks for.
func (r *DockerHostConnectionReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	host := &dcv1.DockerHost{}
	if err := r.Client.Get(ctx, req.NamespacedName, host); err != nil {
		if apierrors.IsNotFound(err) {
			r.Hosts.Delete(req.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("reading the DockerHost: %w", err)
	}
	if !host.DeletionTimestamp.IsZero() && r.known(host) {
		// What depends on it still needs the live connection. In a namespace that goes,
		// the Secret is gone by now.
		return ctrl.Result{}, nil
	}
	secret, err := r.readSecret(ctx, host)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !secret.Found && hostspec.SecretName(&host.Spec) != "" && r.known(host) && r.leaving(ctx, host.Namespace) {
		// The namespace goes, the Secret went first, and the host is next.
		return ctrl.Result{}, nil
	}
	r.Hosts.Set(hostspec.FromSpec(host, secret, r.Policy))
	return ctrl.Result{}, nil
}

func (r *DockerHostConnectionReconciler) known(host *dcv1.DockerHost) bool {
	state, known := r.Hosts.State(client.ObjectKeyFromObject(host))
	return known && state.UID == host.UID
}

func (r *DockerHostConnectionReconciler) readSecret(ctx context.Context, host *dcv1.DockerHost) (hostspec.Secret, error) {
	name := hostspec.SecretName(&host.Spec)
	if name == "" {
		return hostspec.Secret{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, secretReadTimeout)
	defer cancel()
	secret := &corev1.Secret{}
	err := r.SecretReader.Get(ctx, types.NamespacedName{Namespace: host.Namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return hostspec.Secret{}, nil
	case err != nil:
		return hostspec.Secret{}, fmt.Errorf("reading Secret %s/%s: %w", host.Namespace, name, err)
	}
	return hostspec.Secret{Found: true, Data: secret.Data}, nil
}

// leaving reports whether a namespace is being deleted. Where that cannot be learned it
// is not, so that no connection outlives its credentials.
func (r *DockerHostConnectionReconciler) leaving(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, secretReadTimeout)
	defer cancel()
	ns := &corev1.Namespace{}
	if err := r.SecretReader.Get(ctx, types.NamespacedName{Name: name}, ns); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "reading the namespace of a DockerHost whose Secret is gone")
		return false
	}
	return !ns.DeletionTimestamp.IsZero()
}

// SetupWithManager registers the reconciler. It runs on every replica.
func (r *DockerHostConnectionReconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(ctx, &dcv1.DockerHost{}, hostSecretIndex, func(o client.Object) []string {
		if name := hostspec.SecretName(&o.(*dcv1.DockerHost).Spec); name != "" {
			return []string{name}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing DockerHosts by Secret: %w", err)
	}
	everyReplica := false
	return ctrl.NewControllerManagedBy(mgr).
		Named("dockerhost-connection").
		For(&dcv1.DockerHost{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.hostsOfSecret),
			builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})).
		WithOptions(controller.Options{NeedLeaderElection: &everyReplica, MaxConcurrentReconciles: connectionWorkers}).
		Complete(r)
}

func (r *DockerHostConnectionReconciler) hostsOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	hosts := &dcv1.DockerHostList{}
	err := r.Client.List(ctx, hosts, client.InNamespace(secret.GetNamespace()), client.MatchingFields{hostSecretIndex: secret.GetName()})
	if err != nil {
		// The list is served from memory; it fails only while the informer starts,
		// and then every host is reconciled anyway.
		ctrl.LoggerFrom(ctx).Error(err, "listing the DockerHosts that name a Secret", "secret", secret.GetName())
		return nil
	}
	requests := make([]reconcile.Request, 0, len(hosts.Items))
	for i := range hosts.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&hosts.Items[i])})
	}
	return requests
}

// StripSecretMetadata drops what nobody here reads from a watched Secret's
// metadata, so that a cluster with 100,000 Secrets costs names only.
func StripSecretMetadata(obj any) (any, error) {
	if m, ok := obj.(*metav1.PartialObjectMetadata); ok {
		m.Annotations, m.Labels, m.ManagedFields, m.OwnerReferences, m.Finalizers = nil, nil, nil, nil, nil
	}
	return obj, nil
}
