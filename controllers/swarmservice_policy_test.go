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
	"io/fs"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/dockercontrol/dockercontrol/config"
)

// TestSwarmPolicies judges the policies as config/admission has them, whole and with each
// part missing.
func TestSwarmPolicies(t *testing.T) {
	var objects []client.Object
	files, err := fs.Glob(config.Admission, "admission/swarmservice_*.yaml")
	if err != nil || len(files) != len(swarmPolicies) {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	for _, name := range files {
		data, err := fs.ReadFile(config.Admission, name)
		if err != nil {
			t.Fatal(err)
		}
		first, second, _ := strings.Cut(string(data), "\n---\n")
		policy, binding := &admissionregistrationv1.ValidatingAdmissionPolicy{}, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
		if err := yaml.UnmarshalStrict([]byte(first), policy); err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict([]byte(second), binding); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, policy, binding)
	}
	clock, reads := time.Now(), 0
	c := fake.NewClientBuilder().WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			reads++
			return c.Get(ctx, key, obj, opts...)
		},
	}).Build()
	p := &SwarmPolicies{Reader: c, Now: func() time.Time { return clock }}
	want := func(what, says string) {
		t.Helper()
		got, err := p.Fault(t.Context())
		if err != nil || (got == "") != (says == "") || !strings.Contains(got, says) {
			t.Errorf("%s: %q (%v), want %q", what, got, err, says)
		}
	}
	want("all there", "")
	if want("asked again", ""); reads != len(objects) {
		t.Errorf("%d reads, want %d", reads, len(objects))
	}
	for _, obj := range objects {
		if err := c.Delete(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		clock = clock.Add(policyMemory)
		want("without it", obj.GetName()+" is missing")
		obj.SetResourceVersion("")
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		want("with it again", "")
	}
}
