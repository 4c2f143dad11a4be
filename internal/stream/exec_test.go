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
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// say writes as the process.
func (f *fakeExec) say(t *testing.T, text string) {
	t.Helper()
	if err := f.process.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f.process, text); err != nil {
		t.Fatalf("the process cannot write: %v", err)
	}
}

// hear reads as the process.
func (f *fakeExec) hear(t *testing.T, n int) string {
	t.Helper()
	if err := f.process.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(f.process, b); err != nil {
		t.Fatalf("the process reads %q, %v", b, err)
	}
	return string(b)
}

// answerKeys ends the process at a key.
func (f *fakeExec) answerKeys(key byte, code int) {
	go func() {
		b := make([]byte, 1)
		for {
			if _, err := f.process.Read(b); err != nil {
				return
			}
			if b[0] == key {
				f.exit(code)
			}
		}
	}()
}

func TestExecRequestAsSent(t *testing.T) {
	f := newFakeExec(t)
	b := newExecBed(t, hostsOf{f}, ExecOptions{})
	c := b.start(ExecRequest{Command: []string{"sh", "-l"}, Env: []string{"A=b"}, TTY: true, Stdin: true, User: "1", WorkingDir: "/w", Size: engine.TTYSize{Height: 30, Width: 90}})
	got := f.created[0]
	if !slices.Equal(got.Cmd, []string{"sh", "-l"}) || got.User != "1" || got.WorkingDir != "/w" || !got.Tty || !got.AttachStdin || !got.AttachStdout || got.AttachStderr || got.Privileged {
		t.Errorf("the engine is asked for %+v", got)
	}
	if len(got.Env) != 2 || got.Env[0] != "A=b" || !strings.HasPrefix(got.Env[1], markerName+"=") {
		t.Errorf("the environment is %q", got.Env)
	}
	if strings.Contains(got.Env[1], c.Session().Info().ID) {
		t.Error("the process is told what opens its session")
	}
	if got.ConsoleSize == nil || *got.ConsoleSize != [2]uint{30, 90} || f.started.ConsoleSize == nil {
		t.Errorf("the size at the start is %v and %v", got.ConsoleSize, f.started.ConsoleSize)
	}
	if err := c.Resize(engine.TTYSize{Height: 31, Width: 91}); err != nil {
		t.Error(err)
	}
	until(t, "the terminal has its last size", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.sizes) > 0 && f.sizes[len(f.sizes)-1] == engine.TTYSize{Height: 31, Width: 91}
	})
	f.exit(0)
	b.result()
}

