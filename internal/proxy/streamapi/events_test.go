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

package streamapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	dockercontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// eventSeen is a line of events.
type eventSeen struct {
	Type, Namespace, Host, Time, Cursor, Message string
	Lost                                         *int
	Docker                                       *events.Message
	Status                                       *struct{ Code int }
}

// is tells whether a line is an event of a container.
func (e eventSeen) is(action, id string) bool {
	return e.Docker != nil && string(e.Docker.Action) == action && e.Docker.Actor.ID == id
}

// word tells whether a line is one about a host.
func (e eventSeen) word(kind, host string) bool { return e.Type == kind && e.Host == host }

// events asks for events, and waits until those of hosts are followed.
func (f *fleetBed) events(who, path string, hosts ...string) *jsonLines[eventSeen] {
	f.Helper()
	lines := linesOf[eventSeen](f.T, f.get(who, path))
	for range hosts {
		lines.until("the beginning", func(e eventSeen) bool { return e.Type == "start" })
	}
	return lines
}

// TestEvents follows the events of one host, and goes on where it was.
func TestEvents(t *testing.T) {
	f := newFleetBed(t)
	e, key := f.host("one", sim.Options{}, nil)
	all := f.events("ann", f.path(key, "events"), "one")
	starts := f.events("ann", f.path(key, "events?type=container&action=start&action=die"), "one")
	web := f.run(e, key, "web", "sleep", "infinity")
	db := f.run(e, key, "db", "sleep", "infinity")
	created := all.until("the create", func(e eventSeen) bool { return e.is("create", web) })
	if created.Namespace != "prod" || created.Host != "one" || created.Time == "" || created.Cursor == "" || created.Docker.Actor.Attributes["name"] != "web" {
		t.Errorf("an event is %+v", created)
	}
	all.until("the other start", func(e eventSeen) bool { return e.is("start", db) })
	for _, id := range []string{web, db} {
		if got, _ := starts.next(); !got.is("start", id) {
			t.Errorf("got %+v, want the start of %s", got, id)
		}
	}
	cursor := "&cursor=" + url.QueryEscape(created.Cursor)
	for query, want := range map[string][]string{
		"follow=false&type=container&tail=2":                   {"create " + db, "start " + db},
		"follow=false&type=container" + cursor:                 {"start " + web, "create " + db, "start " + db},
		"follow=false&type=container&container=web" + cursor:   {"start " + web},
		"follow=false&container=" + db[:12] + "&tail=5":        {"create " + db, "start " + db},
		"follow=false&type=image" + cursor:                     nil,
		"follow=false&type=container&action=create&tail=10000": {"create " + web, "create " + db},
	} {
		got := []string{}
		for _, line := range linesOf[eventSeen](t, f.get("ann", f.path(key, "events?"+query))).all() {
			if line.Docker != nil && line.Docker.Type == events.ContainerEventType {
				got = append(got, string(line.Docker.Action)+" "+line.Docker.Actor.ID)
			}
		}
		if strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	// A place that is not kept is a gap, and the stream goes on.
	old := "&cursor=" + url.QueryEscape("other:1:0")
	lost := linesOf[eventSeen](t, f.get("ann", f.path(key, "events?type=container"+old)))
	if line, _ := lost.next(); line.Type != "gap" || line.Lost == nil || *line.Lost != 0 {
		t.Errorf("a cursor of another host begins with %+v", line)
	}
	f.cache.Delete(key)
	lost.until("that the host is gone", func(e eventSeen) bool { return e.word("gone", "one") })
	if rest := lost.all(); len(rest) > 0 {
		t.Errorf("after the host is gone come %+v", rest)
	}
}

// TestEventsMasked: who may not inspect sees no command and no value of a label.
func TestEventsMasked(t *testing.T) {
	f := newFleetBed(t)
	e, key := f.host("one", sim.Options{}, nil)
	f.rights.deny("eve", key, access.Inspect, true)
	eve := f.events("eve", f.path(key, "events?type=container"), "one")
	byKey := f.events("eve", f.path(key, "events?action=create&label=token&label=com.docker.compose.project%3Dshop"), "one")
	ann := f.events("ann", f.path(key, "events?action=exec_create&label=token%3Dcanary"), "one")
	id := f.create(key, "web", map[string]string{"token": "canary", "com.docker.compose.project": "shop"}, "sleep", "infinity")
	do(t, e, "start", id)
	live, err := f.cache.Engine(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := live.ExecCreate(t.Context(), id, dockercontainer.ExecCreateRequest{Cmd: []string{"sh", "-c", "canary"}}); err != nil {
		t.Fatal(err)
	}
	create := eve.until("the create", func(e eventSeen) bool { return e.is("create", id) })
	if a := create.Docker.Actor.Attributes; a["token"] == "canary" || a["com.docker.compose.project"] != "shop" || a["name"] != "web" {
		t.Errorf("the masked event has %v", a)
	}
	exec := eve.until("the exec", func(e eventSeen) bool { return strings.HasPrefix(string(e.Docker.Action), "exec_create") })
	if text, _ := json.Marshal(exec); strings.Contains(string(text), "canary") {
		t.Errorf("the masked event is %s", text)
	}
	byKey.until("what a filter by the key lets through", func(e eventSeen) bool { return e.is("create", id) })
	if got := ann.until("the exec", func(e eventSeen) bool { return e.Docker != nil }); !strings.Contains(string(got.Docker.Action), "canary") || got.Docker.Actor.Attributes["token"] != "canary" {
		t.Errorf("who may inspect sees %+v", got.Docker)
	}
	for _, query := range []string{"label=token%3Dcanary", "action=exec_create%3A+sh+-c+canary"} {
		b := f.status(f.get("eve", f.path(key, "events?"+query)), http.StatusForbidden)
		if strings.Contains(b.Message, "canary") || !strings.Contains(b.Message, "inspect") {
			t.Errorf("%s: %s", query, b.Message)
		}
	}
	// With the right to inspect goes what was open by it.
	f.rights.deny("ann", key, access.Inspect, true)
	ann.until("the end", func(e eventSeen) bool { return e.Type == "error" && e.Status.Code == http.StatusForbidden })
}

// TestEventsMerged follows which hosts there are, and which the caller may look at.
func TestEventsMerged(t *testing.T) {
	f := newFleetBed(t)
	one, first := f.host("one", sim.Options{}, map[string]string{"env": "prod"})
	two, second := f.host("two", sim.Options{}, map[string]string{"env": "prod"})
	other, third := f.host("three", sim.Options{}, map[string]string{"env": "test"})
	f.rights.deny("eve", second, access.Events, true)
	ann := f.events("ann", "/apis/engine.dockercontrol.dev/v1alpha1/namespaces/prod/events?type=container&action=start&hostSelector=env%3Dprod", "one", "two")
	eve := f.events("eve", "/apis/engine.dockercontrol.dev/v1alpha1/events?type=container&action=start", "one", "three")
	ids := map[string]string{"three": f.run(other, third, "app", "sleep", "infinity"), "two": f.run(two, second, "app", "sleep", "infinity"), "one": f.run(one, first, "app", "sleep", "infinity")}
	for name, lines := range map[string]*jsonLines[eventSeen]{"one two": ann, "one three": eve} {
		var hosts []string
		for range 2 {
			got := lines.until("a start", func(e eventSeen) bool { return e.Docker != nil })
			if hosts = append(hosts, got.Host); got.Docker.Actor.ID != ids[got.Host] {
				t.Errorf("%s: got %+v", name, got)
			}
		}
		if slices.Sort(hosts); strings.Join(hosts, " ") != name {
			t.Errorf("got events of %q, want %s", hosts, name)
		}
	}
	// Rights come and go.
	f.rights.deny("eve", second, access.Events, false)
	eve.until("the host that may be looked at now", func(e eventSeen) bool { return e.word("start", "two") })
	f.rights.deny("eve", first, access.Events, true)
	eve.until("that a host may not be looked at any more", func(e eventSeen) bool { return e.word("gone", "one") })
	f.run(one, first, "hidden", "sleep", "infinity")
	f.run(two, second, "seen", "sleep", "infinity")
	if got := eve.until("a start", func(e eventSeen) bool { return e.Docker != nil }); got.Host != "two" {
		t.Errorf("after the right on it is lost comes %+v", got)
	}
	// So do hosts.
	_, fourth := f.host("four", sim.Options{}, map[string]string{"env": "prod"})
	ann.until("the new host", func(e eventSeen) bool { return e.word("start", "four") })
	if err := f.declared.Delete(t.Context(), &dcv1.DockerHost{ObjectMeta: metaOf(fourth)}); err != nil {
		t.Fatal(err)
	}
	f.cache.Delete(fourth)
	ann.until("that it is gone", func(e eventSeen) bool { return e.word("gone", "four") })
	// Of hosts where the filter would tell what is masked there is a word.
	f.rights.deny("eve", second, access.Inspect, true)
	values := linesOf[eventSeen](t, f.get("eve", "/apis/engine.dockercontrol.dev/v1alpha1/events?label=token%3Dguess"))
	notice := values.until("a notice", func(e eventSeen) bool { return e.Type == "notice" })
	if notice.Host != "two" || strings.Contains(notice.Message, "guess") {
		t.Errorf("the notice is %+v", notice)
	}
}

// TestEventsOnAConnection resumes several hosts, each at its own place.
func TestEventsOnAConnection(t *testing.T) {
	f := newFleetBed(t)
	one, first := f.host("one", sim.Options{}, nil)
	two, second := f.host("two", sim.Options{}, nil)
	all := f.events("ann", "/apis/engine.dockercontrol.dev/v1alpha1/namespaces/prod/events?type=container", "one", "two")
	f.run(one, first, "app", "sleep", "infinity")
	f.run(two, second, "app", "sleep", "infinity")
	cursors := map[string]string{}
	for len(cursors) < 2 {
		line := all.until("a create", func(e eventSeen) bool { return e.Docker != nil && e.Docker.Action == "create" })
		cursors[line.Namespace+"/"+line.Host] = line.Cursor
	}
	s := f.dial("ann", Path)
	subscribe := map[string]any{"type": "subscribe", "id": 1, "topic": "events", "namespace": "prod", "types": []string{"container"}, "follow": false, "cursors": cursors}
	s.send(subscribe)
	how, before := s.endOf(1)
	got := map[string]string{}
	for _, m := range before {
		if m.kind != frameJSON {
			continue
		}
		for text := range strings.Lines(string(m.body)) {
			var line eventSeen
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatal(err)
			}
			if line.Docker != nil {
				got[line.Host] += string(line.Docker.Action) + " "
			}
		}
	}
	if how.Status.Status != "Success" || got["one"] != "start " || got["two"] != "start " {
		t.Errorf("behind the cursors come %v, and %+v", got, how.Status)
	}
	for name, wrong := range map[string]map[string]any{
		"no cursor": {"cursors": map[string]string{"prod/one": "x"}}, "no host": {"cursors": map[string]string{"one": cursors["prod/one"]}},
		"less than none": {"tail": -1}, "too many": {"tail": maxEventTail + 1}, "no selector": {"hostSelector": "=("}, "an empty word": {"types": []string{""}},
	} {
		message := map[string]any{"type": "subscribe", "id": 2, "topic": "events", "namespace": "prod"}
		for k, v := range wrong {
			message[k] = v
		}
		s.send(message)
		if how, _ := s.endOf(2); how.Status.Code != http.StatusBadRequest {
			t.Errorf("%s: %+v", name, how.Status)
		}
	}
}

func TestEventsRefusals(t *testing.T) {
	f := newFleetBed(t)
	_, key := f.host("one", sim.Options{}, nil)
	f.rights.deny("eve", key, access.Events, true)
	for _, query := range []string{"tail=-1", "tail=10001", "follow=x", "cursor=x", "cursor=a:1:0&cursor=b:1:0", "hostSelector=a", "since=3", "label=", "action=" + strings.Repeat("&action=a", 101)} {
		f.status(f.get("ann", f.path(key, "events?"+query)), http.StatusBadRequest)
	}
	for _, query := range []string{"cursor=a:1:0", "hostSelector=%3D%28"} {
		f.status(f.get("ann", "/apis/engine.dockercontrol.dev/v1alpha1/events?"+query), http.StatusBadRequest)
	}
	f.status(f.get("eve", f.path(key, "events?tail=x")), http.StatusForbidden)
	f.status(f.get("ann", f.path(hostcache.Key{Namespace: "prod", Name: "none"}, "events")), http.StatusNotFound)
}
