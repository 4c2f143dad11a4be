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

package dockerapi

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/cork"
	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
)

const (
	// flushDelay is how long what is followed may wait for more, when something was sent
	// less than that ago: a line after a pause goes at once, and a copy of gigabytes is
	// not cut into a packet for each read.
	flushDelay = 2 * time.Millisecond
	// deadlineStep is how precise deadlines of minutes are.
	deadlineStep = time.Second
	bufferSize   = 64 << 10
)

// buffers are 64 KiB each: four TLS records, and what a pipe holds.
var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// onlyReader hides WriteTo, so that the buffer is used.
type onlyReader struct{ io.Reader }

// stream is the client's side of an answer: it sends the head with the first bytes. What
// is followed is collected, and sent flushDelay after it came at the latest.
type stream struct {
	x       *exchange
	ctx     context.Context
	control *http.ResponseController
	code    int
	follow  bool

	// mu is held while the client is written to, as that may be done by two: whoever
	// carries the answer, and the timer.
	mu       sync.Mutex
	deadline deadline
	kept     *[]byte // of buffers, nil while nothing is kept
	length   int     // of what is kept
	dirty    bool    // something was written and not flushed
	flushed  time.Time
	timer    *time.Timer
	armed    bool
	closed   bool
	uncut    func() // nil before the answer has begun
	tcp      *net.TCPConn
	err      error // the first; nothing is written after it
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// stream begins an answer; close must be called. No deadline is moved on once ctx has ended.
func (x *exchange) stream(ctx context.Context, code int) *stream {
	control := http.NewResponseController(x.w)
	set := func(t time.Time) error {
		err := control.SetWriteDeadline(t)
		if ctx.Err() != nil {
			err = control.SetWriteDeadline(past)
		}
		return err
	}
	return &stream{x: x, ctx: ctx, control: control, follow: x.req.Streams, code: code, deadline: deadline{set: set}, tcp: conn.TCP(x.r)}
}

// head sends the status, unless it was sent.
func (s *stream) head() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begin() && s.follow {
		_ = s.control.Flush()
		s.deadline.lift()
	}
}

// begin puts the status before what is written next, once.
func (s *stream) begin() (began bool) {
	s.deadline.move()
	if s.x.begun {
		return false
	}
	s.x.begun = true
	// Not before: an answer that has not begun is to say why there is none.
	s.uncut = conn.CutWrites(s.ctx, s.control, 0)
	s.x.w.WriteHeader(s.code)
	return true
}

// Write implements io.Writer.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.follow {
		return len(p), s.send(p)
	}
	if err := s.keep(p); err != nil {
		return 0, err
	}
	s.dirty = true
	switch {
	case s.armed:
	case time.Since(s.flushed) >= flushDelay:
		return len(p), s.flush()
	case s.timer == nil:
		s.armed, s.timer = true, time.AfterFunc(flushDelay, s.late)
	default:
		s.armed = true
		s.timer.Reset(flushDelay)
	}
	return len(p), s.err
}

// keep collects p; what fills half a buffer is not copied.
func (s *stream) keep(p []byte) error {
	if s.length+len(p) > bufferSize {
		if err := s.sendKept(); err != nil {
			return err
		}
	}
	if s.length == 0 && len(p) >= bufferSize/2 {
		return s.send(p)
	}
	if s.kept == nil {
		s.kept = buffers.Get().(*[]byte)
	}
	s.length += copy((*s.kept)[s.length:], p)
	return s.err
}

// late is the timer's.
func (s *stream) late() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	if !s.closed {
		_ = s.flush() // the next Write, or finish, tells
	}
}

// flush sends what is kept and what net/http keeps.
func (s *stream) flush() error {
	if err := s.sendKept(); err != nil || !s.dirty {
		return err
	}
	s.dirty = false
	if err := s.control.Flush(); err != nil && s.err == nil {
		s.err = clientGone{err}
	}
	s.flushed = time.Now()
	s.deadline.lift()
	return s.err
}

func (s *stream) sendKept() error {
	if s.kept == nil {
		return s.err
	}
	err := s.send((*s.kept)[:s.length])
	buffers.Put(s.kept) // a stream that is silent holds none
	s.kept, s.length = nil, 0
	return err
}

func (s *stream) send(p []byte) error {
	if s.err != nil || s.closed {
		return s.err
	}
	s.begin()
	if _, err := cork.Write(s.tcp, len(p), func() (int, error) { return s.x.w.Write(p) }); err != nil {
		s.err = clientGone{err}
	}
	return s.err
}

// finish sends all of what was written, and the head where that was nothing.
func (s *stream) finish() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.sendKept()
	if s.begin() && s.follow {
		_ = s.control.Flush()
	}
	return err
}

// close ends the timer's part: after it nothing touches the answer.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.uncut != nil {
		s.uncut()
		s.uncut = nil
	}
	if s.kept != nil {
		buffers.Put(s.kept)
		s.kept, s.length = nil, 0
	}
}

// deadline moves a connection's deadline on while something happens; not with each read
// and write, for that costs as much as a small one.
type deadline struct {
	set   func(time.Time) error
	moved time.Time
}

// lift takes the deadline back until something happens: over HTTP/2 it would end what is
// merely quiet.
func (d *deadline) lift() {
	d.moved = time.Time{}
	_ = d.set(time.Time{})
}

func (d *deadline) move() {
	if now := time.Now(); now.Sub(d.moved) >= deadlineStep {
		d.moved = now
		_ = d.set(now.Add(patience))
	}
}
