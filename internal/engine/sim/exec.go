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
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/common"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
)

// execHistory is how many ended execs an engine can still tell about; dockerd
// forgets them after some minutes.
const execHistory = 256

// execPatience is how long a resize waits for the start of an exec, as in dockerd.
const execPatience = 10 * time.Second

// execution is an exec. Its fields are guarded by Engine.mu.
type execution struct {
	id       string
	c        *containerObject
	req      container.ExecCreateRequest
	detach   []byte
	pid      int
	started  bool
	running  bool
	exitCode *int
	proc     *process // from the start on
	view     *viewer
	// ready is closed when the start has made proc, or failed.
	ready chan struct{}
}

func (x *execution) kill() {
	if x.proc != nil {
		x.proc.signal(sigKill)
	}
}

// execStore finds execs by id; ended ones go in the order of their ends.
type execStore struct {
	byID  map[string]*execution
	ended []string
}

func (s *execStore) add(x *execution) {
	if s.byID == nil {
		s.byID = map[string]*execution{}
	}
	s.byID[x.id] = x
}

func (s *execStore) end(x *execution) {
	s.ended = append(s.ended, x.id)
	if len(s.ended) > execHistory {
		delete(s.byID, s.ended[0])
		s.ended = s.ended[1:]
	}
}

func (x *execution) command() string {
	return x.req.Cmd[0] + " " + strings.Join(x.req.Cmd[1:], " ")
}

// endExecs ends the bookkeeping of a stopping container's execs; the caller
// holds e.mu and kills what it is given.
func (e *Engine) endExecs(c *containerObject) []*execution {
	all := c.execs
	c.execs = nil
	for _, x := range all {
		if x.running {
			e.endExec(x, 128+sigKill)
			e.execs.end(x)
		} else {
			delete(e.execs.byID, x.id)
		}
	}
	return all
}

func (e *Engine) endExec(x *execution, code int) {
	x.running, x.exitCode = false, &code
	e.emitContainer(x.c, events.ActionExecDie, "execID", x.id, "exitCode", strconv.Itoa(code))
}

func (e *Engine) execExited(x *execution, code int) {
	e.mu.Lock()
	if x.running && e.ctx.Err() == nil {
		e.endExec(x, code)
		e.execs.end(x)
		x.c.dropExec(x)
	}
	e.mu.Unlock()
	x.view.out.end()
}

func (c *containerObject) dropExec(x *execution) {
	for i := range c.execs {
		if c.execs[i] == x {
			c.execs = append(c.execs[:i:i], c.execs[i+1:]...)
			return
		}
	}
}

func (e *Engine) serveExecCreate(w http.ResponseWriter, r *request) error {
	var req container.ExecCreateRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	if len(req.Cmd) == 0 {
		return errorf(http.StatusBadRequest, "No exec command specified")
	}
	keys, err := detachKeys(req.DetachKeys)
	if err != nil {
		return err
	}
	x, err := e.createExec(r.name, req, keys)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, common.IDResponse{ID: x.id})
	return nil
}

func (e *Engine) createExec(ref string, req container.ExecCreateRequest, keys []byte) (*execution, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, err := e.containers.get(ref)
	if err == nil {
		err = e.execable(c, ref)
	}
	if err != nil {
		return nil, err
	}
	x := &execution{id: newID(), c: c, req: req, detach: keys, ready: make(chan struct{})}
	e.execs.add(x)
	c.execs = append(c.execs, x)
	e.emitContainer(c, events.Action("exec_create: "+x.command()), "execID", x.id)
	return x, nil
}

// execable says why no exec can run in the container now.
func (e *Engine) execable(c *containerObject, ref string) error {
	switch {
	case c.state.status == container.StatePaused:
		return errorf(http.StatusConflict, "Container %s is paused, unpause the container before exec", ref)
	case c.state.status == container.StateRestarting:
		return errorf(http.StatusConflict, "Container %s is restarting, wait until the container is running", ref)
	case !c.running():
		return e.notRunning(c)
	}
	return nil
}

func (e *Engine) exec(id string) (*execution, error) {
	if x, ok := e.execs.byID[id]; ok {
		return x, nil
	}
	return nil, notFound("exec instance", id)
}

