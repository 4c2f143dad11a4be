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

package bootstrap

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// manifests are what every installation gets, whatever it is given.
//
//go:embed manifests/*.yaml
var manifests embed.FS

const (
	// Namespace is the operator's.
	Namespace = "dockercontrol-system"
	// LoginAccount is the ServiceAccount in Namespace that may do everything, for login tokens.
	LoginAccount = "admin"

	// ManagerAccount is the manager's ServiceAccount in Namespace; the manifests that Apply is given say what it may do.
	ManagerAccount = "dockercontrol-manager"

	fieldManager = "dockercontrol-standalone"
	// timeout bounds the whole of it; a loaded machine of one core takes a few seconds.
	timeout = 2 * time.Minute
	// poll is how often the server is asked whether it has caught up.
	poll = 50 * time.Millisecond
)

var (
	crdKind    = apiextensionsv1.Kind("CustomResourceDefinition")
	crds       = apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")
	namespaces = corev1.SchemeGroupVersion.WithResource("namespaces")
)

// Apply applies the manifests of sources and its own, CRDs before the rest, and returns when the server serves all of
// them. config needs unlimited rights.
func Apply(ctx context.Context, config *rest.Config, sources ...fs.FS) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var objects []*unstructured.Unstructured
	for _, source := range append([]fs.FS{manifests}, sources...) {
		found, err := readManifests(source)
		if err != nil {
			return fmt.Errorf("read the manifests: %w", err)
		}
		objects = append(objects, found...)
	}
	a, err := newApplier(config)
	if err != nil {
		return err
	}
	var definitions, others []*unstructured.Unstructured
	for _, object := range objects {
		if object.GroupVersionKind().GroupKind() == crdKind {
			definitions = append(definitions, object)
		} else {
			others = append(others, object)
		}
	}
	if err := a.applyAll(ctx, definitions); err != nil {
		return err
	}
	for _, definition := range definitions {
		if err := a.waitServed(ctx, definition); err != nil {
			return err
		}
	}
	for _, namespace := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem} {
		if err := a.waitNamespace(ctx, namespace); err != nil {
			return err
		}
	}
	return a.applyAll(ctx, others)
}

type applier struct {
	dynamic   dynamic.Interface
	discovery *discovery.DiscoveryClient
}

func newApplier(config *rest.Config) (*applier, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.UserAgent = "dockercontrol-standalone/bootstrap"
	dynamicClient, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	discoveryClient, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a discovery client: %w", err)
	}
	return &applier{dynamic: dynamicClient, discovery: discoveryClient}, nil
}

func (a *applier) applyAll(ctx context.Context, objects []*unstructured.Unstructured) error {
	groups, err := restmapper.GetAPIGroupResources(a.discovery)
	if err != nil {
		return fmt.Errorf("discover the API: %w", err)
	}
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	for _, object := range objects {
		if err := a.apply(ctx, mapper, object); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

func (a *applier) apply(ctx context.Context, mapper meta.RESTMapper, object *unstructured.Unstructured) error {
	kind := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	var client dynamic.ResourceInterface = a.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		client = a.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	_, err = client.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return err
}

// waitServed waits until the CRD is established and every served version of it is in discovery and in the OpenAPI
// document: kubectl looks at both.
func (a *applier) waitServed(ctx context.Context, object *unstructured.Unstructured) error {
	last := "it has no status yet"
	err := wait.PollUntilContextCancel(ctx, poll, true, func(ctx context.Context) (bool, error) {
		current, failed := a.dynamic.Resource(crds).Get(ctx, object.GetName(), metav1.GetOptions{})
		if failed != nil {
			last = failed.Error()
			return false, nil
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(current.Object, &crd); err != nil {
			return false, err
		}
		last = a.notServed(&crd)
		return last == "", nil
	})
	if err != nil {
		return fmt.Errorf("wait for the CRD %s: %s: %w", object.GetName(), last, err)
	}
	return nil
}

// notServed says what is missing, or "".
func (a *applier) notServed(crd *apiextensionsv1.CustomResourceDefinition) string {
	established := slices.ContainsFunc(crd.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
		return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
	})
	if !established {
		return "it is not established"
	}
	_, lists, err := a.discovery.ServerGroupsAndResources()
	if err != nil {
		return err.Error()
	}
	documents, err := a.discovery.OpenAPIV3().Paths()
	if err != nil {
		return err.Error()
	}
	for _, version := range crd.Spec.Versions {
		if !version.Served {
			continue
		}
		groupVersion := crd.Spec.Group + "/" + version.Name
		if !slices.ContainsFunc(lists, func(list *metav1.APIResourceList) bool {
			return list.GroupVersion == groupVersion && slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool {
				return r.Name == crd.Spec.Names.Plural
			})
		}) {
			return groupVersion + " is not in discovery"
		}
		if documents["apis/"+groupVersion] == nil {
			return groupVersion + " is not in the OpenAPI document"
		}
	}
	return ""
}

// waitNamespace waits for a namespace that the API server makes by itself soon after its start.
func (a *applier) waitNamespace(ctx context.Context, name string) error {
	last := errors.New("not asked yet")
	err := wait.PollUntilContextCancel(ctx, poll, true, func(ctx context.Context) (bool, error) {
		_, last = a.dynamic.Resource(namespaces).Get(ctx, name, metav1.GetOptions{})
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the namespace %s: %w: %w", name, err, last)
	}
	return nil
}
