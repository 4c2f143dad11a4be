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
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const (
	// mergeWindow is how long a line waits for an earlier one of another source.
	mergeWindow = 100 * time.Millisecond
	// firstWindow is how long all wait for the backlog of a source that has just begun.
	firstWindow = time.Second
	// leaveGrace is how long a source is read on that is no longer in the set: a task that
	// was replaced has last words.
	leaveGrace = 4 * time.Second
	// skew is how much earlier than a merged stream, by the manager's clock, the lines of a
	// source may be that comes later.
	skew = 10 * time.Second
	// MaxSources bounds a merged stream.
	MaxSources = 200
	// maxCursors bounds what is remembered of sources that left the set, and may come back.
	maxCursors = 4 * MaxSources
	// mergeLines is a merged batch's size.
	mergeLines = 512
)

// Sources is a set of logs that may change: the tasks of a service, the containers that a
// label selects.
type Sources interface {
	// Current returns the sources and a channel that is closed when they may have changed;
	// nil if they never do. A container that stopped is to be left out, and to come back
	// when it runs again; it is then read from where it was.
	Current() (sources []LogSource, changed <-chan struct{})
}

// Revoker is what Sources may be too, where rights come and go.
type Revoker interface {
	// Revoked tells of a source that is no longer among the current ones whether it has to
	// be silent at once: by default it is read on for its last words.
	Revoked(s LogSource) bool
}

// FixedSources are sources that do not change.
type FixedSources []LogSource

// Current implements Sources.
func (s FixedSources) Current() ([]LogSource, <-chan struct{}) { return s, nil }

// MergedViewer reads several logs in the order of their times, as far as those come within
// a moment of each other. Line.Source tells them apart. It is not safe for concurrent use,
// Close excepted.
type MergedViewer struct {
	logs    *Logs
	sources Sources
	query   LogQuery
	begun   time.Time
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	names   []LogSource // by Line.Source
	feeds   map[LogSource]*feed
	cursors map[LogSource]Cursor
	present map[LogSource]bool // the set
	done    map[LogSource]bool // those of the set that have come to their end
	changed <-chan struct{}
	inbox   chan delivery
	lines   []Line
	notices []Line
	tooMany bool
	updated bool // the set, since Next returned
}

// OpenMerged returns a viewer of several logs. resume has the cursors of those that were
// read before; query.Resume is not used. A source that cannot be read is told of by a
// LineInterrupted of its own, and tried again.
func (l *Logs) OpenMerged(ctx context.Context, sources Sources, query LogQuery, resume map[LogSource]Cursor) *MergedViewer {
	m := &MergedViewer{
		logs: l, sources: sources, query: query, begun: time.Now(),
		feeds: map[LogSource]*feed{}, done: map[LogSource]bool{}, cursors: maps.Clone(resume), inbox: make(chan delivery),
	}
	if m.cursors == nil {
		m.cursors = map[LogSource]Cursor{}
	}
	m.ctx, m.cancel = context.WithCancel(ctx)
	m.update(true)
	return m
}

// Close ends the viewer and all it reads.
func (m *MergedViewer) Close() {
	m.cancel()
	m.running.Wait()
}

// Name is the source of a line.
func (m *MergedViewer) Name(l *Line) LogSource { return m.names[l.Source] }

// Cursors is where to resume behind the last batch. It is the caller's to keep.
func (m *MergedViewer) Cursors() map[LogSource]Cursor {
	cursors := maps.Clone(m.cursors)
	maps.DeleteFunc(cursors, func(s LogSource, _ Cursor) bool { return !m.wants(s) })
	return cursors
}

// wants reports whether a source is in the set, or has last words to say.
func (m *MergedViewer) wants(s LogSource) bool { return m.present[s] || m.feeds[s] != nil }

// Next waits for lines. There are none at the beginning and where the set of sources may
// have changed, for whoever has to say something about it. io.EOF is the end of all sources,
// of a set that does not change.
func (m *MergedViewer) Next() ([]Line, error) {
	m.lines = m.lines[:0]
	for {
		m.lines, m.notices = append(m.lines, m.notices...), m.notices[:0]
		if err := m.ctx.Err(); err != nil {
			return nil, err
		}
		m.collect()
		wait := m.merge()
		if len(m.lines) > 0 || m.updated {
			m.updated = false
			return m.lines, nil
		}
		if len(m.feeds) == 0 && m.changed == nil {
			return nil, io.EOF
		}
		m.await(wait)
	}
}

// await waits until something comes, or the first line has waited long enough.
func (m *MergedViewer) await(wait time.Duration) {
	var timeout <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case d := <-m.inbox:
		m.deliver(d)
	case <-m.changed:
		m.update(false)
	case <-timeout:
	case <-m.ctx.Done():
	}
}

// collect takes what is there.
func (m *MergedViewer) collect() {
	for {
		select {
		case d := <-m.inbox:
			m.deliver(d)
		case <-m.changed:
			m.update(false)
		default:
			return
		}
	}
}

