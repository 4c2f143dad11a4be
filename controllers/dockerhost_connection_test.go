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
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// recordedHosts is a host cache that knows hosts, and remembers what it is told.
type recordedHosts struct {
	known map[hostcache.Key]hostcache.State
	set   []hostcache.Host
}

func (r *recordedHosts) Set(h hostcache.Host) { r.set = append(r.set, h) }
func (r *recordedHosts) Delete(hostcache.Key) {}
func (r *recordedHosts) State(k hostcache.Key) (hostcache.State, bool) {
	state, known := r.known[k]
	return state, known
}

// TestSecretGone: a host whose Secret is deleted loses its connection at once, unless the
// namespace goes, in which the Secret may go before the host and the services on it.
func TestSecretGone(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, dcv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	now := metav1.Now()
	staying := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}}
	leaving := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", DeletionTimestamp: &now, Finalizers: []string{"kubernetes"}}}
	host := &dcv1.DockerHost{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "u1"}}
	host.Spec.Endpoint = "tcp://192.0.2.1:2376"
	host.Spec.TLS = &dcv1.DockerHostTLS{SecretRef: dcv1.LocalSecretReference{Name: "tls"}}
	key := client.ObjectKeyFromObject(host)
	connected := map[hostcache.Key]hostcache.State{key: {Key: key, UID: "u1"}}
	another := map[hostcache.Key]hostcache.State{key: {Key: key, UID: "u0"}}

	tests := map[string]struct {
		namespace *corev1.Namespace // nil where it cannot be read
		known     map[hostcache.Key]hostcache.State
		kept      bool
	}{
		"the namespace stays":             {staying, connected, false},
		"the namespace goes":              {leaving, connected, true},
		"the namespace cannot be read":    {nil, connected, false},
		"the host is new":                 {leaving, nil, false},
		"the host is another of the name": {leaving, another, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := fake.NewClientBuilder().WithScheme(scheme).WithObjects(host)
			if test.namespace != nil {
				b.WithObjects(test.namespace)
			}
			c, hosts := b.Build(), &recordedHosts{known: test.known}
			r := &DockerHostConnectionReconciler{Client: c, SecretReader: c, Hosts: hosts}
			if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
				t.Fatal(err)
			}
			switch {
			case test.kept && len(hosts.set) > 0:
				t.Errorf("the host cache was told of %+v", hosts.set[0])
			case !test.kept && (len(hosts.set) != 1 || hosts.set[0].ConfigErr == nil):
				t.Errorf("the host cache was told of %+v, want that the credentials are missing", hosts.set)
			}
		})
	}
}
