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
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// ExecReason says why a session ended.
type ExecReason string

// The reasons.
const (
	ExecExited     ExecReason = "Exited"     // by itself
	ExecFailed     ExecReason = "Failed"     // it could not be started
	ExecGone       ExecReason = "Gone"       // with its container: nobody knows its exit code
	ExecDetached   ExecReason = "Detached"   // the engine closed an attached container's streams; it runs on
	ExecLost       ExecReason = "Lost"       // the connection to the engine broke
	ExecVanished   ExecReason = "Vanished"   // its client did not come back
	ExecClosed     ExecReason = "Closed"     // its client said so
	ExecRevoked    ExecReason = "Revoked"    // its owner may no more
	ExecIdle       ExecReason = "Idle"       // nothing came or went for too long
	ExecTotalLimit ExecReason = "TotalLimit" // it took too long altogether
	ExecShutdown   ExecReason = "Shutdown"   // this replica ends
)

// ExecResult is how a session ended.
type ExecResult struct {
	Reason ExecReason
	// ExitCode is nil where it is not known.
	ExitCode *int
	// Err is what broke, nil for a process that ended.
	Err      error
	Duration time.Duration
	// BytesIn went to the process, BytesOut came from it.
	BytesIn, BytesOut int64
	// Leftover is set where the process may still run.
	Leftover *ExecLeftover
	// Recording is the name of the recording's file, "" where there is none.
	Recording string
	// RecordingErr says why a recording is not complete.
	RecordingErr error
}

// ExecLeftover is a process that could not be ended.
type ExecLeftover struct {
	// PID is its number on the host, 0 where it is not known.
	PID int
	// Why is a sentence for people.
	Why string
}

// target is what a session is connected to.
type target interface {
	resize(ctx context.Context, size engine.TTYSize) error
	exit(ctx context.Context) (code *int, running bool, err error)
	// kill ends the processes that the session began.
	kill(ctx context.Context) error
	// owned tells whether the session began its process.
	owned() bool
	// pid is the process's number on the host, 0 where it is not known.
	pid(ctx context.Context) int
}

// ExecSession is a process and what it reads and writes. Its goroutines end before
// Done is closed.
type ExecSession struct {
	info      ExecInfo
	target    target
	opts      ExecOptions
	grace     time.Duration
	hooks     ExecHooks
	stdin     bool
	size      engine.TTYSize
	recording *recording
	forget    func() // once the session is no longer kept; further calls do nothing

	ctx    context.Context
	cancel context.CancelFunc
	conn   engine.Session
	out    *execOutput
	in     *execInput

	lastByte atomic.Int64 // when a byte came or went, in unix nanoseconds
	sizes    chan engine.TTYSize
	ends     chan ExecReason
	changed  chan struct{} // a client came or went

	mu     sync.Mutex
	client *ExecClient

	finished chan finish
	done     chan struct{}
	result   ExecResult // once done is closed
}

// finish is how the process ended by itself.
type finish struct {
	code *int
	// running is set where only the connection ended.
	running bool
	err     error
}

func (f finish) reason() ExecReason {
	switch {
	case f.err != nil:
		return ExecLost
	case f.running:
		return ExecDetached
	case f.code == nil:
		return ExecGone
	}
	return ExecExited
}

func newExecSession(info ExecInfo, t target, opts ExecOptions, reattachable bool, hooks ExecHooks) *ExecSession {
	s := &ExecSession{
		info: info, target: t, opts: opts, hooks: hooks,
		out: newExecOutput(opts.Replay), in: newExecInput(),
		sizes: make(chan engine.TTYSize, 1), ends: make(chan ExecReason, 1), changed: make(chan struct{}, 1),
		finished: make(chan finish, 1), done: make(chan struct{}),
	}
	if reattachable {
		s.grace = opts.Grace
	}
	s.touch()
	return s
}

// Info describes the session.
func (s *ExecSession) Info() ExecInfo { return s.info }

// Done is closed when the session has ended and is on record.
func (s *ExecSession) Done() <-chan struct{} { return s.done }

// Result is how the session ended; ok is false while it has not.
func (s *ExecSession) Result() (result ExecResult, ok bool) {
	if !s.isDone() {
		return ExecResult{}, false
	}
	return s.result, true
}

func (s *ExecSession) isDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Forget gives up a session that has ended before its time: its client knows all of it.
func (s *ExecSession) Forget() {
	if s.isDone() {
		s.forget()
	}
}

// End ends the session and its process, and returns at once.
func (s *ExecSession) End(reason ExecReason) {
	select {
	case s.ends <- reason:
	default: // it is ending
	}
}

func (s *ExecSession) touch() { s.lastByte.Store(time.Now().UnixNano()) }

