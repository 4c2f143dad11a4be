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

package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/manager"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// patient is how long a test waits for what takes milliseconds on a quiet machine.
const patient = 30 * time.Second

func TestMain(m *testing.M) {
	if config := os.Getenv(replicaEnv); config != "" {
		os.Exit(runReplica(config))
	}
	os.Exit(testenv.Run(m))
}

// bed is a cluster with managers that serve a proxy, and one host on a real engine.
type bed struct {
	*testenv.Cluster
	namespace string
	ca        *testbed.CA
	// managers serve at addresses, in the same order; trails are their audit files.
	managers  []*testenv.Manager
	addresses []string
	trails    []string
	// address is where clients go; listen is where managers look for a free one.
	address, listen string
	engine          *testbed.Dockerd
	host            *dcv1.DockerHost
}

// newBed starts a manager, an engine and a host named "prod".
func newBed(t *testing.T, engine testbed.DockerdOptions) *bed {
	t.Helper()
	return newBedIn(t, testenv.Start(t), "127.0.0.1:0", engine)
}

// newBedIn is newBed in a cluster of one's own, where proxies listen at another address.
func newBedIn(t *testing.T, c *testenv.Cluster, listen string, engine testbed.DockerdOptions) *bed {
	t.Helper()
	b := newClusterIn(t, c, listen)
	b.engine = testbed.StartDockerd(t, engine)
	b.engine.ImportBusybox(t, "busybox:test")
	b.connect(t, b.engine.Endpoint())
	return b
}

// newCluster starts a manager.
func newCluster(t *testing.T) *bed {
	t.Helper()
	return newClusterIn(t, testenv.Start(t), "127.0.0.1:0")
}

func newClusterIn(t *testing.T, c *testenv.Cluster, listen string) *bed {
	t.Helper()
	b := &bed{Cluster: c, namespace: c.Namespace(t), ca: testbed.NewCA(t, "proxy"), listen: listen}
	b.startManager(t)
	b.address = b.addresses[0]
	return b
}

// connect makes a host of the engine at an endpoint.
func (b *bed) connect(t *testing.T, endpoint string) {
	t.Helper()
	b.host = testenv.NewHost(b.namespace, "prod", endpoint)
	b.Create(t, b.host)
	b.WaitReady(t, b.host, "True/Connected", patient)
}

// startManager adds a manager in the test's process.
func (b *bed) startManager(t *testing.T) {
	t.Helper()
	o := b.options(t)
	b.managers = append(b.managers, b.StartManager(t, o))
	b.addresses = append(b.addresses, o.ProxyAddress)
	b.trails = append(b.trails, o.AuditFile)
	b.waitServing(t, o.ProxyAddress)
}

// options are a replica's: the replicas of a bed share their keys, and the first one
// leads.
func (b *bed) options(t *testing.T) manager.Options {
	t.Helper()
	dir := t.TempDir()
	host, _, err := net.SplitHostPort(b.listen)
	if err != nil {
		t.Fatal(err)
	}
	pair := b.ca.Server(t, "localhost", "127.0.0.1", host, testenv.AggregatedService+"."+b.namespace+".svc")
	o := testenv.ManagerOptions(b.namespace)
	o.LeaderElect, o.Namespace = true, b.namespace
	o.ProxyAddress = testenv.FreeAddress(t, host)
	o.ProxyCertFile, o.ProxyKeyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	o.AuditFile = filepath.Join(dir, "audit.jsonl")
	writeFile(t, o.ProxyCertFile, pair.Cert)
	writeFile(t, o.ProxyKeyFile, pair.Key)
	return o
}

func (b *bed) waitServing(t *testing.T, address string) {
	t.Helper()
	c := b.httpClient(t)
	testenv.Eventually(t, patient, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("not ready: %d", resp.StatusCode)
		}
		return nil
	})
}

// httpClient trusts the proxy's CA and sends no credentials.
func (b *bed) httpClient(t *testing.T) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b.ca.Cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 2 * patient}
}

// account makes a ServiceAccount and returns a token of its.
func (b *bed) account(t *testing.T, name string) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: name}}
	b.Create(t, account)
	request := &authenticationv1.TokenRequest{}
	if err := b.Client.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatalf("asking for a token: %v", err)
	}
	return request.Status.Token
}

// grant gives a subject a role on the host, and waits until it is in force.
func (b *bed) grant(t *testing.T, role dcv1.HostRole, subject dcv1.HostPermissionSubject) *dcv1.HostPermission {
	t.Helper()
	name := strings.ToLower(string(role) + "-" + strings.NewReplacer(":", "-", "/", "-").Replace(subject.Name))
	return b.permit(t, name, dcv1.HostPermissionSpec{Role: role, HostNames: []string{b.host.Name}, Subjects: []dcv1.HostPermissionSubject{subject}})
}

// permit makes a HostPermission, and waits until it is in force.
func (b *bed) permit(t *testing.T, name string, spec dcv1.HostPermissionSpec) *dcv1.HostPermission {
	t.Helper()
	p := &dcv1.HostPermission{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: name}, Spec: spec}
	b.Create(t, p)
	testenv.Eventually(t, patient, func(ctx context.Context) error {
		if err := b.Client.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(p.Status.Conditions, dcv1.ConditionReady) {
			return fmt.Errorf("HostPermission %s is not Ready: %+v", p.Name, p.Status.Conditions)
		}
		return b.inForce(ctx, spec)
	})
	return p
}

// inForce asks whether the API server goes by a grant: it looks at RoleBindings in a cache
// of its own, which may be behind what says that one is there.
func (b *bed) inForce(ctx context.Context, spec dcv1.HostPermissionSpec) error {
	review := authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Group: access.Group, Resource: access.Resource, Subresource: string(access.Containers), Verb: string(access.Get), Namespace: b.namespace,
	}}
	switch who := spec.Subjects[0]; who.Kind {
	case dcv1.SubjectServiceAccount:
		review.User = "system:serviceaccount:" + b.namespace + ":" + who.Name
	case dcv1.SubjectGroup:
		review.User, review.Groups = "anybody", []string{who.Name}
	default:
		review.User = who.Name
	}
	hosts := spec.HostNames
	if len(hosts) == 0 { // by its labels
		hosts = []string{b.host.Name}
	}
	for _, host := range hosts {
		review.ResourceAttributes.Name = host
		asked := &authorizationv1.SubjectAccessReview{Spec: review}
		if err := b.Client.Create(ctx, asked); err != nil {
			return err
		}
		if !asked.Status.Allowed {
			return fmt.Errorf("the API server does not allow %s anything on %s: %+v", spec.Subjects[0].Name, host, asked.Status)
		}
	}
	return nil
}

// user makes a ServiceAccount with a role and returns a token of its.
func (b *bed) user(t *testing.T, role dcv1.HostRole) string {
	t.Helper()
	name := strings.ToLower(string(role))
	token := b.account(t, name)
	b.grant(t, role, dcv1.HostPermissionSubject{Kind: dcv1.SubjectServiceAccount, Name: name})
	return token
}

// path is the path of the host's Docker API.
func (b *bed) path() string {
	return "/apis/engine.dockercontrol.dev/v1alpha1/namespaces/" + b.namespace + "/dockerhosts/" + b.host.Name + "/proxy"
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// certificate signs a client certificate of the cluster for a user with a role.
func (b *bed) certificate(t *testing.T, name string, role dcv1.HostRole) (cert, key []byte) {
	t.Helper()
	b.grant(t, role, dcv1.HostPermissionSubject{Kind: dcv1.SubjectUser, Name: name})
	return b.User(t, name)
}
