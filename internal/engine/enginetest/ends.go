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
	"fmt"
	"io"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// testEnds tests how calls and streams end.
func (s *suite) testEnds(t *testing.T) {
	subtests(t, []subtest{
		{"a context that is over", s.testContextOver},
		{"cancel ends streams", s.testCancelStreams},
		{"closing a stream ends its read", s.testCloseStreams},
		{"closing the engine ends everything", s.testCloseEngine},
		{"no goroutine stays", s.testLeaks},
	})
}

// openStream is a stream whose reads block.
type openStream struct {
	name  string
	read  func() error
	close func() error
}

// streams opens every kind of stream on a quiet container.
func (s *suite) streams(ctx context.Context, t *testing.T, e engine.Engine, id string) []openStream {
	t.Helper()
	var list []openStream
	add := func(name string, err error, read, closer func() error) {
		t.Helper()
		s.must(t, "open "+name, err)
		list = append(list, openStream{name, read, closer})
	}
	reader := func(r io.Reader) func() error {
		return func() error {
			_, err := io.Copy(io.Discard, r)
			if err == nil {
				err = io.EOF
			}
			return err
		}
	}
	ev, err := e.Events(ctx, engine.EventsOptions{})
	add("events", err, func() error {
		for {
			if _, err := ev.Next(); err != nil {
				return err
			}
		}
	}, func() error { return ev.Close() })
	st, err := e.Stats(ctx, id)
	add("stats", err, func() error {
		for {
			if _, err := st.Next(); err != nil {
				return err
			}
		}
	}, func() error { return st.Close() })
	l, err := e.Logs(ctx, id, engine.LogsOptions{Stdout: true, Follow: true, Tail: 0})
	add("logs", err, reader(l), func() error { return l.Close() })
	a, err := e.Attach(ctx, id, engine.AttachOptions{Stdout: true})
	add("attach", err, reader(a), func() error { return a.Close() })
	execID, err := e.ExecCreate(ctx, id, withStdin(command("cat")))
	s.must(t, "create an exec", err)
	x, err := e.ExecStart(ctx, execID, container.ExecStartRequest{})
	add("exec", err, reader(x), func() error { return x.Close() })
	return list
}

// checkEnd runs end while every stream is being read, and checks that the reads
// end soon, as canceled.
func (s *suite) checkEnd(t *testing.T, list []openStream, end func()) {
	t.Helper()
	errs := make([]chan error, len(list))
	for i, o := range list {
		errs[i] = make(chan error, 1)
		go func() { errs[i] <- o.read() }()
	}
	time.Sleep(100 * time.Millisecond) // most reads wait by now; the test is as good if some do not
	end()
	for i, o := range list {
		select {
		case err := <-errs[i]:
			s.want(t, "read of "+o.name, err, engine.ClassCanceled)
		case <-time.After(prompt):
			t.Errorf("the read of %s did not end within %v", o.name, prompt)
		}
	}
}

func (s *suite) testContextOver(t *testing.T) {
	id := s.sleeper(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancelLate()
	calls := map[string]func(context.Context) error{
		"ping": func(ctx context.Context) error { _, err := s.e.Ping(ctx); return err },
		"info": func(ctx context.Context) error { _, err := s.e.Info(ctx); return err },
		"list": func(ctx context.Context) error {
			_, err := s.e.List(ctx, engine.Containers, engine.ListOptions{})
			return err
		},
		"inspect": func(ctx context.Context) error { _, err := s.e.Inspect(ctx, engine.Containers, id); return err },
		"pause":   func(ctx context.Context) error { return s.e.ContainerPause(ctx, id) },
		"import": func(ctx context.Context) error {
			return s.e.ImageImport(ctx, s.imageName(), bytes.NewReader(rootfs(t, "x")))
		},
		"events": func(ctx context.Context) error { _, err := s.e.Events(ctx, engine.EventsOptions{}); return err },
		"logs": func(ctx context.Context) error {
			_, err := s.e.Logs(ctx, id, everything)
			return err
		},
		"stats":  func(ctx context.Context) error { _, err := s.e.Stats(ctx, id); return err },
		"attach": func(ctx context.Context) error { _, err := s.e.Attach(ctx, id, all); return err },
	}
	for name, call := range calls {
		ends(t, name, func() {
			s.want(t, name+" with a canceled context", call(ctx), engine.ClassCanceled)
			s.want(t, name+" after the deadline", call(late), engine.ClassTimeout)
		})
	}
	if state := s.inspect(t, id).State.Status; state != "running" {
		t.Errorf("a call that was given up before its start had an effect: %s", state)
	}
}

func (s *suite) testCancelStreams(t *testing.T) {
	id := s.sleeper(t)
	ctx, cancel := context.WithCancel(s.context(t))
	defer cancel()
	s.checkEnd(t, s.streams(ctx, t, s.e, id), cancel)
	_, err := s.e.Ping(s.context(t))
	s.must(t, "ping after it", err)
}

func (s *suite) testCloseStreams(t *testing.T) {
	list := s.streams(s.context(t), t, s.e, s.sleeper(t))
	s.checkEnd(t, list, func() {
		for _, o := range list {
			s.must(t, "close "+o.name, o.close())
			s.must(t, "close again "+o.name, o.close())
		}
	})
}

func (s *suite) testCloseEngine(t *testing.T) {
	id := s.sleeper(t)
	e := s.open(t)
	ctx := s.context(t)
	s.checkEnd(t, s.streams(ctx, t, e, id), func() { s.must(t, "close", e.Close()) })
	_, err := e.Ping(ctx)
	s.want(t, "ping of a closed engine", err, engine.ClassCanceled)
	_, err = e.Events(ctx, engine.EventsOptions{})
	s.want(t, "events of a closed engine", err, engine.ClassCanceled)
	s.must(t, "close again", e.Close())
}

// testLeaks marks the goroutines of one engine's work by a label, which the
// runtime hands on to those they start: what other tests do at the same time
// does not count.
func (s *suite) testLeaks(t *testing.T) {
	id := s.sleeper(t)
	mark := s.name("leaks") + t.Name()
	pprof.Do(t.Context(), pprof.Labels("enginetest", mark), func(ctx context.Context) {
		e, err := s.Open()
		s.must(t, "open", err)
		_, err = e.Info(ctx)
		s.must(t, "info", err)
		streams := s.streams(ctx, t, e, id)
		for i, o := range streams {
			if i%2 == 0 {
				s.must(t, "close "+o.name, o.close())
			}
		}
		s.must(t, "close", e.Close())
	})
	var left string
	deadline := time.Now().Add(prompt)
	for left = labelled(mark); left != "" && time.Now().Before(deadline); left = labelled(mark) {
		time.Sleep(20 * time.Millisecond)
	}
	if left != "" {
		t.Errorf("these goroutines outlive the engine:\n%s", left)
	}
}

// labelled is the part of the goroutine profile that carries a mark.
func labelled(mark string) string {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return err.Error()
	}
	var found []string
	for part := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(part, fmt.Sprintf("%q", mark)) {
			found = append(found, part)
		}
	}
	return strings.Join(found, "\n\n")
}
