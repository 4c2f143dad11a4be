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
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const (
	// restartGrace is how long a log outlives its container: a restart takes a second.
	restartGrace = 3 * time.Second
	restartPoll  = 250 * time.Millisecond
	// retryFirst and retryMost bound the pauses between attempts to read a log again.
	retryFirst = 200 * time.Millisecond
	retryMost  = 10 * time.Second
	// inspectLimit bounds a look at the container.
	inspectLimit = 10 * time.Second
)

// run reads the log until it ends for good or nobody looks on.
func (h *logHub) run() {
	pause, interrupted := retryFirst, false
	for {
		u := &upstream{hub: h, interrupted: &interrupted}
		err := u.read()
		if err == nil {
			err = u.ended()
		}
		switch {
		case h.ctx.Err() != nil:
			h.end(context.Cause(h.ctx))
			return
		case errors.Is(err, errLogEnd):
			h.end(nil)
			return
		case err != nil && h.hopeless(err):
			h.end(err)
			return
		case u.news():
			pause = retryFirst
		}
		if err != nil && !interrupted {
			interrupted = true
			h.tell(LineInterrupted, err.Error())
		}
		if u.restarted {
			continue
		}
		if h.wait(pause) {
			pause = retryFirst
		} else {
			pause = min(2*pause, retryMost)
		}
	}
}

// errLogEnd says that no more lines will come.
var errLogEnd = errors.New("the container has stopped")

// hopeless reports whether an error will stay. Before the first line every error does: the
// viewer that waits for it is told.
func (h *logHub) hopeless(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch engine.ClassOf(err) {
	case engine.ClassNotFound, engine.ClassInvalid:
		return true
	}
	return !h.isReady
}

// wait pauses; true if the host's connection changed meanwhile.
func (h *logHub) wait(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-h.nudged:
		return true
	case <-timer.C:
	case <-h.ctx.Done():
	}
	return false
}

func (h *logHub) tell(kind LineKind, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.say(kind, text)
	h.show()
}

// upstream is one reading of the log.
type upstream struct {
	hub         *logHub
	engine      engine.Engine
	state       containerState // when it began
	interrupted *bool
	from        uint64 // the hub's ordinal at that time
	restarted   bool
}

// news reports whether the reading brought anything new.
func (u *upstream) news() bool {
	u.hub.mu.Lock()
	defer u.hub.mu.Unlock()
	return u.hub.sequence.ordinal > u.from
}

// read follows the log to the end of the stream. nil is the engine's clean end.
func (u *upstream) read() error {
	h := u.hub
	var err error
	if u.engine, err = h.logs.hosts.Engine(h.source.Host); err != nil {
		return err
	}
	if u.state, err = u.inspect(); err != nil {
		return err
	}
	opts, err := u.begin()
	if err != nil {
		return err
	}
	return u.open(opts)
}

