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
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

var (
	web = key("shop", "web")
	db  = key("shop", "db")
	far = key("other", "far")
)

const (
	ofWeb   = "/namespaces/shop/dockerhosts/web/"
	ofShop  = "/namespaces/shop/"
	ofWhole = "/"
)

// threeHosts has two hosts in one namespace and one in another, and an admin of all.
func threeHosts(t *testing.T) *bed {
	t.Helper()
	b := newBed(t)
	b.host(web, container("b2", "web-2", "com.docker.compose.project", "My Proj", "tier", "front"), container("a1", "web-1", "tier", "back"))
	b.host(db, container("c3", "db-1"))
	b.host(far, container("a1", "far-1"))
	for _, host := range []struct{ ns, name string }{{"shop", "web"}, {"shop", "db"}, {"other", "far"}} {
		b.grants.grant("admin", key(host.ns, host.name), all...)
		b.grants.grant("viewer", key(host.ns, host.name), viewing...)
	}
	return b
}

func TestListShape(t *testing.T) {
	b := threeHosts(t)
	got := b.get("admin", ofWeb+"containers")
	var l listed
	if err := json.Unmarshal(got.body, &l); err != nil {
		t.Fatal(err)
	}
	if l.Kind != "ContainerList" || l.APIVersion != "engine.dockercontrol.dev/v1alpha1" || l.Metadata.Continue != "" || len(l.FailedHosts) > 0 {
		t.Errorf("list: %s", got.body)
	}
	item := l.Items[0]
	if item.Kind != "Container" || item.Metadata.Name != "web-1" || item.Metadata.Namespace != "shop" || item.Metadata.UID != "a1" ||
		item.Host != "web" || item.Metadata.CreationTimestamp.Unix() != 1_700_000_000 || item.ObservedAt.IsZero() || item.ServedBy != "" {
		t.Errorf("item: %+v", item)
	}
	if want := container("a1", "web-1", "tier", "back").Raw; !strings.Contains(string(got.body), string(want)) {
		t.Errorf("the engine's JSON is not in the list as it came: %s", got.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-cache, private",
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q", name, got.Header.Get(name))
		}
	}
}

