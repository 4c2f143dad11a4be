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

package sim

import (
	"context"
	"io"
	"sync"
)

// pipeSize is how many bytes a pipe holds before its writer waits, as Linux's.
const pipeSize = 64 << 10

// pipe is a bounded byte queue whose ends wait with a context. The zero value is
// open and empty.
type pipe struct {
	mu      sync.Mutex
	buf     []byte
	ended   bool          // no more writes: the reader gets EOF when buf is empty
	broken  bool          // no more reads: the writer gets io.ErrClosedPipe
	waiting int           // readers that wait for more
	changed chan struct{} // closed at each change, while somebody waits
}

// wake tells those who wait that something changed. Callers hold p.mu.
func (p *pipe) wake() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// wait unlocks p.mu until the next change.
func (p *pipe) wait(ctx context.Context) error {
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	changed := p.changed
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pipe) write(ctx context.Context, b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	written := 0
	for len(b) > 0 {
		if p.broken || p.ended {
			return written, io.ErrClosedPipe
		}
		if room := pipeSize - len(p.buf); room > 0 {
			n := min(room, len(b))
			p.buf = append(p.buf, b[:n]...)
			b, written = b[n:], written+n
			p.wake()
			continue
		}
		if err := p.wait(ctx); err != nil {
			return written, err
		}
	}
	return written, nil
}

func (p *pipe) read(ctx context.Context, b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.buf) == 0 {
		if p.ended || p.broken {
			return 0, io.EOF
		}
		p.waiting++
		err := p.wait(ctx)
		p.waiting--
		if err != nil {
			return 0, err
		}
	}
	n := copy(b, p.buf)
	p.buf = p.buf[n:]
	if len(p.buf) == 0 {
		p.buf = nil
	}
	p.wake()
	return n, nil
}

// flush forgets what is in the pipe. It reports whether the reader will wait for
// more: whether nothing has been taken that it has not dealt with.
func (p *pipe) flush() (idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle = p.waiting > 0 || len(p.buf) > 0
	p.buf = nil
	p.wake()
	return idle
}

// end closes the writing side.
func (p *pipe) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.wake()
}

// breakOff closes the reading side and forgets what is in it.
func (p *pipe) breakOff() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken, p.buf = true, nil
	p.wake()
}

// pipeReader and pipeWriter are a pipe's ends with a context.
type pipeReader struct {
	ctx context.Context
	p   *pipe
}

func (r pipeReader) Read(b []byte) (int, error) { return r.p.read(r.ctx, b) }

type pipeWriter struct {
	ctx context.Context
	p   *pipe
}

func (w pipeWriter) Write(b []byte) (int, error) { return w.p.write(w.ctx, b) }