// open reads the log to the end of the stream.
func (u *upstream) open(opts engine.LogsOptions) error {
	h := u.hub
	s, err := u.engine.Logs(h.ctx, h.source.Container, opts)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if *u.interrupted {
		*u.interrupted = false
		h.tell(LineResumed, "")
	}
	err = u.pump(newRecords(s))
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// lastWords reads the end of a stopped container's log once more: dockerd may end a followed
// log before the last bytes of the process are in it.
func (u *upstream) lastWords() error {
	opts, err := u.begin()
	if err != nil {
		return err
	}
	opts.Follow = false
	return u.open(opts)
}

// begin decides where to read from: the last lines at first, and later a little before
// where reading stopped.
func (u *upstream) begin() (engine.LogsOptions, error) {
	h := u.hub
	opts := engine.LogsOptions{Stdout: true, Stderr: true, Timestamps: true, Follow: true, Tail: -1}
	h.mu.Lock()
	first, last := !h.isReady, h.sequence.last
	u.from = h.sequence.ordinal
	if !last.IsZero() {
		h.replay, opts.Since = newReplay(h.first, last, h.sequence.tally.since(last.Time))
	}
	h.mu.Unlock()
	if !first || !last.IsZero() {
		return opts, nil
	}
	end, count, err := u.locate()
	if err != nil {
		return opts, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if end.IsZero() {
		h.whole = true
		h.setReady() // an empty log
		return opts, nil
	}
	h.await(end)
	switch {
	case count < ringLines: // all of it is read
		h.whole = true
	case whole(end.Time):
		// Many records have one time, and counting them has to begin with the first.
		opts.Since = time.Unix(0, end.Time).Add(-before)
	default:
		opts.Tail = ringLines
	}
	return opts, nil
}

// locate finds the end of the log, which a followed log does not tell its backlog by, and how
// many records it has, up to ringLines. That is asked here, as a log that is written while
// its last lines are asked for has others then.
func (u *upstream) locate() (last Cursor, count int, err error) {
	h := u.hub
	s, err := u.engine.Logs(h.ctx, h.source.Container, engine.LogsOptions{Stdout: true, Stderr: true, Timestamps: true, Tail: ringLines})
	if err != nil {
		return Cursor{}, 0, err
	}
	defer func() { _ = s.Close() }()
	for records := newRecords(s); ; count++ {
		r, err := records.next()
		if errors.Is(err, io.EOF) {
			return last, count, nil
		}
		if err != nil {
			return last, count, err
		}
		last = Cursor{Time: r.time, Sum: r.checksum()}
	}
}

// pump moves records from the stream to the hub, as many at a time as are there.
func (u *upstream) pump(records *records) error {
	h := u.hub
	for {
		r, err := records.next()
		if err != nil {
			h.mu.Lock()
			h.showSoon()
			h.mu.Unlock()
			return err
		}
		h.mu.Lock()
		h.take(r)
		for err == nil && records.ready() {
			if r, err = records.next(); err == nil {
				h.take(r)
			}
		}
		h.showSoon()
		h.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// ended decides what the end of the stream means: nil says to read on, errLogEnd that the
// log has ended.
func (u *upstream) ended() error {
	h := u.hub
	state, err := u.inspect()
	if err != nil {
		return u.gone(err)
	}
	if u.state.Running && !state.Running {
		if err := u.lastWords(); err != nil {
			return u.gone(err)
		}
	}
	h.endRun()
	if state.goesOn(u.state) {
		u.restarted = state.StartedAt != u.state.StartedAt
		return nil
	}
	if !u.state.Running {
		return errLogEnd
	}
	h.tell(LineStopped, "")
	for deadline := time.Now().Add(restartGrace); h.ctx.Err() == nil && time.Now().Before(deadline); {
		h.wait(restartPoll)
		if state, err = u.inspect(); err != nil {
			return u.gone(err)
		}
		if state.goesOn(u.state) {
			u.restarted = true
			return nil
		}
	}
	return errLogEnd
}

// gone makes a removed container the end of its log.
func (u *upstream) gone(err error) error {
	if engine.IsNotFound(err) {
		return errLogEnd
	}
	return err
}

// containerState is what is asked about a container.
type containerState struct {
	Running, Restarting bool
	StartedAt           string
}

// goesOn reports whether a container has more to say than it had at a former look.
func (s containerState) goesOn(former containerState) bool {
	return s.Running || s.Restarting || s.StartedAt != former.StartedAt
}

func (u *upstream) inspect() (containerState, error) {
	ctx, cancel := context.WithTimeout(u.hub.ctx, inspectLimit)
	defer cancel()
	raw, err := u.engine.Inspect(ctx, engine.Containers, u.hub.source.Container)
	if err != nil {
		return containerState{}, err
	}
	var c struct{ State containerState }
	if err := json.Unmarshal(raw, &c); err != nil {
		return containerState{}, engine.Errorf(engine.ClassServer, "", "the engine's description of container %s is no JSON of one", u.hub.source.Container)
	}
	return c.State, nil
}
