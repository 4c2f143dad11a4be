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

package e2e

import (
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// promptly is within what the promise "within a second" is tested. Two seconds
// allow for the race detector on a busy machine; the figures themselves are in
// docs/benchmarks.md, and each test logs what it saw.
const promptly = 2 * time.Second

func TestMain(m *testing.M) { os.Exit(testenv.Run(m)) }

// bed is what most tests need: an API server, a namespace, a manager.
type bed struct {
	*testenv.Cluster
	namespace string
	manager   *testenv.Manager
}

func newBed(t *testing.T) *bed {
	t.Helper()
	c := testenv.Start(t)
	ns := c.Namespace(t)
	return &bed{Cluster: c, namespace: ns, manager: c.StartManager(t, testenv.ManagerOptions(ns))}
}

func (b *bed) secret(t *testing.T, name string, data map[string][]byte) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: name}, Data: data}
	b.Create(t, s)
	return s
}

// setSecret replaces a Secret's data, as `kubectl apply` would.
func (b *bed) setSecret(t *testing.T, secret *corev1.Secret, data map[string][]byte) {
	t.Helper()
	testenv.Update(t, b.Cluster, secret, func(s *corev1.Secret) { s.Data = data })
}

func (b *bed) tlsHost(name, endpoint, secret string) *dcv1.DockerHost {
	h := testenv.NewHost(b.namespace, name, endpoint)
	h.Spec.TLS = &dcv1.DockerHostTLS{SecretRef: dcv1.LocalSecretReference{Name: secret}}
	return h
}

func (b *bed) sshHost(name, endpoint, secret string) *dcv1.DockerHost {
	h := testenv.NewHost(b.namespace, name, endpoint)
	h.Spec.SSH = &dcv1.DockerHostSSH{SecretRef: dcv1.LocalSecretReference{Name: secret}}
	return h
}

func (b *bed) insecureHost(name, endpoint string) *dcv1.DockerHost {
	h := testenv.NewHost(b.namespace, name, endpoint)
	insecure := true
	h.Spec.Insecure = &insecure
	return h
}

func tlsData(ca *testbed.CA, pair testbed.KeyPair) map[string][]byte {
	return map[string][]byte{"ca.crt": ca.Cert, "tls.crt": pair.Cert, "tls.key": pair.Key}
}
