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

package enginetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func (s *suite) testExec(t *testing.T) {
	id := s.sleeper(t)
	subtests(t, []subtest{
		{"output and exit code", func(t *testing.T) { s.testExecOutput(t, id) }},
		{"environment, directory, user", func(t *testing.T) { s.testExecSettings(t, id) }},
		{"stdin to its end", func(t *testing.T) { s.testExecStdin(t, id) }},
		{"big paste", func(t *testing.T) { s.testExecPaste(t, id) }},
		{"TTY and its size", func(t *testing.T) { s.testExecTTY(t, id) }},
		{"TTY paste", func(t *testing.T) { s.testExecTTYPaste(t, id) }},
		{"inspect while it runs", func(t *testing.T) { s.testExecInspect(t, id) }},
		{"no such program", func(t *testing.T) { s.testExecNoProgram(t, id) }},
		{"started twice", func(t *testing.T) { s.testExecTwice(t, id) }},
		{"resize before the start", func(t *testing.T) { s.testExecResizeEarly(t, id) }},
		{"container ends", s.testExecContainerEnds},
	})
}

// result is what became of an exec.
type result struct {
	out, err string
	code     int
}

// session is an exec that was started.
type session struct {
	engine.Session
	s  *suite
	id string
}

func (s *suite) session(t testing.TB, id string, req container.ExecCreateRequest) session {
	t.Helper()
	ctx := s.context(t)
	execID, err := s.e.ExecCreate(ctx, id, req)
	s.must(t, "create an exec", err)
	x, err := s.e.ExecStart(ctx, execID, container.ExecStartRequest{Tty: req.Tty})
	s.must(t, "start the exec", err)
	t.Cleanup(func() { _ = x.Close() })
	if x.Multiplexed() == req.Tty {
		t.Errorf("with tty=%t the session says multiplexed=%t", req.Tty, x.Multiplexed())
	}
	return session{x, s, execID}
}

// end waits for an exec's exit code. The engine may say that it runs for a moment
// after its output has ended.
func (x session) end(t testing.TB) int {
	t.Helper()
	var code int
	eventually(t, "exec to end", func() bool {
		v, err := x.s.e.ExecInspect(x.s.context(t), x.id)
		x.s.must(t, "inspect the exec", err)
		if v.Running || v.ExitCode == nil {
			return false
		}
		code = *v.ExitCode
		return true
	})
	return code
}

// exec runs a command to its end with input, if any, on its stdin.
func (s *suite) exec(t testing.TB, id string, req container.ExecCreateRequest, input ...string) result {
	t.Helper()
	x := s.session(t, id, req)
	sent := make(chan error, 1)
	go func() {
		var err error
		for _, in := range input {
			if _, err = io.WriteString(x, in); err != nil {
				break
			}
		}
		if req.AttachStdin && err == nil {
			err = x.CloseWrite()
		}
		sent <- err
	}()
	b := readAll(t, x)
	if err := <-sent; err != nil {
		t.Errorf("write to the exec: %v", err)
	}
	if req.Tty {
		return result{out: string(b), code: x.end(t)}
	}
	frames := split(t, b)
	return result{out: joined(frames, stdout), err: joined(frames, stderr), code: x.end(t)}
}

func command(args ...string) container.ExecCreateRequest {
	return container.ExecCreateRequest{Cmd: args, AttachStdout: true, AttachStderr: true}
}

func withStdin(req container.ExecCreateRequest) container.ExecCreateRequest {
	req.AttachStdin = true
	return req
}

func (s *suite) testExecOutput(t *testing.T, id string) {
	if got, want := s.exec(t, id, command("sh", "-c", "echo out; echo err >&2; exit 3")), (result{"out\n", "err\n", 3}); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
	only := command("sh", "-c", "echo out; echo err >&2")
	only.AttachStderr = false
	if got, want := s.exec(t, id, only), (result{"out\n", "", 0}); got != want {
		t.Errorf("with stdout alone got %+v; want %+v", got, want)
	}
	if got, want := s.exec(t, id, command("sh", "-c", `printf '\000\001\377\n\r\n'`)), "\x00\x01\xff\n\r\n"; got.out != want {
		t.Errorf("bytes came as %q; want %q", got.out, want)
	}
}

