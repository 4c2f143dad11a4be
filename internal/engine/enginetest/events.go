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

package enginetest

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/volume"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func (s *suite) testEvents(t *testing.T) {
	tests := []subtest{
		{"of a container, in order", s.testContainerEvents},
		{"since, inclusive", s.testEventsSince},
		{"of an exec", s.testExecEvents},
		{"of images, volumes, networks", s.testOtherEvents},
		{"nothing old without since", s.testEventsFromNow},
	}
	if s.Swarm {
		tests = append(tests, subtest{"of services", s.testServiceEvents})
	}
	subtests(t, tests)
}

// feed is an event stream.
type feed struct {
	t  *testing.T
	es engine.EventStream
}

// live is a stream of what happens from now on. It asks for what was since now:
// dockerd sends its header a moment before it subscribes, and what happens
// between them is lost to a stream without since.
func (s *suite) live(t *testing.T) feed {
	t.Helper()
	return s.feed(t, time.Now())
}

func (s *suite) feed(t *testing.T, since time.Time) feed {
	t.Helper()
	es, err := s.e.Events(s.context(t), engine.EventsOptions{Since: since})
	s.must(t, "open the events", err)
	t.Cleanup(func() { _ = es.Close() })
	return feed{t, es}
}

// until collects the events of which keep is true, up to the first of which last is.
func (f feed) until(keep, last func(engine.Event) bool) []engine.Event {
	f.t.Helper()
	var kept []engine.Event
	for {
		e, err := f.es.Next()
		if err != nil {
			f.t.Fatalf("after the events %s: %v", actions(kept), err)
		}
		if !json.Valid(e.Raw) {
			f.t.Errorf("an event is no JSON: %s", e.Raw)
		}
		if keep(e) {
			kept = append(kept, e)
		}
		if last(e) {
			return kept
		}
	}
}

// of keeps the events of one object.
func of(kind events.Type, id string) func(engine.Event) bool {
	return func(e engine.Event) bool { return e.Type == kind && e.Actor.ID == id }
}

// is is the event of one action on one object.
func is(kind events.Type, id string, action events.Action) func(engine.Event) bool {
	return func(e engine.Event) bool { return of(kind, id)(e) && e.Action == action }
}

func actions(list []engine.Event) []string {
	var names []string
	for _, e := range list {
		action, _, _ := strings.Cut(string(e.Action), ":") // of an exec the command follows
		names = append(names, action)
	}
	return names
}

// containerSteps does everything to a container, and returns its id.
func (s *suite) containerSteps(t *testing.T) string {
	t.Helper()
	ctx := s.context(t)
	id := s.create(t, box{
		cmd:    []string{"sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done"},
		signal: "SIGTERM", labels: map[string]string{"tier": "front"},
	})
	s.must(t, "start", s.e.ContainerStart(ctx, id))
	s.waitLog(t, id, "up\n") // else the signal may come before the trap
	s.must(t, "pause", s.e.ContainerPause(ctx, id))
	s.must(t, "unpause", s.e.ContainerUnpause(ctx, id))
	s.must(t, "rename", s.e.ContainerRename(ctx, id, s.name("renamed")))
	s.must(t, "stop", s.e.ContainerStop(ctx, id, limit))
	s.must(t, "start", s.e.ContainerStart(ctx, id))
	s.waitLog(t, id, "up\nup\n")
	s.must(t, "restart", s.e.ContainerRestart(ctx, id, limit))
	s.must(t, "kill", s.e.ContainerKill(ctx, id, ""))
	s.waitState(t, id, "exited")
	s.must(t, "remove", s.e.ContainerRemove(ctx, id, false, false))
	return id
}

// containerActions are what the events of containerSteps must tell.
func (s *suite) containerActions(t *testing.T) []string {
	t.Helper()
	if s.differs(t, OwnEvents) {
		return []string{
			"create", "start", "pause", "unpause", "rename",
			"die", "start",
			"restart", "die", "start",
			"kill", "die", "remove",
		}
	}
	return []string{
		"create", "start", "pause", "unpause", "rename",
		"kill", "die", "stop", "start",
		"kill", "die", "stop", "start", "restart",
		"kill", "die", "destroy",
	}
}

// gone is the action that tells of the end of a container or a volume.
func (s *suite) gone() events.Action {
	if s.Differs[OwnEvents] != "" {
		return events.ActionRemove
	}
	return events.ActionDestroy
}

