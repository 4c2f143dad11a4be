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
	"errors"
	"io"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// search looks for a place among lines that are read again. It holds back those that may
// be behind it, for the case that it is not there.
type search struct {
	at    Cursor
	held  []Line
	bytes int
}

func newSearch(at Cursor) *search { return &search{at: at} }

// hold takes a line, and reports whether the place is lost. A line that is much later than
// the place cannot be before it.
func (s *search) hold(l *Line) (lost bool) {
	if l.Time > s.at.Time {
		kept := *l
		kept.Text = append([]byte(nil), l.Text...)
		s.held = append(s.held, kept)
		s.bytes += len(l.Text) + lineSize
	}
	return l.Time > s.at.Time+int64(before) || s.bytes > maxHeld
}

// backfill is a read of a log's past that is one viewer's own.
type backfill struct {
	viewer   *LogViewer
	stream   engine.LogStream
	records  *records
	sequence sequence
	search   *search
	from     uint64 // lines up to this ordinal are old
	place    Cursor // the last line, given or not
	since    int64
	data     []byte
}

func openBackfill(v *LogViewer) (*backfill, error) {
	e, err := v.logs.hosts.Engine(v.source.Host)
	if err != nil {
		return nil, err
	}
	b := &backfill{viewer: v, since: sinceNano(v.query.Since)}
	opts := engine.LogsOptions{Stdout: true, Stderr: true, Timestamps: true, Tail: -1}
	switch {
	case !v.last.IsZero():
		b.search = newSearch(v.last)
		opts.Since = time.Unix(0, max(v.last.Time-int64(before), 1))
	case v.query.Tail >= 0:
		opts.Tail = v.query.Tail
		opts.Stdout, opts.Stderr = v.query.Stdout, v.query.Stderr
	case b.since > 0:
		opts.Since = v.query.Since.Add(-before)
	}
	if b.stream, err = e.Logs(v.ctx, v.source.Container, opts); err != nil {
		return nil, err
	}
	b.records = newRecords(b.stream)
	return b, nil
}

func (b *backfill) close() { _ = b.stream.Close() }

// next reads a batch. io.EOF comes with the last one.
func (b *backfill) next(v *LogViewer) (Batch, error) {
	v.lines, b.data = v.lines[:0], make([]byte, 0, chunkBytes)
	for len(v.lines) < chunkLines && len(b.data) < chunkBytes {
		r, err := b.records.next()
		if errors.Is(err, io.EOF) {
			if v.hub == nil {
				b.sequence.finishAll(b) // else the rest of a long line may be under way
			}
			b.atEnd()
		}
		if err != nil {
			return b.batch(), err
		}
		b.sequence.add(r, r.checksum(), b)
		b.seek()
		if len(v.lines) > 0 && !b.records.ready() {
			break
		}
	}
	return b.batch(), nil
}

func (b *backfill) batch() Batch {
	batch := Batch{Lines: b.viewer.lines}
	if b.search == nil {
		batch.Cursor = b.place
	}
	return batch
}

// seek reports the place as found when its record came.
func (b *backfill) seek() {
	s, last := b.search, b.sequence.last
	if s != nil && last.Time == s.at.Time && last.Sum == s.at.Sum && last.N >= s.at.N {
		b.from, b.search = b.sequence.ordinal, nil
	}
}

func (b *backfill) atEnd() {
	if s := b.search; s != nil {
		b.search = nil
		b.viewer.giveUp(s)
	}
}

// putLine implements lineSink.
func (b *backfill) putLine(l Line, ordinal uint64) {
	b.place = l.Cursor
	switch {
	case b.search != nil:
		if b.search.hold(&l) {
			b.atEnd()
		}
	case ordinal > b.from && b.viewer.passes(&l, b.since):
		from := len(b.data)
		b.data = append(b.data, l.Text...)
		l.Text = b.data[from:len(b.data):len(b.data)]
		b.viewer.lines = append(b.viewer.lines, l)
	}
}
