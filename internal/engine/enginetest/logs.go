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
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func (s *suite) testLogs(t *testing.T) {
	subtests(t, []subtest{
		{"stdout and stderr", s.testLogStreams},
		{"TTY", s.testLogTTY},
		{"tail", s.testLogTail},
		{"timestamps, since, until", s.testLogTimes},
		{"follow to the end", s.testLogFollow},
		{"follow a quiet container", s.testLogQuiet},
		{"follow over a restart", s.testLogRestart},
		{"bytes", s.testLogBytes},
		{"long lines", s.testLogLong},
		{"unfinished line", s.testLogUnfinished},
		{"nothing written", s.testLogEmpty},
		{"no stream chosen", s.testLogNoStream},
	})
}

// everything is the whole log of both streams.
var everything = engine.LogsOptions{Stdout: true, Stderr: true, Tail: -1}

// logs reads a container's multiplexed log to its end.
func (s *suite) logs(t testing.TB, id string, opts engine.LogsOptions) []frame {
	t.Helper()
	l, err := s.e.Logs(s.context(t), id, opts)
	s.must(t, "logs", err)
	defer func() { _ = l.Close() }()
	if !l.Multiplexed {
		t.Fatal("the log of a container without a TTY is not multiplexed")
	}
	return split(t, readAll(t, l))
}

// text is a log's stdout.
func (s *suite) text(t testing.TB, id string, opts engine.LogsOptions) string {
	t.Helper()
	return joined(s.logs(t, id, opts), stdout)
}

// waitLog waits for a container's stdout to be want.
func (s *suite) waitLog(t testing.TB, id, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("log to be %q", want), func() bool { return s.text(t, id, everything) == want })
}

func (s *suite) testLogStreams(t *testing.T) {
	id := s.finished(t, "echo out1; echo err1 >&2; echo out2; echo err2 >&2")
	tests := []struct {
		opts     engine.LogsOptions
		out, err string
	}{
		{everything, "out1\nout2\n", "err1\nerr2\n"},
		{engine.LogsOptions{Stdout: true, Tail: -1}, "out1\nout2\n", ""},
		{engine.LogsOptions{Stderr: true, Tail: -1}, "", "err1\nerr2\n"},
	}
	for _, test := range tests {
		frames := s.logs(t, id, test.opts)
		if out, err := joined(frames, stdout), joined(frames, stderr); out != test.out || err != test.err {
			t.Errorf("the log with stdout=%t, stderr=%t is %q, %q; want %q, %q", test.opts.Stdout, test.opts.Stderr, out, err, test.out, test.err)
		}
		for _, f := range frames {
			if strings.Count(string(f.data), "\n") != 1 || !strings.HasSuffix(string(f.data), "\n") {
				t.Errorf("a frame is %q; want one line", f.data)
			}
		}
	}
}

func (s *suite) testLogTTY(t *testing.T) {
	id := s.start(t, box{cmd: []string{"sh", "-c", "echo out; echo err >&2"}, tty: true})
	s.waitState(t, id, "exited")
	l, err := s.e.Logs(s.context(t), id, everything)
	s.must(t, "logs", err)
	defer func() { _ = l.Close() }()
	if l.Multiplexed {
		t.Error("the log of a TTY is said to be multiplexed")
	}
	if got := string(readAll(t, l)); got != "out\r\nerr\r\n" {
		t.Errorf("the log is %q; want raw lines with carriage returns", got)
	}
}

func (s *suite) testLogTail(t *testing.T) {
	id := s.finished(t, "for i in 1 2 3 4 5; do echo $i; done")
	for tail, want := range map[int]string{-1: "1\n2\n3\n4\n5\n", 0: "", 1: "5\n", 3: "3\n4\n5\n", 100: "1\n2\n3\n4\n5\n"} {
		if got := s.text(t, id, engine.LogsOptions{Stdout: true, Tail: tail}); got != want {
			t.Errorf("with tail %d the log is %q; want %q", tail, got, want)
		}
	}
}

// stamped is a line of a log with its time.
type stamped struct {
	at   time.Time
	text string
}

func (s *suite) stamped(t testing.TB, frames []frame, stream byte) []stamped {
	t.Helper()
	var lines []stamped
	for _, f := range frames {
		if f.stream != stream {
			continue
		}
		stamp, text, _ := strings.Cut(string(f.data), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			t.Fatalf("the line %q begins with no time: %v", f.data, err)
		}
		lines = append(lines, stamped{at, strings.TrimSuffix(text, "\n")})
	}
	return lines
}