// TestExecBackpressure has a client that does not read for a while, and a process that
// does not.
func TestExecBackpressure(t *testing.T) {
	f := newFakeExec(t)
	b := newExecBed(t, hostsOf{f}, ExecOptions{})
	c := b.start(ExecRequest{TTY: true, Stdin: true})
	const size = 1 << 20
	go func() {
		_, _ = f.process.Write(bytes.Repeat([]byte("0123456789abcdef"), size/16))
		f.exit(0)
	}()
	until(t, "the process has to wait", func() bool { return c.s.out.total() >= maxUnread })
	if n := c.s.out.total(); n > maxUnread+maxChunk {
		t.Errorf("with a client that does not read the process wrote %d bytes; want about %d", n, maxUnread)
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := c.Write(short, make([]byte, 2*maxInput)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("writing to a process that does not read gives %v", err)
	}
	if out, _, err := b.output(c); out != strings.Repeat("0123456789abcdef", size/16) || err != nil {
		t.Errorf("%d bytes came of %d, or others: %v", len(out), size, err)
	}
	if res := b.result(); res.BytesOut != size || res.BytesIn != 0 {
		t.Errorf("it ended as %+v", res)
	}
}

// TestExecInput leaves before the process has read what was written.
func TestExecInput(t *testing.T) {
	f := newFakeExec(t)
	b := newExecBed(t, hostsOf{f}, ExecOptions{Grace: time.Minute})
	c := b.start(ExecRequest{Stdin: true, Reattachable: true})
	b.write(c, "one, ")
	b.write(c, "two")
	c.CloseStdin()
	c.Close()
	if got := f.hear(t, 8); got != "one, two" {
		t.Errorf("the process reads %q", got)
	}
	until(t, "stdin ends", func() bool {
		f.session.mu.Lock()
		defer f.session.mu.Unlock()
		return f.session.stdinEnded
	})
	again, err := b.Reattach(c.Session().Info().ID, "alice", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Write(t.Context(), []byte("x")); !errors.Is(err, ErrStdinClosed) {
		t.Errorf("writing after the end of stdin gives %v", err)
	}
	f.exit(0)
	if res := b.result(); res.BytesIn != 8 {
		t.Errorf("it ended as %+v", res)
	}
	f = newFakeExec(t)
	b = newExecBed(t, hostsOf{f}, ExecOptions{})
	if err := b.start(ExecRequest{}).Write(t.Context(), []byte("x")); !errors.Is(err, ErrStdinClosed) {
		t.Errorf("writing without a stdin gives %v", err)
	}
	f.exit(0)
	b.result()
}

func TestExecReplay(t *testing.T) {
	f := newFakeExec(t)
	b := newExecBed(t, hostsOf{f}, ExecOptions{Replay: 100_000, Grace: time.Minute})
	c := b.start(ExecRequest{TTY: true, Stdin: true, Reattachable: true})
	line := strings.Repeat("l", 9999) + "\n"
	for range 50 {
		f.say(t, line)
		b.expect(c, "\n")
	}
	c.Close()
	f.say(t, "while away")
	id := c.Session().Info().ID
	again, err := b.Reattach(id, "alice", 450_000)
	if err != nil {
		t.Fatal(err)
	}
	if at := b.expect(again, "while away"); at != 500_010 {
		t.Errorf("the offset is %d", at)
	}
	late, err := b.Reattach(id, "alice", 0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := late.Read(t.Context())
	if err != nil || out.Skipped < 350_000 || out.Skipped > 400_010 {
		t.Errorf("from the start %d bytes were skipped, %v", out.Skipped, err)
	}
	if err := again.Write(t.Context(), []byte("x")); !errors.Is(err, ErrReplaced) {
		t.Errorf("the replaced client writes: %v", err)
	}
	if list := b.List("alice"); len(list) != 1 || list[0].ID != id || len(b.List("bob")) != 0 {
		t.Errorf("the sessions are %+v", list)
	}
	f.exit(0)
	b.result()
}

// TestExecAway lets a process write while nobody is connected: it waits when the
// replay is full, and nothing is lost.
func TestExecAway(t *testing.T) {
	f := newFakeExec(t)
	b := newExecBed(t, hostsOf{f}, ExecOptions{Replay: 64 << 10, Grace: time.Minute})
	c := b.start(ExecRequest{TTY: true, Reattachable: true})
	c.Close()
	const size = 1 << 20
	go func() {
		_, _ = f.process.Write(bytes.Repeat([]byte("0123456789abcdef"), size/16))
		f.exit(0)
	}()
	again, err := b.Reattach(c.Session().Info().ID, "alice", 0)
	if err != nil {
		t.Fatal(err)
	}
	if out, _, err := b.output(again); len(out) != size || err != nil || out != strings.Repeat("0123456789abcdef", size/16) {
		t.Errorf("%d bytes came of %d, or others: %v", len(out), size, err)
	}
	b.result()
}

// TestExecInterleaved has a process write to both streams in turn, byte by byte.
func TestExecInterleaved(t *testing.T) {
	f := newFakeExec(t)
	b := newExecBed(t, hostsOf{f}, ExecOptions{})
	c := b.start(ExecRequest{})
	const pairs = 2 * maxChunks
	go func() {
		_, _ = f.process.Write(bytes.Repeat([]byte("\x01\x00\x00\x00\x00\x00\x00\x01o\x02\x00\x00\x00\x00\x00\x00\x01e"), pairs))
		f.exit(0)
	}()
	until(t, "the process has to wait", func() bool {
		c.s.out.mu.Lock()
		defer c.s.out.mu.Unlock()
		return len(c.s.out.chunks) == maxChunks
	})
	out, errs, err := b.output(c)
	if out != strings.Repeat("o", pairs) || errs != strings.Repeat("e", pairs) || err != nil {
		t.Errorf("%d and %d bytes came of %d each, or others: %v", len(out), len(errs), pairs, err)
	}
	b.result()
}

// TestExecEnds has a clock that stands still while anybody works: a busy machine is late for no
// limit.
func TestExecEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		opts ExecOptions
		end  func(*ExecClient)
		want ExecReason
	}{
		{"vanished", ExecOptions{Grace: 20 * time.Millisecond}, (*ExecClient).Close, ExecVanished},
		{"closed", ExecOptions{}, func(c *ExecClient) { c.Session().End(ExecClosed) }, ExecClosed},
		{"idle", ExecOptions{Idle: 50 * time.Millisecond}, func(*ExecClient) {}, ExecIdle},
		{"total", ExecOptions{Total: 50 * time.Millisecond}, func(*ExecClient) {}, ExecTotalLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeExec(t)
				f.answerKeys(4, 130)
				b := newExecBed(t, hostsOf{f}, test.opts)
				c := b.start(ExecRequest{TTY: true, Stdin: true, Reattachable: true})
				test.end(c)
				res := b.result()
				if res.Reason != test.want || res.Leftover != nil || res.ExitCode == nil || *res.ExitCode != 130 {
					t.Errorf("it ended as %+v", res)
				}
				if len(f.created) != 1 {
					t.Error("a process that ended at ^D was killed as well")
				}
				<-c.Session().Done()
				if _, _, err := b.output(c); err != nil && !errors.Is(err, ErrReplaced) {
					t.Errorf("the client reads %v", err)
				}
			})
		})
	}
}

