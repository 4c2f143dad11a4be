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

package stream

import (
	"context"
	"sync"
	"time"
)

const (
	// ringLines and ringBytes are the backlog that late joiners get at once.
	ringLines = 1000
	ringBytes = 1 << 20
	// showEvery is how often lines are shown while there are many, and showEach how much
	// rarer for each viewer, but showMost is as rare as it gets. To wake a viewer and send
	// it something takes 10 to 25 us of CPU whatever the length; so that is a quarter of a
	// core at most, and the more lines at a time the fewer. The first line after a pause is
	// shown at once.
	showEvery = 20 * time.Millisecond
	showEach  = 100 * time.Microsecond
	showMost  = 100 * time.Millisecond
	// readyPatience is how long viewers wait for the backlog.
	readyPatience = 3 * time.Second
)

// logHub reads the log of one container, once, for all its viewers. Its goroutine (run, in
// logupstream.go) ends with the last viewer, a little later; mu is never held while an
// engine is waited for.
type logHub struct {
	logs   *Logs
	source LogSource
	ctx    context.Context
	cancel context.CancelFunc
	nudged chan struct{} // the host's connection changed
	ready  chan struct{} // closed when the backlog is there, or the hub ended

	mu       sync.Mutex
	ring     ring
	sequence sequence
	first    Cursor // the first record
	replay   *replay
	awaited  *Cursor // the end of the log as it was when reading began
	whole    bool    // what is read begins with the log's first line
	partial  bool    // viewers began before the backlog was there
	complete bool    // the ring began with the log's first line, all of it
	isReady  bool
	ended    bool
	err      error         // why it ended; nil for the log's end
	wake     chan struct{} // closed when lines are shown
	shown    time.Time
	showing  *time.Timer
	armed    bool
	settling *time.Timer
	viewers  map[*LogViewer]struct{}
	linger   *time.Timer
	waiting  *time.Timer
}

func newLogHub(l *Logs, source LogSource) *logHub {
	h := &logHub{
		logs: l, source: source,
		nudged:  make(chan struct{}, 1),
		ready:   make(chan struct{}),
		wake:    make(chan struct{}),
		viewers: map[*LogViewer]struct{}{},
		ring:    ring{maxLines: ringLines, maxBytes: ringBytes, maxQueue: max(l.limits.QueueBytes, ringBytes)},
	}
	h.ctx, h.cancel = context.WithCancel(l.ctx)
	return h
}

// take is given every record of the log. mu is held.
func (h *logHub) take(r record) {
	sum := r.checksum()
	if p := h.replay; p != nil {
		switch p.judge(r, sum, &h.sequence.tally) {
		case isOld:
			return
		case isHeld:
			h.settleLater()
			return
		case isNew:
			h.replay = nil
		case isLost:
			if h.lose(); h.replay != nil {
				h.take(r)
				return
			}
		}
	} else if h.repeated(r, sum) {
		return
	}
	if h.first.IsZero() {
		h.first = Cursor{Time: r.time, Sum: sum}
	}
	h.sequence.add(r, sum, h)
	h.caughtUp(r.time, sum)
}

// repeated reports whether the engine sent a record twice, as dockerd does when it rotates
// the log of a fast writer.
func (h *logHub) repeated(r record, sum uint32) bool {
	if whole(r.time) || !h.sequence.tally.has(r.time, sum) {
		return false
	}
	u := &h.sequence.open[r.stream]
	return !u.active || u.time != r.time // parts of one line may be equal
}

// lose gives up the place in the log that a replay looks for. If the record is gone that the
// hub began with, a later one that is known will do; else what was held back is shown, behind
// a gap. mu is held.
func (h *logHub) lose() {
	p, held := h.replay, h.replay.held
	if p.expect {
		p.expect, p.held, p.bytes = false, nil, 0
		for _, r := range held {
			h.take(r)
		}
		if held = p.held; h.replay != p || len(held) == 0 {
			return
		}
	}
	h.replay = nil
	h.say(LineGap, "")
	for _, r := range held {
		h.sequence.add(r, r.checksum(), h)
	}
}

