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

package discovery_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/dockercontrol/dockercontrol/internal/access"
	ours "github.com/dockercontrol/dockercontrol/internal/proxy/discovery"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestAggregated has a real kube-apiserver aggregate the documents, and asks it what it
// made of them.
func TestAggregated(t *testing.T) {
	cluster := testenv.StartAggregating(t)
	ns := cluster.Namespace(t)
	server := newAggregatedServer(t, ns)
	cluster.Aggregate(t, ns, schema.GroupVersion{Group: access.EngineGroup, Version: "v1alpha1"}, server.address, server.ca)

	config := rest.CopyConfig(cluster.Config)
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("discovery", func(t *testing.T) {
		testenv.Eventually(t, 60*time.Second, func(context.Context) error {
			list, err := client.ServerResourcesForGroupVersion(access.EngineGroup + "/v1alpha1")
			if err != nil {
				return err
			}
			for _, r := range list.APIResources {
				if slices.Contains(r.Verbs, "delete") || slices.Contains(r.Verbs, "deletecollection") || slices.Contains(r.Verbs, "list") {
					t.Errorf("%s has the verbs %v", r.Name, r.Verbs)
				}
			}
			if len(list.APIResources) < 10 {
				return fmt.Errorf("only %v", list.APIResources)
			}
			return nil
		})
	})
	t.Run("discovery in one document", func(t *testing.T) {
		testenv.Eventually(t, 60*time.Second, func(context.Context) error {
			_, byVersion, failed, err := client.GroupsAndMaybeResources()
			if err != nil || len(failed) > 0 {
				return errors.Join(err, fmt.Errorf("failed: %v", failed))
			}
			list := byVersion[schema.GroupVersion{Group: access.EngineGroup, Version: "v1alpha1"}]
			if list == nil || !server.asked("/apis") {
				return fmt.Errorf("the group is not in %d others, or nobody asked for it", len(byVersion))
			}
			return nil
		})
	})
	t.Run("the kinds are found first", func(t *testing.T) {
		_, lists, err := client.ServerGroupsAndResources()
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range lists {
			for _, r := range list.APIResources {
				if r.Name == access.Resource && !strings.HasPrefix(list.GroupVersion, access.Group+"/") {
					t.Errorf("%s is in %s too", r.Name, list.GroupVersion)
				}
			}
		}
	})
	for path, has := range map[string]string{
		"/openapi/v3": `"apis/engine.dockercontrol.dev/v1alpha1"`,
		"/openapi/v3/apis/engine.dockercontrol.dev/v1alpha1": `dockerhosts/{name}/exec/{object}`,
		"/openapi/v2": `dockerhosts/{name}/exec/{object}`,
	} {
		t.Run(path, func(t *testing.T) {
			// The aggregated OpenAPI is put together in the background, about once a minute.
			testenv.Eventually(t, 2*time.Minute, func(ctx context.Context) error {
				got, err := client.RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(ctx)
				if err == nil && !bytes.Contains(got, []byte(has)) {
					err = fmt.Errorf("%d bytes without %s", len(got), has)
				}
				return err
			})
		})
	}
	t.Run("a path", func(t *testing.T) {
		got, err := client.RESTClient().Get().AbsPath(ours.Prefix + "/namespaces/" + ns + "/dockerhosts/prod/containers").DoRaw(t.Context())
		if err != nil || string(got) != "admin" {
			t.Errorf("got %q, %v; want who asked, as the kube-apiserver says", got, err)
		}
	})
}

// aggregatedServer serves the documents, and elsewhere who asked, to the front proxy.
type aggregatedServer struct {
	address string
	ca      []byte

	mu    sync.Mutex
	paths map[string]bool
}

func newAggregatedServer(t *testing.T, ns string) *aggregatedServer {
	t.Helper()
	documents, err := ours.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &aggregatedServer{paths: map[string]bool{}}
	ca := testbed.NewCA(t, "proxy-ca")
	s.ca = ca.Cert
	pair := ca.Server(t, testenv.AggregatedService+"."+ns+".svc")
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", testenv.HostAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.paths[r.URL.Path] = true
		s.mu.Unlock()
		if slices.Contains(documents.Paths(), r.URL.Path) {
			documents.ServeHTTP(w, r)
			return
		}
		if len(r.TLS.PeerCertificates) == 0 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(r.Header.Get("X-Remote-User")))
	}))
	_ = server.Listener.Close() // the one on loopback
	server.Listener = listener
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12, ClientCAs: x509.NewCertPool()}
	server.StartTLS()
	t.Cleanup(server.Close)
	return s
}

func (s *aggregatedServer) asked(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paths[path]
}