// told leaves out the actions that only Podman tells, of what it does inside, and
// those that only some versions of it tell.
func (s *suite) told(names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool {
		return s.Differs[OwnEvents] != "" && slices.Contains([]string{"init", "cleanup", "stop"}, name)
	})
}

// dieFirst puts a die before the stop it belongs to: dockerd tells them in
// either order.
func dieFirst(names []string) []string {
	for i := 1; i < len(names); i++ {
		if names[i-1] == "stop" && names[i] == "die" {
			names[i-1], names[i] = "die", "stop"
		}
	}
	return names
}

// pausedOnce leaves out what dockerd may tell twice: it tells of a pause when it was asked
// for it and, unless that is known already, when containerd reports it.
func pausedOnce(names []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(name string) bool {
		if name != "pause" && name != "unpause" {
			return false
		}
		again := seen[name]
		seen[name] = true
		return again
	})
}

func (s *suite) testContainerEvents(t *testing.T) {
	f := s.live(t)
	from := time.Now().Add(-time.Second)
	id := s.containerSteps(t)
	got := f.until(of(events.ContainerEventType, id), is(events.ContainerEventType, id, s.gone()))
	if names, want := dieFirst(pausedOnce(s.told(actions(got)))), s.containerActions(t); !slices.Equal(names, want) {
		t.Errorf("the events are\n%s; want\n%s", names, want)
	}
	for i, e := range got {
		if e.At().Before(from) || e.At().After(time.Now().Add(time.Second)) || i > 0 && e.At().Before(got[i-1].At()) {
			t.Errorf("event %d, %s, is of %v", i, e.Action, e.At())
		}
		if e.Actor.Attributes["tier"] != "front" || e.Actor.Attributes["name"] == "" || e.Actor.Attributes["image"] == "" {
			t.Errorf("event %d, %s, says %v", i, e.Action, e.Actor.Attributes)
		}
	}
	var codes []string
	for _, e := range got {
		if e.Action == events.ActionDie {
			codes = append(codes, e.Actor.Attributes["exitCode"])
		}
	}
	if !slices.Equal(codes, []string{"5", "5", "137"}) {
		t.Errorf("the die events say the exit codes %v; want 5, 5, 137", codes)
	}
}

// testEventsSince resumes at each event of a container's life: none may be lost,
// none may come twice.
func (s *suite) testEventsSince(t *testing.T) {
	f := s.live(t)
	id := s.containerSteps(t)
	mine, last := of(events.ContainerEventType, id), is(events.ContainerEventType, id, s.gone())
	all := f.until(mine, last)
	exact := time.Duration(0)
	if s.differs(t, RoundedSince) {
		exact = time.Microsecond
	}
	for i, e := range all {
		got := s.feed(t, e.At().Add(-exact)).until(mine, last)
		if !slices.Equal(actions(got), actions(all[i:])) {
			t.Errorf("since event %d, %s, come %s; want %s", i, e.Action, actions(got), actions(all[i:]))
		}
		if i == len(all)-1 {
			break
		}
		got = s.feed(t, e.At().Add(1+exact)).until(mine, last)
		if !slices.Equal(actions(got), actions(all[i+1:])) {
			t.Errorf("just after it come %s; want %s", actions(got), actions(all[i+1:]))
		}
	}
	// What comes after the old ones is live.
	f = s.feed(t, all[0].At().Add(-exact))
	f.until(mine, last)
	next := s.create(t, box{cmd: []string{"true"}})
	f.until(mine, is(events.ContainerEventType, next, events.ActionCreate))
}

func (s *suite) testExecEvents(t *testing.T) {
	id := s.sleeper(t)
	f := s.live(t)
	if code := s.exec(t, id, container.ExecCreateRequest{Cmd: []string{"sh", "-c", "exit 4"}, AttachStdout: true}).code; code != 4 {
		t.Errorf("the exec ended with %d", code)
	}
	want := []string{"exec_create", "exec_start", "exec_die"}
	if s.differs(t, OwnEvents) {
		want = []string{"exec", "exec_died"}
	}
	got := f.until(of(events.ContainerEventType, id), is(events.ContainerEventType, id, events.Action(want[len(want)-1])))
	if !slices.Equal(actions(got), want) {
		t.Fatalf("the events are %s; want %s", actions(got), want)
	}
	if s.differs(t, OwnEvents) {
		return
	}
	if got[0].Action != "exec_create: sh -c exit 4" {
		t.Errorf("the first event is %q; want the command in it", got[0].Action)
	}
	if got[2].Actor.Attributes["exitCode"] != "4" || got[2].Actor.Attributes["execID"] == "" {
		t.Errorf("exec_die says %v", got[2].Actor.Attributes)
	}
}