// run is the session's life. It owns the session's other goroutines.
func (s *ExecSession) run() {
	var wg sync.WaitGroup
	wg.Go(func() { s.finished <- s.pumpOut() })
	wg.Go(func() { s.in.pump(s.ctx, s.conn, s.touch) })
	wg.Go(s.pumpSizes)
	result := s.watch()
	s.cancel()
	_ = s.conn.Close()
	wg.Wait()

	result.Duration = time.Since(s.info.Started)
	result.BytesIn, result.BytesOut = s.in.written(), s.out.total()
	result.Recording, result.RecordingErr = s.recording.name(), s.recording.close()
	s.result = result
	if s.hooks.Ended != nil {
		s.hooks.Ended(s.info, result)
	}
	close(s.done)
	s.out.close()
}

// watch waits for the end, and makes one where it has to.
func (s *ExecSession) watch() ExecResult {
	total := time.NewTimer(s.opts.Total)
	defer total.Stop()
	idle := time.NewTimer(s.opts.Idle)
	defer idle.Stop()
	var vanished <-chan time.Time
	for {
		select {
		case f := <-s.finished:
			return s.ended(f)
		case reason := <-s.ends:
			return s.terminate(reason)
		case <-s.ctx.Done():
			return s.terminate(ExecShutdown)
		case <-total.C:
			return s.terminate(ExecTotalLimit)
		case <-idle.C:
			quiet := time.Since(time.Unix(0, s.lastByte.Load()))
			if quiet >= s.opts.Idle {
				return s.terminate(ExecIdle)
			}
			idle.Reset(s.opts.Idle - quiet)
		case <-vanished:
			if s.attached() { // and changed says so at the same time
				vanished = nil
				continue
			}
			return s.terminate(ExecVanished)
		case <-s.changed:
			vanished = nil
			if !s.attached() {
				vanished = time.After(s.grace)
			}
		}
	}
}

// ended is the result of a process that ended by itself, or was lost.
func (s *ExecSession) ended(f finish) ExecResult {
	if f.err == nil {
		return ExecResult{Reason: f.reason(), ExitCode: f.code}
	}
	result := ExecResult{Reason: f.reason(), Err: f.err}
	if s.ctx.Err() != nil {
		result.Reason = ExecShutdown
	}
	if s.target.owned() {
		result.Leftover = s.killAfter(f.err)
	}
	return result
}

// pumpOut takes in the output to its end, and then asks for the exit code.
func (s *ExecSession) pumpOut() finish {
	err := demultiplex(s.conn, s.conn.Multiplexed(), func(stream Stream, data []byte) error {
		s.touch()
		s.recording.output(data)
		return s.out.add(s.ctx, stream, data)
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return finish{err: err}
	}
	return exitCode(s.ctx, s.target)
}

// The engine says that a process runs for a moment after its output has ended, so
// it is asked soon, and then ever more rarely: a process that closed its output may
// run for long.
const (
	exitPollFirst = 5 * time.Millisecond
	exitPollLast  = time.Second
	// exitPatience is how long an answer without an exit code, or none, is asked for
	// again.
	exitPatience = 5 * time.Second
)

// exitCode waits for a process whose output has ended.
func exitCode(ctx context.Context, t target) finish {
	wait := exitPollFirst
	for begin := time.Now(); ; {
		code, running, err := t.exit(ctx)
		late := time.Since(begin) > exitPatience
		switch {
		case err == nil && !running && code != nil:
			return finish{code: code}
		case engine.IsNotFound(err) || err == nil && late && (!running || !t.owned()):
			return finish{running: running} // gone with its container, or nobody will know
		case err != nil && (late || ctx.Err() != nil || errors.Is(err, errForgotten)):
			return finish{err: err}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return finish{err: ctx.Err()}
		}
		wait = min(2*wait, exitPollLast)
	}
}

// resizeTry bounds one resize: an engine makes one that comes before the start of
// the process wait 10 s, and fails it then.
const (
	resizeTry   = 2 * time.Second
	resizeTries = 5
	resizePause = 20 * time.Millisecond
)

// pumpSizes gives the terminal its latest size.
func (s *ExecSession) pumpSizes() {
	if s.size != (engine.TTYSize{}) && s.info.TTY {
		s.resize(s.size)
	}
	for {
		select {
		case size := <-s.sizes:
			s.resize(size)
		case <-s.ctx.Done():
			return
		}
	}
}

// resize tries a few times: the process may be about to start. One that fails is
// forgotten, for a terminal of a wrong size is better than none.
func (s *ExecSession) resize(size engine.TTYSize) {
	for range resizeTries {
		ctx, cancel := context.WithTimeout(s.ctx, resizeTry)
		err := s.target.resize(ctx, size)
		cancel()
		if err == nil {
			s.recording.resize(size)
			return
		}
		select {
		case <-time.After(resizePause):
		case newer := <-s.sizes:
			size = newer
		case <-s.ctx.Done():
			return
		}
	}
}

// setSize takes the place of a size that was not yet given to the terminal.
func (s *ExecSession) setSize(size engine.TTYSize) {
	for {
		select {
		case s.sizes <- size:
			return
		default:
		}
		select {
		case <-s.sizes:
		default:
		}
	}
}
