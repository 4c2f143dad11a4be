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
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// busybox and bare are images: one with every command of busybox, one with two that
// are no shell.
const (
	busybox = "localhost/stream-busybox:1"
	bare    = "localhost/stream-bare:1"
)

// realEngine is a dockerd and an Engine on it.
type realEngine struct {
	*testbed.Dockerd
	eng engine.Engine
}

func startEngine(t *testing.T, modern bool) *realEngine {
	t.Helper()
	d := testbed.StartDockerd(t, testbed.DockerdOptions{Modern: modern})
	d.ImportBusybox(t, busybox)
	return &realEngine{d, connectTo(t, d.Endpoint())}
}

// connectTo is an Engine on a real engine.
func connectTo(t *testing.T, endpoint string) engine.Engine {
	t.Helper()
	ep, err := engine.ParseEndpoint(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p, err := moby.Connector{}.Prepare(engine.Config{Endpoint: ep, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	eng := p.Open()
	t.Cleanup(func() { _ = eng.Close() })
	if _, err := eng.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	return eng
}

// TestDockerdExec runs against Debian's engine, TestModernDockerdExec against the
// newest.
func TestDockerdExec(t *testing.T) { testRealExec(t, false) }

func TestModernDockerdExec(t *testing.T) { testRealExec(t, true) }

func testRealExec(t *testing.T, modern bool) {
	t.Parallel()
	r := startEngine(t, modern)
	id := r.RunContainer(t, "exec", busybox, "sleep", "100000")
	for _, test := range []struct {
		name string
		run  func(*realEngine, *execBed, string)
	}{
		{"output and exit code", (*realEngine).testExit},
		{"no such program", (*realEngine).testNoProgram},
		{"terminal and its size", (*realEngine).testSize},
		{"paste", (*realEngine).testPaste},
		{"keys that detach", (*realEngine).testDetachKeys},
		{"reattach", (*realEngine).testReattach},
		{"vanished client", (*realEngine).testVanished},
		{"vanished client of a container without sh", (*realEngine).testBare},
		{"container ends", (*realEngine).testContainerEnds},
		{"attach", (*realEngine).testAttach},
		{"recording", (*realEngine).testRecording},
		{"refused", (*realEngine).testRefused},
		{"engine is killed", (*realEngine).testEngineKilled}, // and is another one after it
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := ExecOptions{RecordDir: t.TempDir()}
			test.run(r, newExecBed(t, hostsOf{r.eng}, opts), id)
		})
	}
}

func (r *realEngine) testExit(b *execBed, id string) {
	c := b.start(ExecRequest{Container: id, Command: []string{"sh", "-c", `echo out; echo err >&2; printf '\000\377\r\n'; exit 3`}})
	out, errs, err := b.output(c)
	if out != "out\n\x00\xff\r\n" || errs != "err\n" || err != nil {
		b.Errorf("it wrote %q and %q, %v", out, errs, err)
	}
	res := b.result()
	if res.Reason != ExecExited || res.ExitCode == nil || *res.ExitCode != 3 || res.Leftover != nil || res.BytesOut != 12 {
		b.Errorf("it ended as %+v", res)
	}
}

func (r *realEngine) testNoProgram(b *execBed, id string) {
	c, err := b.Start(b.Context(), ExecRequest{
		Host: hostOne, Container: id, Owner: "alice", Command: []string{"/no/such/program"}, Stdout: true,
		Hooks: ExecHooks{Ended: func(_ ExecInfo, res ExecResult) { b.ended <- res }},
	})
	if err == nil {
		_, _, _ = b.output(c)
	}
	res := b.result()
	if failed := res.Reason == ExecFailed && res.Err != nil; !failed && (res.ExitCode == nil || *res.ExitCode < 126) {
		b.Errorf("it ended as %+v", res)
	}
}

func (r *realEngine) testSize(b *execBed, id string) {
	c := b.start(ExecRequest{Container: id, TTY: true, Stdin: true, Size: engine.TTYSize{Height: 33, Width: 101}})
	b.sizeBecomes(c, "33 101")
	for _, bad := range []engine.TTYSize{{}, {Height: 1}, {Width: 1}, {Height: 65536, Width: 1}, {Height: 1, Width: 65536}} {
		if err := c.Resize(bad); engine.ClassOf(err) != engine.ClassInvalid {
			b.Errorf("a resize to %+v gives %v", bad, err)
		}
	}
	if err := c.Resize(engine.TTYSize{Height: 44, Width: 120}); err != nil {
		b.Error(err)
	}
	b.sizeBecomes(c, "44 120")
	b.write(c, "exit 6\n")
	_, _, _ = b.output(c)
	if res := b.result(); res.ExitCode == nil || *res.ExitCode != 6 {
		b.Errorf("it ended as %+v", res)
	}
}

// sizeBecomes lets the shell wait for its terminal's size, which comes beside the
// input.
func (b *execBed) sizeBecomes(c *ExecClient, size string) {
	b.Helper()
	b.write(c, fmt.Sprintf("until [ \"$(stty size)\" = '%s' ]; do :; done; echo size=$((1)) is right\n", size))
	b.expect(c, "size=1 is right")
}

// testPaste sends 10 MB through cat, of every byte, while as much comes back, and to
// one that reads slowly.
func (r *realEngine) testPaste(b *execBed, id string) {
	paste := make([]byte, 10_000_000)
	for i := range paste {
		paste[i] = byte(i*7 + i>>8)
	}
	c := b.start(ExecRequest{Container: id, Command: []string{"cat"}, Stdin: true})
	b.paste(c, paste)
	out, _, err := b.output(c)
	if !bytes.Equal([]byte(out), paste) || err != nil {
		b.Errorf("%d bytes came back, not the %d sent, or others: %v", len(out), len(paste), err)
	}
	if res := b.result(); res.BytesIn != int64(len(paste)) || res.BytesOut != int64(len(paste)) || res.ExitCode == nil || *res.ExitCode != 0 {
		b.Errorf("it ended as %+v", res)
	}
	c = b.start(ExecRequest{Container: id, Command: []string{"sh", "-c", "sleep 1; sha256sum"}, Stdin: true})
	b.paste(c, paste)
	out, _, _ = b.output(c)
	if want := fmt.Sprintf("%x  -\n", sha256.Sum256(paste)); out != want {
		b.Errorf("the sum is %q; want %q", out, want)
	}
	b.result()
}

func (b *execBed) paste(c *ExecClient, p []byte) {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for part := range slices.Chunk(p, 32768) {
			if err := c.Write(b.Context(), part); err != nil {
				b.Errorf("paste: %v", err)
				return
			}
		}
		c.CloseStdin()
	}()
	b.Cleanup(func() { <-sent })
}

