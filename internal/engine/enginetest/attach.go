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
	"io"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func (s *suite) testAttach(t *testing.T) {
	subtests(t, []subtest{
		{"stdin, stdout, stderr", s.testAttachStreams},
		{"TTY", s.testAttachTTY},
		{"what was written before", s.testAttachLogs},
		{"two at once", s.testAttachTwo},
	})
}

func (s *suite) attach(t *testing.T, id string, opts engine.AttachOptions) engine.Session {
	t.Helper()
	a, err := s.e.Attach(s.context(t), id, opts)
	s.must(t, "attach", err)
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// all are a container's three streams.
var all = engine.AttachOptions{Stdin: true, Stdout: true, Stderr: true}

func (s *suite) testAttachStreams(t *testing.T) {
	id := s.create(t, box{cmd: []string{"sh", "-c", "echo err >&2; cat; exit 4"}, stdin: true})
	a := s.attach(t, id, all) // before the start, as docker run does
	if !a.Multiplexed() {
		t.Error("the session of a container without a TTY is not multiplexed")
	}
	s.must(t, "start", s.e.ContainerStart(s.context(t), id))
	const input = "one\n\x00\xff binary\n"
	if _, err := io.WriteString(a, input); err != nil {
		t.Fatal(err)
	}
	s.must(t, "end stdin", a.CloseWrite())
	frames := split(t, readAll(t, a))
	if out, err := joined(frames, stdout), joined(frames, stderr); out != input || err != "err\n" {
		t.Errorf("came %q, %q; want %q, %q", out, err, input, "err\n")
	}
	s.waitState(t, id, "exited")
	if code := s.inspect(t, id).State.ExitCode; code != 4 {
		t.Errorf("the container ended with %d; want 4", code)
	}
}

func (s *suite) testAttachTTY(t *testing.T) {
	id := s.start(t, box{cmd: []string{"cat"}, tty: true, stdin: true})
	a := s.attach(t, id, all)
	if a.Multiplexed() {
		t.Error("the session of a TTY is said to be multiplexed")
	}
	s.say(t, a, "hello\n", "hello\r\nhello\r\n") // the echo, and cat
}

func (s *suite) testAttachLogs(t *testing.T) {
	id := s.start(t, box{cmd: []string{"sh", "-c", "echo before; cat"}, stdin: true})
	s.waitLog(t, id, "before\n")
	opts := all
	opts.Logs = true
	a := s.attach(t, id, opts)
	if s.differs(t, BrokenAttachLogs) {
		if f, err := readFrame(a); err != nil || string(f.data) != "before" {
			t.Errorf("first comes %q, %v", f.data, err)
		}
		b := make([]byte, 1)
		if _, err := io.ReadFull(a, b); err != nil || b[0] != '\n' {
			t.Fatalf("then comes %q, %v; want the newline", b, err)
		}
	} else if f, err := readFrame(a); err != nil || string(f.data) != "before\n" {
		t.Errorf("first comes %q, %v; want what was written before", f.data, err)
	}
	if _, err := io.WriteString(a, "now\n"); err != nil {
		t.Fatal(err)
	}
	if f, err := readFrame(a); err != nil || string(f.data) != "now\n" {
		t.Errorf("then comes %q, %v", f.data, err)
	}
}

func (s *suite) testAttachTwo(t *testing.T) {
	id := s.start(t, box{cmd: []string{"cat"}, stdin: true})
	one, two := s.attach(t, id, all), s.attach(t, id, engine.AttachOptions{Stdout: true})
	if _, err := io.WriteString(one, "to both\n"); err != nil {
		t.Fatal(err)
	}
	for _, a := range []engine.Session{one, two} {
		if f, err := readFrame(a); err != nil || string(f.data) != "to both\n" {
			t.Errorf("came %q, %v; want the output in both", f.data, err)
		}
	}
}
