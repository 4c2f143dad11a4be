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
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// listRounds is how often each merged list is read: enough for a p99.
const listRounds = 120

// BenchmarkLists measures the list of all containers of all simulated hosts: for somebody
// who may see everything everywhere, and for a Viewer of each host, whose list is masked.
func BenchmarkLists(b *testing.B) {
	say("starting %d simulated engines with %d containers each", *hosts, *containers)
	sim := startSim(b, *hosts)
	p := startProxy(b)
	nothing := p.direct(b, startNull(b, p.ca).address)
	names := make([]string, *hosts)
	begun := time.Now()
	inParallel(b, *hosts, writers, func(i int) error {
		names[i] = fmt.Sprintf("list-%04d", i)
		return p.w.apply(b.Context(), names[i], sim.sockets[i], dcv1.DockerHostHealthCheck{})
	})
	p.w.wait(b, 5*time.Minute, metav1.ConditionTrue, begun, names...)
	viewer, admin := p.user(b, "viewer", dcv1.HostViewer), p.user(b, "admin", dcv1.HostAdmin)
	p.grantAll(b, "admin")
	pause(b, 5*time.Second) // the start is over

	var figures []figure
	for _, who := range []struct{ name, token, query string }{
		{"an Admin's", admin, ""},
		{"a Viewer's, masked", viewer, ""},
		{"an Admin's page of 500", admin, "?limit=500"},
	} {
		figures = append(figures, p.lists(b, nothing, who.name, who.token, "/containers"+who.query)...)
	}
	after := p.m.usage(b)
	figures = append(figures, figure{name: "the manager's peak memory (RSS)", unit: megabytes, samples: []float64{after.peak}, reference: after.rss, of: "at the end"})
	add(fmt.Sprintf("Merged lists of %d hosts with %d containers each", *hosts, *containers), figures...)
	b.ReportMetric(0, "ns/op") // the table is the result
}

// grantAll lets a ServiceAccount do everything everywhere, as a cluster's admin may.
func (p *proxyBed) grantAll(b *testing.B, account string) {
	b.Helper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "bench-" + account},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: p.w.namespace, Name: account}},
	}
	if err := client.IgnoreAlreadyExists(p.Client.Create(b.Context(), binding)); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Client.Delete(interrupted, binding) })
}

// lists reads a list again and again; beside it as many bytes of nothing over TLS.
func (p *proxyBed) lists(b *testing.B, nothing *api, name, token, path string) []figure {
	b.Helper()
	way := p.client(b, name, p.url(), token)
	var whole, first, bare []float64
	var size int64
	before := p.m.usage(b)
	for i := range listRounds + 1 {
		began := time.Now()
		resp, err := way.open(interrupted, http.MethodGet, path, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
		head := time.Since(began)
		n, err := io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			b.Fatal(err)
		}
		if size = n + 1; i == 0 {
			continue // it fills the caches of who may do what
		}
		whole, first = append(whole, time.Since(began).Seconds()), append(first, head.Seconds())
	}
	cpu := (p.m.usage(b).cpu - before.cpu).Seconds() / (listRounds + 1)
	for range bulkRounds {
		began := time.Now()
		if _, err := nothing.call(http.MethodGet, fmt.Sprintf("/containers/x/archive?path=%d", size), nil); err != nil {
			b.Fatal(err)
		}
		bare = append(bare, time.Since(began).Seconds())
	}
	what := fmt.Sprintf("%s, %.1f MB", name, float64(size)/1e6)
	return []figure{
		{name: what, unit: seconds, aim: 0.3, judge: p99, samples: whole, reference: quantile(bare, 0.5), of: "as many bytes of nothing over TLS"},
		{name: name + ": its first byte", unit: seconds, samples: first},
		{name: name + ": the manager's CPU a list", unit: seconds, samples: []float64{cpu}},
	}
}