func TestMergedLists(t *testing.T) {
	b := threeHosts(t)
	b.grants.grant("some", web, access.Containers, access.Inspect)
	for _, test := range []struct {
		who, path string
		want      []string
	}{
		{"admin", ofShop + "containers", []string{"shop/db c3", "shop/web a1", "shop/web b2"}},
		{"admin", ofWhole + "containers", []string{"other/far a1", "shop/db c3", "shop/web a1", "shop/web b2"}},
		{"some", ofWhole + "containers", []string{"shop/web a1", "shop/web b2"}},
		{"some", ofWhole + "images", []string{}},
		{"nobody", ofWhole + "containers", []string{}},
		{"admin", "/namespaces/nowhere/containers", []string{}},
		{"admin", ofWhole + "containers?hostSelector=name+in+(web,far)", []string{"other/far a1", "shop/web a1", "shop/web b2"}},
		{"admin", ofWhole + "containers?labelSelector=" + url.QueryEscape("com.docker.compose.project=My Proj"), []string{"shop/web b2"}},
		{"admin", ofWhole + "containers?labelSelector=tier&pretty=true&resourceVersion=0&timeoutSeconds=9", []string{"shop/web a1", "shop/web b2"}},
		{"admin", ofWeb + "containers?labelSelector=tier+notin+(back)", []string{"shop/web b2"}},
	} {
		t.Run(test.who+test.path, func(t *testing.T) {
			l := b.list(test.who, test.path)
			if got := l.ids(); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	b := threeHosts(t)
	b.declare(key("shop", "new"), nil)
	b.grants.grant("admin", key("shop", "new"), all...)
	b.grants.grant("admin", key("shop", "none"), all...)
	for _, test := range []struct {
		who, path string
		code      int
		words     []string
	}{
		{"", ofWhole + "containers", 401, nil},
		{"nobody", ofWeb + "containers", 403, []string{"get dockerhosts/containers", "Viewer"}},
		{"nobody", ofWeb + "containers?bad=1", 403, nil},
		{"nobody", ofWeb + "containers/a1", 403, nil},
		{"nobody", ofWeb + "info", 403, []string{"get dockerhosts/info"}},
		{"nobody", "/namespaces/shop/dockerhosts/none/containers", 403, nil},
		{"admin", "/namespaces/shop/dockerhosts/none/containers", 404, []string{"no DockerHost none"}},
		{"admin", "/namespaces/shop/dockerhosts/new/containers", 503, []string{"Connecting"}},
		{"admin", ofWeb + "services", 409, []string{"not a swarm manager"}},
		{"admin", ofWeb + "pods", 404, nil},
		{"admin", ofWhole + "info", 404, nil},
		{"admin", ofShop + "containers/a1", 404, nil},
		{"admin", ofWeb + "containers/a1/start", 404, nil},
		{"admin", ofWeb + "containers?labelSelctor=a", 400, []string{"labelSelctor"}},
		{"admin", ofWeb + "containers?limit=1&limit=2", 400, []string{"limit"}},
		{"admin", ofWeb + "containers?limit=-1", 400, []string{"limit"}},
		{"admin", ofWeb + "containers?continue=abc", 400, []string{"continue"}},
		{"admin", ofWeb + "containers?hostSelector=a", 400, []string{"hostSelector"}},
		{"admin", ofWhole + "containers?hostSelector=a+b", 400, []string{"hostSelector"}},
		{"admin", ofWhole + "containers?labelSelector=a,,b", 400, []string{"labelSelector"}},
		{"admin", ofWhole + "containers?stale=maybe", 400, []string{"stale"}},
		{"admin", ofWhole + "containers?watch=1&limit=4", 400, []string{"limit"}},
		{"admin", ofWhole + "containers?watch=1&stale=false", 400, []string{"stale"}},
		{"admin", ofWhole + "containers?watch=1&resourceVersion=77", 410, []string{"anew"}},
		{"admin", ofWeb + "containers/a1?limit=1", 400, []string{"limit"}},
		{"admin", ofWeb + "info?watch=1", 400, []string{"watch"}},
	} {
		t.Run(test.who+test.path, func(t *testing.T) {
			got := b.get(test.who, test.path)
			(&bed{T: t}).wantStatus(got, test.code, test.words...)
			if retry := got.Header.Get("Retry-After"); (retry != "") != (test.code == 503) {
				t.Errorf("Retry-After is %q", retry)
			}
		})
	}
	b.grants.outage(true)
	b.wantStatus(b.get("admin", ofWhole+"containers"), 503)
	b.wantStatus(b.get("admin", ofWeb+"containers"), 503)
}

func TestMethods(t *testing.T) {
	b := threeHosts(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, b.server.URL+route.Prefix+ofWeb+"containers/a1", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-User", "admin")
	response, err := b.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") != "GET" {
		t.Errorf("%s, Allow: %s", response.Status, response.Header.Get("Allow"))
	}
}

func TestPages(t *testing.T) {
	b := threeHosts(t)
	whole := b.list("admin", "/containers").ids()
	for limit := 1; limit <= 4; limit++ {
		var got []string
		next := ""
		for page := 0; ; page++ {
			l := b.list("admin", fmt.Sprintf("/containers?limit=%d&continue=%s", limit, next))
			if len(l.Items) > limit || page > len(whole) {
				t.Fatalf("limit %d: page %d has %d items", limit, page, len(l.Items))
			}
			got = append(got, l.ids()...)
			if next = l.Metadata.Continue; next == "" {
				break
			}
			if l.Metadata.RemainingItemCount == nil || int(*l.Metadata.RemainingItemCount) != len(whole)-len(got) {
				t.Errorf("limit %d: remaining %v after %d of %d", limit, l.Metadata.RemainingItemCount, len(got), len(whole))
			}
		}
		if !slices.Equal(got, whole) {
			t.Errorf("limit %d: %q, want %q", limit, got, whole)
		}
	}
	// A token is good for the list it came from, and for no other.
	token := b.list("admin", "/containers?limit=1").Metadata.Continue
	for _, path := range []string{
		"/images?continue=" + token, ofShop + "containers?continue=" + token, ofWeb + "containers?continue=" + token,
		"/containers?labelSelector=a&continue=" + token, "/containers?continue=" + token[:len(token)-1], "/containers?continue=A" + token[1:],
		"/containers?continue=" + strings.Repeat("A", 10_000),
	} {
		b.wantStatus(b.get("admin", path), http.StatusBadRequest, "continue")
	}
	// What was the last item may be gone.
	b.cache.Delete(far)
	if err := b.client.Delete(t.Context(), dockerHost(far)); err != nil {
		t.Fatal(err)
	}
	b.wantIDs(b.list("admin", "/containers?continue="+token), "shop/db c3", "shop/web a1", "shop/web b2")
}

func TestMasking(t *testing.T) {
	b := threeHosts(t)
	b.grants.grant("viewer", web, access.Inspect)
	// On web the viewer may inspect, elsewhere not.
	got := b.get("viewer", "/containers")
	if n := strings.Count(string(got.body), "canary"); n != 2 {
		t.Errorf("%d commands are to be seen, want the 2 of web: %s", n, got.body)
	}
	b.grants.revoke("viewer", web, access.Inspect)
	for _, path := range []string{"/containers", ofShop + "containers", ofWeb + "containers", ofWeb + "containers/a1"} {
		if got := b.get("viewer", path); got.StatusCode != http.StatusOK || strings.Contains(string(got.body), "canary") {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	// A selector sees what the caller sees: a value cannot be guessed with it.
	b.wantIDs(b.list("viewer", "/containers?labelSelector=tier=front"))
	b.wantIDs(b.list("viewer", "/containers?labelSelector=tier!=front,tier"), "shop/web a1", "shop/web b2")
	b.wantIDs(b.list("viewer", "/containers?labelSelector=com.docker.compose.project%3DMy+Proj"), "shop/web b2")
}

func TestWhatCannotBeMaskedIsLeftOut(t *testing.T) {
	b := newBed(t)
	b.host(web, container("a1", "unmaskable"), container("b2", "fine"))
	b.grants.grant("viewer", web, viewing...)
	b.grants.grant("admin", web, all...)
	l := b.list("viewer", "/containers")
	b.wantIDs(l, "shop/web b2")
	if got := l.failures(); !slices.Equal(got, []string{"shop/web MaskingFailed"}) || !strings.HasPrefix(l.FailedHosts[0].Message, "1 items") {
		t.Errorf("failures: %+v", l.FailedHosts)
	}
	b.wantStatus(b.get("viewer", ofWeb+"containers/a1"), http.StatusInternalServerError, "hidden")
	b.wantIDs(b.list("admin", "/containers"), "shop/web a1", "shop/web b2")

	without := newBed(t, func(o *Options) { o.Masker = nil })
	without.host(web, container("a1", "one"))
	without.grants.grant("viewer", web, viewing...)
	without.wantIDs(without.list("viewer", ofWeb+"containers"))
	without.wantStatus(without.get("viewer", ofWeb+"containers/a1"), http.StatusInternalServerError)
}

func TestLostHosts(t *testing.T) {
	b := newBed(t)
	docker := b.host(web, container("a1", "one"))
	b.host(db, container("b2", "two"))
	b.declare(far, nil)
	for _, host := range []struct{ ns, name string }{{"shop", "web"}, {"shop", "db"}, {"other", "far"}} {
		b.grants.grant("admin", key(host.ns, host.name), all...)
	}
	b.lose(web, docker)
	status := b.wantStatus(b.get("admin", ofWeb+"containers"), http.StatusServiceUnavailable, "DialFailed")
	if status.Details == nil || status.Details.RetryAfterSeconds < 1 {
		t.Errorf("no Retry-After: %+v", status.Details)
	}
	b.wantStatus(b.get("admin", ofWeb+"containers/a1"), http.StatusServiceUnavailable, "DialFailed")
	b.wantStatus(b.get("admin", ofWeb+"info"), http.StatusServiceUnavailable, "DialFailed")

	l := b.list("admin", ofWeb+"containers?stale=true")
	b.wantIDs(l, "shop/web a1")
	if got := l.failures(); !slices.Equal(got, []string{"shop/web DialFailed"}) || l.FailedHosts[0].ObservedAt == "" {
		t.Errorf("failures: %+v", l.FailedHosts)
	}
	l = b.list("admin", "/containers")
	b.wantIDs(l, "shop/db b2", "shop/web a1")
	if got := l.failures(); !slices.Equal(got, []string{"other/far Connecting", "shop/web DialFailed"}) {
		t.Errorf("failures: %+v", l.FailedHosts)
	}
	if !l.Items[1].ObservedAt.Before(l.Items[0].ObservedAt) {
		t.Errorf("an item of a lost host is as new as the others: %s, %s", l.Items[1].ObservedAt, l.Items[0].ObservedAt)
	}
	l = b.list("admin", "/containers?stale=false")
	b.wantIDs(l, "shop/db b2")
	if got := l.failures(); !slices.Equal(got, []string{"other/far Connecting", "shop/web DialFailed"}) {
		t.Errorf("failures: %+v", l.FailedHosts)
	}
	if got := b.get("admin", ofWeb+"info?stale=true"); got.StatusCode != http.StatusOK || !strings.Contains(string(got.body), `"reason":"DialFailed"`) {
		t.Errorf("info: %s", got.body)
	}
}

func TestSwarmsAreListedOnce(t *testing.T) {
	b := newBed(t)
	objects := []engine.Object{hostcachetest.Service("s1", "web", 1), hostcachetest.Node("n1", "m1", "ready"), hostcachetest.Task("t1", "s1", "n1", "running")}
	m1, m2, other := key("shop", "m1"), key("shop", "m2"), key("other", "m1")
	b.manager(m1, "cluster", objects...)
	b.manager(m2, "cluster", objects...)
	b.manager(other, "cluster", objects...)
	b.host(web)
	for _, host := range []struct{ ns, name string }{{"shop", "m1"}, {"shop", "m2"}, {"other", "m1"}, {"shop", "web"}} {
		b.grants.grant("admin", key(host.ns, host.name), all...)
	}
	for _, kind := range []string{"services", "tasks", "nodes"} {
		l := b.list("admin", "/"+kind)
		if len(l.Items) != 2 || len(l.FailedHosts) != 0 {
			t.Fatalf("%s: %q, failed %+v", kind, l.ids(), l.FailedHosts)
		}
		if l.Items[0].Metadata.Namespace != "other" || l.Items[1].Host != "m1" || l.Items[1].ServedBy != "m1" {
			t.Errorf("%s: %+v", kind, l.Items)
		}
	}
	// Who may read one manager only reads the swarm through it.
	b.grants.grant("some", m2, access.Services, access.Inspect)
	l := b.list("some", ofShop+"services")
	if len(l.Items) != 1 || l.Items[0].Host != "m2" || l.Items[0].ServedBy != "m1" || l.Items[0].Metadata.Name != "web" {
		t.Errorf("through m2: %+v", l.Items)
	}
	// The manager that shows more is asked.
	b.grants.grant("both", m1, access.Services)
	b.grants.grant("both", m2, access.Services, access.Inspect)
	if l := b.list("both", ofShop+"services"); len(l.Items) != 1 || l.Items[0].Host != "m2" {
		t.Errorf("through both: %+v", l.Items)
	}
}
