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

// MaxLine is how many bytes of one line are kept; the rest is cut, and counted.
const MaxLine = 1 << 20

// sequence counts the records of one source, and joins them to lines. A line stands where
// its last record does.
type sequence struct {
	tally   tally
	last    Cursor // the last record
	ordinal uint64 // how many records there were
	open    [3]unfinished
}

// unfinished is a line of which parts have come.
type unfinished struct {
	active  bool
	time    int64
	ordinal uint64
	text    []byte
	cut     uint32
}

// lineSink takes lines. The text is only lent. ordinal is that of the line's last record.
type lineSink interface {
	putLine(l Line, ordinal uint64)
}

// add takes the next record.
func (s *sequence) add(r record, sum uint32, sink lineSink) {
	u := &s.open[r.stream]
	if u.active && !u.continues(r) {
		s.finish(u, r.stream, sink)
	}
	s.ordinal++
	s.last = Cursor{Time: r.time, N: s.tally.add(r.time, sum), Sum: sum}
	switch {
	case r.part:
		u.add(r)
		u.ordinal = s.ordinal
	case u.active:
		u.add(r)
		u.ordinal = s.ordinal
		s.finish(u, r.stream, sink)
	default:
		l := Line{Text: r.text, Time: r.time, Stream: r.stream, Cursor: s.last}
		l.cutLong()
		sink.putLine(l, s.ordinal)
	}
}

// finishAll ends lines that will not go on, at the end of a container.
func (s *sequence) finishAll(sink lineSink) {
	for stream := range s.open {
		if u := &s.open[stream]; u.active {
			s.finish(u, Stream(stream), sink)
		}
	}
}

func (s *sequence) finish(u *unfinished, stream Stream, sink lineSink) {
	sink.putLine(Line{Text: u.text, Time: u.time, Stream: stream, Cut: u.cut, Cursor: s.last}, u.ordinal)
	if cap(u.text) > 4*partBytes {
		u.text = nil // long lines are rare
	}
	*u = unfinished{text: u.text[:0]}
}

// continues reports whether a record may belong to the line: all parts of a line have the
// time of the first, unless the engine knows seconds only.
func (u *unfinished) continues(r record) bool {
	return r.time == u.time || whole(r.time) && whole(u.time)
}

func (u *unfinished) add(r record) {
	if !u.active {
		u.active, u.time = true, r.time
	}
	n := min(len(r.text), MaxLine-len(u.text))
	u.text = append(u.text, r.text[:n]...)
	u.cut += uint32(len(r.text) - n)
}

func (l *Line) cutLong() {
	if over := len(l.Text) - MaxLine; over > 0 {
		l.Text, l.Cut = l.Text[:MaxLine], uint32(over)
	}
}
