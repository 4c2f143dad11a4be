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
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

var hostOne = Key{Namespace: "team", Name: "one"}

// hostsOf is a Hosts with one engine.
type hostsOf struct{ eng engine.Engine }

func (h hostsOf) Engine(Key) (engine.Engine, error) { return h.eng, nil }
func (hostsOf) Notify(func(Key)) func()             { return func() {} }

// fakeExec is an engine of one exec, whose process the test plays.
type fakeExec struct {
	engine.Engine
	process net.Conn // the process's end of the session
	session *fakeSession

	mu      sync.Mutex
	created []container.ExecCreateRequest
	started container.ExecStartRequest
	running bool
	code    int
	sizes   []engine.TTYSize
	inspect error
	kill    func() error // what the second exec does
}

type fakeSession struct {
	net.Conn
	multiplexed bool
	mu          sync.Mutex
	stdinEnded  bool
}

func (s *fakeSession) Multiplexed() bool { return s.multiplexed }

func (s *fakeSession) CloseWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stdinEnded = true
	return nil
}

func newFakeExec(t *testing.T) *fakeExec {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = theirs.Close() })
	return &fakeExec{process: theirs, session: &fakeSession{Conn: ours}, running: true}
}

func (f *fakeExec) ExecCreate(_ context.Context, _ string, req container.ExecCreateRequest) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.created = append(f.created, req)
	if len(f.created) > 1 {
		return "killer", nil
	}
	return "exec", nil
}

func (f *fakeExec) ExecStart(_ context.Context, id string, req container.ExecStartRequest) (engine.Session, error) {
	f.mu.Lock()
	kill := f.kill
	f.mu.Unlock()
	if id == "killer" {
		if kill == nil {
			return nil, errors.New("no such program: sh")
		}
		if err := kill(); err != nil {
			return nil, err
		}
		ours, theirs := net.Pipe()
		_ = theirs.Close()
		return &fakeSession{Conn: ours, multiplexed: true}, nil
	}
	f.started = req
	f.session.multiplexed = !req.Tty
	return f.session, nil
}

func (f *fakeExec) ExecInspect(_ context.Context, id string) (container.ExecInspectResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	code := f.code
	if id == "killer" {
		code = 0
		return container.ExecInspectResponse{ExitCode: &code}, nil
	}
	if f.inspect != nil {
		return container.ExecInspectResponse{}, f.inspect
	}
	return container.ExecInspectResponse{Running: f.running, ExitCode: &code, Pid: 4711}, nil
}

// Inspect says of every container that it runs.
func (f *fakeExec) Inspect(context.Context, engine.Kind, string) (json.RawMessage, error) {
	return json.RawMessage(`{"State":{"Running":true},"Config":{}}`), nil
}

func (f *fakeExec) ExecResize(_ context.Context, _ string, size engine.TTYSize) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sizes = append(f.sizes, size)
	return nil
}

// exit ends the process.
func (f *fakeExec) exit(code int) {
	f.mu.Lock()
	f.running, f.code = false, code
	f.mu.Unlock()
	_ = f.process.Close()
}

// bed is a set of sessions on a fake exec or a real engine.
type execBed struct {
	*testing.T
	*ExecSessions
	ended chan ExecResult
}

func newExecBed(t *testing.T, hosts Hosts, opts ExecOptions) *execBed {
	t.Helper()
	b := &execBed{T: t, ExecSessions: NewExecSessions(hosts, opts), ended: make(chan ExecResult, 100)}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		b.ExecSessions.Close(ctx)
	})
	return b
}

// start begins a session, which fails the test where it cannot.
func (b *execBed) start(req ExecRequest) *ExecClient {
	b.Helper()
	req.Host, req.Owner = hostOne, "alice"
	if req.Container == "" {
		req.Container = "c"
	}
	if len(req.Command) == 0 {
		req.Command = []string{"sh"}
	}
	req.Stdout, req.Stderr = true, !req.TTY
	req.Hooks.Ended = func(_ ExecInfo, r ExecResult) { b.ended <- r }
	c, err := b.Start(b.Context(), req)
	if err != nil {
		b.Fatalf("start: %v", err)
	}
	return c
}

// result waits for the end of a session.
func (b *execBed) result() ExecResult {
	b.Helper()
	select {
	case r := <-b.ended:
		return r
	case <-time.After(2 * patience):
		b.Fatal("the session does not end")
		return ExecResult{}
	}
}

// output is all that a client reads.
func (b *execBed) output(c *ExecClient) (stdout, stderr string, err error) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	var out [3]bytes.Buffer
	for {
		o, err := c.Read(ctx)
		if errors.Is(err, io.EOF) {
			return out[Stdout].String(), out[Stderr].String(), nil
		}
		if err != nil {
			return out[Stdout].String(), out[Stderr].String(), err
		}
		out[o.Stream].Write(o.Data)
	}
}

// expect reads until text has come.
func (b *execBed) expect(c *ExecClient, text string) int64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	var got []byte
	for {
		o, err := c.Read(ctx)
		if err != nil {
			b.Fatalf("after %q came %v; want %q", got, err, text)
		}
		got = append(got, o.Data...)
		if bytes.Contains(got, []byte(text)) {
			return o.Offset
		}
	}
}

func (b *execBed) write(c *ExecClient, text string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	if err := c.Write(ctx, []byte(text)); err != nil {
		b.Fatalf("write: %v", err)
	}
}