func (e *Engine) serveExecStart(w http.ResponseWriter, r *request) error {
	var req container.ExecStartRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	e.mu.Lock()
	x, err := e.exec(r.name)
	if err == nil {
		err = e.execable(x.c, x.c.id)
	}
	var claimed error
	if err == nil {
		// Before the client hears anything: a second start that it sends then must
		// not win over this one.
		claimed = x.claim()
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	if req.Detach {
		if claimed != nil {
			return claimed
		}
		if err := e.startExec(x, req.ConsoleSize); err != nil {
			return err
		}
		x.view.out.breakOff()
		w.WriteHeader(http.StatusOK)
		return nil
	}
	s, err := hijack(w, r, streamType(r, x.req.Tty), apiHeaders(w))
	if err != nil {
		return nil
	}
	if claimed == nil {
		claimed = e.startExec(x, req.ConsoleSize)
	}
	if err := claimed; err != nil {
		_, _ = s.conn.Write(frame(stdoutStream, []byte(err.Error()+"\r\n")))
		_ = s.conn.Close()
		return nil
	}
	e.converse(s, x.view, x.input(e))
	return nil
}

// claim makes the caller the one that starts the exec. The engine's mu is held.
func (x *execution) claim() error {
	switch {
	case x.started && x.exitCode == nil:
		return errorf(http.StatusConflict, "Error: Exec command %s is already running", x.id)
	case x.started:
		return errorf(http.StatusConflict, "Error: Exec command %s has already run", x.id)
	}
	x.started = true
	return nil
}

// startExec runs the command of an exec that the caller has claimed.
func (e *Engine) startExec(x *execution, size *[2]uint) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer close(x.ready)
	if e.ctx.Err() != nil {
		return e.ctx.Err()
	}
	if err := e.execable(x.c, x.c.id); err != nil {
		return err
	}
	e.emitContainer(x.c, events.Action("exec_start: "+x.command()), "execID", x.id)
	if !executable(x.req.Cmd) {
		code := 126
		x.exitCode = &code
		e.execs.end(x)
		x.c.dropExec(x)
		return fmt.Errorf("OCI runtime exec failed: exec failed: unable to start container process: %s: unknown", notExecutable(x.req.Cmd[0]))
	}
	x.running, x.pid = true, e.newPID()
	x.view = &viewer{stdout: x.req.AttachStdout, stderr: x.req.AttachStderr, tty: x.req.Tty}
	x.proc = e.newExecProcess(x)
	if size == nil {
		size = x.req.ConsoleSize
	}
	if size != nil {
		x.proc.height, x.proc.width = size[0], size[1]
	}
	x.proc.start(e.ctx)
	if !x.req.AttachStdout && !x.req.AttachStderr {
		x.view.out.end()
	}
	return nil
}

// waitReady waits for the start that was asked for: its client has the header
// before the command runs.
func (x *execution) waitReady(ctx context.Context) bool {
	timer := time.NewTimer(execPatience)
	defer timer.Stop()
	select {
	case <-x.ready:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

func (e *Engine) newExecProcess(x *execution) *process {
	user, dir := x.req.User, x.req.WorkingDir
	if user == "" {
		user = x.c.config.User
	}
	if dir == "" {
		dir = x.c.config.WorkingDir
	}
	p := &process{
		pid: x.pid, argv: x.req.Cmd, env: environment(x.c, x.req.Env, x.req.Tty), dir: dir, user: user, tty: x.req.Tty, group: &e.group,
		output: func(ctx context.Context, stream byte, b []byte) { x.view.write(ctx, stream, b) },
		exited: func(code int) { e.execExited(x, code) },
	}
	if x.req.AttachStdin {
		p.in = &pipe{}
	}
	return p
}

// input is what a client of the exec sends.
func (x *execution) input(e *Engine) input {
	if !x.req.AttachStdin {
		return input{}
	}
	in := input{feed: x.proc.feed, eof: func() bool {
		x.proc.in.end()
		return true
	}}
	if x.req.Tty {
		// A terminal's stdin has no end of its own: the session ends instead.
		in.eof = func() bool { return false }
		in.detach = x.detach
		in.detached = func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.emitContainer(x.c, events.ActionExecDetach, "execID", x.id)
		}
	}
	return in
}

// execJSON is an exec as sent: its detach keys are base64 of none.
type execJSON struct {
	container.ExecInspectResponse
	DetachKeys string
}

func (e *Engine) serveExecInspect(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	x, err := e.exec(r.name)
	if err != nil {
		e.mu.Unlock()
		return err
	}
	out := execJSON{ExecInspectResponse: container.ExecInspectResponse{
		ID: x.id, Running: x.running, ExitCode: x.exitCode, OpenStdin: x.req.AttachStdin, OpenStderr: x.req.AttachStderr,
		OpenStdout: x.req.AttachStdout, ContainerID: x.c.id, Pid: x.pid,
		ProcessConfig: &container.ExecProcessConfig{
			Tty: x.req.Tty, Entrypoint: x.req.Cmd[0], Arguments: append([]string{}, x.req.Cmd[1:]...), Privileged: &x.req.Privileged, User: x.req.User,
		},
	}}
	e.mu.Unlock()
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (e *Engine) serveExecResize(w http.ResponseWriter, r *request) error {
	height, width, err := consoleSize(r)
	if err != nil {
		return err
	}
	e.mu.Lock()
	x, err := e.exec(r.name)
	started := err == nil && x.started
	e.mu.Unlock()
	if err != nil {
		return err
	}
	// dockerd waits for a start that nobody has asked for, too; that is no use here.
	if !started || !x.waitReady(r.Context()) {
		return errorf(http.StatusInternalServerError, "timeout waiting for exec session ready")
	}
	e.mu.Lock()
	p := x.proc
	e.mu.Unlock()
	if p != nil {
		p.resize(height, width)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func consoleSize(r *request) (height, width uint, err error) {
	h, err := strconv.Atoi(r.query.Get("h"))
	if err != nil {
		return 0, 0, errorf(http.StatusBadRequest, "%v", err)
	}
	wd, err := strconv.Atoi(r.query.Get("w"))
	if err != nil {
		return 0, 0, errorf(http.StatusBadRequest, "%v", err)
	}
	return uint(max(h, 0)), uint(max(wd, 0)), nil
}
