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
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// How long each step of an end may take: after ^C, after ^D or an ended stdin, for
// the second exec, and for the news of the kill.
const (
	interruptPatience = 300 * time.Millisecond
	hangupPatience    = time.Second
	killPatience      = 20 * time.Second
	killedPatience    = 3 * time.Second
	kills             = 3
	// cutPatience is how long an engine that was lost may take to be there again.
	cutPatience = 10 * time.Second
)

// terminate ends the session's process: the engine has no call for it, and a
// process lives on when its connection is cut. First as a person would, with ^C and
// ^D or an end of the input, which lets a shell end in good order and leaves what
// it put in the background on purpose; then by a kill from within the container.
func (s *ExecSession) terminate(reason ExecReason) ExecResult {
	s.out.release()
	result := ExecResult{Reason: reason}
	if !s.target.owned() {
		return result
	}
	if f, ok := s.hangUp(); ok {
		result.ExitCode, result.Err = f.code, f.err
		if f.err == nil {
			return result
		}
	}
	result.Leftover = s.killAfter(result.Err)
	if result.Leftover == nil && result.ExitCode == nil && result.Err == nil {
		result.ExitCode = s.killedCode()
	}
	return result
}

// hangUp asks the process to end; ok tells whether it did.
func (s *ExecSession) hangUp() (f finish, ok bool) {
	if s.info.TTY && s.stdin {
		s.in.jump("\x03")
		if f, ok = s.await(interruptPatience); ok {
			return f, true
		}
		s.in.jump("\x04")
	}
	if !s.info.TTY {
		s.in.closeAfter()
	}
	return s.await(hangupPatience)
}

func (s *ExecSession) await(patience time.Duration) (finish, bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case f := <-s.finished:
		return f, true
	case <-timer.C:
	case <-s.ctx.Done():
	}
	return finish{}, false
}

// killAfter kills what the session began, after cut, if not nil, broke the
// connection. nil means that nothing is left.
func (s *ExecSession) killAfter(cut error) *ExecLeftover {
	ctx, cancel := context.WithTimeout(s.ctx, killPatience)
	defer cancel()
	if cut != nil && s.endedAfterCut(ctx) {
		return nil
	}
	var err error
	for range kills { // it may not have begun at the first
		if err = s.target.kill(ctx); err != nil {
			break
		}
		if s.gone(ctx) {
			return nil
		}
		err = errors.New("the process still runs after a kill")
	}
	return &ExecLeftover{PID: s.target.pid(ctx), Why: err.Error()}
}

