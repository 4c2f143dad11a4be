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
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine/sim"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// lineSeen is a line of several logs in JSON.
type lineSeen struct {
	Type, Namespace, Host, Container, Name, Text, Message string
	Status                                                *struct{ Code int }
}

// says tells whether a line is one of a container's log.
func (l lineSeen) says(host, name, text string) bool {
	return l.Type == "" && l.Host == host && l.Name == name && l.Text == text
}

// logs asks for several logs in JSON.
func (f *fleetBed) logs(who, path string, query ...string) *jsonLines[lineSeen] {
	f.Helper()
	values := url.Values{"format": {"json"}}
	for i := 0; i+1 < len(query); i += 2 {
		values.Add(query[i], query[i+1])
	}
	return linesOf[lineSeen](f.T, f.get(who, path+"?"+values.Encode()))
}

// fleetLog is the path of logs over hosts.
const fleetLog = route.Prefix + "/namespaces/prod/log"

// labelled makes a container with labels that runs a script.
func (f *fleetBed) labelled(e *sim.Engine, host, name, script string, labels ...string) (id string) {
	f.Helper()
	all := map[string]string{}
	for i := 0; i+1 < len(labels); i += 2 {
		all[labels[i]] = labels[i+1]
	}
	id = f.create(key(host), name, all, "sh", "-c", script)
	do(f.T, e, "start", id)
	return id
}

// talk says a word and waits.
func talk(word string) string { return "echo " + word + "; sleep infinity" }

// TestSelectedLogs follows containers by their labels over hosts: they come and go, and so
// do hosts and rights.
func TestSelectedLogs(t *testing.T) {
	f := newFleetBed(t)
	one, _ := f.host("one", sim.Options{}, map[string]string{"env": "prod"})
	two, second := f.host("two", sim.Options{}, map[string]string{"env": "prod"})
	three, _ := f.host("three", sim.Options{}, map[string]string{"env": "test"})
	f.labelled(one, "one", "web", talk("hello"), "app", "web")
	f.labelled(one, "one", "db", talk("other"), "app", "db")
	f.labelled(three, "three", "web", talk("test"), "app", "web")
	f.inInventory("one", 2)
	f.inInventory("three", 1)
	lines := f.logs("ann", fleetLog, "labelSelector", "app=web", "hostSelector", "env=prod", "follow", "true")
	seen := f.watching(lines)
	lines.until("what runs", seen(lineSeen{Host: "one", Name: "web", Text: "hello"}))
	id := f.labelled(two, "two", "web2", "echo new; while true; do sleep 0.05; echo tick; done", "app", "web")
	lines.until("what is new", seen(lineSeen{Host: "two", Name: "web2", Text: "new"}))
	// A container that stops and starts again goes on.
	do(t, two, "stop", id)
	f.eventually("it is stopped", func() bool { return f.stateOf("two", id) == "exited" })
	do(t, two, "start", id)
	lines.until("the second run", seen(lineSeen{Host: "two", Name: "web2", Text: "new"}))
	// One that is there but for a moment is read all the same.
	f.labelled(two, "two", "job", "echo done", "app", "web")
	lines.until("a short life", seen(lineSeen{Host: "two", Name: "job", Text: "done"}))
	// With the right to its log a host goes, and comes back.
	f.rights.deny("ann", second, access.Log, true)
	f.eventually("the host is not read", func() bool { return f.handler.logs.Upstreams() == 1 })
	hidden := f.labelled(two, "two", "hidden", talk("hidden"), "app", "web")
	f.labelled(one, "one", "web3", talk("third"), "app", "web")
	lines.until("what is new on the other", func(l lineSeen) bool {
		if l.Text == "hidden" {
			t.Errorf("without the right comes %+v", l)
		}
		return l.says("one", "web3", "third")
	})
	f.rights.deny("ann", second, access.Log, false)
	lines.until("the host is back", func(l lineSeen) bool { return l.Container == hidden && l.Text == "hidden" })
	// So does a host with its declaration.
	four, fourth := f.host("four", sim.Options{}, map[string]string{"env": "prod"})
	f.labelled(four, "four", "web", talk("fourth"), "app", "web")
	lines.until("the new host", seen(lineSeen{Host: "four", Name: "web", Text: "fourth"}))
	before := f.handler.logs.Upstreams()
	if err := f.declared.Delete(t.Context(), &dcv1.DockerHost{ObjectMeta: metaOf(fourth)}); err != nil {
		t.Fatal(err)
	}
	f.cache.Delete(fourth)
	f.eventually("the host that is gone is not read", func() bool { return f.handler.logs.Upstreams() < before })
}