// testDetachKeys sends the keys at which an engine would leave the process behind.
func (r *realEngine) testDetachKeys(b *execBed, id string) {
	c := b.start(ExecRequest{Container: id, TTY: true, Stdin: true, Command: []string{"sh", "-c", "stty raw -echo; echo ready; dd bs=1 count=3 2>/dev/null | od -c"}})
	b.expect(c, "ready")
	b.write(c, "\x10\x11x")
	b.expect(c, "020 021   x")
	b.result()
}

func (r *realEngine) testReattach(b *execBed, id string) {
	first := b.start(ExecRequest{Container: id, TTY: true, Stdin: true, Reattachable: true})
	b.write(first, "stty -echo; echo before=$((1))\n")
	had := b.expect(first, "before=1")
	first.Close()
	sid := first.Session().Info().ID
	if _, err := b.Reattach(sid, "mallory", 0); !engine.IsNotFound(err) {
		b.Errorf("another user's reattach gives %v", err)
	}
	again, err := b.Reattach(sid, "alice", had)
	if err != nil {
		b.Fatal(err)
	}
	b.write(again, "echo after=$((2))\n")
	b.expect(again, "after=2")
	third, err := b.Reattach(sid, "alice", -1)
	if err != nil {
		b.Fatal(err)
	}
	if _, _, err := b.output(again); !errors.Is(err, ErrReplaced) {
		b.Errorf("the replaced client reads %v", err)
	}
	b.expect(third, "before=1")
	b.write(third, "exit 4\n")
	_, _, _ = b.output(third)
	b.result()
	late, err := b.Reattach(sid, "alice", -1)
	if err != nil {
		b.Fatal(err)
	}
	if out, _, err := b.output(late); !strings.Contains(out, "after=2") || err != nil {
		b.Errorf("after the end a client gets %q, %v", out, err)
	}
	if res, ok := late.Session().Result(); !ok || *res.ExitCode != 4 {
		b.Errorf("after the end the result is %+v, %t", res, ok)
	}
}

// testVanished looks for what a client leaves that vanishes for good.
func (r *realEngine) testVanished(b *execBed, id string) {
	for _, test := range []struct {
		name, user string
		command    []string
	}{
		{"sh", "", []string{"sh"}},
		{"sleep", "", []string{"sleep", "4321"}},
		{"yes", "", []string{"yes"}},
		{"sh with a child", "", []string{"sh", "-c", "trap '' INT HUP; sleep 4321; true"}},
		{"another user", "1234:1234", []string{"sh", "-c", "trap '' INT HUP; sleep 4321; true"}},
	} {
		for _, tty := range []bool{false, true} {
			c := b.start(ExecRequest{Container: id, Command: test.command, User: test.user, TTY: tty, Stdin: true})
			r.eventually(b, "the process runs", func() bool { return r.processes(b, id) > 1 })
			c.Close()
			res := b.result()
			if res.Reason != ExecVanished || res.Leftover != nil {
				b.Errorf("%s (tty=%t) ended as %+v, leftover %+v", test.name, tty, res, res.Leftover)
			}
			r.eventually(b, test.name+" is gone", func() bool { return r.processes(b, id) == 1 })
		}
	}
}