func (m *MergedViewer) deliver(d delivery) {
	f := d.feed
	if d.ended {
		f.ended = true
		m.finish(f)
		return
	}
	f.lines, f.cursor, f.arrived, f.quiet = d.lines, d.cursor, time.Now(), false
	if f.revoked {
		f.lines, f.cursor = nil, Cursor{}
	}
	if len(f.lines) == 0 {
		m.finish(f)
	}
}

// finish asks a feed for more when its lines are given.
func (m *MergedViewer) finish(f *feed) {
	if len(f.lines) == 0 && !f.cursor.IsZero() {
		m.cursors[f.source] = f.cursor
	}
	switch {
	case !f.ended:
		f.lines = nil
		f.more <- struct{}{}
	case len(f.lines) == 0: // it may have ended before its last lines were given
		delete(m.feeds, f.source)
		switch present := m.present[f.source]; {
		case present && f.left: // it came back too late to stay
			m.start(f.source, false)
		case present:
			m.done[f.source] = true
		}
	}
}

// merge moves lines that nothing earlier can come before to m.lines. It returns how long
// the first of the others has to wait at most, 0 if there is none.
func (m *MergedViewer) merge() time.Duration {
	for len(m.lines) < mergeLines {
		first, second := m.earliest()
		if first == nil {
			return 0
		}
		if wait := m.patience(first); wait > 0 {
			return wait
		}
		for len(first.lines) > 0 && first.lines[0].Time <= second && len(m.lines) < mergeLines {
			l := first.lines[0]
			first.lines = first.lines[1:]
			l.Source = first.index
			m.lines = append(m.lines, l)
			if !l.Cursor.IsZero() {
				m.cursors[first.source] = l.Cursor
			}
		}
		if len(first.lines) == 0 {
			m.finish(first)
		}
	}
	return 0
}

// earliest returns the feed with the earliest line, and the time of the next feed's.
func (m *MergedViewer) earliest() (first *feed, second int64) {
	const never = 1<<63 - 1
	second = never
	for _, f := range m.feeds {
		switch {
		case len(f.lines) == 0:
		case first == nil:
			first = f
		case f.lines[0].Time < first.lines[0].Time || f.lines[0].Time == first.lines[0].Time && f.index < first.index:
			first, second = f, min(second, first.lines[0].Time)
		default:
			second = min(second, f.lines[0].Time)
		}
	}
	return first, second
}

// patience is how long a feed's first line has to wait for those that have none.
func (m *MergedViewer) patience(first *feed) time.Duration {
	now, wait := time.Now(), time.Duration(0)
	for _, f := range m.feeds {
		if len(f.lines) > 0 {
			continue
		}
		until := first.arrived.Add(mergeWindow)
		if begun := f.begun.Add(firstWindow); f.quiet && begun.After(until) {
			until = begun
		}
		wait = max(wait, until.Sub(now))
	}
	return wait
}

// update follows the set of sources.
func (m *MergedViewer) update(first bool) {
	var now []LogSource
	now, m.changed = m.sources.Current()
	m.updated = true
	m.present = make(map[LogSource]bool, len(now))
	for _, s := range now {
		m.present[s] = true
		switch f := m.feeds[s]; {
		case f != nil:
			f.stay()
		case m.done[s]:
		case len(m.feeds) < MaxSources:
			m.start(s, first)
		case !m.tooMany:
			m.tooMany = true
			m.notices = append(m.notices, Line{Kind: LineInterrupted, Text: fmt.Appendf(nil, "there are %d logs: no more than %d are shown, choose fewer", len(now), MaxSources)})
		}
	}
	for s := range m.done {
		if !m.present[s] {
			delete(m.done, s)
		}
	}
	revoker, _ := m.sources.(Revoker)
	for s, f := range m.feeds {
		switch {
		case m.present[s]:
		case revoker != nil && revoker.Revoked(s):
			if f.revoke(); f.ended {
				delete(m.feeds, s)
			}
		default:
			f.leave()
		}
	}
	for s := range m.cursors {
		if len(m.cursors) > maxCursors && !m.wants(s) {
			delete(m.cursors, s)
		}
	}
}

// start reads a source: from its cursor, else as the query says; one that comes later from
// its beginning.
func (m *MergedViewer) start(s LogSource, first bool) {
	q := m.query
	q.Resume = m.cursors[s]
	if from := m.begun.Add(-skew); !first && q.Resume.IsZero() {
		q.Tail = -1
		if q.Since.Before(from) {
			q.Since = from
		}
	}
	index := slices.Index(m.names, s)
	if index < 0 {
		index, m.names = len(m.names), append(m.names, s)
	}
	f := newFeed(m, s, uint32(index))
	m.feeds[s] = f
	m.running.Go(func() { f.run(q) })
}

// settled reports whether a source's error is its end.
func settled(err error) bool { return errors.Is(err, io.EOF) || engine.IsNotFound(err) }