// watching checks that nothing comes that was not chosen.
func (f *fleetBed) watching(*jsonLines[lineSeen]) func(want lineSeen) func(lineSeen) bool {
	return func(want lineSeen) func(lineSeen) bool {
		return func(l lineSeen) bool {
			if l.Host == "three" || l.Name == "db" {
				f.Errorf("what was not chosen comes: %+v", l)
			}
			return l.says(want.Host, want.Name, want.Text)
		}
	}
}

// TestSelectedLogsOnce reads what there is, of stopped containers too, and ends.
func TestSelectedLogsOnce(t *testing.T) {
	f := newFleetBed(t)
	one, first := f.host("one", sim.Options{}, nil)
	two, second := f.host("two", sim.Options{}, nil)
	f.labelled(one, "one", "web", talk("runs"), "app", "web")
	job := f.labelled(one, "one", "job", "echo ended", "app", "web")
	f.labelled(two, "two", "web", talk("elsewhere"), "app", "web", "token", "canary")
	f.create(second, "never", map[string]string{"app": "web"}, "true")
	f.inInventory("one", 2)
	f.inInventory("two", 2)
	f.eventually("the job has ended", func() bool { return f.stateOf("one", job) == "exited" })
	spoken := map[string]bool{}
	f.logs("ann", fleetLog, "labelSelector", "app=web", "follow", "true").until("what runs has spoken", func(l lineSeen) bool {
		spoken[l.Text] = true
		return spoken["runs"] && spoken["elsewhere"]
	})
	read := func(who, path string, query ...string) []string {
		t.Helper()
		var got []string
		for _, l := range f.logs(who, path, query...).all() {
			if l.Type == "" {
				got = append(got, l.Host+"/"+l.Name+" "+l.Text)
			} else if l.Type != "stopped" {
				got = append(got, l.Type)
			}
		}
		slices.Sort(got)
		return got
	}
	want := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	want("over hosts", read("ann", fleetLog, "labelSelector", "app=web"), "one/job ended", "one/web runs", "two/web elsewhere")
	want("over all", read("ann", route.Prefix+"/log", "labelSelector", "app=web"), "one/job ended", "one/web runs", "two/web elsewhere")
	want("of a host", read("ann", f.path(first, "log"), "labelSelector", "app"), "one/job ended", "one/web runs")
	want("all of a host", read("ann", f.path(second, "log")), "two/web elsewhere")
	want("two by name", read("ann", f.path(first, "log"), "container", "web", "container", "job", "container", "web"), "one/job ended", "one/web runs")
	want("nothing", read("ann", fleetLog, "labelSelector", "app=none"))
	want("all of some hosts", read("ann", fleetLog, "hostSelector", "!env"), "one/job ended", "one/web runs", "two/web elsewhere")
	// Labels are compared as they are seen, and hosts that may not be read are left out.
	want("by a value", read("ann", fleetLog, "labelSelector", "token=canary"), "two/web elsewhere")
	f.rights.deny("eve", second, access.Inspect, true)
	want("by a guess", read("eve", fleetLog, "labelSelector", "token=canary"))
	want("by a key", read("eve", fleetLog, "labelSelector", "token"), "two/web elsewhere")
	f.rights.deny("eve", first, access.Log, true)
	want("without a right", read("eve", fleetLog, "labelSelector", "app"), "two/web elsewhere")
	// A host that is lost is named.
	if err := two.SetFault(sim.Fault{Mode: sim.Refuse}); err != nil {
		t.Fatal(err)
	}
	f.eventually("the host is lost", func() bool { state, _ := f.cache.State(second); return !state.Connected() })
	want("without a host", read("ann", fleetLog, "labelSelector", "app=web"), "notice", "one/job ended", "one/web runs")
	f.status(f.get("ann", f.path(second, "log?labelSelector=app")), http.StatusServiceUnavailable)
}

func TestSelectedLogsRefusals(t *testing.T) {
	f := newFleetBed(t)
	_, key := f.host("one", sim.Options{}, nil)
	for _, path := range []string{fleetLog, fleetLog + "?labelSelector=", route.Prefix + "/log", fleetLog + "?labelSelector=a,,b", fleetLog + "?hostSelector=%3D%28", f.path(key, "log?labelSelector=%21"),
		f.path(key, "log?"+strings.Repeat("container=a&", 201))} {
		f.status(f.get("ann", path), http.StatusBadRequest)
	}
	f.status(f.get("ann", f.path(key, "log?container=web&container=none")), http.StatusNotFound)
	f.rights.deny("eve", key, access.Log, true)
	f.status(f.get("eve", f.path(key, "log?labelSelector=a,,b")), http.StatusForbidden)
}
