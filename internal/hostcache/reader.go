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
	"errors"
	"hash/maphash"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const (
	// maxInbox and maxInboxBytes bound what waits for the session's goroutine; it
	// never waits for an engine, so that only a flood fills it. Then everything is
	// listed anew.
	maxInbox      = 10_000
	maxInboxBytes = 16 << 20
	// maxEventRate is how many events a second are read from one engine. Above it
	// the engine waits, or drops, at its own side: decoding a flood takes some
	// 15 us of CPU an event, which other hosts need. A busy engine sends hundreds.
	maxEventRate = 5_000
)

// lastEvent is where an event stream stopped: the time of the last event, and
// the hashes of the events of that very time.
type lastEvent struct {
	at     time.Time
	hashes []uint64
}

// maxSameTime bounds lastEvent.hashes against an engine whose clock stands still.
const maxSameTime = 1000

var eventSeed = maphash.MakeSeed()

func (l *lastEvent) note(e engine.Event) {
	at := e.At()
	if at.Before(l.at) {
		return
	}
	if at.After(l.at) || len(l.hashes) >= maxSameTime {
		l.at, l.hashes = at, l.hashes[:0]
	}
	l.hashes = append(l.hashes, maphash.Bytes(eventSeed, e.Raw))
}

// has reports whether e was the last, or one of the last, of the stream before.
func (l *lastEvent) has(e engine.Event) bool {
	return e.At().Equal(l.at) && slices.Contains(l.hashes, maphash.Bytes(eventSeed, e.Raw))
}

// reader moves events from an engine's stream to the inbox and the feed, as fast
// as they come: engines drop events of slow readers.
type reader struct {
	stream engine.EventStream
	inbox  *inbox
	feed   *feed
	// last is owned by the reader's goroutine until that ends.
	last lastEvent
	// before is the end of the stream that this one continues.
	before lastEvent
	// settled is set when it is known whether events are missing between before and
	// this stream, and the feed was told.
	settled atomic.Bool

	window time.Time
	count  int
}

// newReader continues where before stopped; with a zero time there is nothing to
// continue. opened is the engine's time when the stream was opened: a stream that
// is cut before its first event continues from there.
func newReader(stream engine.EventStream, box *inbox, f *feed, before lastEvent, opened time.Time) *reader {
	r := &reader{stream: stream, inbox: box, feed: f, before: before}
	r.last = lastEvent{at: before.at, hashes: slices.Clone(before.hashes)}
	if before.at.IsZero() {
		r.last.at = opened
		r.settled.Store(true)
	}
	return r
}

// run reads to the stream's end and returns why it ended. wait sleeps; its error
// ends the reader.
func (r *reader) run(wait func(time.Duration) error) error {
	for {
		e, err := r.stream.Next()
		if errors.Is(err, io.EOF) {
			return engine.Errorf(engine.ClassUnreachable, "", "the engine ended its event stream")
		}
		if err != nil {
			return err
		}
		if r.before.has(e) {
			r.settled.Store(true)
			continue
		}
		r.settle()
		r.last.note(e)
		r.feed.publish(e)
		r.inbox.put(e)
		if pause := r.pace(time.Now()); pause > 0 {
			if err := wait(pause); err != nil {
				return err
			}
		}
	}
}

// settle tells the feed of a gap, unless it is known that there is none. The
// engine was asked for events from the last one on: had it still known that one,
// it would have come first.
func (r *reader) settle() {
	if r.settled.CompareAndSwap(false, true) {
		r.feed.gap()
	}
}

// pace returns how long to wait before the next event.
func (r *reader) pace(now time.Time) time.Duration {
	if now.Sub(r.window) >= time.Second {
		r.window, r.count = now, 0
	}
	if r.count++; r.count < maxEventRate {
		return 0
	}
	return r.window.Add(time.Second).Sub(now)
}

// inbox is the queue between a reader and its session.
type inbox struct {
	mu       sync.Mutex
	events   []engine.Event
	bytes    int
	overflow bool
	ready    chan struct{}
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

func (b *inbox) put(e engine.Event) {
	b.mu.Lock()
	if len(b.events) >= maxInbox || b.bytes >= maxInboxBytes {
		b.events, b.bytes, b.overflow = nil, 0, true
	}
	b.events = append(b.events, e)
	b.bytes += len(e.Raw)
	b.mu.Unlock()
	nudge(b.ready)
}

// take empties the inbox. overflow tells that events were dropped since.
func (b *inbox) take() (events []engine.Event, overflow bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	events, overflow = b.events, b.overflow
	b.events, b.bytes, b.overflow = nil, 0, false
	return events, overflow
}
