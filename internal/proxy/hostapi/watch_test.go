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
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// watching is a client of one watch.
type watching struct {
	*bed
	events chan eventSeen // closed at the stream's end
	cancel context.CancelFunc
}

type eventSeen struct {
	Type   string
	Object struct {
		itemSeen
		Metadata struct {
			Name, Namespace, UID string
			Annotations          map[string]string
		}
		FailedHosts []failedHost
		Code        int
		Message     string
	}
}

// String is "ADDED shop/web a1", "BOOKMARK" with "initial" and the failed hosts, or
// "ERROR 403".
func (e eventSeen) String() string {
	switch e.Type {
	case "BOOKMARK":
		text := e.Type
		if e.Object.Metadata.Annotations[metav1.InitialEventsAnnotationKey] == "true" {
			text += " initial"
		}
		for _, f := range e.Object.FailedHosts {
			text += " " + f.Name + "=" + f.Reason
		}
		return text
	case "ERROR":
		return fmt.Sprintf("ERROR %d", e.Object.Code)
	}
	return fmt.Sprintf("%s %s/%s %s", e.Type, e.Object.Metadata.Namespace, e.Object.Host, e.Object.Metadata.UID)
}

func (b *bed) watch(who, path string) *watching {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.URL+route.Prefix+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("X-User", who)
	response, err := b.server.Client().Do(request)
	if err != nil {
		b.Fatal(err)
	}
	w := &watching{bed: b, events: make(chan eventSeen, 1000), cancel: cancel}
	if response.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s", path, response.Status)
	}
	done := make(chan struct{})
	b.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		defer func() { _ = response.Body.Close() }()
		defer close(w.events)
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			var e eventSeen
			if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
				e.Type = fmt.Sprintf("no event: %v: %s", err, scanner.Bytes())
			}
			w.events <- e
		}
	}()
	return w
}

// next returns the next event; ok is false at the end.
func (w *watching) next() (e eventSeen, ok bool) {
	w.Helper()
	select {
	case e, ok = <-w.events:
		return e, ok
	case <-time.After(patience):
		w.Fatal("no event in time")
		return e, false
	}
}

// want takes the next events, which must be these in this order.
func (w *watching) want(want ...string) (last eventSeen) {
	w.Helper()
	for _, text := range want {
		e, ok := w.next()
		if !ok {
			w.Fatalf("the watch ended before %q", text)
		}
		if e.String() != text {
			w.Fatalf("got %q, want %q (%s)", e, text, e.Object.Message)
		}
		last = e
	}
	return last
}

// wantItem takes the next event that is no bookmark.
func (w *watching) wantItem(want string) eventSeen {
	w.Helper()
	e, ok := w.next()
	for ok && e.Type == "BOOKMARK" {
		e, ok = w.next()
	}
	if !ok || e.String() != want {
		w.Fatalf("got %q, want %q (%s)", e, want, e.Object.Message)
	}
	return e
}