func (s *suite) testLogTimes(t *testing.T) {
	from := time.Now().Add(-2 * time.Second)
	id := s.finished(t, "for i in 1 2 3 4 5; do echo $i; sleep 0.02; done")
	opts := engine.LogsOptions{Stdout: true, Timestamps: true, Tail: -1}
	lines := s.stamped(t, s.logs(t, id, opts), stdout)
	if len(lines) != 5 {
		t.Fatalf("the log is %v; want 5 lines", lines)
	}
	for i, l := range lines {
		if l.text != fmt.Sprint(i+1) || l.at.Before(from) || l.at.After(time.Now().Add(2*time.Second)) || i > 0 && l.at.Before(lines[i-1].at) {
			t.Errorf("line %d is %q of %v", i+1, l.text, l.at)
		}
	}
	cut := func(since, until time.Time) string {
		return s.text(t, id, engine.LogsOptions{Stdout: true, Tail: -1, Since: since, Until: until})
	}
	none, third := time.Time{}, lines[2].at
	if s.differs(t, WholeSeconds) {
		s.checkWholeSeconds(t, lines, cut)
		return
	}
	for _, test := range []struct {
		what, got, want string
	}{
		{"since the third", cut(third, none), "3\n4\n5\n"},
		{"since a nanosecond later", cut(third.Add(1), none), "4\n5\n"},
		{"until the third", cut(none, third), "1\n2\n3\n"},
		{"until a nanosecond before", cut(none, third.Add(-1)), "1\n2\n"},
		{"since and until the third", cut(third, third), "3\n"},
		{"since after the end", cut(lines[4].at.Add(1), none), ""},
		{"since long ago", cut(time.Unix(1, 0), none), "1\n2\n3\n4\n5\n"},
	} {
		if test.got != test.want {
			t.Errorf("%s the log is %q; want %q", test.what, test.got, test.want)
		}
	}
}

// checkWholeSeconds expects since and until to be good to the second, inclusive.
func (s *suite) checkWholeSeconds(t *testing.T, lines []stamped, cut func(since, until time.Time) string) {
	t.Helper()
	for _, l := range lines {
		if l.at.Nanosecond() != 0 {
			t.Errorf("a line is of %v; want whole seconds", l.at)
		}
	}
	const all = "1\n2\n3\n4\n5\n"
	none, first, last := time.Time{}, lines[0].at, lines[4].at
	for _, test := range []struct {
		what, got, want string
	}{
		{"since the first", cut(first, none), all},
		{"since a second after the end", cut(last.Add(time.Second), none), ""},
		{"until a second after the end", cut(none, last.Add(time.Second)), all},
		{"until a second before the first", cut(none, first.Add(-time.Second)), ""},
	} {
		if test.got != test.want {
			t.Errorf("%s the log is %q; want %q", test.what, test.got, test.want)
		}
	}
}

func (s *suite) testLogFollow(t *testing.T) {
	id := s.shell(t, "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done")
	opts := everything
	opts.Follow = true
	if got := s.text(t, id, opts); got != "1\n2\n3\n4\n5\n" {
		t.Errorf("the followed log is %q", got)
	}
	if state := s.inspect(t, id).State; state.Running {
		// The end of the log may be a moment ahead of the end of the container.
		s.waitState(t, id, "exited")
	}
	if got := s.text(t, id, opts); got != "1\n2\n3\n4\n5\n" {
		t.Errorf("the followed log of an ended container is %q", got)
	}
}

// testLogQuiet follows from the end of the log. An engine answers before it has
// found that end, so what is written at once may still be before it, and is then
// not sent: lines are written until one comes.
func (s *suite) testLogQuiet(t *testing.T) {
	id := s.start(t, box{cmd: []string{"cat"}, stdin: true})
	a, err := s.e.Attach(s.context(t), id, engine.AttachOptions{Stdin: true})
	s.must(t, "attach", err)
	defer func() { _ = a.Close() }()
	_, err = io.WriteString(a, "before\n")
	s.must(t, "write", err)
	s.waitLog(t, id, "before\n")
	l, err := s.e.Logs(s.context(t), id, engine.LogsOptions{Stdout: true, Follow: true, Tail: 0})
	s.must(t, "follow the log of a container that says nothing", err)
	defer func() { _ = l.Close() }()
	stop := again(t, func() error { _, err := io.WriteString(a, "after\n"); return err })
	defer stop()
	for range 2 {
		f, err := readFrame(l)
		if err != nil || string(f.data) != "after\n" || f.stream != stdout {
			t.Fatalf("the frame is %q of stream %d, %v; want %q", f.data, f.stream, err, "after\n")
		}
	}
	stop()
	ends(t, "a read of a closed log", func() {
		time.AfterFunc(50*time.Millisecond, func() { _ = l.Close() })
		var err error
		for err == nil { // a line may still be under way
			_, err = readFrame(l)
		}
		if errors.Is(err, io.EOF) {
			t.Errorf("a read of a closed log says %v", err)
		}
	})
}

