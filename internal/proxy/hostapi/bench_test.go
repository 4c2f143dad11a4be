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

package hostapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

const benchHosts, benchContainers = 1000, 50

// stock is an Inventory that is full and still.
type stock struct {
	Inventory
	items map[hostcache.Key][]engine.Object
}

func (s *stock) State(host hostcache.Key) (hostcache.State, bool) {
	_, known := s.items[host]
	return hostcache.State{Key: host, Phase: hostcache.PhaseConnected}, known
}

func (s *stock) List(host hostcache.Key, _ engine.Kind) (hostcache.Listing, error) {
	return hostcache.Listing{Items: s.items[host], ObservedAt: time.Now(), ServedBy: host}, nil
}

func (s *stock) Notify(func(hostcache.Change)) func() { return func() {} }

func (s *stock) Watch(ctx context.Context, host hostcache.Key, kinds ...engine.Kind) (iter.Seq[hostcache.WatchEvent], error) {
	return func(yield func(hostcache.WatchEvent) bool) {
		for _, o := range s.items[host] {
			if !yield(hostcache.WatchEvent{Type: hostcache.Added, Kind: o.Kind, Object: o}) {
				return
			}
		}
		if yield(hostcache.WatchEvent{Type: hostcache.Synced, Kind: kinds[0]}) {
			<-ctx.Done()
		}
	}, nil
}

// hostList reads DockerHosts as a cache does that does not copy.
type hostList struct {
	client.Reader
	items []dcv1.DockerHost
}

func (l *hostList) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*dcv1.DockerHostList).Items = slices.Clone(l.items)
	return nil
}

// copier is a Masker that costs nothing: what masking costs is measured where it is done.
type copier struct{}

func (copier) AppendMasked(dst []byte, _ engine.Kind, item []byte) ([]byte, error) {
	return append(dst, item...), nil
}

// benchContainer is a container as Compose makes them, some 1.5 KiB long.
func benchContainer(b *testing.B, host, i int) engine.Object {
	b.Helper()
	labels := map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
	for n := range 6 {
		labels[fmt.Sprintf("com.example.label-%d", n)] = "a value of some length, as they are; " + fmt.Sprint(host*i)
	}
	id := fmt.Sprintf("%032x%032x", host*7919, i)
	raw, err := json.Marshal(map[string]any{
		"Id": id, "Names": []string{fmt.Sprintf("/shop-web-%d", i)}, "Image": "registry.example:5000/shop/web:1.2.3", "ImageID": "sha256:" + id,
		"Command": "/usr/local/bin/web --listen :8080", "Created": 1_700_000_000 + i, "State": "running", "Status": "Up 3 hours (healthy)",
		"Labels": labels, "HostConfig": map[string]string{"NetworkMode": "shop_default"},
		"Ports":           []any{map[string]any{"IP": "0.0.0.0", "PrivatePort": 8080, "PublicPort": 30000 + i, "Type": "tcp"}},
		"NetworkSettings": map[string]any{"Networks": map[string]any{"shop_default": map[string]any{"NetworkID": id, "EndpointID": id, "Gateway": "172.18.0.1", "IPAddress": "172.18.0.2"}}},
		"Mounts":          []any{map[string]any{"Type": "volume", "Name": "shop_data", "Source": "/var/lib/docker/volumes/shop_data/_data", "Destination": "/data", "RW": true}},
	})
	if err != nil {
		b.Fatal(err)
	}
	o, err := engine.ParseObject(engine.Containers, raw)
	if err != nil {
		b.Fatal(err)
	}
	return o
}

func benchHandler(b *testing.B) *Handler {
	b.Helper()
	inventory, hosts, grants := &stock{items: map[hostcache.Key][]engine.Object{}}, &hostList{}, newGrants()
	for n := range benchHosts {
		host := key("fleet", fmt.Sprintf("host-%04d", n))
		for i := range benchContainers {
			inventory.items[host] = append(inventory.items[host], benchContainer(b, n, i))
		}
		hosts.items = append(hosts.items, dcv1.DockerHost{ObjectMeta: metav1.ObjectMeta{Namespace: host.Namespace, Name: host.Name}})
		grants.grant("admin", host, all...)
		grants.grant("viewer", host, viewing...)
	}
	handler, err := New(Options{
		Authorizer: grants, Inventory: inventory, Hosts: hosts, Masker: copier{}, Key: bytes.Repeat([]byte("k"), 32), Log: logr.Discard(),
	})
	if err != nil {
		b.Fatal(err)
	}
	return handler
}

// BenchmarkMergedList lists 50,000 containers of 1,000 hosts over TLS. The aim is p99 below
// 300 ms for the plain list.
func BenchmarkMergedList(b *testing.B) {
	handler := benchHandler(b)
	for _, remote := range []string{"", "192.0.2.1:1"} {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if remote != "" {
				r.RemoteAddr = remote
			}
			asCaller(handler).ServeHTTP(w, r)
		}))
		for _, test := range []struct{ name, who, query string }{
			{"plain", "admin", ""}, {"masked", "viewer", ""}, {"selected", "admin", "?labelSelector=com.docker.compose.project%3Dnone"}, {"masked and selected", "viewer", "?labelSelector=com.docker.compose.project%3Dnone"}, {"page of 500", "admin", "?limit=500"},
		} {
			name := test.name
			if remote != "" {
				name += " gzip"
			}
			b.Run(name, func(b *testing.B) { benchList(b, server, test.who, "/containers"+test.query) })
		}
		server.Close()
	}
}

func benchList(b *testing.B, server *httptest.Server, who, path string) {
	var took []time.Duration
	var size int64
	b.ReportAllocs()
	for b.Loop() {
		request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, server.URL+route.Prefix+path, nil)
		if err != nil {
			b.Fatal(err)
		}
		request.Header.Set("X-User", who)
		request.Header.Set("Accept-Encoding", "gzip") // and the client does not unpack it
		began := time.Now()
		response, err := server.Client().Do(request)
		if err != nil {
			b.Fatal(err)
		}
		size, err = io.Copy(io.Discard, response.Body)
		if err != nil {
			b.Fatal(err)
		}
		_ = response.Body.Close()
		took = append(took, time.Since(began))
		if zipped := response.Header.Get("Content-Encoding") == "gzip"; zipped != (strings.HasSuffix(b.Name(), "gzip") && size > chunk/16 && !strings.Contains(path, "none")) {
			b.Fatalf("compressed: %t, %d bytes", zipped, size)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(size)/1e6, "MB")
}

// BenchmarkMergedWatch watches as many until the initial items are sent, and then tells what
// the watch holds.
func BenchmarkMergedWatch(b *testing.B) {
	handler := benchHandler(b)
	server := httptest.NewTLSServer(asCaller(handler))
	defer server.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, server.URL+route.Prefix+"/containers?watch=true", nil)
		if err != nil {
			b.Fatal(err)
		}
		request.Header.Set("X-User", "admin")
		response, err := server.Client().Do(request)
		if err != nil {
			b.Fatal(err)
		}
		for lines := bufio.NewReaderSize(response.Body, 64<<10); ; {
			line, err := lines.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if bytes.Contains(line, []byte(initialEnd)) {
				break
			}
		}
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		_ = response.Body.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/1e6, "MB-held")
}
