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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// kinds are the kinds that the fixture's engine lists.
func (s *suite) kinds() []engine.Kind {
	if s.Swarm {
		return slices.Concat(engine.LocalKinds, engine.SwarmKinds)
	}
	return engine.LocalKinds
}

func (s *suite) testList(t *testing.T) {
	for _, kind := range s.kinds() {
		t.Run(string(kind), func(t *testing.T) { s.testListKind(t, kind) })
	}
	subtests(t, []subtest{
		{"containers of every state", s.testListStates},
		{"unknown kind", s.testUnknownKind},
	})
	if !s.Swarm {
		t.Run("no swarm", s.testNoSwarm)
	}
}

// made is an object that a test has made, and what its list must say.
type made struct {
	id, name string
	labels   map[string]string
	state    string
}

// make makes an object of a kind, or finds one where none can be made.
func (s *suite) make(t *testing.T, kind engine.Kind, mark string) made {
	t.Helper()
	labels := map[string]string{ownLabel: mark, "com.example.empty": "", "com.example.unicode": "grün = ✓ \"quoted\""}
	switch kind {
	case engine.Containers:
		name := s.name("listed")
		return made{id: s.create(t, box{name: name, cmd: []string{"true"}, labels: labels}), name: name, labels: labels, state: "created"}
	case engine.Images:
		ref := s.imageName()
		return made{id: s.importImage(t, ref), name: ref}
	case engine.Volumes:
		name := s.createVolume(t, labels)
		return made{id: name, name: name, labels: labels}
	case engine.Networks:
		name := s.name("net")
		return made{id: s.createNetwork(t, name, labels), name: name, labels: labels}
	case engine.Services:
		name := s.name("svc")
		return made{id: s.createService(t, s.serviceSpec(name, 0, labels)), name: name, labels: labels}
	case engine.Tasks:
		service := s.createService(t, s.serviceSpec(s.name("svc"), 1, labels))
		return made{id: s.waitTasks(t, service, 1)[0].ID, state: "running"}
	case engine.Nodes:
		info, err := s.e.Info(s.context(t))
		s.must(t, "info", err)
		return made{id: info.Swarm.NodeID, name: info.Name, state: "ready"}
	}
	t.Fatalf("nothing makes %s", kind)
	return made{}
}

func (s *suite) testListKind(t *testing.T, kind engine.Kind) {
	from := time.Now()
	one := s.make(t, kind, "one")
	ctx := s.context(t)

	all, err := s.e.List(ctx, kind, engine.ListOptions{})
	s.must(t, "list", err)
	o := s.checkListed(t, all, kind, one)
	created := kind != engine.Nodes && kind != engine.Images // older than the test; an image's is its content's
	if created && (o.Created.Before(from.Add(-2*time.Second)) || o.Created.After(time.Now().Add(2*time.Second))) {
		t.Errorf("it was created at %v, now is %v", o.Created, time.Now())
	}

	s.checkFilter(t, kind, []string{one.id}, one.id)
	s.checkFilter(t, kind, []string{unknownID(kind)})
	s.checkFilter(t, kind, []string{one.id[:len(one.id)-1]}) // a prefix is not an id
	if kind != engine.Nodes {
		two := s.make(t, kind, "two")
		s.checkFilter(t, kind, []string{two.id, unknownID(kind), one.id}, one.id, two.id)
		s.checkFilter(t, kind, []string{two.id}, two.id)
	}

	var v struct{ ID, Name string }
	s.inspectInto(t, kind, one.id, &v)
	if v.ID != one.id && (kind != engine.Volumes || v.Name != one.id) {
		t.Errorf("inspect of %s says id %q, name %q", one.id, v.ID, v.Name)
	}
	_, err = s.e.Inspect(ctx, kind, unknownID(kind))
	s.want(t, "inspect of an unknown id", err, engine.ClassNotFound)
	for _, bad := range []string{"", "..", "../info", "a/../b"} {
		_, err = s.e.Inspect(ctx, kind, bad)
		s.want(t, "inspect of the id "+bad, err, engine.ClassInvalid)
	}
}