func (s *suite) testExecSettings(t *testing.T, id string) {
	req := command("sh", "-c", "echo $GREETING; pwd; id -u")
	req.Env, req.WorkingDir, req.User = []string{"GREETING=good day"}, "/tmp", "1234:1234"
	if got, want := s.exec(t, id, req), "good day\n/tmp\n1234\n"; got.out != want {
		t.Errorf("got %+v; want %q", got, want)
	}
}

func (s *suite) testExecStdin(t *testing.T, id string) {
	if got, want := s.exec(t, id, withStdin(command("cat")), "one\n", "two"), (result{out: "one\ntwo"}); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
	if got := s.exec(t, id, withStdin(command("sh", "-c", "cat >/dev/null; echo after; exit 2"))); got.out != "after\n" || got.code != 2 {
		t.Errorf("after an empty stdin got %+v; want the output that follows its end", got)
	}
}

// testExecPaste sends more than every buffer on the way holds, of every byte,
// while as much comes back.
func (s *suite) testExecPaste(t *testing.T, id string) {
	paste := make([]byte, 2<<20)
	for i := range paste {
		paste[i] = byte(i*7 + i>>8)
	}
	got := s.exec(t, id, withStdin(command("cat")), string(paste))
	if !bytes.Equal([]byte(got.out), paste) || got.code != 0 {
		t.Errorf("%d bytes came back of %d, and not the same; exit code %d", len(got.out), len(paste), got.code)
	}
	got = s.exec(t, id, withStdin(command("sha256sum")), string(paste))
	if want := fmt.Sprintf("%x  -\n", sha256.Sum256(paste)); got.out != want {
		t.Errorf("the sum is %q; want %q", got.out, want)
	}
}

func (s *suite) testExecTTY(t *testing.T, id string) {
	req := withStdin(command("sh"))
	req.Tty, req.DetachKeys = true, "ctrl-],a,2"
	x := s.session(t, id, req)
	// Engines before API 1.42 have no size at the start, and one that comes too
	// early is refused: resize until it is taken.
	eventually(t, "terminal to be resized", func() bool {
		return s.e.ExecResize(s.context(t), x.id, engine.TTYSize{Height: 33, Width: 101}) == nil
	})
	s.say(t, x, "stty size\n", "33 101\r\n")
	s.must(t, "resize", s.e.ExecResize(s.context(t), x.id, engine.TTYSize{Height: 44, Width: 120}))
	s.say(t, x, "stty size\n", "44 120\r\n")
	s.say(t, x, "echo to-stderr >&2\n", "to-stderr\r\n")
	if _, err := io.WriteString(x, "exit 6\n"); err != nil {
		t.Fatal(err)
	}
	readAll(t, x)
	if code := x.end(t); code != 6 {
		t.Errorf("the shell ended with %d; want 6", code)
	}
}

// say writes to a session and reads until want has come.
func (s *suite) say(t *testing.T, x io.ReadWriteCloser, line, want string) {
	t.Helper()
	if _, err := io.WriteString(x, line); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(limit, func() { _ = x.Close() })
	defer timer.Stop()
	var got strings.Builder
	b := make([]byte, 4096)
	for !strings.Contains(got.String(), want) {
		n, err := x.Read(b)
		got.Write(b[:n])
		if err != nil {
			t.Fatalf("to %q came %q, then %v; want %q", line, got.String(), err, want)
		}
	}
}

// testExecTTYPaste pastes lines into a terminal. Each must arrive; of the echo the
// kernel drops what does not fit its buffer.
func (s *suite) testExecTTYPaste(t *testing.T, id string) {
	req := withStdin(command("sh", "-c", "cat | wc -l"))
	req.Tty = true
	const lines = 2000
	paste := strings.Repeat(strings.Repeat("p", 79)+"\n", lines)
	x := s.session(t, id, req)
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(x, paste+"\x04")
		sent <- err
	}()
	out := string(readAll(t, x))
	if err := <-sent; err != nil {
		t.Errorf("paste: %v", err)
	}
	if !strings.HasSuffix(strings.TrimSpace(out), fmt.Sprint(lines)) {
		t.Errorf("the terminal counted %q; want %d", out[max(0, len(out)-20):], lines)
	}
}

