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
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// maxBackfills is how often a viewer that is too slow for the log may read again what
	// the ring has lost meanwhile. Then it gets a gap.
	maxBackfills = 8
	// maxFailures is how often a backfill may break before the viewer is given the error:
	// over a minute.
	maxFailures = 12
	// cursorEvery is how often a viewer whose filter lets nothing pass is given a cursor.
	cursorEvery = 2 * time.Second
)

// LogViewer reads a log in order: at first what was written before, out of the hub's ring
// or, where that does not reach far enough, by a read of its own; then from the ring. It
// holds nothing but its place in the ring, so it costs the same however fast the log is; if
// it is too slow for its place to be kept, it gets a gap that says how many lines there
// were. It is not safe for concurrent use, Close excepted.
type LogViewer struct {
	logs   *Logs
	source LogSource
	query  LogQuery
	ctx    context.Context
	cancel context.CancelFunc
	once   sync.Once
	hub    *logHub

	pos    uint64 // the next line in the ring; guarded by hub.mu
	joined uint64 // what was said before this is no news

	last      Cursor // behind what was given
	back      *backfill
	backfills int
	broken    bool // the backfill, which is to go on
	failures  int
	search    *search
	lines     []Line
	given     time.Time
}

func newLogViewer(ctx context.Context, l *Logs, source LogSource, query LogQuery) *LogViewer {
	if !query.Stdout && !query.Stderr {
		query.Stdout, query.Stderr = true, true
	}
	v := &LogViewer{logs: l, source: source, query: query, last: query.Resume, given: time.Now()}
	v.ctx, v.cancel = context.WithCancel(ctx)
	return v
}

// Close ends the viewer; a Next that waits returns an error.
func (v *LogViewer) Close() {
	v.once.Do(func() {
		v.cancel()
		if v.hub != nil {
			v.hub.leave(v)
		}
		v.logs.release(v.source)
	})
}

// follow joins the hub, and finds the viewer's place.
func (v *LogViewer) follow() error {
	h, err := v.logs.attach(v)
	if err != nil {
		return err
	}
	v.hub = h
	select {
	case <-h.ready:
	case <-v.ctx.Done():
		return v.ctx.Err()
	}
	h.mu.Lock()
	h.show()
	v.joined = h.ring.next
	err = h.err
	placed := v.place()
	h.mu.Unlock()
	if err != nil || placed {
		return err
	}
	return v.startBackfill()
}

// place looks for the viewer's place in the ring; false if that lies before it. hub.mu is
// held.
func (v *LogViewer) place() bool {
	r, q := &v.hub.ring, v.query
	whole := v.hub.complete && !r.trimmed
	if !v.last.IsZero() {
		seq, ok := r.find(v.last)
		if ok {
			v.pos = seq
		}
		return ok
	}
	v.pos = r.oldest()
	if q.Tail >= 0 {
		seq, enough := r.tail(q.Tail, v.wanted)
		if enough {
			v.pos = seq
		}
		return enough || whole
	}
	if len(r.chunks) > 0 && r.chunks[0].lines[0].Time+int64(before) <= sinceNano(q.Since) {
		return true
	}
	return whole
}

func sinceNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// wanted reports whether a line is of a stream that the viewer asked for.
func (v *LogViewer) wanted(l *Line) bool {
	return l.Kind == LineText && (l.Stream == Stdout && v.query.Stdout || l.Stream == Stderr && v.query.Stderr)
}

// Next waits for lines. io.EOF is the end of the log: all of it where it is not followed,
// else the end of the container.
func (v *LogViewer) Next() (Batch, error) {
	for {
		b, err := v.next()
		if err != nil {
			return Batch{}, err
		}
		if !b.Cursor.IsZero() {
			v.last = b.Cursor
		}
		b.Cursor = v.last
		if len(b.Lines) > 0 || time.Since(v.given) > cursorEvery && !v.last.IsZero() {
			v.given = time.Now()
			return b, nil
		}
	}
}

func (v *LogViewer) next() (Batch, error) {
	if err := v.ctx.Err(); err != nil {
		return Batch{}, err
	}
	if v.broken {
		return Batch{}, v.mend()
	}
	if v.back != nil {
		return v.nextBackfill()
	}
	if v.hub == nil {
		return Batch{}, io.EOF
	}
	return v.nextLive()
}

// nextLive takes a chunk, or what is left of it, from the ring.
func (v *LogViewer) nextLive() (Batch, error) {
	h := v.hub
	h.mu.Lock()
	if oldest := h.ring.oldest(); v.pos < oldest {
		lost := oldest - v.pos
		v.pos = oldest
		h.mu.Unlock()
		return v.gap(lost), nil
	}
	if c := h.ring.at(v.pos); c != nil {
		from := v.pos - c.first
		v.pos = c.next()
		h.mu.Unlock()
		return v.choose(c, from), nil
	}
	wake, ended, err := h.wake, h.ended, h.err
	h.mu.Unlock()
	if ended {
		if err == nil {
			err = io.EOF
		}
		return Batch{}, err
	}
	return v.wait(wake), nil
}