// endedAfterCut tells whether a process whose connection broke has ended. The engine
// may take a while to be there again.
func (s *ExecSession) endedAfterCut(ctx context.Context) bool {
	timer := time.NewTimer(cutPatience)
	defer timer.Stop()
	for {
		_, running, err := s.target.exit(ctx)
		if err == nil || engine.IsNotFound(err) || errors.Is(err, errForgotten) {
			return !running && !errors.Is(err, errForgotten)
		}
		select {
		case <-time.After(exitPollLast):
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// gone waits for the engine to see that the process ended.
func (s *ExecSession) gone(ctx context.Context) bool {
	wait := exitPollFirst
	for begin := time.Now(); time.Since(begin) < killedPatience; wait = min(2*wait, exitPollLast) {
		_, running, err := s.target.exit(ctx)
		if err == nil && !running || engine.IsNotFound(err) || errors.Is(err, errForgotten) {
			return true // one that is forgotten is as gone as the kill says
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
	return false
}

// killedCode is the exit code of a process that was killed.
func (s *ExecSession) killedCode() *int {
	ctx, cancel := context.WithTimeout(s.ctx, killedPatience)
	defer cancel()
	code, _, err := s.target.exit(ctx)
	if err != nil {
		return nil
	}
	return code
}

// execTarget is a process that ExecStart began.
type execTarget struct {
	// hosts is asked for the engine at each call: it may have been replaced since.
	hosts             Hosts
	host              Key
	execID, container string
	user, marker      string
}

func (t *execTarget) resize(ctx context.Context, size engine.TTYSize) error {
	eng, err := t.hosts.Engine(t.host)
	if err != nil {
		return err
	}
	return eng.ExecResize(ctx, t.execID, size)
}

func (t *execTarget) exit(ctx context.Context) (code *int, running bool, err error) {
	eng, err := t.hosts.Engine(t.host)
	if err != nil {
		return nil, false, err
	}
	v, err := eng.ExecInspect(ctx, t.execID)
	switch {
	case engine.IsNotFound(err) && t.containerRuns(ctx, eng):
		return nil, false, errForgotten
	case err != nil || v.Running:
		return nil, v.Running, err
	}
	return v.ExitCode, false, nil
}

// errForgotten is of an engine that was restarted and left its containers running: it
// knows none of its execs any more, and their processes may run on.
var errForgotten = engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine was restarted, and does not know the session's process any more")

func (t *execTarget) containerRuns(ctx context.Context, eng engine.Engine) bool {
	v, err := (&attachTarget{engine: eng, container: t.container}).inspect(ctx)
	return err == nil && v.State.Running
}

func (*execTarget) owned() bool { return true }

func (t *execTarget) pid(ctx context.Context) int {
	eng, err := t.hosts.Engine(t.host)
	if err != nil {
		return 0
	}
	v, err := eng.ExecInspect(ctx, t.execID)
	if err != nil {
		return 0
	}
	return v.Pid
}

// killer finds the processes that carry a marker in their environment, and kills
// them, again until there are no new ones, for they may have forked meanwhile; one
// that was killed may be seen for a while yet. It needs a shell and nothing else: read
// drops the zero bytes between variables. It names the marker as an argument, so that
// it does not find itself.
const killer = `again=20 killed=" "
while [ $again -gt 0 ]; do
	found=0
	for e in /proc/[0-9]*/environ; do
		while IFS= read -r line || [ -n "$line" ]; do
			case $line in *"$1"*)
				p=${e#/proc/} p=${p%/environ}
				case $killed in *" $p "*) break;; esac
				kill -9 "$p" 2>/dev/null && found=1 killed="$killed$p "
				break;;
			esac
		done 2>/dev/null <"$e"
	done 2>/dev/null
	[ $found = 0 ] && exit 0
	again=$((again-1))
done
exit 3`

// kill runs as the exec's own user and without its privileges: the shell that runs
// is the container's, and may be a bad one. So what changed its user is not found.
func (t *execTarget) kill(ctx context.Context) error {
	eng, err := t.hosts.Engine(t.host)
	if err != nil {
		return fmt.Errorf("the process could not be ended: %w", err)
	}
	id, err := eng.ExecCreate(ctx, t.container, container.ExecCreateRequest{
		Cmd:  []string{"sh", "-c", killer, "sh", markerName + "=" + t.marker},
		User: t.user, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return fmt.Errorf("the process could not be ended: %w", err)
	}
	conn, err := eng.ExecStart(ctx, id, container.ExecStartRequest{})
	if err != nil {
		return noShell(err)
	}
	said, err := readSome(ctx, conn)
	if err != nil {
		return fmt.Errorf("the process could not be ended: %w", err)
	}
	f := exitCode(ctx, &execTarget{hosts: t.hosts, host: t.host, execID: id})
	switch {
	case f.err != nil:
		return fmt.Errorf("the process could not be ended: %w", f.err)
	case f.code == nil:
		return errors.New("nobody knows whether the process was ended: the container is gone, or the engine does not say")
	case *f.code == 126 || *f.code == 127:
		return noShell(errors.New(said))
	case *f.code != 0:
		return fmt.Errorf("the process could not be ended: what was to kill it ended with %d: %s", *f.code, said)
	}
	return nil
}

func noShell(err error) error {
	return fmt.Errorf("the process could not be ended: the container has no sh that would run, restart the container to end it: %w", err)
}

// maxSaid bounds what a killer may say.
const maxSaid = 512

// readSome reads a session to its end and keeps the beginning.
func readSome(ctx context.Context, conn engine.Session) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	var said strings.Builder
	err := demultiplex(conn, conn.Multiplexed(), func(_ Stream, data []byte) error {
		said.Write(data[:min(len(data), maxSaid-said.Len())])
		return nil
	})
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return strings.ToValidUTF8(strings.TrimSpace(said.String()), "?"), err
}