func (s *suite) testExecInspect(t *testing.T, id string) {
	x := s.session(t, id, withStdin(command("cat")))
	var v container.ExecInspectResponse
	// It is said to run a moment before it has a process.
	eventually(t, "exec to have a process", func() bool {
		var err error
		v, err = s.e.ExecInspect(s.context(t), x.id)
		s.must(t, "inspect", err)
		return v.Pid > 0
	})
	if !v.Running || v.ContainerID != id || v.ID != x.id {
		t.Errorf("a running exec is %+v", v)
	}
	if v.ProcessConfig == nil || v.ProcessConfig.Entrypoint != "cat" {
		t.Errorf("a running exec's command is %+v", v.ProcessConfig)
	}
	s.must(t, "end stdin", x.CloseWrite())
	readAll(t, x)
	if code := x.end(t); code != 0 {
		t.Errorf("it ended with %d", code)
	}
}

func (s *suite) testExecNoProgram(t *testing.T, id string) {
	ctx := s.context(t)
	execID, err := s.e.ExecCreate(ctx, id, command("/no/such/program"))
	s.must(t, "create an exec", err)
	x, err := s.e.ExecStart(ctx, execID, container.ExecStartRequest{})
	s.must(t, "start the exec", err)
	defer func() { _ = x.Close() }()
	out := joined(split(t, readAll(t, x)), stdout)
	if code := (session{x, s, execID}).end(t); code != 126 && code != 127 {
		t.Errorf("it ended with %d; want 126 or 127", code)
	}
	if s.differs(t, ExecErrorSilent) != (out == "") || out != "" && !strings.Contains(out, "no such file") {
		t.Errorf("it says %q", out)
	}
}

// testExecTwice expects a refusal. dockerd takes the connection over first, and
// then can refuse by a text in the output only.
func (s *suite) testExecTwice(t *testing.T, id string) {
	x := s.session(t, id, withStdin(command("cat")))
	// The connection is taken over first and the command started then: a second
	// start in between would be the first.
	eventually(t, "exec to run", func() bool {
		v, err := s.e.ExecInspect(s.context(t), x.id)
		s.must(t, "inspect the exec", err)
		return v.Running
	})
	s.checkSecondStart(t, "that runs", x.id)
	s.must(t, "end stdin", x.CloseWrite())
	readAll(t, x)
	x.end(t)
	s.checkSecondStart(t, "that has run", x.id)
}

func (s *suite) checkSecondStart(t *testing.T, what, execID string) {
	t.Helper()
	x, err := s.e.ExecStart(s.context(t), execID, container.ExecStartRequest{})
	if err != nil {
		s.want(t, "start of an exec "+what, err, engine.ClassConflict)
		return
	}
	out := joined(split(t, readAll(t, x)), stdout)
	if !strings.Contains(out, "already") {
		t.Errorf("the second start of an exec %s says %q", what, out)
	}
}

// testExecResizeEarly allows a refusal, and a wait for the start: dockerd waits
// for 10 s.
func (s *suite) testExecResizeEarly(t *testing.T, id string) {
	req := withStdin(command("sh"))
	req.Tty = true
	execID, err := s.e.ExecCreate(s.context(t), id, req)
	s.must(t, "create an exec", err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := s.e.ExecResize(ctx, execID, engine.TTYSize{Height: 10, Width: 20}); err == nil {
		t.Error("a resize before the start is no error")
	}
}

func (s *suite) testExecContainerEnds(t *testing.T) {
	id := s.sleeper(t)
	x := s.session(t, id, withStdin(command("sh", "-c", "echo up; cat; sleep 1000")))
	f, err := readFrame(x)
	if err != nil || string(f.data) != "up\n" {
		t.Fatalf("the first output is %q, %v", f.data, err)
	}
	s.must(t, "kill", s.e.ContainerKill(s.context(t), id, ""))
	ends(t, "the session of a killed container", func() {
		if _, err := io.Copy(io.Discard, x); err != nil {
			t.Errorf("it ended with %v; want its plain end", err)
		}
	})
	if code := x.end(t); code != 137 {
		t.Errorf("the exec ended with %d; want 137", code)
	}
}
