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
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

var listContainers = hostcachetest.List(engine.Containers)

func TestEventsKeepContainersCurrent(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected(hostcachetest.Container("c1", "one", "running"))
		began := time.Now()
		docker.Put(hostcachetest.Container("c2", "two", "created"))
		docker.Emit("container", "create", "c2")
		b.settle()
		b.wantIDs(web, engine.Containers, "c1", "c2")
		if time.Since(began) > 0 {
			t.Error("the first event had to wait")
		}
		docker.Put(hostcachetest.Container("c2", "two", "running"))
		docker.Emit("container", "start", "c2")
		b.pass(containerSpacing)
		if got := b.state(web).Counts; got != (Counts{Running: 2, Total: 2}) {
			t.Errorf("counts are %+v", got)
		}
		docker.Put(hostcachetest.Container("c2", "two", "paused"))
		docker.Emit("container", "pause", "c2")
		b.pass(containerSpacing)
		if got := b.state(web).Counts; got != (Counts{Running: 1, Paused: 1, Total: 2}) {
			t.Errorf("counts are %+v", got)
		}
		docker.Remove(engine.Containers, "c2")
		docker.Emit("container", "destroy", "c2")
		b.settle()
		b.wantIDs(web, engine.Containers, "c1")
		for _, ch := range b.taken() {
			if ch.Condition {
				t.Error("a change of counts was announced as one of condition")
			}
		}
	})
}

func TestContainerThatIsGoneWithoutADestroy(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected(hostcachetest.Container("c1", "one", "running"))
		docker.Remove(engine.Containers, "c1")
		docker.Emit("container", "die", "c1")
		b.settle()
		b.wantIDs(web, engine.Containers)
	})
}

func TestListsDoNotRaiseTheDead(t *testing.T) {
	for name, event := range map[string]string{"a list by id": "start", "a whole list": "prune"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				docker := b.connected(hostcachetest.Container("c1", "one", "running"), hostcachetest.Container("c2", "two", "running"))
				docker.Delay(listContainers, time.Second)
				id := "c1"
				if event == "prune" {
					id = ""
				}
				docker.Emit("container", event, id)
				b.pass(time.Second / 2)
				// The fake answers with what it has at the end, so c1 stays: the list was
				// made before the removal, and arrives after the event of it.
				docker.Emit("container", "destroy", "c1")
				b.settle()
				b.wantIDs(web, engine.Containers, "c2")
				b.pass(time.Second)
				b.wantIDs(web, engine.Containers, "c2")
				if got := b.state(web).Counts.Total; got != 1 {
					t.Errorf("%d containers are counted", got)
				}
			})
		})
	}
}

func TestEventsAreCoalesced(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		before := docker.Calls(listContainers)
		docker.Delay(listContainers, 100*time.Millisecond)
		for i := range 50 {
			id := fmt.Sprintf("c%02d", i)
			docker.Put(hostcachetest.Container(id, id, "running"))
			docker.Emit("container", "create", id)
			docker.Emit("container", "start", id)
			b.settle()
		}
		b.pass(time.Second)
		if got := b.state(web).Counts.Running; got != 50 {
			t.Errorf("%d containers are running, want 50", got)
		}
		asked := docker.AskedIDs()[before:]
		if len(asked) != 2 || !slices.Equal(asked[0], []string{"c00"}) || len(asked[1]) < 49 {
			t.Errorf("lists were made for %v, want the first event's and then one for the others", asked)
		}
	})
}

func TestManyDirtyContainersAreOneWholeList(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		before := docker.Calls(listContainers)
		docker.Delay(listContainers, 100*time.Millisecond)
		for i := range maxDirty + 2 {
			id := fmt.Sprintf("c%03d", i)
			docker.Put(hostcachetest.Container(id, id, "running"))
			docker.Emit("container", "start", id)
			b.settle()
		}
		b.pass(time.Second)
		if got := b.state(web).Counts.Running; got != maxDirty+2 {
			t.Errorf("%d containers are running", got)
		}
		asked := docker.AskedIDs()[before:]
		if last := asked[len(asked)-1]; len(asked) > 2 || len(last) != 0 {
			t.Errorf("%d lists were made, the last for %d ids; want a whole one at the end", len(asked), len(last))
		}
	})
}

func TestEventsThatNoListShows(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected(hostcachetest.Container("c1", "one", "running"))
		for _, action := range []string{
			"exec_create: /bin/sh -c true", "exec_start: /bin/sh -c true", "exec_die", "exec_detach", "attach", "detach",
			"resize", "top", "archive-path", "extract-to-dir", "copy", "export", "commit", "kill",
		} {
			docker.Emit("container", action, "c1")
		}
		docker.Emit("volume", "mount", "v1")
		docker.Emit("volume", "unmount", "v1")
		docker.Emit("network", "connect", "n1")
		docker.Emit("image", "push", "i1")
		docker.Emit("plugin", "enable", "p1")
		docker.Emit("builder", "prune", "")
		docker.Emit("nonsense", "", "")
		b.pass(time.Second)
		for _, kind := range engine.LocalKinds {
			if n := docker.Calls(hostcachetest.List(kind)); n != 1 {
				t.Errorf("%s were listed %d times, want once", kind, n)
			}
		}
		if n := docker.Calls(hostcachetest.Info); n != 1 {
			t.Errorf("/info was read %d times, want once", n)
		}
	})
}