// testLogRestart expects one log for all of a container's runs. A follower of
// the first run gets its end.
func (s *suite) testLogRestart(t *testing.T) {
	ctx := s.context(t)
	id := s.shell(t, "echo run; sleep 1000")
	s.waitLog(t, id, "run\n")
	opts := everything
	opts.Follow = true
	l, err := s.e.Logs(ctx, id, opts)
	s.must(t, "logs", err)
	defer func() { _ = l.Close() }()
	s.must(t, "stop", s.e.ContainerStop(ctx, id, 0))
	if got := joined(split(t, readAll(t, l)), stdout); got != "run\n" {
		t.Errorf("the log of the first run is %q", got)
	}
	s.must(t, "start", s.e.ContainerStart(ctx, id))
	s.waitLog(t, id, "run\nrun\n")
}

func (s *suite) testLogBytes(t *testing.T) {
	id := s.finished(t, `printf 'a\000b\033[31m\177\tc\342\202\254\n\377\376 d\n'`)
	want := "a\x00b\x1b[31m\x7f\tc€\n\xff\xfe d\n"
	if s.differs(t, BinaryLogs) {
		if got := s.text(t, id, everything); got != want {
			t.Errorf("the log is %q; want %q", got, want)
		}
		return
	}
	// The json-file driver keeps text: what is no UTF-8 becomes the mark for that.
	want = strings.ReplaceAll(strings.ReplaceAll(want, "\xff", "\ufffd"), "\xfe", "\ufffd")
	if got := s.text(t, id, everything); got != want {
		t.Errorf("the log is %q; want %q", got, want)
	}
}

func (s *suite) testLogLong(t *testing.T) {
	id := s.finished(t, "printf '%020480d\\n' 0; echo short")
	frames := s.logs(t, id, engine.LogsOptions{Stdout: true, Tail: -1})
	if got, want := joined(frames, stdout), strings.Repeat("0", 20480)+"\nshort\n"; got != want {
		t.Fatalf("the log has %d bytes; want %d", len(got), len(want))
	}
	if s.differs(t, SmallParts) {
		for _, f := range frames {
			if len(f.data) > 8192 {
				t.Errorf("a part has %d bytes; want 8192 at most", len(f.data))
			}
		}
		return
	}
	opts := engine.LogsOptions{Stdout: true, Tail: -1, Timestamps: true}
	lines := s.stamped(t, s.logs(t, id, opts), stdout)
	if len(frames) != 3 || len(lines) != 3 || len(frames[0].data) != 16384 || !bytes.HasSuffix(frames[1].data, []byte("\n")) {
		t.Fatalf("the log came in %d frames, the first of %d bytes; want the long line in two, the first of 16384", len(frames), len(frames[0].data))
	}
	if !lines[0].at.Equal(lines[1].at) {
		t.Errorf("the parts of the long line are of %v and %v; want one time", lines[0].at, lines[1].at)
	}
}

func (s *suite) testLogUnfinished(t *testing.T) {
	id := s.finished(t, "echo one; printf two")
	got := s.text(t, id, everything)
	if want := "one\ntwo"; got != want && got != want+"\n" {
		t.Errorf("the log is %q; want %q", got, want)
	}
}

func (s *suite) testLogEmpty(t *testing.T) {
	if got := s.logs(t, s.create(t, box{cmd: []string{"true"}}), everything); len(got) != 0 {
		t.Errorf("the log of a container that never ran is %q", got)
	}
	if got := s.logs(t, s.finished(t, "true"), everything); len(got) != 0 {
		t.Errorf("the log of a container that wrote nothing is %q", got)
	}
}

func (s *suite) testLogNoStream(t *testing.T) {
	_, err := s.e.Logs(s.context(t), s.finished(t, "true"), engine.LogsOptions{Tail: -1})
	s.want(t, "logs of neither stream", err, engine.ClassInvalid)
}
