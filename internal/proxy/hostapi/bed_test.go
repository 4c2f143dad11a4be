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
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what must happen soon, on a machine that is busy.
const patience = 30 * time.Second

// bed is a Handler over a started cache with fake engines.
type bed struct {
	*testing.T
	cache     *hostcache.Cache
	connector *hostcachetest.Connector
	client    client.Client
	grants    *grants
	handler   *Handler
	server    *httptest.Server
	stopping  chan struct{}
}

func newBed(t *testing.T, change ...func(*Options)) *bed {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := dcv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := &bed{T: t, connector: hostcachetest.NewConnector(), grants: newGrants(), stopping: make(chan struct{})}
	b.client = fake.NewClientBuilder().WithScheme(scheme).Build()
	b.cache = hostcache.New(hostcache.Options{Connector: b.connector, Log: logr.Discard()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.cache.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Start: %v", err)
		}
	})
	options := Options{
		Authorizer: b.grants, Inventory: b.cache, Hosts: b.client, Masker: hider{},
		Key: bytes.Repeat([]byte("k"), 32), Stopping: b.stopping, Log: logr.Discard(),
	}
	for _, fn := range change {
		fn(&options)
	}
	handler, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	b.handler = handler
	b.server = httptest.NewServer(asCaller(handler))
	t.Cleanup(b.server.Close)
	return b
}

// asCaller is what stands before the handler: the name in the header X-User is the caller.
func asCaller(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, ok, err := route.Parse(r.URL.EscapedPath())
		if !ok || err != nil {
			apistatus.Write(w, apistatus.NoRoute(r.URL.Path))
			return
		}
		ctx := route.With(r.Context(), at)
		if name := r.Header.Get("X-User"); name != "" {
			ctx = caller.With(ctx, &caller.Caller{User: &user.DefaultInfo{Name: name}})
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func key(namespace, name string) hostcache.Key {
	return hostcache.Key{Namespace: namespace, Name: name}
}

// declare makes a DockerHost that the cache knows nothing of yet.
func (b *bed) declare(host hostcache.Key, labels map[string]string) {
	b.Helper()
	err := b.client.Create(b.Context(), &dcv1.DockerHost{ObjectMeta: metav1.ObjectMeta{Namespace: host.Namespace, Name: host.Name, Labels: labels}})
	if err != nil {
		b.Fatal(err)
	}
}

// host makes a DockerHost with an engine, and waits until it is connected and listed.
func (b *bed) host(host hostcache.Key, objects ...engine.Object) *hostcachetest.Engine {
	b.Helper()
	b.declare(host, map[string]string{"name": host.Name})
	docker := b.connector.Add(endpoint(host))
	for _, o := range objects {
		docker.Put(o)
	}
	b.connect(host)
	return docker
}

func endpoint(host hostcache.Key) string {
	return fmt.Sprintf("unix:///%s/%s.sock", host.Namespace, host.Name)
}

// connect tells the cache of a host.
func (b *bed) connect(host hostcache.Key) {
	b.Helper()
	b.cache.Set(hostcache.Host{
		Key: host, UID: types.UID("uid-" + host.Name), Generation: 1,
		Config: engine.Config{Endpoint: hostcachetest.MustParse(endpoint(host)), Timeout: 5 * time.Second},
		Health: hostcache.HealthCheck{Interval: time.Second},
	})
	b.until("listed "+host.String(), func() bool {
		for _, kind := range engine.LocalKinds {
			if _, err := b.cache.List(host, kind); err != nil {
				return false
			}
		}
		return true
	})
}

// manager makes a host that is a manager of a swarm.
func (b *bed) manager(host hostcache.Key, cluster string, objects ...engine.Object) *hostcachetest.Engine {
	b.Helper()
	b.declare(host, nil)
	docker := b.connector.Add(endpoint(host))
	docker.SetInfo(func(i *engine.Info) {
		i.Swarm.LocalNodeState, i.Swarm.NodeID, i.Swarm.ControlAvailable = "active", "node-"+host.Name, true
		i.Swarm.Cluster = &struct{ ID string }{cluster}
	})
	for _, o := range objects {
		docker.Put(o)
	}
	b.connect(host)
	b.until("swarm of "+host.String(), func() bool {
		_, err := b.cache.List(host, engine.Tasks)
		return err == nil
	})
	return docker
}

// lose stops an engine and waits until its host is lost.
func (b *bed) lose(host hostcache.Key, docker *hostcachetest.Engine) {
	b.Helper()
	docker.Stop()
	b.until("lost "+host.String(), func() bool {
		state, _ := b.cache.State(host)
		return !state.Connected()
	})
}

func (b *bed) until(what string, is func() bool) {
	b.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("not in time: %s", what)
		}
	}
}

