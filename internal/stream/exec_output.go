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
	"sort"
	"sync"
)

// maxUnread is how much output an attached client may leave unread before the
// process has to wait. It is less than the replay, so that what a connection lost
// on its way is still there.
const maxUnread = 256 << 10

// maxChunk is up to where small pieces are joined, and the size of a read. maxChunks
// bounds what a process costs that writes a byte to stdout and one to stderr in turn,
// which cannot be joined.
const (
	maxChunk  = 32 << 10
	maxChunks = 8192
)

// execOutput is the end of a session's output. The writer waits for the reader: no
// byte is dropped that was not read once. While nobody is connected it waits when
// the replay is full.
type execOutput struct {
	replay int64

	mu     sync.Mutex
	chunks []execChunk
	first  int64 // offset of the first byte kept
	end    int64 // offset after the last
	had    int64 // what the client has had
	limit  int64 // how much may be unread
	free   bool  // nobody will read: drop rather than wait
	closed bool
	more   chan struct{} // closed and renewed when there is more to read
	room   chan struct{} // closed and renewed when there may be room
}

type execChunk struct {
	stream Stream
	begin  int64 // offset of its first byte
	data   []byte
}

func (c *execChunk) end() int64 { return c.begin + int64(len(c.data)) }

func newExecOutput(replay int) *execOutput {
	return &execOutput{
		replay: int64(replay), limit: int64(min(replay, maxUnread)),
		more: make(chan struct{}), room: make(chan struct{}),
	}
}

func renew(ch *chan struct{}) {
	close(*ch)
	*ch = make(chan struct{})
}

// add keeps a copy of data, when there is room for it.
func (o *execOutput) add(ctx context.Context, stream Stream, data []byte) error {
	for {
		o.mu.Lock()
		if o.hasRoom() {
			o.push(stream, data)
			o.mu.Unlock()
			return nil
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hasRoom tells whether more may come: the reader is not too far behind.
func (o *execOutput) hasRoom() bool {
	o.trim()
	return o.free || o.end-o.had < o.limit && len(o.chunks) < maxChunks
}

func (o *execOutput) push(stream Stream, data []byte) {
	last := len(o.chunks) - 1
	if last >= 0 && o.chunks[last].stream == stream && len(o.chunks[last].data)+len(data) <= maxChunk {
		// Readers hold slices of what is there already, which this leaves as it is.
		o.chunks[last].data = append(o.chunks[last].data, data...)
	} else {
		o.chunks = append(o.chunks, execChunk{stream, o.end, append([]byte(nil), data...)})
	}
	o.end += int64(len(data))
	o.trim()
	renew(&o.more)
}

// trim drops the oldest output beyond the replay that was read, or will not be.
func (o *execOutput) trim() {
	for len(o.chunks) > 1 {
		next := o.chunks[0].end()
		if o.end-next < o.replay && len(o.chunks) < maxChunks || !o.free && next > o.had {
			return
		}
		o.chunks[0] = execChunk{}
		o.chunks = o.chunks[1:]
		o.first = next
	}
}

// seek makes a new client the reader, who has had after bytes; a negative number
// gives all that is kept. It returns where it reads on.
func (o *execOutput) seek(after int64) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	pos := min(after, o.end)
	if after < 0 {
		pos = o.first
	}
	o.had = max(pos, o.first)
	o.limit = min(o.replay, maxUnread)
	renew(&o.room)
	return pos
}

// detach lets output come until the replay is full.
func (o *execOutput) detach() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.limit = o.replay
	renew(&o.room)
}

// release lets all further output come, and drops what nobody reads.
func (o *execOutput) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.free = true
	renew(&o.room)
}

func (o *execOutput) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	renew(&o.more)
}

func (o *execOutput) total() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.end
}

// read returns the output at pos and moves it on. Where there is none yet, more is
// closed when it is worth asking again. gone is closed for a reader that was
// replaced, which gets nothing.
func (o *execOutput) read(pos *int64, gone <-chan struct{}) (out ExecOutput, ok, ended bool, more <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-gone:
		return ExecOutput{}, false, false, o.more
	default:
	}
	if *pos < o.first {
		out.Skipped = o.first - *pos
		*pos = o.first
	}
	i := sort.Search(len(o.chunks), func(i int) bool { return o.chunks[i].end() > *pos })
	if i < len(o.chunks) {
		c := &o.chunks[i]
		out.Stream, out.Data, out.Offset = c.stream, c.data[*pos-c.begin:len(c.data):len(c.data)], c.end()
		*pos, o.had = c.end(), c.end()
		renew(&o.room)
		return out, true, false, nil
	}
	return ExecOutput{}, false, o.closed, o.more
}
