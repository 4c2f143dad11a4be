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

package main

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	custommetrics "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	externalmetrics "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"

	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// autoscalerUser is who a cluster's autoscaler is.
const autoscalerUser = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"

// metricsServer serves the APIs of external metrics and of metrics of objects, behind the API server's aggregation as
// in a cluster. A metric that was not set is not found.
type metricsServer struct {
	mutex     sync.Mutex
	values    map[string]int64
	strangers map[string]bool // who asked for a metric and is not the autoscaler
}

// startMetrics starts the server and registers it until the test ends.
func startMetrics(t *testing.T, cluster *testenv.Cluster) *metricsServer {
	t.Helper()
	m := &metricsServer{values: map[string]int64{}, strangers: map[string]bool{}}
	groups := []schema.GroupVersion{externalmetrics.SchemeGroupVersion, custommetrics.SchemeGroupVersion}
	var namespaces, names []string
	mux := http.NewServeMux()
	for _, group := range groups {
		namespace := cluster.Namespace(t)
		namespaces, names = append(namespaces, namespace), append(names, testenv.AggregatedService+"."+namespace+".svc")
		mux.HandleFunc("/apis/"+group.String(), func(w http.ResponseWriter, _ *http.Request) {
			answer(w, metav1.APIResourceList{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}, GroupVersion: group.String(), APIResources: []metav1.APIResource{},
			})
		})
	}
	mux.HandleFunc("/apis/"+externalmetrics.SchemeGroupVersion.String()+"/namespaces/", m.external)
	mux.HandleFunc("/apis/"+custommetrics.SchemeGroupVersion.String()+"/namespaces/", m.ofObject)

	ca := testbed.NewCA(t, "metrics")
	address := serveTLS(t, ca.Server(t, names...), mux)
	for i, group := range groups {
		cluster.Aggregate(t, namespaces[i], group, address, ca.Cert)
		t.Cleanup(func() { unregister(t, cluster, group) })
	}
	return m
}

// unregister removes an APIService. One that nobody serves would keep every namespace that is deleted.
func unregister(t *testing.T, cluster *testenv.Cluster, group schema.GroupVersion) {
	t.Helper()
	service := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}}
	service.SetName(group.Version + "." + group.Group)
	ctx, cancel := afterTest(t)
	defer cancel()
	if err := cluster.Client.Delete(ctx, service); err != nil {
		t.Errorf("delete the APIService %s: %v", service.GetName(), err)
	}
}

func serveTLS(t *testing.T, pair testbed.KeyPair, handler http.Handler) (address string) {
	t.Helper()
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	if err := server.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	if server.Listener, err = net.Listen("tcp", testenv.HostAddress(t)); err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// set sets a metric: of the outside, "namespace/name?selector", or of an object,
// "namespace/resource.group/object/name".
func (m *metricsServer) set(metric string, value int64) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.values[metric] = value
}

// get is what was set, if it is the autoscaler that asks.
func (m *metricsServer) get(r *http.Request, metric string) (resource.Quantity, bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if user := r.Header.Get("X-Remote-User"); user != autoscalerUser {
		m.strangers[user] = true
		return resource.Quantity{}, false
	}
	value, found := m.values[metric]
	return *resource.NewQuantity(value, resource.DecimalSI), found
}

func (m *metricsServer) external(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/") // /apis/GROUP/VERSION/namespaces/NAMESPACE/METRIC
	if len(parts) != 7 {
		http.NotFound(w, r)
		return
	}
	value, found := m.get(r, parts[5]+"/"+parts[6]+"?"+r.URL.Query().Get("labelSelector"))
	if !found {
		http.NotFound(w, r)
		return
	}
	answer(w, externalmetrics.ExternalMetricValueList{
		TypeMeta: metav1.TypeMeta{APIVersion: externalmetrics.SchemeGroupVersion.String(), Kind: "ExternalMetricValueList"},
		Items:    []externalmetrics.ExternalMetricValue{{MetricName: parts[6], Timestamp: metav1.Now(), Value: value}},
	})
}

func (m *metricsServer) ofObject(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/") // /apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/OBJECT/METRIC
	if len(parts) != 9 {
		http.NotFound(w, r)
		return
	}
	value, found := m.get(r, strings.Join(parts[5:], "/"))
	if !found {
		http.NotFound(w, r)
		return
	}
	item := custommetrics.MetricValue{Metric: custommetrics.MetricIdentifier{Name: parts[8]}, Timestamp: metav1.Now(), Value: value}
	item.DescribedObject.Namespace, item.DescribedObject.Name = parts[5], parts[7]
	answer(w, custommetrics.MetricValueList{
		TypeMeta: metav1.TypeMeta{APIVersion: custommetrics.SchemeGroupVersion.String(), Kind: "MetricValueList"},
		Items:    []custommetrics.MetricValue{item},
	})
}

func answer(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object) // a client that is gone asks again
}
