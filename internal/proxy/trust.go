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
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Where a cluster tells extension API servers whose certificates to take, and what
// is in it. The role extension-apiserver-authentication-reader lets it be read.
const (
	trustNamespace = "kube-system"
	trustConfigMap = "extension-apiserver-authentication"

	keyClientCA     = "client-ca-file"
	keyProxyCA      = "requestheader-client-ca-file"
	keyProxyNames   = "requestheader-allowed-names"
	keyUserHeaders  = "requestheader-username-headers"
	keyUIDHeaders   = "requestheader-uid-headers"
	keyGroupHeaders = "requestheader-group-headers"
	keyExtraHeaders = "requestheader-extra-headers-prefix"
)

// trust is whose certificates are taken. It is made whole and never changed.
type trust struct {
	// clientCA signs users, proxyCA front proxies; nil where the cluster has none, and
	// the way in is closed.
	clientCA, proxyCA dynamiccertificates.CAContentProvider
	// proxyNames are the common names of the front proxies that are believed.
	proxyNames                                          []string
	userHeaders, uidHeaders, groupHeaders, extraHeaders []string
	// pool has all CAs, for the TLS handshake to name.
	pool *x509.CertPool
}

// parseTrust reads the ConfigMap. What is malformed makes the whole an error.
func parseTrust(data map[string]string) (*trust, error) {
	t := &trust{pool: x509.NewCertPool()}
	var errs []error
	for key, ca := range map[string]*dynamiccertificates.CAContentProvider{keyClientCA: &t.clientCA, keyProxyCA: &t.proxyCA} {
		if data[key] == "" {
			continue
		}
		bundle, err := dynamiccertificates.NewStaticCAContent(key, []byte(data[key]))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		*ca = bundle
		t.pool.AppendCertsFromPEM([]byte(data[key]))
	}
	for key, list := range map[string]*[]string{
		keyProxyNames: &t.proxyNames, keyUserHeaders: &t.userHeaders, keyUIDHeaders: &t.uidHeaders,
		keyGroupHeaders: &t.groupHeaders, keyExtraHeaders: &t.extraHeaders,
	} {
		if data[key] == "" {
			continue
		}
		if err := json.Unmarshal([]byte(data[key]), list); err != nil {
			errs = append(errs, fmt.Errorf("key %s is not a JSON list of strings: %w", key, err))
		}
	}
	return t, errors.Join(errs...)
}

// trustSource keeps the cluster's trust current. The zero trust is before the first
// one was read: nobody is trusted.
type trustSource struct {
	client  kubernetes.Interface
	log     logr.Logger
	current atomic.Pointer[trust]
}

// run watches the ConfigMap until ctx ends. It is one informer of one object, where
// k8s.io/apiserver's own would be three, which cannot tell a bundle that the cluster
// has not from one that was not read yet.
func (s *trustSource) run(ctx context.Context) {
	_, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(s.client.CoreV1().RESTClient(), "configmaps", trustNamespace,
			fields.OneTermEqualSelector("metadata.name", trustConfigMap)),
		ObjectType: &corev1.ConfigMap{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    s.take,
			UpdateFunc: func(_, obj any) { s.take(obj) },
			// Deleted, it will be made again by the kube-apiserver; what it said still holds.
		},
	})
	controller.RunWithContext(ctx)
}

func (s *trustSource) take(obj any) {
	config, ok := obj.(*corev1.ConfigMap)
	if !ok || config.Name != trustConfigMap {
		return
	}
	t, err := parseTrust(config.Data)
	if err != nil {
		s.log.Error(err, "The ConfigMap that says whose client certificates to take cannot be used; what it said before holds",
			"namespace", trustNamespace, "name", trustConfigMap)
		return
	}
	if t.proxyCA != nil && len(t.proxyNames) == 0 {
		s.log.Info("The cluster names no front proxies (kube-apiserver --requestheader-allowed-names): their headers are not believed, and aggregation will not work")
	}
	s.current.Store(t)
}

// get returns the trust of this moment, never nil.
func (s *trustSource) get() *trust {
	if t := s.current.Load(); t != nil {
		return t
	}
	return &trust{}
}

// ready says why there is no trust yet.
func (s *trustSource) ready() error {
	if s.current.Load() == nil {
		return fmt.Errorf("ConfigMap %s/%s was not read yet; the manager needs the Role extension-apiserver-authentication-reader there", trustNamespace, trustConfigMap)
	}
	return nil
}

// nobody is a common name that no certificate has: it holds a NUL.
const nobody = "nobody\x00"

// requestHeaders is how front proxies are believed. Kubernetes takes an empty list
// of names for "any certificate of that CA"; here it is nobody, for a CA that signs
// users too would let each of them be anybody.
func (s *trustSource) requestHeaders() *authenticatorfactory.RequestHeaderConfig {
	list := func(get func(*trust) []string) headerrequest.StringSliceProvider {
		return headerrequest.StringSliceProviderFunc(func() []string { return get(s.get()) })
	}
	return &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider: caProvider(func() dynamiccertificates.CAContentProvider { return s.get().proxyCA }),
		AllowedClientNames: list(func(t *trust) []string {
			if len(t.proxyNames) == 0 {
				return []string{nobody}
			}
			return t.proxyNames
		}),
		UsernameHeaders:     list(func(t *trust) []string { return t.userHeaders }),
		UIDHeaders:          list(func(t *trust) []string { return t.uidHeaders }),
		GroupHeaders:        list(func(t *trust) []string { return t.groupHeaders }),
		ExtraHeaderPrefixes: list(func(t *trust) []string { return t.extraHeaders }),
	}
}

// caProvider is a CAContentProvider that asks for the bundle each time; nil is none.
type caProvider func() dynamiccertificates.CAContentProvider

// Name is for the authenticator's messages.
func (c caProvider) Name() string { return trustConfigMap }

// CurrentCABundleContent returns the bundle in PEM.
func (c caProvider) CurrentCABundleContent() []byte {
	if p := c(); p != nil {
		return p.CurrentCABundleContent()
	}
	return nil
}

// VerifyOptions says how a certificate is verified; false: no certificate is.
func (c caProvider) VerifyOptions() (x509.VerifyOptions, bool) {
	if p := c(); p != nil {
		return p.VerifyOptions()
	}
	return x509.VerifyOptions{}, false
}

// AddListener does nothing: the bundle is asked for each time.
func (c caProvider) AddListener(dynamiccertificates.Listener) {}