// checkListed finds a made object in a list and compares it.
func (s *suite) checkListed(t *testing.T, all []engine.Object, kind engine.Kind, want made) engine.Object {
	t.Helper()
	i := slices.IndexFunc(all, func(o engine.Object) bool { return o.ID == want.id })
	if i < 0 {
		t.Fatalf("the list of %d %s lacks %s", len(all), kind, want.id)
	}
	o := all[i]
	if o.Kind != kind || want.name != "" && o.Name != want.name || o.State != want.state {
		t.Errorf("listed as kind %s, name %q, state %q; want %s, %q, %q", o.Kind, o.Name, o.State, kind, want.name, want.state)
	}
	for k, v := range want.labels {
		if got, ok := o.Labels[k]; !ok || got != v {
			t.Errorf("the label %s is %q, present %t; want %q", k, got, ok, v)
		}
	}
	again, err := engine.ParseObject(kind, o.Raw)
	if err != nil || again.ID != o.ID || !json.Valid(o.Raw) {
		t.Errorf("its JSON is not its own: %v: %s", err, o.Raw)
	}
	if swarm := slices.Contains(engine.SwarmKinds, kind); swarm != (o.Version > 0) {
		t.Errorf("its version is %d", o.Version)
	}
	return o
}

// checkFilter lists by ids and compares the ids that come.
func (s *suite) checkFilter(t *testing.T, kind engine.Kind, ids []string, want ...string) {
	t.Helper()
	objects, err := s.e.List(s.context(t), kind, engine.ListOptions{IDs: ids})
	s.must(t, "list by ids", err)
	var got []string
	for _, o := range objects {
		got = append(got, o.ID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("list of the ids %v gives %v; want %v", ids, got, want)
	}
}

// unknownID is an id of the right form that nothing has.
func unknownID(kind engine.Kind) string {
	switch kind {
	case engine.Images:
		return "sha256:" + strings.Repeat("0123456789abcdef", 4)
	case engine.Volumes:
		return "contract-no-such-volume"
	case engine.Services, engine.Tasks, engine.Nodes:
		return "0123456789abcdefghijklmno"
	}
	return strings.Repeat("0123456789abcdef", 4)
}

func (s *suite) testListStates(t *testing.T) {
	ctx := s.context(t)
	ids := map[string]string{
		"created": s.create(t, box{cmd: []string{"true"}}),
		"exited":  s.finished(t, "exit 3"),
		"running": s.sleeper(t),
		"paused":  s.sleeper(t),
	}
	s.must(t, "pause", s.e.ContainerPause(ctx, ids["paused"]))
	all, err := s.e.List(ctx, engine.Containers, engine.ListOptions{})
	s.must(t, "list", err)
	for state, id := range ids {
		i := slices.IndexFunc(all, func(o engine.Object) bool { return o.ID == id })
		if i < 0 {
			t.Errorf("the list lacks the %s container", state)
			continue
		}
		if all[i].State != state {
			t.Errorf("the %s container is listed as %q", state, all[i].State)
		}
		if o, ok := s.find(t, engine.Containers, id); !ok || o.State != state {
			t.Errorf("the %s container by its id is listed as %q, found %t", state, o.State, ok)
		}
	}
}

func (s *suite) testUnknownKind(t *testing.T) {
	_, err := s.e.List(s.context(t), "gadgets", engine.ListOptions{})
	s.want(t, "list of an unknown kind", err, engine.ClassInvalid)
	_, err = s.e.Inspect(s.context(t), "gadgets", "x")
	s.want(t, "inspect of an unknown kind", err, engine.ClassInvalid)
}

func (s *suite) testNoSwarm(t *testing.T) {
	for _, kind := range engine.SwarmKinds {
		_, err := s.e.List(s.context(t), kind, engine.ListOptions{})
		s.want(t, "list of "+string(kind)+" without a swarm", err, engine.ClassConflict)
	}
}