func (s *suite) testOtherEvents(t *testing.T) {
	ctx := s.context(t)
	f := s.live(t)
	ref := s.imageName()
	image := s.importImage(t, ref)
	s.must(t, "remove the image", s.e.ImageRemove(ctx, ref, false))
	networkName := s.name("net")
	network := s.createNetwork(t, networkName, nil)
	s.must(t, "remove the network", s.e.NetworkRemove(ctx, network))
	name := s.name("volume")
	s.must(t, "create the volume", s.e.VolumeCreate(ctx, volume.CreateRequest{Name: name}))
	s.must(t, "remove the volume", s.e.VolumeRemove(ctx, name, false))

	want := []string{
		"image tag " + image, "image import " + image, "image untag " + image, "image delete " + image,
		"network create " + network, "network destroy " + network,
		"volume create " + name, "volume destroy " + name,
	}
	if s.differs(t, OwnEvents) {
		bare := strings.TrimPrefix(image, "sha256:")
		want = []string{"image tag " + bare, "image untag " + bare, "image delete " + bare, "volume create ", "volume remove "}
	}
	mine := func(e engine.Event) bool {
		if e.Type == events.NetworkEventType && s.Differs[OwnEvents] != "" {
			return false // only some versions tell
		}
		ids := []string{image, strings.TrimPrefix(image, "sha256:"), network, name}
		names := []string{ref, networkName, name}
		return slices.Contains(ids, e.Actor.ID) || slices.Contains(names, e.Actor.Attributes["name"])
	}
	var got []string
	seen := 0
	for _, e := range f.until(mine, func(e engine.Event) bool {
		if mine(e) {
			seen++
		}
		return seen == len(want)
	}) {
		got = append(got, fmt.Sprintf("%s %s %s", e.Type, e.Action, e.Actor.ID))
	}
	if s.differs(t, OwnEvents) { // those of images come when they come
		slices.Sort(got)
		slices.Sort(want)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the events are\n%s; want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (s *suite) testServiceEvents(t *testing.T) {
	ctx := s.context(t)
	f := s.live(t)
	spec := s.serviceSpec(s.name("svc"), 0, nil)
	id := s.createService(t, spec)
	o, ok := s.find(t, engine.Services, id)
	if !ok {
		t.Fatal("the service is in no list")
	}
	spec.Labels = map[string]string{"changed": "yes"}
	s.must(t, "update", s.e.ServiceUpdate(ctx, id, o.Version, spec))
	s.must(t, "remove", s.e.ServiceRemove(ctx, id))
	got := f.until(of(events.ServiceEventType, id), is(events.ServiceEventType, id, events.ActionRemove))
	if names := actions(got); names[0] != "create" || !slices.Contains(names, "update") || names[len(names)-1] != "remove" {
		t.Errorf("the events are %s; want create, update, remove", names)
	}
	for _, e := range got {
		if e.Actor.Attributes["name"] != spec.Name || e.Scope != "swarm" {
			t.Errorf("%s says %v, scope %q", e.Action, e.Actor.Attributes, e.Scope)
		}
	}
}

func (s *suite) testEventsFromNow(t *testing.T) {
	old := s.create(t, box{cmd: []string{"true"}})
	made := is(events.ContainerEventType, old, events.ActionCreate)
	// Events on their way when the stream opens may still come: wait for this one.
	s.feed(t, time.Now().Add(-limit)).until(made, made)
	f := s.feed(t, time.Time{})
	// The first events may be lost: see live.
	stop := again(t, func() error { return s.e.ContainerRename(s.context(t), old, s.name("renamed")) })
	defer stop()
	got := f.until(func(engine.Event) bool { return true }, is(events.ContainerEventType, old, events.ActionRename))
	if i := slices.IndexFunc(got, made); i >= 0 {
		t.Errorf("an old event came: %s", got[i].Raw)
	}
	stop()
	s.must(t, "close", f.es.Close())
	if _, err := f.es.Next(); err == nil || err == io.EOF {
		t.Errorf("a closed stream's Next says %v", err)
	}
}