// wantAnyOrder is want for what comes from several hosts at once.
func (w *watching) wantAnyOrder(want ...string) {
	w.Helper()
	var got []string
	for range want {
		e, ok := w.next()
		if !ok {
			break
		}
		got = append(got, e.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Fatalf("got %q, want %q", got, want)
	}
}

func (w *watching) wantEnd() {
	w.Helper()
	if e, ok := w.next(); ok {
		w.Fatalf("got %q, want the end", e)
	}
}

func TestWatchOneHost(t *testing.T) {
	b := newBed(t)
	docker := b.host(web, container("a1", "one"), container("b2", "two"))
	b.grants.grant("admin", web, all...)
	w := b.watch("admin", ofWeb+"containers?watch=true&allowWatchBookmarks=true&resourceVersion=")
	w.want("ADDED shop/web a1", "ADDED shop/web b2", "BOOKMARK initial")

	docker.Put(container("c3", "three"))
	docker.Emit("container", "create", "c3")
	if e := w.want("ADDED shop/web c3"); e.Object.APIVersion != apiVersion || e.Object.Kind != "Container" || e.Object.Metadata.Name != "three" ||
		e.Object.ObservedAt.IsZero() || !strings.Contains(string(e.Object.Docker), "canary") {
		t.Errorf("added: %+v", e.Object)
	}
	docker.Put(container("c3", "renamed"))
	docker.Emit("container", "rename", "c3")
	w.want("MODIFIED shop/web c3")
	docker.Remove("containers", "a1")
	docker.Emit("container", "destroy", "a1")
	if e := w.want("DELETED shop/web a1"); e.Object.Metadata.Name != "one" || e.Object.Docker != nil {
		t.Errorf("deleted: %+v", e.Object)
	}

	b.lose(web, docker)
	w.want("BOOKMARK web=DialFailed")
	docker.Put(container("d4", "four"))
	docker.Heal(hostcachetest.All)
	b.cache.Probe(web)
	w.wantAnyOrder("BOOKMARK", "ADDED shop/web d4")

	b.grants.revoke("admin", web, access.Containers)
	w.want("ERROR 403")
	w.wantEnd()
}

func TestWatchEnds(t *testing.T) {
	b := newBed(t)
	b.host(web, container("a1", "one"))
	b.grants.grant("admin", web, all...)
	w := b.watch("admin", ofWeb+"containers?watch=1&timeoutSeconds=3")
	w.want("ADDED shop/web a1", "BOOKMARK initial")
	w.wantEnd()

	w = b.watch("admin", ofWeb+"containers?watch=1")
	w.want("ADDED shop/web a1", "BOOKMARK initial")
	merged := b.watch("admin", "/containers?watch=1")
	merged.want("ADDED shop/web a1", "BOOKMARK initial")
	b.cache.Delete(web)
	w.want("DELETED shop/web a1")
	w.wantEnd()
	close(b.stopping)
	for {
		if _, more := merged.next(); !more {
			break
		}
	}
	b.until("the guards are gone", func() bool {
		b.grants.mu.Lock()
		defer b.grants.mu.Unlock()
		return len(b.grants.guards) == 0
	})
}

func TestWatchSelects(t *testing.T) {
	b := newBed(t)
	docker := b.host(web, container("a1", "one", "com.docker.compose.project", "shop", "secret", "s"), container("b2", "two"))
	b.grants.grant("viewer", web, viewing...)
	w := b.watch("viewer", "/containers?watch&labelSelector=com.docker.compose.project%3Dshop")
	if e := w.want("ADDED shop/web a1"); strings.Contains(string(e.Object.Docker), "canary") {
		t.Errorf("not masked: %s", e.Object.Docker)
	}
	w.want("BOOKMARK initial")
	guess := b.watch("viewer", "/containers?watch&labelSelector=secret%3Ds")
	guess.want("BOOKMARK initial")

	change := func(id, name string, labels ...string) {
		docker.Put(container(id, name, labels...))
		docker.Emit("container", "update", id)
	}
	change("b2", "two", "com.docker.compose.project", "shop")
	w.want("ADDED shop/web b2")
	change("a1", "one", "com.docker.compose.project", "other")
	w.want("DELETED shop/web a1")
	// What the viewer cannot see change has not changed.
	change("b2", "two", "com.docker.compose.project", "shop", "x", "1")
	w.want("MODIFIED shop/web b2")
	change("b2", "two", "com.docker.compose.project", "shop", "x", "2")
	change("b2", "unmaskable", "com.docker.compose.project", "shop")
	w.want("DELETED shop/web b2")
	guess.cancel()
	guess.wantEnd()
}

func TestWatchManyHosts(t *testing.T) {
	b := newBed(t)
	b.host(web, container("a1", "one"))
	b.host(db, container("b2", "two"))
	b.declare(far, nil)
	for _, host := range []struct{ ns, name string }{{"shop", "web"}, {"shop", "db"}, {"other", "far"}, {"shop", "late"}} {
		b.grants.grant("admin", key(host.ns, host.name), all...)
	}
	w := b.watch("admin", "/containers?watch=true")
	w.wantAnyOrder("ADDED shop/web a1", "ADDED shop/db b2", "BOOKMARK initial far=Connecting")

	// A host that comes later joins.
	b.host(key("shop", "late"), container("c3", "three"))
	w.wantItem("ADDED shop/late c3")
	// One that the caller may not read any more leaves, and comes back.
	b.grants.revoke("admin", db, access.Containers)
	w.wantItem("DELETED shop/db b2")
	b.grants.grant("admin", db, access.Containers)
	w.wantItem("ADDED shop/db b2")
	// Who may not inspect any more sees it masked.
	b.grants.revoke("admin", db, access.Inspect)
	if e := w.wantItem("MODIFIED shop/db b2"); strings.Contains(string(e.Object.Docker), "canary") {
		t.Errorf("not masked: %s", e.Object.Docker)
	}
	if err := b.client.Delete(t.Context(), dockerHost(web)); err != nil {
		t.Fatal(err)
	}
	b.cache.Delete(web)
	w.wantItem("DELETED shop/web a1")
}

// TestWatchHearsOfGrants: a change of grants is looked at without waiting for the interval.
func TestWatchHearsOfGrants(t *testing.T) {
	b := newBed(t)
	b.handler.interval = time.Hour
	b.host(web, container("a1", "one"))
	b.host(db, container("b2", "two"))
	b.grants.grant("admin", web, all...)
	b.grants.grant("admin", db, all...)
	w := b.watch("admin", "/containers?watch=true")
	w.wantAnyOrder("ADDED shop/web a1", "ADDED shop/db b2", "BOOKMARK initial")
	b.grants.revoke("admin", db, access.Containers)
	b.grants.changed()
	w.wantItem("DELETED shop/db b2")
	b.grants.grant("admin", db, access.Containers)
	b.grants.changed()
	w.wantItem("ADDED shop/db b2")
}

func TestWatchSwarm(t *testing.T) {
	b := newBed(t)
	m1, m2 := key("shop", "m1"), key("shop", "m2")
	service := hostcachetest.Service("s1", "web", 1)
	docker := b.manager(m1, "cluster", service)
	second := b.manager(m2, "cluster", service)
	b.grants.grant("admin", m1, all...)
	b.grants.grant("admin", m2, all...)
	w := b.watch("admin", ofShop+"services?watch=true")
	w.want("ADDED shop/m1 s1", "BOOKMARK initial")
	docker.Put(hostcachetest.Service("s2", "db", 1))
	docker.Emit("service", "create", "s2")
	if e := w.want("ADDED shop/m1 s2"); e.Object.ServedBy != "m1" {
		t.Errorf("served by %q", e.Object.ServedBy)
	}
	// The swarm goes on through its other manager, and nothing is said twice.
	second.Put(hostcachetest.Service("s2", "db", 1))
	b.lose(m1, docker)
	w.wantItem("MODIFIED shop/m2 s1")
	w.wantItem("MODIFIED shop/m2 s2")
}
