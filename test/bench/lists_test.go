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
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/mask"
)

// listRounds is how often each merged list is read: enough for a p99.
const listRounds = 100

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
	for _, who := range []reader{
		{name: "an Admin's", token: admin},
		{name: "a Viewer's, masked", token: viewer, masked: true},
		{name: "an Admin's page of 500", token: admin, query: "?limit=500"},
	} {
		figures = append(figures, p.lists(b, nothing, who)...)
	}
	after := p.m.usage(b)
	figures = append(figures, figure{name: "the manager's peak memory (RSS)", unit: megabytes, samples: []float64{after.peak}, reference: after.rss, of: "at the end"})
	p.end(b)
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

// reader is somebody who lists.
type reader struct {
	name, token, query string
	masked             bool
}

// lists reads a list again and again; beside it as many bytes of nothing over TLS.
func (p *proxyBed) lists(b *testing.B, nothing *api, who reader) []figure {
	b.Helper()
	way, path := p.client(b, who.name, p.url(), who.token), "/containers"+who.query
	size := checkList(b, way, path, who.masked) // and the caches of who may do what are full
	var whole, first, bare []float64
	before := p.m.usage(b)
	for range listRounds {
		took, head, err := readList(way, path)
		if err != nil {
			b.Fatal(err)
		}
		whole, first = append(whole, took.Seconds()), append(first, head.Seconds())
	}
	cpu := (p.m.usage(b).cpu - before.cpu).Seconds() / listRounds
	for range bulkRounds {
		began := time.Now()
		if _, err := nothing.call(http.MethodGet, fmt.Sprintf("/containers/x/archive?path=%d", size), nil); err != nil {
			b.Fatal(err)
		}
		bare = append(bare, time.Since(began).Seconds())
	}
	what := fmt.Sprintf("%s, %.1f MB", who.name, float64(size)/1e6)
	return []figure{
		{name: what, unit: seconds, aim: 0.3, judge: p99, samples: whole, reference: quantile(bare, 0.5), of: "as many bytes of nothing over TLS"},
		{name: who.name + ": its first byte", unit: seconds, samples: first},
		{name: who.name + ": the manager's CPU a list", unit: seconds, samples: []float64{cpu}},
	}
}

// checkList reads a list, looks whether it is masked, and returns its length.
func checkList(b *testing.B, way *api, path string, masked bool) int {
	b.Helper()
	resp, err := way.open(interrupted, http.MethodGet, path, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	if is := bytes.Contains(body, []byte(`"Command":"`+mask.Mark+`"`)); is != masked {
		b.Fatalf("the list of %s is masked: %t", way.name, is)
	}
	return len(body)
}

// readList reads a list and returns how long the whole took, and its first byte.
func readList(way *api, path string) (whole, first time.Duration, err error) {
	began := time.Now()
	resp, err := way.open(interrupted, http.MethodGet, path, nil)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
		return 0, 0, err
	}
	first = time.Since(began)
	_, err = io.Copy(io.Discard, resp.Body)
	return time.Since(began), first, err
}
