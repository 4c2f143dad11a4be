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
	"bytes"
	"context"
	"sync"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// maxInput is how much input waits for the process before its sender waits.
const maxInput = 256 << 10

// execInput is the queue before a process's stdin. What was taken from a client
// reaches the process also when the client has gone.
type execInput struct {
	mu      sync.Mutex
	queue   bytes.Buffer
	closing bool // end stdin after the queue
	dead    bool // the process takes no more
	bytes   int64
	more    chan struct{} // closed and renewed when the pump has something to do
	room    chan struct{} // closed and renewed when there may be room
}

func newExecInput() *execInput {
	return &execInput{more: make(chan struct{}), room: make(chan struct{})}
}

// add queues p in parts, as there is room for them.
func (in *execInput) add(ctx context.Context, gone <-chan struct{}, p []byte) error {
	for {
		in.mu.Lock()
		if in.dead || in.closing {
			in.mu.Unlock()
			return ErrStdinClosed
		}
		n := min(len(p), maxInput-in.queue.Len())
		if n > 0 {
			in.queue.Write(p[:n])
			p = p[n:]
			renew(&in.more)
		}
		room := in.room
		in.mu.Unlock()
		if len(p) == 0 {
			return nil
		}
		select {
		case <-room:
		case <-gone:
			return ErrReplaced
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// jump puts keys before everything that waits, and forgets that.
func (in *execInput) jump(keys string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.queue.Reset()
	in.queue.WriteString(keys)
	renew(&in.more)
}

// closeAfter ends stdin after what was queued.
func (in *execInput) closeAfter() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closing = true
	renew(&in.more)
	renew(&in.room)
}

func (in *execInput) written() int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.bytes
}

// pump writes to the process until it takes no more, or ctx ends and the connection
// is closed.
func (in *execInput) pump(ctx context.Context, conn engine.Session, touch func()) {
	defer in.stop()
	buffer := make([]byte, maxChunk)
	for {
		in.mu.Lock()
		n, _ := in.queue.Read(buffer)
		closing, more := in.closing, in.more
		in.mu.Unlock()
		switch {
		case n > 0:
			written, err := conn.Write(buffer[:n])
			in.wrote(written)
			touch()
			if err != nil {
				return
			}
			continue
		case closing:
			_ = conn.CloseWrite() // a connection that cannot be closed by half is read to its end
			return
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}

func (in *execInput) wrote(n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.bytes += int64(n)
	renew(&in.room)
}

func (in *execInput) stop() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.dead = true
	in.queue = bytes.Buffer{}
	renew(&in.room)
}
