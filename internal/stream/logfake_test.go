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
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeRecord is a record as an engine keeps it. A part has no newline.
type fakeRecord struct {
	stream Stream
	time   int64
	text   string
	part   bool
}

func (r fakeRecord) frame(tty bool) []byte {
	data := time.Unix(0, r.time).UTC().Format("2006-01-02T15:04:05.000000000Z") + " " + r.text
	if !r.part {
		data += "\n"
	}
	if tty {
		return []byte(data)
	}
	header := []byte{byte(r.stream), 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(header[4:], uint32(len(data)))
	return append(header, data...)
}

// fakeLog is one container of a fake engine, and the script of its log.
type fakeLog struct {
	engine.Engine // what a log does not need panics

	mu      sync.Mutex
	changed *sync.Cond
	file    []fakeRecord
	base    int // how many were rotated away
	running bool
	started int
	tty     bool
	// filters is set for an engine that leaves out every line before since; others stop
	// at the first that is not.
	filters bool
	// early makes a followed log end that many records before the end of the container's.
	early int
	// mute has a followed log send nothing.
	mute    bool
	down    error
	random  *rand.Rand
	streams map[*fakeStream]struct{}
	// following, when set, is called before a followed log is opened.
	following func()
	follows   int // how many followed logs were opened
	reads     int
}

func newFakeLog() *fakeLog {
	f := &fakeLog{running: true, streams: map[*fakeStream]struct{}{}, random: rand.New(rand.NewPCG(1, 2))}
	f.changed = sync.NewCond(&f.mu)
	return f
}

func (f *fakeLog) write(records ...fakeRecord) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.file = append(f.file, records...)
	f.changed.Broadcast()
}

// rotate forgets the first n records.
func (f *fakeLog) rotate(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.file = f.file[n:]
	f.base += n
}

// cut breaks all connections, in the middle of whatever is on them.
func (f *fakeLog) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams {
		s.broken = true
	}
	f.changed.Broadcast()
}

// setDown makes the engine unreachable, or reachable again with nil.
func (f *fakeLog) setDown(err error) {
	f.mu.Lock()
	f.down = err
	f.mu.Unlock()
	if err != nil {
		f.cut()
	}
}

func (f *fakeLog) setRunning(running bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running = running
	if running {
		f.started++
	}
	f.changed.Broadcast()
}

// repeat makes every follower read the last n records again.
func (f *fakeLog) repeat(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams {
		s.next = max(s.next-n, f.base)
	}
	f.changed.Broadcast()
}

func (f *fakeLog) Inspect(_ context.Context, _ engine.Kind, id string) (json.RawMessage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	if id != "c" {
		return nil, engine.Errorf(engine.ClassNotFound, "", "no such container: %s", id)
	}
	return json.RawMessage(fmt.Sprintf(`{"State":{"Running":%t,"StartedAt":"%d"}}`, f.running, f.started)), nil
}

func (f *fakeLog) Logs(ctx context.Context, _ string, opts engine.LogsOptions) (engine.LogStream, error) {
	if opts.Follow && f.following != nil {
		f.following()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return engine.LogStream{}, f.down
	}
	if opts.Follow {
		f.follows++
	} else {
		f.reads++
	}
	s := &fakeStream{log: f, opts: opts, next: f.base, end: f.base + len(f.file), run: f.started}
	if opts.Tail >= 0 {
		s.next = f.tail(opts)
	}
	f.streams[s] = struct{}{}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return engine.LogStream{ReadCloser: s, Multiplexed: !f.tty}, nil
}

func (f *fakeLog) tail(opts engine.LogsOptions) int {
	i := len(f.file)
	for n := 0; i > 0 && n < opts.Tail; i-- {
		if (&fakeStream{opts: opts}).has(f.file[i-1].stream) {
			n++
		}
	}
	return f.base + i
}

// fakeStream is a log on its way.
type fakeStream struct {
	log       *fakeLog
	opts      engine.LogsOptions
	next, end int
	run       int // of the container, which it follows to its end
	passed    bool
	rest      []byte
	broken    bool
	closed    bool
}

func (s *fakeStream) Read(p []byte) (int, error) {
	f := s.log
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, io.ErrClosedPipe
		case s.broken:
			if n := len(s.rest) / 2; n > 0 {
				n = copy(p, s.rest[:n])
				s.rest = nil
				return n, nil
			}
			return 0, io.ErrUnexpectedEOF
		case len(s.rest) > 0:
			n := copy(p, s.rest[:min(len(s.rest), 1+f.random.IntN(60_000))])
			s.rest = s.rest[n:]
			return n, nil
		case s.opts.Follow && f.mute:
			f.changed.Wait()
		case s.opts.Follow && !f.running && s.next >= f.base+len(f.file)-f.early:
			return 0, io.EOF
		case s.fill():
		case !s.opts.Follow || !f.running || f.started != s.run:
			return 0, io.EOF
		default:
			f.changed.Wait()
		}
	}
}

// fill takes some records from the file.
func (s *fakeStream) fill() bool {
	f := s.log
	s.next = max(s.next, f.base)
	for len(s.rest) < 64<<10 && s.next < f.base+len(f.file) && (s.opts.Follow || s.next < s.end) {
		r := f.file[s.next-f.base]
		s.next++
		since := sinceNano(s.opts.Since)
		s.passed = s.passed || r.time >= since
		if s.passed && (r.time >= since || !f.filters) && s.has(r.stream) {
			s.rest = append(s.rest, r.frame(f.tty)...)
		}
	}
	return len(s.rest) > 0
}

func (s *fakeStream) has(stream Stream) bool {
	return stream == Stdout && s.opts.Stdout || stream == Stderr && s.opts.Stderr
}

func (s *fakeStream) Close() error {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.closed = true
	delete(s.log.streams, s)
	s.log.changed.Broadcast()
	return nil
}

// fakeHosts is one host, and perhaps others.
type fakeHosts struct {
	log    *fakeLog
	others map[Key]*fakeLog
	mu     sync.Mutex
	fns    []func(Key)
}

func (h *fakeHosts) Engine(key Key) (engine.Engine, error) {
	log := h.log
	if other := h.others[key]; other != nil {
		log = other
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if log.down != nil {
		return nil, log.down
	}
	return log, nil
}

func (h *fakeHosts) Notify(fn func(Key)) func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fns = append(h.fns, fn)
	return func() {}
}

func (h *fakeHosts) tell() {
	h.mu.Lock()
	fns := slices.Clone(h.fns)
	h.mu.Unlock()
	for _, fn := range fns {
		fn(testSource.Host)
	}
}

var testSource = LogSource{Host: Key{Namespace: "default", Name: "web"}, Container: "c"}
