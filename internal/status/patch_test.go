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

package status

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// server is a fake kube-apiserver with one DockerHost. sent are the bodies of the
// patches that reached it.
type server struct {
	client.WithWatch
	sent []string
}

func newServer(t *testing.T) *server {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{dcv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	host := &dcv1.DockerHost{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "local", Generation: 1},
		Spec:       dcv1.DockerHostSpec{Endpoint: "unix:///var/run/docker.sock"},
		Status: dcv1.DockerHostStatus{
			Capacity: &dcv1.EngineCapacity{CPUs: 2, Memory: resource.MustParse("1Gi")},
			Engine:   &dcv1.EngineStatus{Name: "machine"},
		},
	}
	s := &server{}
	s.WithWatch = fake.NewClientBuilder().WithScheme(scheme).WithObjects(host).WithStatusSubresource(host).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
				data, err := patch.Data(obj)
				if err != nil {
					return err
				}
				s.sent = append(s.sent, sub+" "+string(data))
				return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
			},
		}).Build()
	return s
}

func (s *server) get(t *testing.T) *dcv1.DockerHost {
	t.Helper()
	host := &dcv1.DockerHost{}
	if err := s.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "local"}, host); err != nil {
		t.Fatal(err)
	}
	return host
}

func TestPatchWritesOnlyDifferences(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*dcv1.DockerHost)
		changed bool
	}{
		"nothing":             {change: func(*dcv1.DockerHost) {}},
		"empty for absent":    {change: func(h *dcv1.DockerHost) { h.Status.Conditions = []metav1.Condition{} }},
		"a quantity respelt":  {change: func(h *dcv1.DockerHost) { h.Status.Capacity.Memory = resource.MustParse("1024Mi") }},
		"the spec":            {change: func(h *dcv1.DockerHost) { h.Spec.Endpoint = "tcp://example.com:2376" }},
		"a finalizer":         {change: func(h *dcv1.DockerHost) { h.Finalizers = []string{"dockercontrol.dev/test"} }},
		"a field":             {change: func(h *dcv1.DockerHost) { h.Status.Engine.Name = "other" }, changed: true},
		"a field taken away":  {change: func(h *dcv1.DockerHost) { h.Status.Engine = nil }, changed: true},
		"a condition":         {change: setReady, changed: true},
		"status and the spec": {change: func(h *dcv1.DockerHost) { setReady(h); h.Spec.Endpoint = "tcp://example.com:2376" }, changed: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			before := s.get(t)
			host := before.DeepCopy()
			tc.change(host)
			want := host.Status.DeepCopy()

			changed, err := Patch(t.Context(), s, host, before)
			if err != nil || changed != tc.changed {
				t.Fatalf("got changed %v, error %v; want changed %v", changed, err, tc.changed)
			}
			now := s.get(t)
			if !changed {
				if len(s.sent) != 0 || now.ResourceVersion != before.ResourceVersion {
					t.Fatalf("said that nothing was written, but sent %q", s.sent)
				}
				return
			}
			checkPatch(t, s.sent, before.ResourceVersion)
			want.Conditions, now.Status.Conditions = timeless(want.Conditions), timeless(now.Status.Conditions)
			if diff := cmp.Diff(want, &now.Status); diff != "" {
				t.Errorf("status on the server (-want +got):\n%s", diff)
			}
			if now.Spec.Endpoint != before.Spec.Endpoint || len(now.Finalizers) != 0 {
				t.Errorf("more than the status was written: endpoint %q, finalizers %q", now.Spec.Endpoint, now.Finalizers)
			}
			if host.ResourceVersion != now.ResourceVersion {
				t.Errorf("the object is at version %s, the server at %s", host.ResourceVersion, now.ResourceVersion)
			}
		})
	}
}

// checkPatch checks that one patch was sent, to status, with the version and the
// status and nothing else.
func checkPatch(t *testing.T, sent []string, version string) {
	t.Helper()
	if len(sent) != 1 {
		t.Fatalf("sent %d patches: %q", len(sent), sent)
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal([]byte(sent[0][len("status "):]), &body); err != nil {
		t.Fatalf("sent %q: %v", sent[0], err)
	}
	if len(body) != 2 || string(body["metadata"]) != `{"resourceVersion":"`+version+`"}` || body["status"] == nil {
		t.Errorf("sent %s, want the status and the version %s only", sent[0], version)
	}
}

func TestPatchOfAnOldVersionConflicts(t *testing.T) {
	s := newServer(t)
	before := s.get(t)
	other := before.DeepCopy()
	other.Status.Engine.Name = "the other writer's"
	if changed, err := Patch(t.Context(), s, other, before); err != nil || !changed {
		t.Fatalf("first writer: changed %v, error %v", changed, err)
	}
	host := before.DeepCopy()
	setReady(host)
	changed, err := Patch(t.Context(), s, host, before)
	if changed || !apierrors.IsConflict(err) {
		t.Fatalf("second writer: got changed %v, error %v; want a conflict", changed, err)
	}
	if now := s.get(t); now.Status.Engine.Name != "the other writer's" || len(now.Status.Conditions) != 0 {
		t.Errorf("the second writer overwrote the first: %+v", now.Status)
	}
}

func TestPatchOfADeletedObjectIsNothing(t *testing.T) {
	s := newServer(t)
	before := s.get(t)
	if err := s.Delete(t.Context(), before.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	host := before.DeepCopy()
	setReady(host)
	if changed, err := Patch(t.Context(), s, host, before); changed || err != nil {
		t.Errorf("got changed %v, error %v; want neither", changed, err)
	}
}

func TestPatchRefusesAnotherObject(t *testing.T) {
	s := newServer(t)
	host := s.get(t)
	before := host.DeepCopy()
	before.Name = "other"
	if changed, err := Patch(t.Context(), s, host, before); changed || err == nil {
		t.Errorf("got changed %v, error %v; want an error", changed, err)
	}
}

func setReady(h *dcv1.DockerHost) {
	SetCondition(&h.Status.Conditions, metav1.Condition{
		Type: dcv1.ConditionReady, Status: metav1.ConditionTrue, Reason: dcv1.ReasonConnected, Message: "The engine answers.",
	})
}

// timeless takes out the times, which the server keeps to the second.
func timeless(conditions []metav1.Condition) []metav1.Condition {
	for i := range conditions {
		conditions[i].LastTransitionTime = metav1.Time{}
	}
	return conditions
}