// container has labels as key, value, ...
func container(id, name string, labels ...string) engine.Object {
	all := map[string]string{}
	for i := 0; i+1 < len(labels); i += 2 {
		all[labels[i]] = labels[i+1]
	}
	raw, err := json.Marshal(map[string]any{
		"Id": id, "Names": []string{"/" + name}, "State": "running", "Created": 1_700_000_000, "Labels": all, "Command": "sh -c canary",
	})
	if err != nil {
		panic(err)
	}
	o, err := engine.ParseObject(engine.Containers, raw)
	if err != nil {
		panic(err)
	}
	return o
}

// reply is an answer, read to its end.
type reply struct {
	*http.Response
	body []byte
}

// get asks as a user.
func (b *bed) get(who, path string, headers ...string) reply {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.URL+route.Prefix+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("X-User", who)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := b.server.Client().Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatalf("%s: %v", path, err)
	}
	return reply{response, body}
}

// listed is a list as a client sees it.
type listed struct {
	Kind, APIVersion string
	Metadata         struct {
		Continue           string
		RemainingItemCount *int64
	}
	Items       []itemSeen
	FailedHosts []failedHost
}

type itemSeen struct {
	Kind, APIVersion string
	Metadata         struct {
		Name, Namespace, UID string
		CreationTimestamp    *time.Time
	}
	Host, ServedBy string
	ObservedAt     time.Time
	Docker         json.RawMessage
}

// list asks for a list, which must be one.
func (b *bed) list(who, path string) listed {
	b.Helper()
	got := b.get(who, path)
	if got.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s: %s", path, got.Status, got.body)
	}
	var l listed
	if err := json.Unmarshal(got.body, &l); err != nil {
		b.Fatalf("%s: %v in %s", path, err, got.body)
	}
	return l
}

// ids are "namespace/host id" of each item, in their order.
func (l listed) ids() []string {
	ids := []string{}
	for _, item := range l.Items {
		ids = append(ids, item.Metadata.Namespace+"/"+item.Host+" "+item.Metadata.UID)
	}
	return ids
}

// failures are "namespace/host Reason".
func (l listed) failures() []string {
	failures := []string{}
	for _, f := range l.FailedHosts {
		failures = append(failures, f.Namespace+"/"+f.Name+" "+f.Reason)
	}
	return failures
}

func (b *bed) wantIDs(l listed, want ...string) {
	b.Helper()
	if got := l.ids(); !slices.Equal(got, want) {
		b.Errorf("items: got %q, want %q", got, want)
	}
}

// wantStatus asks for what must be refused, and returns the Status.
func (b *bed) wantStatus(got reply, code int, words ...string) metav1.Status {
	b.Helper()
	var status metav1.Status
	if err := json.Unmarshal(got.body, &status); err != nil || status.Kind != "Status" {
		b.Fatalf("%s: no Status: %s", got.Request.URL, got.body)
	}
	if got.StatusCode != code || int(status.Code) != code {
		b.Errorf("%s: %d, want %d: %s", got.Request.URL, got.StatusCode, code, got.body)
	}
	for _, word := range words {
		if !strings.Contains(status.Message, word) {
			b.Errorf("%s: the message lacks %q: %s", got.Request.URL, word, status.Message)
		}
	}
	return status
}

// all are the right to read every kind and to inspect.
var all = slices.Collect(func(yield func(access.Subresource) bool) {
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if !yield(kinds[kind].right.Subresource) {
			return
		}
	}
	_ = yield(access.Inspect) && yield(access.Info)
})

// viewing is all without inspect.
var viewing = slices.DeleteFunc(slices.Clone(all), func(s access.Subresource) bool { return s == access.Inspect })
