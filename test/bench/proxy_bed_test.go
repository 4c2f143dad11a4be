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

package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// credentials names the Secret with what the manager shows to engines over TLS.
const credentials = "engine-tls"

// proxyBed is a cluster whose manager serves a proxy.
type proxyBed struct {
	*cluster
	ca *testbed.CA
	m  *manager
	w  *hostWatch
}

// startProxy starts a manager whose proxy lets one user do all at once; more are flags.
func startProxy(b *testing.B, more ...string) *proxyBed {
	b.Helper()
	c := startCluster(b)
	p := &proxyBed{cluster: c, ca: testbed.NewCA(b, "bench"), w: c.watchHosts(b)}
	dir, pair := b.TempDir(), p.ca.Server(b, "127.0.0.1")
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writeFile(b, cert, pair.Cert)
	writeFile(b, key, pair.Key)
	p.m = c.startManager(b, append([]string{
		"--proxy-cert-file=" + cert, "--proxy-key-file=" + key, "--allow-loopback-endpoints",
		"--user-requests-per-second=100000", "--user-connections=1000",
	}, more...)...)
	mine := p.ca.Client(b)
	p.Create(b, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.w.namespace, Name: credentials},
		Data:       map[string][]byte{"ca.crt": p.ca.Cert, "tls.crt": mine.Cert, "tls.key": mine.Key},
	})
	return p
}

// end stops the manager and leaves no host to the next benchmark's.
func (p *proxyBed) end(b *testing.B) {
	b.Helper()
	p.m.stop(b)
	p.w.deleteAll(b)
}

// addHost declares a host, over TLS where the endpoint is tcp://, and waits for it.
func (p *proxyBed) addHost(b *testing.B, name, endpoint string) {
	b.Helper()
	host := testenv.NewHost(p.w.namespace, name, endpoint)
	host.Spec.HealthCheck = dcv1.DockerHostHealthCheck{}
	if endpoint[:3] == "tcp" {
		host.Spec.TLS = &dcv1.DockerHostTLS{SecretRef: dcv1.LocalSecretReference{Name: credentials}}
	}
	p.Create(b, host)
	p.WaitReady(b, host, "True/Connected", time.Minute)
}

// user makes a ServiceAccount with a role on all hosts of the namespace, and returns its
// token.
func (p *proxyBed) user(b *testing.B, name string, role dcv1.HostRole) string {
	b.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: p.w.namespace, Name: name}}
	p.Create(b, account)
	request := &authenticationv1.TokenRequest{}
	if err := p.Client.SubResource("token").Create(b.Context(), account, request); err != nil {
		b.Fatalf("asking for a token: %v", err)
	}
	grant := &dcv1.HostPermission{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.w.namespace, Name: name},
		Spec: dcv1.HostPermissionSpec{
			Role: role, HostSelector: &metav1.LabelSelector{},
			Subjects: []dcv1.HostPermissionSubject{{Kind: dcv1.SubjectServiceAccount, Name: name}},
		},
	}
	p.Create(b, grant)
	testenv.Eventually(b, time.Minute, func(ctx context.Context) error {
		if err := p.Client.Get(ctx, client.ObjectKeyFromObject(grant), grant); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(grant.Status.Conditions, dcv1.ConditionReady) {
			return fmt.Errorf("HostPermission %s is not Ready: %+v", name, grant.Status.Conditions)
		}
		return nil
	})
	return request.Status.Token
}

// api is where somebody asks: base/path, as the stock clients do over HTTP/1.1.
type api struct {
	name, base, token string
	http              *http.Client
}

func (p *proxyBed) client(b *testing.B, name, base, token string) *api {
	b.Helper()
	mine := p.ca.Client(b)
	pair, err := tls.X509KeyPair(mine.Cert, mine.Key)
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.ca.Cert)
	config := &tls.Config{RootCAs: roots}
	if token == "" {
		config.Certificates = []tls.Certificate{pair}
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	transport := &http.Transport{TLSClientConfig: config, Protocols: protocols, MaxIdleConnsPerHost: 300, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	return &api{name: name, base: base, token: token, http: &http.Client{Transport: transport}}
}

// direct asks an engine's own TLS listener.
func (p *proxyBed) direct(b *testing.B, address string) *api {
	b.Helper()
	return p.client(b, "the engine's own TLS listener", "https://"+address, "")
}

// through asks the proxy for the engine's API of a host.
func (p *proxyBed) through(b *testing.B, host, by, token string) *api {
	b.Helper()
	return p.client(b, "the engine by "+by, p.url()+"/namespaces/"+p.w.namespace+"/dockerhosts/"+host+"/proxy", token)
}

func (p *proxyBed) url() string {
	return "https://" + p.m.proxy + "/apis/engine.dockercontrol.dev/v1alpha1"
}

func (a *api) open(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return nil, err
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-tar")
	}
	resp, err := a.http.Do(req)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return resp, err
}

// call makes a request, reads the whole answer and returns its length.
func (a *api) call(method, path string, body io.Reader) (int64, error) {
	resp, err := a.open(interrupted, method, path, body)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

func writeFile(b *testing.B, path string, data []byte) {
	b.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
}
