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

package hostcache

import (
	"fmt"
	"slices"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

func TestReadersKeepWhatTheyWereGiven(t *testing.T) {
	inv := newInventory(engine.LocalKinds)
	one, two := hostcachetest.Container("c1", "one", "running"), hostcachetest.Container("c2", "two", "running")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(inv.replace(engine.Containers, []engine.Object{two, one}, nil))
	given := inv.view(engine.Containers).items
	changed := hostcachetest.Container("c1", "one", "exited")
	must(inv.merge(engine.Containers, []string{"c0", "c1", "c2"}, []engine.Object{changed, hostcachetest.Container("c0", "zero", "created")}, nil))
	inv.remove(engine.Containers, "c0")
	must(inv.replace(engine.Containers, nil, nil))
	if !slices.Equal(idsOf(given), []string{"c1", "c2"}) || given[0].State != "running" {
		t.Errorf("what a reader holds has become %v, %s", idsOf(given), given[0].State)
	}
}

func TestInventoryToleratesWhatEnginesSend(t *testing.T) {
	inv := newInventory(engine.LocalKinds)
	c := func(id, state string) engine.Object { return hostcachetest.Container(id, id, state) }
	if err := inv.replace(engine.Containers, []engine.Object{c("b", "running"), c("a", "paused"), c("b", "exited")}, nil); err != nil {
		t.Fatal(err)
	}
	if got := idsOf(inv.view(engine.Containers).items); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("an unsorted list with a repeat is kept as %v", got)
	}
	// An answer with more than was asked for: only what was asked for counts.
	if err := inv.merge(engine.Containers, []string{"b"}, []engine.Object{c("b", "exited"), c("x", "running")}, nil); err != nil {
		t.Fatal(err)
	}
	if got := idsOf(inv.view(engine.Containers).items); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("after a list of b the inventory is %v", got)
	}
	if got := inv.counts(); got != (Counts{Paused: 1, Stopped: 1, Total: 2}) {
		t.Errorf("counts are %+v", got)
	}
	if inv.remove(engine.Containers, "nobody") {
		t.Error("something unknown was removed")
	}
}

func TestCountsAreThoseOfDockerInfo(t *testing.T) {
	inv := newInventory(engine.LocalKinds)
	var objects []engine.Object
	for i, state := range []string{"created", "running", "paused", "restarting", "removing", "exited", "dead", "unheard of"} {
		objects = append(objects, hostcachetest.Container(fmt.Sprint(i), state, state))
	}
	if err := inv.replace(engine.Containers, objects, nil); err != nil {
		t.Fatal(err)
	}
	if got := inv.counts(); got != (Counts{Running: 1, Paused: 1, Stopped: 6, Total: 8}) {
		t.Errorf("counts are %+v", got)
	}
}

func TestTooManyObjects(t *testing.T) {
	inv := newInventory(engine.LocalKinds)
	many := make([]engine.Object, MaxObjects)
	for i := range many {
		many[i] = engine.Object{Kind: engine.Containers, ID: fmt.Sprintf("%06d", i)}
	}
	if err := inv.replace(engine.Containers, many, nil); err != nil {
		t.Fatal(err)
	}
	if err := inv.replace(engine.Images, []engine.Object{{ID: "i1"}}, nil); engine.CauseOf(err) != engine.CauseEngineError {
		t.Errorf("one more: %v", err)
	}
	if err := inv.replace(engine.Containers, many[:MaxObjects-1], nil); err != nil {
		t.Errorf("one less: %v", err)
	}
	if err := inv.replace(engine.Images, []engine.Object{{ID: "i1"}}, nil); err != nil {
		t.Errorf("one instead: %v", err)
	}
}