// settleLater gives up a replay that comes to no end. mu is held.
func (h *logHub) settleLater() {
	p := h.replay
	if h.settling != nil {
		h.settling.Stop()
	}
	h.settling = time.AfterFunc(settleAfter, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.replay == p && len(p.held) > 0 && !h.ended {
			h.lose()
			h.show()
		}
	})
}

// putLine implements lineSink. mu is held.
func (h *logHub) putLine(l Line, _ uint64) {
	if h.ring.add(l) {
		h.show()
	}
}

// say puts what is said about the log among its lines. mu is held.
func (h *logHub) say(kind LineKind, text string) {
	h.putLine(Line{Kind: kind, Text: []byte(text), Time: h.sequence.last.Time, Cursor: h.sequence.last}, 0)
}

// caughtUp is told of each record until the end of the log is reached as it was when
// reading began. mu is held.
func (h *logHub) caughtUp(at int64, sum uint32) {
	if h.isReady || h.awaited == nil {
		return
	}
	a := h.awaited
	if at == a.Time && sum == a.Sum || at > a.Time && (h.sequence.ordinal == 1 || at > a.Time+int64(before)) {
		h.setReady()
	}
}

// setReady lets viewers begin. mu is held.
func (h *logHub) setReady() {
	if h.isReady {
		return
	}
	h.isReady = true
	h.complete = h.whole && !h.partial
	close(h.ready)
}

// await has viewers begin when the log's end was reached as it is now. An engine that does
// not come to it, or takes long, has no viewer wait for that. mu is held.
func (h *logHub) await(end Cursor) {
	h.awaited = &end
	h.waiting = time.AfterFunc(readyPatience, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.isReady {
			h.partial = true
			h.setReady()
		}
	})
}

// show makes lines visible. mu is held.
func (h *logHub) show() {
	if !h.ring.seal(h.slowest()) {
		return
	}
	h.shown = time.Now()
	close(h.wake)
	h.wake = make(chan struct{})
}

// showSoon shows lines now, or a moment after the last ones. mu is held.
func (h *logHub) showSoon() {
	if h.ring.open == nil || h.armed {
		return
	}
	wait := h.every() - time.Since(h.shown)
	if wait <= 0 {
		h.show()
		return
	}
	h.armed = true
	if h.showing != nil {
		h.showing.Reset(wait)
		return
	}
	h.showing = time.AfterFunc(wait, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.armed = false
		h.show()
	})
}

// every is the time between two showings. mu is held.
func (h *logHub) every() time.Duration {
	return min(showEvery+time.Duration(len(h.viewers))*showEach, showMost)
}

// slowest is where the viewer is that is farthest behind. mu is held.
func (h *logHub) slowest() uint64 {
	at := h.ring.next
	for v := range h.viewers {
		at = min(at, v.pos)
	}
	return at
}

// join adds a viewer; false if the hub has ended.
func (h *logHub) join(v *LogViewer) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return false
	}
	if h.linger != nil {
		h.linger.Stop()
		h.linger = nil
	}
	v.pos = h.ring.oldest()
	h.viewers[v] = struct{}{}
	return true
}

// leave takes a viewer away. The last one ends the hub, after a while.
func (h *logHub) leave(v *LogViewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.viewers[v]; !ok {
		return
	}
	delete(h.viewers, v)
	if len(h.viewers) > 0 || h.ended {
		return
	}
	h.linger = time.AfterFunc(h.logs.limits.Linger, func() {
		h.mu.Lock()
		idle := len(h.viewers) == 0
		if idle {
			h.ended = true // who comes now gets a new hub
		}
		h.mu.Unlock()
		if idle {
			h.cancel()
		}
	})
}

// endRun is told that a run of the container has ended: its log has been read to the end.
func (h *logHub) endRun() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.replay != nil && len(h.replay.held) > 0 {
		h.lose()
	}
	h.sequence.finishAll(h)
	h.setReady()
	h.show()
}

// end lets viewers have what is left, and then the end.
func (h *logHub) end(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sequence.finishAll(h)
	h.show()
	h.ended, h.err = true, err
	for _, t := range []*time.Timer{h.showing, h.settling, h.linger, h.waiting} {
		if t != nil {
			t.Stop()
		}
	}
	h.setReady()
	close(h.wake)
	h.wake = make(chan struct{})
}
