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
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// ExecOptions bound exec and attach sessions. Zero fields take the defaults.
type ExecOptions struct {
	// Grace is how long a session waits for a client whose connection broke, and how
	// long its end can be asked for afterwards.
	Grace time.Duration
	// Idle ends a session in which not a byte went either way for so long.
	Idle time.Duration
	// Total ends a session whatever it does.
	Total time.Duration
	// Replay is how many bytes of output are kept for a client that comes back.
	Replay int
	// MaxSessions bounds the sessions of all callers; those of one user are for the
	// caller to count.
	MaxSessions int
	// RecordDir, when set, takes a recording of every session's output in the
	// asciicast v2 format. Input is never recorded: it holds passwords.
	RecordDir string
	// RecordBytes bounds one recording, RecordTotal all in RecordDir: the oldest are
	// deleted.
	RecordBytes, RecordTotal int64
}

// DefaultExecOptions are the defaults.
func DefaultExecOptions() ExecOptions { return ExecOptions{}.withDefaults() }

// The defaults. A laptop that changes its network is back within Grace; Replay is
// some hundred screens, or one fast build log; a session costs its replay and two
// buffers, so MaxSessions is about 1 GiB at the very worst. RecordTotal is what a small
// volume has.
const (
	defaultExecGrace       = time.Minute
	defaultExecIdle        = 30 * time.Minute
	defaultExecTotal       = 12 * time.Hour
	defaultExecReplay      = 1 << 20
	defaultExecSessions    = 1000
	defaultExecRecordBytes = 64 << 20
	defaultExecRecordTotal = 10 << 30
)

func (o ExecOptions) withDefaults() ExecOptions {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&o.Grace, defaultExecGrace)
	set(&o.Idle, defaultExecIdle)
	set(&o.Total, defaultExecTotal)
	if o.Replay <= 0 {
		o.Replay = defaultExecReplay
	}
	if o.MaxSessions <= 0 {
		o.MaxSessions = defaultExecSessions
	}
	if o.RecordBytes <= 0 {
		o.RecordBytes = defaultExecRecordBytes
	}
	if o.RecordTotal <= 0 {
		o.RecordTotal = defaultExecRecordTotal
	}
	return o
}

// ExecSessions are the exec and attach sessions of this replica. A session belongs
// to the server: a client's connection may break and another take its place.
//
// A session has one client at a time, and three goroutines beside the one that owns
// it. Nothing is dropped between process and client: whoever is slower makes the other
// wait, over 256 KiB each way. While no client is connected the process goes on until
// its unread output fills the replay.
//
// An engine has no call to end an exec, and a process outlives its connection. So a
// session that has to end asks the process as a person would, and then kills what
// carries the session's marker in its environment, from within the container. This
// cannot end what removed the marker, changed its user, or runs where there is no
// shell: that is reported as left over. It does not touch what a shell left in the
// background before it ended in good order.
type ExecSessions struct {
	hosts      Hosts
	opts       ExecOptions
	recordings *recordings     // nil: none are taken
	wg         sync.WaitGroup  // of sessions, those that start included
	ctx        context.Context // ends when Close has waited long enough
	cut        context.CancelFunc

	mu       sync.Mutex
	sessions map[string]*ExecSession
	starting int
	closed   bool
}

// NewExecSessions makes an empty set. Close ends it.
func NewExecSessions(hosts Hosts, opts ExecOptions) *ExecSessions {
	opts = opts.withDefaults()
	e := &ExecSessions{hosts: hosts, opts: opts, recordings: newRecordings(opts), sessions: map[string]*ExecSession{}}
	e.ctx, e.cut = context.WithCancel(context.Background())
	return e
}

// Options are those the sessions have.
func (e *ExecSessions) Options() ExecOptions { return e.opts }

// Reattach connects a client to a session that its owner began. after is how many
// bytes of output the client has had; a negative one asks for all that is kept. A
// client that is still connected is put off. An unknown id and another's session
// are the same error.
func (e *ExecSessions) Reattach(id, owner string, after int64) (*ExecClient, error) {
	e.mu.Lock()
	s := e.sessions[id]
	e.mu.Unlock()
	if s == nil || s.info.Owner != owner {
		return nil, engine.Errorf(engine.ClassNotFound, "", "the session is not known here: it has ended, was begun by another user, or at another replica; start a new one")
	}
	return s.connect(after), nil
}

// List describes the running sessions of an owner, or of all for "".
func (e *ExecSessions) List(owner string) []ExecInfo {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []ExecInfo
	for _, s := range e.sessions {
		if (owner == "" || s.info.Owner == owner) && !s.isDone() {
			list = append(list, s.info)
		}
	}
	return list
}

// Close ends all sessions and their processes, and returns when that is done; ctx
// bounds the wait, after which connections are cut and what still runs is reported
// as left over.
func (e *ExecSessions) Close(ctx context.Context) {
	e.mu.Lock()
	e.closed = true
	for _, s := range e.sessions {
		s.End(ExecShutdown)
	}
	e.mu.Unlock()
	done := make(chan struct{})
	go func() {
		e.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		e.cut()
		for _, s := range e.all() {
			s.cancel()
		}
		<-done
	}
	e.cut()
	for _, s := range e.all() {
		s.forget()
	}
}

func (e *ExecSessions) all() []*ExecSession {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Values(e.sessions))
}

// reserve takes a place for a session that is about to start, which Close waits for from
// then on: what starts must not outlive it unseen.
func (e *ExecSessions) reserve() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return engine.Errorf(engine.ClassUnreachable, "", "this replica is shutting down; try again")
	}
	if len(e.sessions)+e.starting >= e.opts.MaxSessions {
		return tooMany("exec and attach sessions on this replica", e.opts.MaxSessions)
	}
	e.starting++
	e.wg.Add(1)
	return nil
}

// whileOpen is ctx, which also ends when Close has waited long enough.
func (e *ExecSessions) whileOpen(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(e.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// settle gives a reserved place back, or to the session.
func (e *ExecSessions) settle(s *ExecSession) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.starting--
	if s == nil {
		e.wg.Done()
		return
	}
	e.sessions[s.info.ID] = s
	if e.closed { // while it started
		s.End(ExecShutdown)
	}
	if e.ctx.Err() != nil {
		s.cancel()
	}
}

func (e *ExecSessions) remove(s *ExecSession) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s.info.ID)
}

// begin runs a session on a connection that open makes. open's context ends with
// the session; ctx bounds the opening only.
func (e *ExecSessions) begin(ctx context.Context, s *ExecSession, open func(context.Context) (engine.Session, error)) (*ExecClient, error) {
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, s.cancel)
	conn, err := open(s.ctx)
	if err == nil && !stop() {
		_ = conn.Close()
		err = engine.Errorf(engine.ClassCanceled, "", "the caller gave up: %w", ctx.Err())
	}
	if err != nil {
		stop()
		s.cancel()
		return nil, err
	}
	s.conn = conn
	s.forget = sync.OnceFunc(func() {
		e.remove(s)
		if s.hooks.Forgotten != nil {
			s.hooks.Forgotten()
		}
	})
	client := s.connect(0)
	e.settle(s)
	go e.serve(s)
	return client, nil
}

// serve runs a session to its end and keeps what came of it for a client that comes
// back for it.
func (e *ExecSessions) serve(s *ExecSession) {
	s.run()
	// The wait group is for what runs; a timer may outlive Close.
	if s.grace > 0 {
		time.AfterFunc(s.grace, s.forget)
	} else {
		s.forget()
	}
	e.wg.Done()
}

// newID is a name that nobody can guess.
func newID() string { return rand.Text() }
