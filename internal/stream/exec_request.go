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
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// ExecRequest says what to run. Whoever may is the caller's to decide before.
type ExecRequest struct {
	Host Key
	// Container is the full id.
	Container string
	// Owner is who may come back to the session, spelled so that two callers never
	// are equal.
	Owner      string
	Command    []string
	Env        []string
	WorkingDir string
	User       string
	Privileged bool

	TTY                   bool
	Stdin, Stdout, Stderr bool
	// Size is the terminal's at the start; zero where the client does not say.
	Size engine.TTYSize
	// Reattachable keeps the session for a client that vanished. Without it, as for
	// clients that do not know sessions, the process is ended at once.
	Reattachable bool
	Hooks        ExecHooks
}

// ExecHooks are told of a session's life, for the record of it.
type ExecHooks struct {
	// Start is called before the process starts; an error prevents that.
	Start func(ctx context.Context, info ExecInfo) error
	// Ended is called once after everything has ended, also where the start failed
	// after Start returned.
	Ended func(info ExecInfo, result ExecResult)
	// Forgotten is called once after Ended, when nobody can come back to the session any
	// more; not where the start failed.
	Forgotten func()
}

// ExecInfo describes a session.
type ExecInfo struct {
	// ID is what a client names when it comes back. It opens the session for its
	// owner: it does not belong in logs.
	ID        string
	Owner     string
	Host      Key
	Container string
	// ExecID is the engine's id of the exec, "" for an attached container.
	ExecID  string
	Command []string
	TTY     bool
	Started time.Time
}

// maxTTY is what the kernel's struct winsize holds.
const maxTTY = 1<<16 - 1

// checkSize refuses sizes that no terminal has.
func checkSize(size engine.TTYSize) error {
	if size.Height < 1 || size.Width < 1 || size.Height > maxTTY || size.Width > maxTTY {
		return engine.Errorf(engine.ClassInvalid, "", "a terminal of %d columns and %d rows cannot be: both have to be from 1 to %d", size.Width, size.Height, maxTTY)
	}
	return nil
}

func (r *ExecRequest) check() error {
	switch {
	case r.Container == "":
		return engine.Errorf(engine.ClassInvalid, "", "no container to run the command in: name one")
	case len(r.Command) == 0 || r.Command[0] == "":
		return engine.Errorf(engine.ClassInvalid, "", "no command to run: give one")
	case !r.Stdin && !r.Stdout && !r.Stderr:
		return engine.Errorf(engine.ClassInvalid, "", "none of stdin, stdout and stderr is asked for: ask for one at least")
	}
	if r.Size != (engine.TTYSize{}) {
		return checkSize(r.Size)
	}
	return nil
}

// markerName is the variable by which the processes of an exec are found again. Its
// value is no secret: it names the exec, and opens nothing.
const markerName = "DOCKERCONTROL_EXEC"

// create is the request as the engine wants it.
func (r *ExecRequest) create(marker string) container.ExecCreateRequest {
	req := container.ExecCreateRequest{
		Cmd: r.Command, Env: append(slices.Clone(r.Env), markerName+"="+marker),
		WorkingDir: r.WorkingDir, User: r.User, Privileged: r.Privileged, Tty: r.TTY,
		AttachStdin: r.Stdin, AttachStdout: r.Stdout, AttachStderr: r.Stderr,
	}
	if r.TTY {
		req.ConsoleSize = consoleSize(r.Size)
		req.DetachKeys = detachKeys()
	}
	return req
}

// consoleSize is the size for engines that take one at the start (API 1.42); others
// leave it unread.
func consoleSize(size engine.TTYSize) *[2]uint {
	if size == (engine.TTYSize{}) {
		return nil
	}
	return &[2]uint{size.Height, size.Width}
}

// detachKeys are keys that nobody types. Without any the engine takes ctrl-p,
// ctrl-q: it then holds every ctrl-p back until the next key, and a paste with both
// leaves the process behind.
func detachKeys() string {
	keys := "ctrl-]"
	for _, r := range newID() {
		keys += "," + string(r)
	}
	return keys
}

// Start runs a command and connects the first client to it.
func (e *ExecSessions) Start(ctx context.Context, req ExecRequest) (*ExecClient, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	eng, err := e.hosts.Engine(req.Host)
	if err != nil {
		return nil, err
	}
	if err := e.reserve(); err != nil {
		return nil, err
	}
	ctx, stop := e.whileOpen(ctx)
	defer stop()
	client, err := e.startExec(ctx, eng, req)
	if err != nil {
		e.settle(nil)
	}
	return client, err
}

func (e *ExecSessions) startExec(ctx context.Context, eng engine.Engine, req ExecRequest) (*ExecClient, error) {
	marker := newID()
	execID, err := eng.ExecCreate(ctx, req.Container, req.create(marker))
	if err != nil {
		return nil, err
	}
	info := ExecInfo{
		ID: newID(), Owner: req.Owner, Host: req.Host, Container: req.Container, ExecID: execID,
		Command: req.Command, TTY: req.TTY, Started: time.Now(),
	}
	target := &execTarget{hosts: e.hosts, host: req.Host, execID: execID, container: req.Container, user: req.User, marker: marker}
	s := newExecSession(info, target, e.opts, req.Reattachable, req.Hooks)
	s.stdin, s.size = req.Stdin, req.Size
	return e.launch(ctx, s, func(ctx context.Context) (engine.Session, error) {
		start := container.ExecStartRequest{Tty: req.TTY}
		if req.TTY {
			start.ConsoleSize = consoleSize(req.Size)
		}
		return eng.ExecStart(ctx, execID, start)
	})
}

// launch puts the record of a session around its beginning.
func (e *ExecSessions) launch(ctx context.Context, s *ExecSession, open func(context.Context) (engine.Session, error)) (*ExecClient, error) {
	rec, err := e.recordings.begin(s.info, s.size)
	if err != nil {
		return nil, err
	}
	s.recording = rec
	if s.hooks.Start != nil {
		if err := s.hooks.Start(ctx, s.info); err != nil {
			s.recording.discard()
			return nil, err
		}
	}
	client, err := e.begin(ctx, s, open)
	if err != nil {
		s.recording.discard()
		if s.hooks.Ended != nil {
			s.hooks.Ended(s.info, ExecResult{Reason: ExecFailed, Err: err, Duration: time.Since(s.info.Started)})
		}
	}
	return client, err
}