// processes counts those of a container.
func (r *realEngine) processes(b *execBed, id string) int {
	b.Helper()
	var top struct{ Processes [][]string }
	if err := json.Unmarshal(r.Call(b, http.MethodGet, "/containers/"+id+"/top", nil), &top); err != nil {
		b.Fatal(err)
	}
	return len(top.Processes)
}

func (r *realEngine) eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not become true that %s", what)
		}
	}
}

func (r *realEngine) testBare(b *execBed, _ string) {
	r.importBare(b)
	id := r.RunContainer(b, "bare", bare, "sleep", "100000")
	defer r.RemoveContainer(b, id)
	c := b.start(ExecRequest{Container: id, Command: []string{"sleep", "4321"}})
	r.eventually(b, "the process runs", func() bool { return r.processes(b, id) == 2 })
	c.Close()
	res := b.result()
	if res.Leftover == nil || res.Leftover.PID == 0 || !strings.Contains(res.Leftover.Why, "no sh") {
		b.Errorf("it ended as %+v, leftover %+v", res, res.Leftover)
	}
}

// importBare makes an image of busybox under the name of sleep alone.
func (r *realEngine) importBare(b *execBed) {
	b.Helper()
	var out bytes.Buffer
	from, to := tar.NewReader(bytes.NewReader(testbed.BusyboxTar(b))), tar.NewWriter(&out)
	for {
		h, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		if name := filepath.Base(h.Name); h.Typeflag != tar.TypeDir && name != "busybox" && name != "sleep" {
			continue
		}
		if err := to.WriteHeader(h); err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(to, from); err != nil {
			b.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		b.Fatal(err)
	}
	if err := r.eng.ImageImport(b.Context(), bare, &out); err != nil {
		b.Fatal(err)
	}
}

func (r *realEngine) testContainerEnds(b *execBed, _ string) {
	id := r.RunContainer(b, "ends", busybox, "sleep", "100000")
	c := b.start(ExecRequest{Container: id, TTY: true, Stdin: true})
	b.write(c, "echo up=$((1))\n")
	b.expect(c, "up=1")
	r.RemoveContainer(b, id)
	if _, _, err := b.output(c); err != nil {
		b.Errorf("the output ends with %v", err)
	}
	if res := b.result(); res.Leftover != nil || res.Reason != ExecExited && res.Reason != ExecGone {
		b.Errorf("it ended as %+v, leftover %+v", res, res.Leftover)
	}
}

func (r *realEngine) testRefused(b *execBed, id string) {
	for name, test := range map[string]struct {
		change func(*ExecRequest)
		want   engine.Class
	}{
		"unknown container": {func(q *ExecRequest) { q.Container = strings.Repeat("0", 64) }, engine.ClassNotFound},
		"no container":      {func(q *ExecRequest) { q.Container = "" }, engine.ClassInvalid},
		"no command":        {func(q *ExecRequest) { q.Command = nil }, engine.ClassInvalid},
		"no stream":         {func(q *ExecRequest) { q.Stdout = false }, engine.ClassInvalid},
		"bad size":          {func(q *ExecRequest) { q.Size = engine.TTYSize{Height: 70000, Width: 1} }, engine.ClassInvalid},
	} {
		req := ExecRequest{Host: hostOne, Container: id, Owner: "alice", Command: []string{"true"}, Stdout: true}
		test.change(&req)
		ctx, cancel := context.WithTimeout(b.Context(), patience)
		if _, err := b.Start(ctx, req); engine.ClassOf(err) != test.want {
			b.Errorf("%s gives %v", name, err)
		}
		cancel()
	}
	if n := len(b.List("")); n != 0 {
		b.Errorf("there are %d sessions", n)
	}
}

// testEngineKilled expects an end, and no exit code out of nowhere.
func (r *realEngine) testEngineKilled(b *execBed, id string) {
	c := b.start(ExecRequest{Container: id, TTY: true, Stdin: true})
	b.write(c, "echo up=$((1))\n")
	b.expect(c, "up=1")
	r.Kill(b)
	r.Start(b)
	if _, _, err := b.output(c); err != nil {
		b.Errorf("the output ends with %v", err)
	}
	if res := b.result(); res.ExitCode != nil || res.Reason != ExecGone && res.Reason != ExecLost {
		b.Errorf("it ended as %+v, leftover %+v", res, res.Leftover)
	}
}
