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

package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/events"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/test/testbed"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// changes is a script in which every container has a name of its own, so that records,
// which have the name that was asked for, and events, which have ids, can be told apart.
var changes = []step{
	d("create --name web --stop-signal KILL busybox:test sh -c 'while sleep 1; do :; done'"), d("start web"), d("pause web"), d("unpause web"),
	d("rename web site"), d("update --memory 64m --memory-swap 64m site"),
	d("exec site true"), d("exec --detach site sleep 0"), {args: split("exec --interactive site cat"), stdin: "typed\n"}, d("exec site no-such-command"),
	d("kill --signal HUP site"), d("restart --time 0 site"), d("network create net"), d("network connect net site"), d("network disconnect net site"), d("network rm net"),
	d("kill site"), d("wait site"), d("start site"), d("stop site"), d("wait site"),
	d("cp in.txt site:/in.txt"), d("cp site:/in.txt out.txt"), d("export --output export.tar site"),
	d("commit site committed:test"), d("tag busybox:test other:tag"), d("rmi other:tag"), d("rmi committed:test"), d("save --output saved.tar busybox:test"),
	d("load --input saved.tar"), {args: split("import - imported:test"), stdin: tarOf("file", "content")}, d("rmi imported:test"),
	d("start site"), d("rm --force site"),
	d("volume create vol"), d("run --name mounted --volume vol:/v busybox:test true"), d("rm mounted"), d("volume rm vol"),
	{args: split("run --interactive --name attached busybox:test cat"), stdin: "typed\n"}, d("run --rm --name " + selfRemoved + " busybox:test true"),
	d("container prune --force"), d("network create unused"), d("network prune --force"), d("image prune --force"), d("volume prune --force"),
	// What fails, and what changes nothing.
	d("rm no-such"), d("start no-such"), d("rmi no-such:tag"), d("network rm no-such"), d("volume rm no-such"), d("run --name broken busybox:test no-such-command"), d("rm broken"),
	d("ps --all"), d("images"), d("volume ls"), d("network ls"), d("inspect busybox:test"), d("info"), d("events --since 0 --until 1s"),
}

// selfRemoved is the container that the engine removes itself, as it was told at its
// creation.
const selfRemoved = "short"

// yield is what an engine's event stream has of a change: one event that is the change,
// and others that may come with it.
type yield struct {
	event string
	with  []string
}

// yields is by what the audit trail calls a change. What the docker CLI calls "run" is
// create, attach and start; "exec" is create-exec and exec.
var yields = map[string]yield{
	"create Container":   {"container create", []string{"volume create"}},
	"start Container":    {"container start", []string{"network connect", "volume mount"}},
	"attach Container":   {"container attach", nil},
	"pause Container":    {"container pause", nil},
	"unpause Container":  {"container unpause", nil},
	"rename Container":   {"container rename", nil},
	"update Container":   {"container update", nil},
	"kill Container":     {"container kill", nil},
	"restart Container":  {"container restart", []string{"container kill", "container stop", "container start", "network connect"}},
	"stop Container":     {"container stop", []string{"container kill"}},
	"remove Container":   {"container destroy", []string{"container kill"}},
	"prune Container":    {"container prune", []string{"container destroy"}},
	"copy-in Container":  {"container extract-to-dir", nil},
	"copy-out Container": {"container archive-path", nil},
	"export Container":   {"container export", nil},

	"create-exec Container": {"container exec_create", nil},
	"exec Container":        {"container exec_start", nil},

	"commit Image": {"container commit", []string{"image tag"}},
	"tag Image":    {"image tag", nil},
	"remove Image": {"image untag", []string{"image delete"}},
	"save Image":   {"image save", nil},
	"load Image":   {"image load", nil},
	"import Image": {"image import", []string{"image tag"}},
	"prune Image":  {"image prune", []string{"image delete", "image untag"}},

	"create Network":     {"network create", nil},
	"connect Network":    {"network connect", nil},
	"disconnect Network": {"network disconnect", nil},
	"remove Network":     {"network destroy", nil},
	"prune Network":      {"network prune", []string{"network destroy"}},

	"create Volume": {"volume create", nil},
	"remove Volume": {"volume destroy", nil},
	"prune Volume":  {"volume prune", []string{"volume destroy"}},
}

// consequences come of a process that ends, whoever ended it, and of a start that failed.
// An engine tells twice that a running container left a network.
var consequences = []string{"container die", "container exec_die", "network disconnect", "volume unmount"}

// settling is how much later than a request's end its events may come.
const settling = 5 * time.Second

// TestAuditEqualsEvents compares the audit trail with the engine's own events, one to one.
func TestAuditEqualsEvents(t *testing.T) { inBothModes(t, testAuditEqualsEvents) }