func TestExecIsKept(t *testing.T) { synctest.Test(t, execIsKept) }

func execIsKept(t *testing.T) {
	f := newFakeExec(t)
	f.kill = func() error { f.exit(137); return nil }
	b := newExecBed(t, hostsOf{f}, ExecOptions{Grace: time.Second})
	c := b.start(ExecRequest{User: "7", Reattachable: true})
	id := c.Session().Info().ID
	c.Close()
	second, err := b.Reattach(id, "alice", 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err = b.Reattach(id, "alice", 0)
	if err != nil {
		t.Fatal(err)
	}
	second.Close() // was replaced: nobody left
	select {
	case res := <-b.ended:
		t.Fatalf("with a client it ended as %+v", res)
	case <-time.After(1500 * time.Millisecond): // nothing happens
	}
	c.Close()
	if res := b.result(); res.Leftover != nil || res.ExitCode == nil || *res.ExitCode != 137 {
		t.Errorf("it ended as %+v", res)
	}
	if killer := f.created[1]; killer.User != "7" || killer.Privileged || !slices.Contains(killer.Cmd, f.created[0].Env[0]) {
		t.Errorf("it was killed by %+v", killer)
	}
	until(t, "the session is forgotten", func() bool { _, err := b.Reattach(id, "alice", 0); return engine.IsNotFound(err) })
}

func TestExecLeftover(t *testing.T) {
	f := newFakeExec(t)
	b := newExecBed(t, hostsOf{f}, ExecOptions{})
	b.start(ExecRequest{}).Close()
	res := b.result()
	if res.Leftover == nil || res.Leftover.PID != 4711 || !strings.Contains(res.Leftover.Why, "no such program") || res.ExitCode != nil {
		t.Errorf("it ended as %+v, leftover %+v", res, res.Leftover)
	}
}

func TestExecLost(t *testing.T) {
	f := newFakeExec(t)
	b := newExecBed(t, hostsOf{f}, ExecOptions{})
	f.kill = func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.running = false
		return nil
	}
	b.start(ExecRequest{})
	f.say(t, "\x01\x00\x00\x00\x00\x00\x01\x00cut")
	_ = f.process.Close()
	if res := b.result(); res.Reason != ExecLost || engine.ClassOf(res.Err) != engine.ClassUnreachable || res.Leftover != nil {
		t.Errorf("it ended as %+v, leftover %+v", res, res.Leftover)
	}
	if len(f.created) != 2 {
		t.Error("the process was not killed")
	}
}

// TestExecForgotten ends the connection of an engine that was restarted, and left the
// container running.
func TestExecForgotten(t *testing.T) {
	f := newFakeExec(t)
	b := newExecBed(t, hostsOf{f}, ExecOptions{})
	killed := false
	f.kill = func() error { killed = true; return nil }
	f.inspect = engine.Errorf(engine.ClassNotFound, "", "no such exec")
	c := b.start(ExecRequest{TTY: true})
	_ = f.process.Close()
	if res := b.result(); res.Reason != ExecLost || !errors.Is(res.Err, errForgotten) || res.Leftover != nil || !killed {
		t.Errorf("it ended as %+v; killed: %t", res, killed)
	}
	if _, _, err := b.output(c); err != nil {
		t.Errorf("the client reads %v", err)
	}
}

func TestExecLimits(t *testing.T) {
	f := newFakeExec(t)
	b := newExecBed(t, hostsOf{f}, ExecOptions{MaxSessions: 1})
	var told []ExecInfo
	refused := errors.New("cannot be recorded")
	req := ExecRequest{Host: hostOne, Container: "c", Owner: "alice", Command: []string{"sh"}, Stdout: true, Hooks: ExecHooks{
		Start: func(_ context.Context, info ExecInfo) error { told = append(told, info); return refused },
		Ended: func(ExecInfo, ExecResult) { t.Error("what was refused has an end") },
	}}
	if _, err := b.Start(t.Context(), req); !errors.Is(err, refused) || len(told) != 1 || told[0].ExecID != "exec" {
		t.Errorf("a start that cannot be recorded gives %v", err)
	}
	f.created = nil
	b.start(ExecRequest{}) // the place was given back
	var limit *LimitError
	if _, err := b.Start(t.Context(), req); !errors.As(err, &limit) {
		t.Errorf("one session too many gives %v", err)
	}
	f.exit(0)
	b.result()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b.ExecSessions.Close(ctx)
	if _, err := b.Start(t.Context(), req); err == nil || errors.As(err, &limit) {
		t.Errorf("a start after the close gives %v", err)
	}
}

// TestExecMany opens and closes sessions; TestMain looks for what they leave.
func TestExecMany(t *testing.T) {
	for range 500 {
		f := newFakeExec(t)
		f.answerKeys(3, 0)
		b := newExecBed(t, hostsOf{f}, ExecOptions{})
		b.start(ExecRequest{TTY: true, Stdin: true}).Close()
		b.result()
	}
}
