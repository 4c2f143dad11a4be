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

package testenv

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dockercontrol/dockercontrol/config"
	"github.com/dockercontrol/dockercontrol/internal/manager"
)

// Policies returns the admission policies and their bindings, as config/admission
// has them.
func Policies() ([]client.Object, error) {
	files, err := fs.Glob(config.Admission, "admission/*_*.yaml")
	if err != nil {
		return nil, err
	}
	var policies []client.Object
	for _, name := range files {
		data, err := fs.ReadFile(config.Admission, name)
		if err != nil {
			return nil, err
		}
		for _, document := range bytes.Split(data, []byte("\n---\n")) {
			obj := &unstructured.Unstructured{}
			if err := yaml.Unmarshal(document, &obj.Object); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			policies = append(policies, obj)
		}
	}
	return policies, nil
}

// applyPolicies creates the admission policies that are not there. The API server goes
// by them a moment later.
func (c *Cluster) applyPolicies(ctx context.Context) error {
	policies, err := Policies()
	if err != nil {
		return err
	}
	for _, obj := range policies {
		if err := c.Client.Create(ctx, obj); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating %s %s: %w", obj.GetObjectKind().GroupVersionKind().Kind, obj.GetName(), err)
		}
	}
	return nil
}

// RemovePolicy removes the binding of an admission policy until the test ends, or
// until restore is called.
func (c *Cluster) RemovePolicy(t testing.TB, name string) (restore func()) {
	t.Helper()
	c.Delete(t, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}})
	restore = func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := c.applyPolicies(ctx); err != nil {
			t.Errorf("putting the admission policies back: %v", err)
		}
	}
	t.Cleanup(restore)
	return restore
}

// As returns a client that acts as somebody, without any group but those given.
func (c *Cluster) As(t testing.TB, user string, groups ...string) client.Client {
	t.Helper()
	cfg := rest.CopyConfig(c.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	as, err := client.New(cfg, client.Options{Scheme: manager.Scheme()})
	if err != nil {
		t.Fatalf("making a client for %s: %v", user, err)
	}
	return as
}