func testAuditEqualsEvents(t *testing.T, begin begin) {
	b := newBed(t, testbed.DockerdOptions{})
	token := b.user(t, dcv1.HostAdmin)
	midway := begin(b, token)
	admin := b.bearer(t, token)
	var image struct{ ID string }
	if err := json.Unmarshal(b.engine.Call(t, http.MethodGet, "/images/busybox:test/json", nil), &image); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	half := len(changes) / 2
	results := play(t, admin.cli, changes[:half])
	b.outcomes(t, since) // one is recorded after its answer
	midway()
	results = append(results, play(t, admin.cli, changes[half:])...)
	for i, r := range results {
		if r.Code == 0 == strings.Contains(strings.Join(changes[i].args, " "), "no-such") {
			t.Errorf("%q: %s", changes[i].args, r)
		}
	}
	told := b.events(t, since)
	if len(told) < 80 || len(told) > 200 { // an engine remembers 256
		t.Errorf("the engine tells of %d events", len(told))
	}
	ids := idsOf(told)
	ids["busybox:test"] = image.ID
	outcomes := b.outcomes(t, since)
	for _, r := range outcomes {
		matchChange(t, r, ids, told)
	}
	for _, e := range told {
		if !e.explained && !e.isConsequence(outcomes, ids) {
			t.Errorf("a change is not on record: %s", e)
		}
	}
}

// event is one that the engine told.
type event struct {
	events.Message
	at        time.Time
	explained bool // by a record
}

// name is its kind without its detail: "container exec_create".
func (e *event) name() string {
	action, _, _ := strings.Cut(string(e.Action), ":")
	return string(e.Type) + " " + action
}

func (e *event) String() string {
	return fmt.Sprintf("%s %s %s %v", e.at.Format(time.StampMicro), e.name(), e.Actor.ID, e.Actor.Attributes)
}

// concerns says whether the event is about an object; "" is one whose name is in a
// request's body and not on record.
func (e *event) concerns(id string) bool {
	a := e.Actor.Attributes
	return id == "" || slices.Contains([]string{e.Actor.ID, a["execID"], a["container"]}, id)
}

// isConsequence says whether it came of a change that is on record. Those of a restart or a
// start that failed are among them.
func (e *event) isConsequence(outcomes []audit.Entry, ids map[string]string) bool {
	if slices.Contains(consequences, e.name()) || e.name() == "container destroy" && e.Actor.Attributes["name"] == selfRemoved {
		return true
	}
	return slices.ContainsFunc(outcomes, func(r audit.Entry) bool {
		return during(r, e) && slices.Contains(yields[r.Verb+" "+r.Object.Kind].with, e.name()) &&
			(e.Type != events.ContainerEventType || e.concerns(idOf(r, ids)))
	})
}

// during says whether an event came while a request was served, or soon after.
func during(r audit.Entry, e *event) bool {
	end := r.Time.Add(time.Duration(r.DurationSeconds*float64(time.Second)) + settling)
	return !e.at.Before(r.Time) && e.at.Before(end)
}

// matchChange finds the one event of a change that succeeded.
func matchChange(t *testing.T, r audit.Entry, ids map[string]string, told []*event) {
	t.Helper()
	change := r.Verb + " " + r.Object.Kind
	y, known := yields[change]
	if !known {
		t.Errorf("nothing says what %q yields: %+v", change, r.Record)
		return
	}
	if r.Outcome != audit.Succeeded {
		return
	}
	object := idOf(r, ids)
	for _, e := range told {
		if !e.explained && e.name() == y.event && during(r, e) && e.concerns(object) {
			e.explained = true
			return
		}
	}
	t.Errorf("%s of %q is on record, and the engine told of no %s: %+v", change, r.Object.Name, y.event, r.Record)
}

// idOf returns the id of what a record names.
func idOf(r audit.Entry, ids map[string]string) string {
	if id := ids[r.Object.Name]; id != "" {
		return id
	}
	return r.Object.Name
}

// events returns what the engine told since a time, the oldest first.
func (b *bed) events(t *testing.T, since time.Time) []*event {
	t.Helper()
	now := time.Now()
	path := fmt.Sprintf("/events?since=%d.%09d&until=%d.%09d", since.Unix(), since.Nanosecond(), now.Unix(), now.Nanosecond())
	var all []*event
	for d := json.NewDecoder(bytes.NewReader(b.engine.Call(t, http.MethodGet, path, nil))); d.More(); {
		e := &event{}
		if err := d.Decode(&e.Message); err != nil {
			t.Fatal(err)
		}
		e.at = time.Unix(0, e.TimeNano)
		all = append(all, e)
	}
	return all
}

// idsOf returns the ids of what the events name.
func idsOf(told []*event) map[string]string {
	ids := map[string]string{}
	for _, e := range told {
		if name := e.Actor.Attributes["name"]; name != "" {
			ids[name] = e.Actor.ID
		}
	}
	return ids
}

// outcomes returns the ends of all changes since a time; each was allowed before.
func (b *bed) outcomes(t *testing.T, since time.Time) []audit.Entry {
	t.Helper()
	var ends []audit.Entry
	testenv.Eventually(t, patient, func(context.Context) error {
		ends = nil
		allowed := map[string]bool{}
		for _, r := range b.records(t, audit.Filter{Namespace: b.namespace, Host: "prod", Since: since}) {
			if r.Outcome == audit.Allowed {
				allowed[r.RequestID] = true
				continue
			}
			if !allowed[r.RequestID] {
				t.Errorf("an end was recorded twice, or without a beginning: %+v", r.Record)
			}
			delete(allowed, r.RequestID)
			ends = append(ends, r)
		}
		if len(allowed) > 0 {
			return fmt.Errorf("%d changes have no end", len(allowed))
		}
		return nil
	})
	return ends
}