// wait waits for lines. Those that a search holds back do not wait forever.
func (v *LogViewer) wait(wake <-chan struct{}) Batch {
	var settled <-chan time.Time
	if v.search != nil && len(v.search.held) > 0 {
		timer := time.NewTimer(settleAfter)
		defer timer.Stop()
		settled = timer.C
	}
	select {
	case <-wake:
	case <-v.ctx.Done():
	case <-settled:
		v.lines = v.lines[:0]
		at := v.search.held[len(v.search.held)-1].Cursor
		v.giveUp(v.search)
		v.search = nil
		return Batch{Lines: v.lines, Cursor: at}
	}
	return Batch{}
}

func (v *LogViewer) gap(lost uint64) Batch {
	v.lines = append(v.lines[:0], Line{Kind: LineGap, Lost: lost, Time: v.last.Time, Cursor: v.last})
	return Batch{Lines: v.lines}
}

// choose returns the lines of a chunk that the viewer wants; where those are all, no line
// is touched.
func (v *LogViewer) choose(c *chunk, from uint64) Batch {
	lines := c.lines[from:]
	b := Batch{Lines: lines, Cursor: lines[len(lines)-1].Cursor}
	since := sinceNano(v.query.Since)
	if c.plain && v.query.Stdout && v.query.Stderr && v.query.Filter == nil && c.start >= since && v.search == nil {
		if from == 0 {
			b.chunk = c
		}
		return b
	}
	v.lines = v.lines[:0]
	for i := range lines {
		l := &lines[i]
		switch {
		case l.Kind != LineText:
			if l.Kind == LineGap || c.first+from+uint64(i) >= v.joined {
				v.lines = append(v.lines, *l)
			}
		case v.search != nil:
			v.seek(l)
		case v.passes(l, since):
			v.lines = append(v.lines, *l)
		}
	}
	b.Lines = v.lines
	if v.search != nil {
		b.Cursor = v.last
	}
	return b
}

func (v *LogViewer) passes(l *Line, since int64) bool {
	return v.wanted(l) && l.Time >= since && (v.query.Filter == nil || v.query.Filter.match(l.Text))
}

// seek passes over lines that a backfill has given already.
func (v *LogViewer) seek(l *Line) {
	s := v.search
	if l.Cursor == s.at {
		v.search = nil
		return
	}
	if !s.hold(l) {
		return
	}
	v.search = nil
	v.giveUp(s)
}

// giveUp gives what a search held back, behind a gap of unknown size.
func (v *LogViewer) giveUp(s *search) {
	v.lines = append(v.lines, Line{Kind: LineGap, Time: s.at.Time, Cursor: s.at})
	for i := range s.held {
		if l := &s.held[i]; v.passes(l, sinceNano(v.query.Since)) {
			v.lines = append(v.lines, *l)
		}
	}
}

// startBackfill opens a read of the viewer's own for what is older than the ring.
func (v *LogViewer) startBackfill() error {
	if v.hub != nil {
		v.hub.mu.Lock()
		v.pos = v.hub.ring.oldest() // kept, as far as the queue's bytes go
		v.hub.mu.Unlock()
	}
	v.backfills++
	b, err := openBackfill(v)
	if err != nil {
		return err
	}
	v.back = b
	return nil
}

// nextBackfill reads on; once the ring has the place that was reached, it takes over.
func (v *LogViewer) nextBackfill() (Batch, error) {
	batch, err := v.back.next(v)
	if !batch.Cursor.IsZero() {
		v.last = batch.Cursor
	}
	if err != nil && !errors.Is(err, io.EOF) {
		v.endBackfill()
		if v.hub == nil || v.failures >= maxFailures || v.ctx.Err() != nil {
			return Batch{}, err
		}
		v.failures++
		v.broken = true
		return batch, nil
	}
	if v.hub == nil {
		if err != nil {
			v.endBackfill()
		}
		return batch, nil
	}
	if v.back.search != nil {
		return batch, nil // its place is not found yet
	}
	v.takeOver(err != nil)
	return batch, nil
}

// mend goes on with a backfill that broke.
func (v *LogViewer) mend() error {
	timer := time.NewTimer(min(retryFirst<<v.failures, retryMost))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-v.ctx.Done():
		return v.ctx.Err()
	}
	v.backfills--
	err := v.startBackfill()
	if err != nil && v.failures < maxFailures {
		v.failures++
		return nil
	}
	v.broken = false
	return err
}

// takeOver leaves a backfill, whose end may have been reached, for the ring.
func (v *LogViewer) takeOver(atEnd bool) {
	h := v.hub
	h.mu.Lock()
	h.show()
	placed := !v.last.IsZero() && v.place()
	inside := len(h.ring.chunks) == 0 || v.last.Time >= h.ring.chunks[0].start
	h.mu.Unlock()
	if !placed && !atEnd {
		return
	}
	v.endBackfill()
	switch {
	case placed || v.last.IsZero():
	case inside:
		v.search = newSearch(v.last) // the hub is a little behind
	case v.backfills < maxBackfills:
		v.broken = v.startBackfill() != nil
	}
}

func (v *LogViewer) endBackfill() {
	v.back.close()
	v.back = nil
}
