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

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// Indexes that find the SwarmServices that name a Secret or a ConfigMap.
const (
	serviceSecretIndex    = "spec.secretKeyRef"
	serviceConfigMapIndex = "spec.configMapKeyRef"
)

// +kubebuilder:rbac:groups="",resources=secrets;configmaps,verbs=get;list;watch

// watchNamed has SwarmServices reconciled when a Secret or ConfigMap that they name
// changes. Both are watched as metadata only.
func watchNamed(ctx context.Context, mgr ctrl.Manager, b *builder.Builder) (*builder.Builder, error) {
	for index, names := range map[string]func(*dcv1.SwarmServiceSpec) []string{
		serviceSecretIndex: namedSecrets, serviceConfigMapIndex: namedConfigMaps,
	} {
		err := mgr.GetFieldIndexer().IndexField(ctx, &dcv1.SwarmService{}, index, func(o client.Object) []string {
			return names(&o.(*dcv1.SwarmService).Spec)
		})
		if err != nil {
			return nil, fmt.Errorf("indexing SwarmServices by %s: %w", index, err)
		}
	}
	changed := builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})
	return b.
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(servicesNaming(mgr.GetClient(), serviceSecretIndex)), changed).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(servicesNaming(mgr.GetClient(), serviceConfigMapIndex)), changed), nil
}

func servicesNaming(c client.Client, index string) handler.MapFunc {
	return func(ctx context.Context, source client.Object) []reconcile.Request {
		services := &dcv1.SwarmServiceList{}
		err := c.List(ctx, services, client.InNamespace(source.GetNamespace()), client.MatchingFields{index: source.GetName()})
		if err != nil {
			// The list is served from memory; it fails only while the informer starts,
			// and then every service is reconciled anyway.
			ctrl.LoggerFrom(ctx).Error(err, "listing the SwarmServices that name an object", "name", source.GetName())
			return nil
		}
		requests := make([]reconcile.Request, 0, len(services.Items))
		for i := range services.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&services.Items[i])})
		}
		return requests
	}
}

// namedSecrets are the Secrets of a spec, each once.
func namedSecrets(spec *dcv1.SwarmServiceSpec) []string {
	var names nameSet
	for _, e := range spec.Env {
		if e.ValueFrom != nil {
			names.add(e.ValueFrom.SecretKeyRef)
		}
	}
	for _, f := range spec.Secrets {
		names.add(f.SecretKeyRef)
	}
	if spec.PullSecretRef != nil {
		names.add(&dcv1.LocalKeyReference{Name: spec.PullSecretRef.Name})
	}
	return names.list
}

func namedConfigMaps(spec *dcv1.SwarmServiceSpec) []string {
	var names nameSet
	for _, e := range spec.Env {
		if e.ValueFrom != nil {
			names.add(e.ValueFrom.ConfigMapKeyRef)
		}
	}
	for _, f := range spec.Configs {
		names.add(f.ConfigMapKeyRef)
	}
	return names.list
}

type nameSet struct {
	list []string
	seen map[string]bool
}

func (s *nameSet) add(ref *dcv1.LocalKeyReference) {
	if ref == nil || s.seen[ref.Name] {
		return
	}
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[ref.Name] = true
	s.list = append(s.list, ref.Name)
}
