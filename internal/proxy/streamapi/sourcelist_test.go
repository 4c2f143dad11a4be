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
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// choice makes a chosen one of host "one" in a state: "runs", "ended" or "created".
func choice(name, state string) chosen {
	return chosen{source: stream.LogSource{Host: key("one"), Container: "id of " + name}, name: name, running: state == "runs", began: state != "created"}
}

// inSet are the names of those that are read, in their order.
func inSet(l *sourceList) (names []string) {
	sources, _ := l.Current()
	for _, s := range sources {
		names = append(names, l.name(s))
	}
	return names
}

func TestSourceList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := func(l *sourceList, what string, want ...string) {
			t.Helper()
			if got := inSet(l); !slices.Equal(got, want) {
				t.Errorf("%s: %q are read, want %q", what, got, want)
			}
		}
		part := ofHost(key("one"))
		l := newSourceList()
		l.replace(part, []chosen{choice("a", "ended"), choice("b", "runs"), choice("c", "created")}, early)
		want(l, "at the beginning", "b")
		_, changed := l.Current()
		l.replace(part, []chosen{choice("a", "runs"), choice("b", "ended"), choice("c", "ended")}, late)
		want(l, "one started, one stopped, one ended before it was seen", "a", "c")
		select {
		case <-changed:
		default:
			t.Error("a change is not told")
		}
		_, changed = l.Current()
		time.Sleep(briefly + time.Millisecond)
		synctest.Wait()
		want(l, "after a while", "a")
		select {
		case <-changed:
		default:
			t.Error("that a container leaves is not told")
		}
		l.replace(part, []chosen{choice("a", "runs"), choice("b", "ended"), choice("c", "runs")}, late)
		want(l, "one runs after all", "a", "c")
		l.drop(key("one"), true)
		want(l, "without the right")
		if s := choice("a", "runs").source; !l.Revoked(s) || l.name(s) != "id of a" {
			t.Errorf("revoked: %t, the name is %q", l.Revoked(s), l.name(s))
		}
		l.admit(key("one"))
		l.replace(part, []chosen{choice("a", "runs")}, early)
		want(l, "with the right", "a")
		if l.Revoked(choice("b", "ended").source) {
			t.Error("a right that is back is revoked")
		}

		l = newSourceList()
		l.replace(part, []chosen{choice("a", "ended"), choice("b", "runs")}, whole)
		want(l, "those that run come first", "b", "a")
		time.Sleep(10 * briefly)
		l.replace(part, []chosen{choice("a", "ended"), choice("b", "runs")}, late)
		want(l, "to the end", "b", "a")
		l.replace(part, nil, late)
		want(l, "all are removed")
		if l.fix(); func() bool { _, changed := l.Current(); return changed != nil }() {
			t.Error("a list that is fixed may change")
		}
	})
}

func TestSourceListNotices(t *testing.T) {
	l := newSourceList()
	for range 2 {
		for i := range 2 * maxNotices {
			l.notice("node %d", i)
		}
	}
	got := l.notices()
	if len(got) != maxNotices || got[0] != "node 0" || got[maxNotices-1] != fmt.Sprint("node ", maxNotices-1) {
		t.Errorf("there are %d notices", len(got))
	}
	if again := l.notices(); len(again) != 0 {
		t.Errorf("they are told again: %q", again)
	}
}
