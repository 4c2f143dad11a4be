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

import "time"

// Stream is the stream of a container that wrote a line. A terminal has only Stdout.
type Stream uint8

// The streams, as the engine numbers them.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// String is "stdout" or "stderr".
func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// LineKind tells a line of the log from what is said about the log.
type LineKind uint8

// The kinds.
const (
	LineText LineKind = iota
	// LineGap stands where lines are missing: Lost of them, an unknown number where Lost
	// is 0.
	LineGap
	// LineInterrupted says that the engine cannot be read at present; Text says why.
	LineInterrupted
	// LineResumed says that it can again. No line is missing, or a gap follows.
	LineResumed
	// LineStopped says that the container is not running.
	LineStopped
)

// Line is one item of a followed log. Text is shared by all viewers: it may be kept, and
// must not be changed.
type Line struct {
	Text   []byte // without the newline
	Cursor Cursor // where to resume behind this line
	Time   int64  // the engine's, nanoseconds since 1970
	// Lost is how many lines a gap stands for.
	Lost uint64
	// Cut is how many bytes of Text were left out at its end.
	Cut    uint32
	Source uint32 // of a merged stream, the index of the line's source; else 0
	Stream Stream
	Kind   LineKind
}

// At is the engine's time of the line.
func (l *Line) At() time.Time { return time.Unix(0, l.Time).UTC() }

// lineSize is what a Line takes beside its text.
const lineSize = 80

// Batch is some lines in order. Lines are valid until the next call that gives a Batch.
type Batch struct {
	Lines []Line
	// Cursor is where to resume behind this batch. It also moves over lines that were
	// filtered out.
	Cursor Cursor

	chunk *chunk // when Lines are all of it
}

// Lost is how many lines the batch says are missing.
func (b Batch) Lost() uint64 {
	if b.chunk != nil { // nothing but lines
		return 0
	}
	return Lost(b.Lines)
}

// Lost is how many lines are missing by the gaps among lines; one of unknown size counts as
// one.
func Lost(lines []Line) (n uint64) {
	for i := range lines {
		if lines[i].Kind == LineGap {
			n += max(lines[i].Lost, 1)
		}
	}
	return n
}

// Encode returns the lines in a viewer's format. encode appends them to dst; what it gave
// for a format (a small number of the caller's) is kept for other viewers of the same
// lines, where those are the same for all. The bytes must not be changed.
func (b Batch) Encode(format int, encode func(dst []byte, lines []Line) []byte) []byte {
	if b.chunk == nil {
		return encode(nil, b.Lines)
	}
	return b.chunk.encoded(format, b.Lines, encode)
}
