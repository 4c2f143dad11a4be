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
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache/hostcachetest"
)

// following collects a feed until its context ends.
type following struct {
	mu    sync.Mutex
	items []FeedItem
	ended chan struct{}
	stop  context.CancelFunc
}

func (b *bed) follow() *following {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	events, err := b.cache.Events(ctx, web)
	if err != nil {
		b.Fatal(err)
	}
	f := &following{ended: make(chan struct{}), stop: stop}
	go func() {
		defer close(f.ended)
		for item := range events {
			f.mu.Lock()
			f.items = append(f.items, item)
			f.mu.Unlock()
		}
	}()
	b.settle()
	return f
}

// taken returns the items so far: an event's id, or gap and its count.
func (f *following) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var got []string
	for _, item := range f.items {
		if item.Gap {
			got = append(got, fmt.Sprintf("gap %d", item.Dropped))
		} else {
			got = append(got, item.Event.Actor.ID)
		}
	}
	f.items = nil
	return got
}

func wantItems(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the feed gave %q, want %q", got, want)
	}
}

func TestFeedIsSharedAndOutlastsReconnects(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		docker.Emit("container", "exec_die", "before")
		b.settle()
		one, two := b.follow(), b.follow()
		docker.Emit("container", "exec_die", "c1")
		b.settle()
		wantItems(t, one.taken(), "c1")
		wantItems(t, two.taken(), "c1")
		if n := docker.Calls(hostcachetest.Events); n != 1 {
			t.Errorf("%d event streams for two followers and the inventory", n)
		}

		// Reopened where it ended: nothing missing, nothing twice.
		docker.Hang(hostcachetest.Ping)
		docker.EndStreams(io.EOF)
		b.settle()
		docker.Emit("container", "exec_die", "c2")
		docker.Heal(hostcachetest.Ping)
		b.settle()
		docker.Emit("container", "exec_die", "c3")
		b.pass(time.Second)
		wantItems(t, one.taken(), "c2", "c3")

		// A new connection to an engine that kept its memory: the same.
		docker.Stop()
		b.until(web, PhaseDisconnected, 2*time.Second)
		docker.Emit("container", "exec_die", "c4")
		docker.Heal(hostcachetest.All)
		b.until(web, PhaseConnected, 2*time.Second)
		wantItems(t, one.taken(), "c4")

		// One that lost it, as engines do when they restart: a gap, at once.
		docker.Stop()
		b.until(web, PhaseDisconnected, 2*time.Second)
		docker.Forget()
		docker.Heal(hostcachetest.All)
		b.until(web, PhaseConnected, 2*time.Second)
		b.pass(replayTime)
		wantItems(t, one.taken(), "gap 0")
		docker.Emit("container", "exec_die", "c5")
		b.settle()
		wantItems(t, one.taken(), "c5")

		one.stop()
		<-one.ended
		b.cache.Delete(web)
		<-two.ended
		two.stop()
	})
}

// TestFeedBeginsWithTheCall has events come between Events and the loop over them.
func TestFeedBeginsWithTheCall(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		events, err := b.cache.Events(ctx, web)
		if err != nil {
			b.Fatal(err)
		}
		docker.Emit("container", "exec_die", "c1")
		b.settle()
		for item := range events {
			wantItems(t, []string{item.Event.Actor.ID}, "c1")
			break
		}

		// One that nobody loops over is forgotten with its context.
		if _, err := b.cache.Events(ctx, web); err != nil {
			b.Fatal(err)
		}
		feed := b.cache.accessor(web).feed
		docker.Emit("container", "exec_die", "c2")
		b.settle()
		if n := len(feed.ring); n != 1 {
			t.Errorf("%d events are kept for a subscriber", n)
		}
		cancel()
		b.settle()
		if n := len(feed.subs); n != 0 || feed.ring != nil {
			t.Errorf("%d subscribers are left, with %d events", n, len(feed.ring))
		}
	})
}

func TestFeedOfAReplacedEngineHasAGap(t *testing.T) {
	inBubble(t, func(b *bed) {
		docker := b.connected()
		f := b.follow()
		docker.Emit("container", "exec_die", "c1")
		b.settle()
		docker.Stop()
		b.until(web, PhaseDisconnected, 2*time.Second)
		docker.SetInfo(func(i *engine.Info) { i.ID = "other" })
		docker.Heal(hostcachetest.All)
		b.until(web, PhaseConnected, 2*time.Second)
		wantItems(t, f.taken(), "c1", "gap 0")
		f.stop()
		<-f.ended
	})
}

func TestFeedBounds(t *testing.T) {
	event := func(size int) engine.Event { return engine.Event{Raw: make([]byte, size)} }
	read := func(f *feed, sub *feedSub) (events int, dropped uint64) {
		for {
			item, ok := f.read(sub)
			switch {
			case !ok:
				return events, dropped
			case item.Gap:
				dropped += item.Dropped
			default:
				events++
			}
		}
	}
	for name, test := range map[string]struct{ size, n, want int }{
		"events": {10, 3 * maxFeedEvents, maxFeedEvents},
		"bytes":  {1 << 20, 40, maxFeedBytes >> 20},
		"one":    {maxFeedBytes * 2, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFeed()
			f.publish(event(test.size)) // nobody is there
			slow, quick := f.subscribe(), f.subscribe()
			got := 0
			for range test.n {
				f.publish(event(test.size))
				n, dropped := read(f, quick)
				if got += n; dropped > 0 {
					t.Fatalf("a quick follower lost %d", dropped)
				}
			}
			if got != test.n {
				t.Errorf("a quick follower got %d of %d", got, test.n)
			}
			n, dropped := read(f, slow)
			if n != test.want || dropped != uint64(test.n-test.want) {
				t.Errorf("a slow follower got %d and was told of %d missing, want %d and %d", n, dropped, test.want, test.n-test.want)
			}
			f.unsubscribe(slow)
			f.unsubscribe(quick)
			if len(f.ring) > 0 || f.bytes > 0 {
				t.Error("the ring is kept with nobody to read it")
			}
		})
	}
}

func TestEventsOfUnknownHost(t *testing.T) {
	inBubble(t, func(b *bed) {
		if _, err := b.cache.Events(b.Context(), db); !engine.IsNotFound(err) {
			t.Errorf("Events: %v", err)
		}
	})
}
