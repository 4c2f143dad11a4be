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
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// leaderNamespace holds the manager's Lease, as the manifests have it.
const leaderNamespace = "dockercontrol-system"

// cluster is an etcd and a kube-apiserver, shared by the benchmarks.
type cluster struct {
	*testenv.Cluster
	kubernetes kubernetes.Interface
	kubeconfig string
}

func startCluster(b *testing.B) *cluster {
	b.Helper()
	say("starting etcd and kube-apiserver")
	c := &cluster{Cluster: testenv.Start(b), kubeconfig: filepath.Join(b.TempDir(), "kubeconfig")}
	var err error
	if c.kubernetes, err = kubernetes.NewForConfig(c.Config); err != nil {
		b.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: leaderNamespace}}
	if err := c.Client.Create(b.Context(), ns); err != nil && !apierrors.IsAlreadyExists(err) {
		b.Fatal(err)
	}
	if err := c.writeKubeconfig(); err != nil {
		b.Fatal(err)
	}
	return c
}

func (c *cluster) writeKubeconfig() error {
	config := clientcmdapi.NewConfig()
	config.Clusters["bench"] = &clientcmdapi.Cluster{Server: c.Config.Host, CertificateAuthorityData: c.Config.CAData}
	config.AuthInfos["bench"] = &clientcmdapi.AuthInfo{ClientCertificateData: c.Config.CertData, ClientKeyData: c.Config.KeyData}
	config.Contexts["bench"] = &clientcmdapi.Context{Cluster: "bench", AuthInfo: "bench"}
	config.CurrentContext = "bench"
	return clientcmd.WriteToFile(*config, c.kubeconfig)
}

// writes counts the requests that change something, by verb and resource, since
// the API server began; Lease renewals are left out.
func (c *cluster) writes(b *testing.B) map[string]float64 {
	b.Helper()
	body, err := c.kubernetes.CoreV1().RESTClient().Get().AbsPath("/metrics").Stream(b.Context())
	if err != nil {
		b.Fatalf("reading the API server's metrics: %v", err)
	}
	defer body.Close()
	counts := map[string]float64{}
	for _, m := range parseMetrics(b, body)["apiserver_request_total"].GetMetric() {
		label := map[string]string{}
		for _, l := range m.GetLabel() {
			label[l.GetName()] = l.GetValue()
		}
		if slices.Contains([]string{"GET", "LIST", "WATCH", "CONNECT"}, label["verb"]) || label["resource"] == "leases" {
			continue
		}
		resource := strings.TrimSuffix(label["resource"]+"/"+label["subresource"], "/")
		counts[label["verb"]+" "+resource] += m.GetCounter().GetValue()
	}
	return counts
}

// sumSince adds up what was counted since before, and spells what it was.
func sumSince(before, after map[string]float64) (sum float64, what string) {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if n := after[key] - before[key]; n > 0 {
			sum += n
			parts = append(parts, fmt.Sprintf("%s: %.0f", key, n))
		}
	}
	return sum, strings.Join(parts, ", ")
}

func parseMetrics(b *testing.B, r io.Reader) map[string]*dto.MetricFamily {
	b.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		b.Fatalf("parsing metrics: %v", err)
	}
	return families
}

// manager is bin/manager at work.
type manager struct {
	*process
	metrics string
	proxy   string // its address
}

// startManager starts bin/manager with the flags of an installation, but for the
// metrics, which it serves in plain text to whoever is on this machine, and more.
func (c *cluster) startManager(b *testing.B, more ...string) *manager {
	b.Helper()
	metrics, proxy := testenv.FreeAddress(b, "127.0.0.1"), testenv.FreeAddress(b, "127.0.0.1")
	args := []string{
		"--kubeconfig", c.kubeconfig, "--unix-endpoint-namespaces=*",
		"--metrics-bind-address=" + metrics, "--metrics-secure=false",
		"--health-probe-bind-address=0", "--proxy-address=" + proxy,
	}
	return &manager{metrics: "http://" + metrics + "/metrics", proxy: proxy, process: start(b, "manager", append(args, more...)...)}
}

// goroutines is how many the manager has.
func (m *manager) goroutines(b *testing.B) float64 {
	b.Helper()
	resp, err := http.Get(m.metrics)
	if err != nil {
		b.Fatalf("reading the manager's metrics: %v\n%s", err, m.tail())
	}
	defer resp.Body.Close()
	return parseMetrics(b, resp.Body)["go_goroutines"].GetMetric()[0].GetGauge().GetValue()
}

// eventually polls check until it returns true; it is for conditions that nothing
// tells of.
func eventually(b *testing.B, limit time.Duration, what string, check func() bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(interrupted, limit)
	defer cancel()
	for !check() {
		select {
		case <-ctx.Done():
			b.Fatalf("waited %v for %s", limit, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