func TestEventsAndWhatTheyHaveListed(t *testing.T) {
	for _, test := range []struct {
		typ, action string
		attributes  []string
		want        string
	}{
		{"container", "health_status: unhealthy", nil, listContainers},
		{"container", "rename", nil, listContainers},
		{"container", "update", nil, listContainers},
		{"container", "oom", nil, listContainers},
		{"container", "unknown to us", nil, listContainers},
		{"network", "connect", []string{"container", "c1"}, listContainers},
		{"network", "create", nil, hostcachetest.List(engine.Networks)},
		{"network", "destroy", nil, hostcachetest.List(engine.Networks)},
		{"volume", "create", nil, hostcachetest.List(engine.Volumes)},
		{"volume", "prune", nil, hostcachetest.List(engine.Volumes)},
		{"image", "pull", nil, hostcachetest.List(engine.Images)},
		{"image", "untag", nil, hostcachetest.Info},
		{"daemon", "reload", nil, hostcachetest.Info},
		{"node", "update", nil, hostcachetest.Info},
	} {
		t.Run(test.typ+" "+test.action, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				docker := b.connected()
				b.pass(time.Second)
				docker.Emit(test.typ, test.action, "c1", test.attributes...)
				b.pass(infoDelay)
				if n := docker.Calls(test.want); n != 2 {
					t.Errorf("%s was called %d times, want once more", test.want, n-1)
				}
			})
		})
	}
}

func TestImagesAreCountedByTheEngine(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		b.pass(time.Second)
		docker.SetInfo(func(i *engine.Info) { i.Images = 3 })
		for range 100 {
			docker.Emit("image", "tag", "i1")
			b.settle()
		}
		b.pass(infoDelay)
		if got := b.state(web).Counts.Images; got != 3 {
			t.Errorf("%d images are counted", got)
		}
		if n := docker.Calls(hostcachetest.Info); n != 2 {
			t.Errorf("/info was read %d times for 100 events, want once", n-1)
		}
		if ch := b.taken(); len(ch) != 1 || ch[0].Condition {
			t.Errorf("changes %v, want one of counts", ch)
		}
	})
}

func TestListingSaysHowOldItIs(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected(hostcachetest.Container("c1", "one", "running"))
		b.pass(3 * time.Second)
		docker.Delay(listContainers, time.Second)
		b.pass(time.Second)
		came := time.Now()
		docker.Emit("container", "die", "c1")
		b.pass(500 * time.Millisecond)
		docker.Emit("container", "start", "c1")
		second := time.Now()
		b.pass(400 * time.Millisecond)
		observed := func() time.Time {
			listing, err := b.cache.List(web, engine.Containers)
			if err != nil {
				t.Fatal(err)
			}
			return listing.ObservedAt
		}
		if got := observed(); !got.Equal(came) {
			t.Errorf("while the first event waits the listing is of %s, want %s", got, came)
		}
		b.pass(200 * time.Millisecond)
		if got := observed(); !got.Equal(second) {
			t.Errorf("while the second event waits the listing is of %s, want %s", got, second)
		}
		b.pass(2 * time.Second)
		if got := observed(); !got.Equal(time.Now()) {
			t.Errorf("with nothing waiting the listing is of %s, want now", got)
		}
	})
}

func TestListThatFailsIsTriedAgainWhole(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		docker.Fail(listContainers, engine.Errorf(engine.ClassInvalid, "", "no such filter"))
		docker.Put(hostcachetest.Container("c1", "one", "running"))
		docker.Emit("container", "create", "c1")
		b.settle()
		docker.Heal(listContainers)
		b.pass(minBackoff)
		b.wantIDs(web, engine.Containers, "c1")
		asked := docker.AskedIDs()
		if last := asked[len(asked)-1]; len(last) != 0 {
			t.Errorf("the second attempt asked for %v, want all", last)
		}
		b.wantPhase(web, PhaseConnected)
	})
}

func TestContainersThatCannotBeListedAreALostHost(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		boom := engine.Errorf(engine.ClassServer, engine.CauseEngineError, "boom")
		docker.Fail(listContainers, boom)
		docker.Emit("container", "create", "c1")
		b.until(web, PhaseDisconnected, 5*time.Second)
		if err := b.state(web).Err; !sameError(err, boom) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestAFloodIsAnsweredByRelists(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		before := docker.Calls(listContainers)
		for i := range 4 * maxEventRate {
			docker.Emit("container", "start", fmt.Sprint("c", i%1000))
		}
		b.pass(10 * time.Second)
		b.wantPhase(web, PhaseConnected)
		if n := docker.Calls(listContainers) - before; n > 500 {
			t.Errorf("containers were listed %d times, which is more than one each %s", n, containerSpacing)
		}
	})
}

func TestNothingListedAgainOnAQuietHost(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		// No event tells of this one: the slow relist finds it.
		docker.Put(hostcachetest.Container("c1", "one", "running"))
		b.pass(DefaultRelistInterval + time.Second)
		b.wantIDs(web, engine.Containers, "c1")
	})
}
