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
	"slices"
	"sync"
)

const (
	// chunkBytes and chunkLines are when a chunk is full: a write's worth.
	chunkBytes = 64 << 10
	chunkLines = 512
)

// chunk is some lines of one source. Once it is in a ring it never changes, so viewers
// share it without a lock; it lives as long as somebody holds it.
type chunk struct {
	first      uint64 // sequence number of lines[0]
	lines      []Line
	data       []byte
	plain      bool // holds nothing but text
	start, end int64

	mu    sync.Mutex
	forms map[int][]byte
}

func (c *chunk) next() uint64 { return c.first + uint64(len(c.lines)) }

func (c *chunk) size() int { return cap(c.data) + lineSize*cap(c.lines) }

func (c *chunk) full() bool { return len(c.data) >= chunkBytes || len(c.lines) >= chunkLines }

// add copies a line into the chunk.
func (c *chunk) add(l Line) {
	from := len(c.data)
	c.data = append(c.data, l.Text...)
	l.Text = c.data[from:len(c.data):len(c.data)]
	if len(c.lines) == 0 {
		c.start, c.end, c.plain = l.Cursor.Time, l.Cursor.Time, true
	}
	c.start, c.end = min(c.start, l.Time, l.Cursor.Time), max(c.end, l.Time, l.Cursor.Time)
	c.plain = c.plain && l.Kind == LineText
	c.lines = append(c.lines, l)
}

// shrink gives back what a quiet source did not use.
func (c *chunk) shrink() {
	if cap(c.lines) > 2*len(c.lines) {
		c.lines = slices.Clone(c.lines)
	}
	if cap(c.data) <= 2*len(c.data)+64 {
		return
	}
	data := make([]byte, 0, len(c.data))
	for i := range c.lines {
		from := len(data)
		data = append(data, c.lines[i].Text...)
		c.lines[i].Text = data[from:len(data):len(data)]
	}
	c.data = data
}

func (c *chunk) encoded(format int, lines []Line, encode func([]byte, []Line) []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b, ok := c.forms[format]; ok {
		return b
	}
	b := encode(make([]byte, 0, len(c.data)+64*len(lines)), lines)
	if c.forms == nil {
		c.forms = map[int][]byte{}
	}
	c.forms[format] = b
	return b
}

// ring keeps the newest lines of a source: the last maxLines and maxBytes for those who
// come later, and up to maxQueue bytes for a viewer that is behind. Its owner locks.
type ring struct {
	maxLines, maxBytes, maxQueue int

	chunks []*chunk
	open   *chunk // not yet shown
	lines  int
	bytes  int
	next   uint64 // sequence number of the next line
	// trimmed is set when lines were dropped.
	trimmed bool
}

// add appends a line and reports whether the open chunk is full.
func (r *ring) add(l Line) bool {
	if r.open == nil {
		r.open = r.newChunk()
	}
	r.open.add(l)
	r.next++
	return r.open.full()
}

// newChunk makes room for as much as the last chunk had.
func (r *ring) newChunk() *chunk {
	c := &chunk{first: r.next}
	if len(r.chunks) > 0 {
		last := r.chunks[len(r.chunks)-1]
		c.lines = make([]Line, 0, min(len(last.lines)+len(last.lines)/4+1, chunkLines))
		c.data = make([]byte, 0, min(len(last.data)+len(last.data)/4+64, chunkBytes+4096))
	}
	return c
}

// seal shows the open chunk. slowest is the sequence number that the slowest viewer is at.
func (r *ring) seal(slowest uint64) bool {
	if r.open == nil {
		return false
	}
	r.open.shrink()
	r.chunks = append(r.chunks, r.open)
	r.lines += len(r.open.lines)
	r.bytes += r.open.size()
	r.open = nil
	r.trim(slowest)
	return true
}

func (r *ring) trim(slowest uint64) {
	n := 0
	for ; n < len(r.chunks)-1; n++ {
		c := r.chunks[n]
		enough := r.lines-len(c.lines) >= r.maxLines || r.bytes > r.maxBytes
		wanted := slowest < c.next() && r.bytes <= r.maxQueue
		if !enough || wanted {
			break
		}
		r.lines -= len(c.lines)
		r.bytes -= c.size()
	}
	if n > 0 {
		r.trimmed = true
		r.chunks = slices.Delete(r.chunks, 0, n)
	}
}

// oldest is the first sequence number that is still there.
func (r *ring) oldest() uint64 {
	switch {
	case len(r.chunks) > 0:
		return r.chunks[0].first
	case r.open != nil:
		return r.open.first
	}
	return r.next
}

// at returns the chunk that holds a sequence number; nil where that is yet to come.
func (r *ring) at(seq uint64) *chunk {
	i, _ := slices.BinarySearchFunc(r.chunks, seq, func(c *chunk, seq uint64) int {
		if c.next() <= seq {
			return -1
		}
		return 1
	})
	if i < len(r.chunks) {
		return r.chunks[i]
	}
	return nil
}

// find returns the sequence number behind a cursor. Where a read began in the middle of a
// time's records, N is not to be relied on, and the checksum decides.
func (r *ring) find(at Cursor) (seq uint64, ok bool) {
	for _, c := range slices.Backward(r.chunks) {
		if at.Time < c.start || at.Time > c.end {
			continue
		}
		for i := len(c.lines) - 1; i >= 0; i-- {
			l := c.lines[i].Cursor
			if l == at {
				return c.first + uint64(i) + 1, true
			}
			if !ok && l.Time == at.Time && l.Sum == at.Sum {
				seq, ok = c.first+uint64(i)+1, true
			}
		}
	}
	return seq, ok
}

// tail returns the sequence number of the n-th line from the end, of those that count;
// false if there are not as many.
func (r *ring) tail(n int, counts func(*Line) bool) (uint64, bool) {
	if n == 0 {
		return r.next, true
	}
	for _, c := range slices.Backward(r.chunks) {
		for i := len(c.lines) - 1; i >= 0; i-- {
			if !counts(&c.lines[i]) {
				continue
			}
			if n--; n == 0 {
				return c.first + uint64(i), true
			}
		}
	}
	return 0, false
}
