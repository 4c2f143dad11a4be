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
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/manager"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// AggregatedService is the name of the Service that Aggregate makes; a server's certificate
// has to be for AggregatedService.NAMESPACE.svc.
const AggregatedService = "aggregated"

// frontProxyName is kubeadm's.
const frontProxyName = "front-proxy-client"

// StartAggregating starts an API server that aggregates others, as kubeadm sets it up. It
// is the test's own and ends with it.
func StartAggregating(t testing.TB) *Cluster {
	t.Helper()
	crds, err := customResourceDefinitions()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := testbed.NewCA(t, "front-proxy-ca")
	pair := ca.Issue(t, testbed.ForClient, func(c *x509.Certificate) { c.Subject.CommonName = frontProxyName })
	env := environment(crds)
	env.ControlPlane.GetAPIServer().Configure().
		Set("enable-aggregator-routing", "true"). // to the endpoints: nothing routes Services' addresses here
		Set("proxy-client-cert-file", write("front-proxy.crt", pair.Cert)).
		Set("proxy-client-key-file", write("front-proxy.key", pair.Key)).
		Set("requestheader-client-ca-file", write("front-proxy-ca.crt", ca.Cert)).
		Set("requestheader-allowed-names", frontProxyName). // without names nobody is believed
		Set("requestheader-username-headers", "X-Remote-User").
		Set("requestheader-group-headers", "X-Remote-Group").
		Set("requestheader-extra-headers-prefix", "X-Remote-Extra-")
	cfg, err := env.Start()
	if err != nil {
		t.Fatal(errors.Join(err, env.Stop()))
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	cfg.QPS = -1
	c, err := client.New(cfg, client.Options{Scheme: manager.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return &Cluster{Config: cfg, Client: c, env: env}
}

// Aggregate registers the server at an address, whose certificate is caBundle's, for the
// paths of a group, and waits until the API server takes it for available. The address
// is not on loopback, which API servers refuse: see HostAddress.
func (c *Cluster) Aggregate(t testing.TB, namespace string, group schema.GroupVersion, address string, caBundle []byte) {
	t.Helper()
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port := int32(at.Port())
	c.Create(t, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: AggregatedService},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "https", Port: 443}}},
	})
	name, ready := "https", true
	c.Create(t, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: namespace, Name: AggregatedService, Labels: map[string]string{discoveryv1.LabelServiceName: AggregatedService}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{at.Addr().String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	})
	service := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": group.Version + "." + group.Group},
		"spec": map[string]any{
			"group": group.Group, "version": group.Version, "groupPriorityMinimum": int64(100), "versionPriority": int64(10),
			"caBundle": base64.StdEncoding.EncodeToString(caBundle), "service": map[string]any{"namespace": namespace, "name": AggregatedService, "port": int64(443)},
		},
	}}
	c.Create(t, service)
	Eventually(t, 60*time.Second, func(ctx context.Context) error {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(service), service); err != nil {
			return err
		}
		conditions, _, err := unstructured.NestedSlice(service.Object, "status", "conditions")
		for _, condition := range conditions {
			if is, _ := condition.(map[string]any); is["type"] == "Available" && is["status"] == "True" {
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("the APIService is not available: %v", conditions))
	})
}

// HostAddress is an IPv4 address of this machine that is not on loopback, with port 0.
func HostAddress(t testing.TB) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return net.JoinHostPort(network.IP.String(), "0")
		}
	}
	t.Fatalf("this machine has no address but on loopback, where no API server looks for another: %v", addresses)
	return ""
}
