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
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/engine/moby"
	"github.com/dockercontrol/dockercontrol/internal/stream"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patient is how long a test waits for what takes a second on a quiet machine.
const patient = 2 * time.Minute

// host is one host whose connection the test breaks.
type host struct {
	t        *testing.T
	prepared engine.Prepared

	mu     sync.Mutex
	engine engine.Engine
	fns    []func(stream.Key)
}

var key = stream.Key{Namespace: "default", Name: "web"}

func newHost(t *testing.T, endpoint string) *host {
	t.Helper()
	ep, err := engine.ParseEndpoint(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p, err := moby.Connector{}.Prepare(engine.Config{Endpoint: ep, Timeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, prepared: p, engine: p.Open()}
	t.Cleanup(func() { _ = h.engine.Close() })
	return h
}

func (h *host) Engine(stream.Key) (engine.Engine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.engine, nil
}

func (h *host) Notify(fn func(stream.Key)) (cancel func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fns = append(h.fns, fn)
	return func() {}
}

// cut closes every connection to the engine, and has a new one.
func (h *host) cut() {
	h.mu.Lock()
	old := h.engine
	h.engine = h.prepared.Open()
	fns := h.fns
	h.mu.Unlock()
	_ = old.Close()
	for _, fn := range fns {
		fn(key)
	}
}

// Each writer numbers its lines, and pauses so that both together write about 10,000 a second.
const (
	linesEach = 40_000
	writers   = `w() { i=0; while [ $i -lt 40000 ]; do i=$((i+1)); echo "$1 $i"; [ $((i%500)) = 0 ] && sleep 0.05; done; }; w out & w err >&2 & wait`
)

// TestLogsLoseNothing writes numbered lines to both streams at once, breaks the connections
// to the engine, brings the client back by cursor to this replica or to a fresh one, and
// expects every line once.
func TestLogsLoseNothing(t *testing.T) {
	for name, modern := range map[string]bool{"distribution": false, "modern": true} {
		t.Run(name, func(t *testing.T) {
			d := testbed.StartDockerd(t, testbed.DockerdOptions{Modern: modern})
			d.ImportBusybox(t, "busybox:test")
			for _, driver := range []string{"json-file", "local"} {
				t.Run(driver, func(t *testing.T) { loseNothing(t, newHost(t, d.Endpoint()), driver) })
			}
		})
	}
}

func loseNothing(t *testing.T, h *host, driver string) {
	id := run(t, h, box{log: logConfig{Type: driver}, script: writers})
	c := &client{host: h, source: stream.LogSource{Host: key, Container: id}, next: map[string]int{"out": 1, "err": 1}}
	c.connect(t)
	c.read(t)
	if c.next["out"] != linesEach+1 || c.next["err"] != linesEach+1 {
		t.Errorf("the client got stdout up to %d and stderr up to %d; want %d", c.next["out"]-1, c.next["err"]-1, linesEach)
	}
	t.Logf("%d lines in %v; %d cuts, %d other replicas", c.lines, time.Since(c.begin).Round(time.Millisecond), c.cuts, c.moves)
}

// box is a container.
type box struct {
	script string
	tty    bool
	log    logConfig
}

// logConfig is the engine's own.
type logConfig struct {
	Type   string
	Config map[string]string
}

// run starts a container.
func run(t *testing.T, h *host, b box) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"Image": "busybox:test", "Cmd": []string{"sh", "-c", b.script}, "Tty": b.tty,
		"HostConfig": map[string]any{"NetworkMode": "none", "LogConfig": b.log},
	})
	if err != nil {
		t.Fatal(err)
	}
	id, err := h.engine.ContainerCreateRaw(t.Context(), "", body)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.engine.ContainerStart(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	return id
}

// client follows a log, comes back by cursor, and checks what it gets.
type client struct {
	host   *host
	source stream.LogSource
	logs   *stream.Logs
	viewer *stream.LogViewer
	cursor stream.Cursor
	next   map[string]int // the next number of each stream
	begin  time.Time

	lines, cuts, moves int
}

// connect opens a viewer at the cursor, at a replica that has none yet.
func (c *client) connect(t *testing.T) {
	t.Helper()
	if c.begin.IsZero() {
		c.begin = time.Now()
	}
	if c.logs != nil {
		c.logs.Close()
	}
	c.logs = stream.NewLogs(c.host, stream.Limits{})
	c.open(t)
}

func (c *client) open(t *testing.T) {
	t.Helper()
	if c.viewer != nil {
		c.viewer.Close()
	}
	var err error
	c.viewer, err = c.logs.Open(t.Context(), c.source, stream.LogQuery{Follow: true, Tail: -1, Resume: c.cursor})
	if err != nil {
		t.Fatalf("open the log: %v", err)
	}
}

// read reads to the end. Every 7,000 lines the connection to the engine breaks, every 11,000
// the client does, and every 17,000 it goes to another replica.
func (c *client) read(t *testing.T) {
	t.Helper()
	defer func() { c.viewer.Close(); c.logs.Close() }()
	for {
		b, err := c.viewer.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("after %d lines: %v", c.lines, err)
		}
		for i := range b.Lines {
			l := &b.Lines[i]
			c.take(t, l)
			if t.Failed() {
				return
			}
			if l.Kind == stream.LineText && c.interrupt(t) {
				break
			}
		}
		if time.Since(c.begin) > patient {
			t.Fatalf("after %d lines nothing ends", c.lines)
		}
	}
}

func (c *client) take(t *testing.T, l *stream.Line) {
	t.Helper()
	switch l.Kind {
	case stream.LineGap:
		t.Errorf("a gap of %d after %d lines", l.Lost, c.lines)
	case stream.LineText:
		name, number, _ := strings.Cut(string(l.Text), " ")
		n, err := strconv.Atoi(number)
		if err != nil || n != c.next[name] || "std"+name != l.Stream.String() {
			t.Errorf("line %d is %q of %s; want number %d", c.lines, l.Text, l.Stream, c.next[name])
		}
		c.next[name]++
		c.lines++
		c.cursor = l.Cursor
	}
}

// interrupt reports whether the rest of a batch is not to be read.
func (c *client) interrupt(t *testing.T) bool {
	t.Helper()
	if c.lines%7_000 == 0 {
		c.cuts++
		c.host.cut()
	}
	switch {
	case c.lines%17_000 == 0:
		c.moves++
		c.connect(t)
	case c.lines%11_000 == 0:
		c.open(t)
	default:
		return false
	}
	return true
}

// TestLogsSurviveTheEngine kills dockerd while a container that lives on writes, and expects
// the log to go on where it stopped.
func TestLogsSurviveTheEngine(t *testing.T) {
	d := testbed.StartDockerd(t, testbed.DockerdOptions{Args: []string{"--live-restore"}})
	d.ImportBusybox(t, "busybox:test")
	h := newHost(t, d.Endpoint())
	id := run(t, h, box{script: `i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "out $i"; sleep 0.05; done`})
	c := &client{host: h, source: stream.LogSource{Host: key, Container: id}, next: map[string]int{"out": 1}}
	c.connect(t)
	defer func() { c.viewer.Close(); c.logs.Close() }()
	interrupted, resumed := false, false
	for {
		b, err := c.viewer.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Lines {
			c.take(t, &b.Lines[i])
			interrupted = interrupted || b.Lines[i].Kind == stream.LineInterrupted
			resumed = resumed || b.Lines[i].Kind == stream.LineResumed
		}
		if c.lines >= 50 && c.cuts == 0 {
			c.cuts++
			d.Kill(t)
			d.Start(t)
			h.cut()
		}
	}
	if c.next["out"] != 301 || !interrupted || !resumed {
		t.Errorf("the log ended after %d lines; interrupted %t, resumed %t", c.next["out"]-1, interrupted, resumed)
	}
}

// TestLogsOverRotation has dockerd rotate a log every 400 lines or so. It then sends lines
// twice, which no viewer may see, and nothing may be missing that a client of the engine's
// own got beside the hub.
func TestLogsOverRotation(t *testing.T) {
	d := testbed.StartDockerd(t, testbed.DockerdOptions{})
	d.ImportBusybox(t, "busybox:test")
	h := newHost(t, d.Endpoint())
	id := run(t, h, box{
		script: `sleep 2; i=0; while [ $i -lt 10000 ]; do i=$((i+1)); echo "out $i"; [ $((i%100)) = 0 ] && sleep 0.05; done`,
		log:    logConfig{Type: "json-file", Config: map[string]string{"max-size": "40k", "max-file": "5"}},
	})
	beside := make(chan []byte, 1)
	go func() { beside <- direct(t, h, id) }()
	got := follow(t, h, id)
	slices.Sort(got)
	if unique := slices.Compact(slices.Clone(got)); len(unique) != len(got) {
		t.Errorf("%d of %d lines came twice", len(got)-len(unique), len(got))
	}
	sent := 0
	for line := range strings.Lines(string(<-beside)) {
		_, text, found := strings.Cut(line, "out ")
		if !found {
			continue // a frame's header that has the byte of a newline
		}
		sent++
		if _, ok := slices.BinarySearch(got, "out "+strings.TrimSpace(text)); !ok {
			t.Errorf("line %s came to a direct client only", text)
		}
	}
	t.Logf("%d lines of 10,000; the engine sent a direct client %d", len(got), sent)
}

// direct reads a log to its end without the code under test.
func direct(t *testing.T, h *host, id string) []byte {
	s, err := h.engine.Logs(t.Context(), id, engine.LogsOptions{Stdout: true, Follow: true, Tail: -1})
	if err != nil {
		t.Errorf("follow the log directly: %v", err)
		return nil
	}
	defer func() { _ = s.Close() }()
	all, err := io.ReadAll(s)
	if err != nil {
		t.Errorf("follow the log directly: %v", err)
	}
	return all
}

// follow reads a log to its end and returns its lines.
func follow(t *testing.T, h *host, id string) (got []string) {
	t.Helper()
	logs := stream.NewLogs(h, stream.Limits{})
	defer logs.Close()
	v, err := logs.Open(t.Context(), stream.LogSource{Host: key, Container: id}, stream.LogQuery{Follow: true, Tail: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for {
		b, err := v.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Lines {
			if b.Lines[i].Kind == stream.LineText {
				got = append(got, string(b.Lines[i].Text))
			}
		}
	}
}

// TestLogsOfTerminal follows a terminal, which has no frames, over a line that dockerd keeps
// in parts.
func TestLogsOfTerminal(t *testing.T) {
	d := testbed.StartDockerd(t, testbed.DockerdOptions{})
	d.ImportBusybox(t, "busybox:test")
	h := newHost(t, d.Endpoint())
	id := run(t, h, box{script: `echo one; printf '%050000d\n' 7; echo two; sleep 1; printf three`, tty: true})
	got := follow(t, h, id)
	want := []string{"one", strings.Repeat("0", 49_999) + "7", "two", "three"}
	if !slices.Equal(got, want) {
		t.Errorf("the log has %d lines: %.60q; want %.60q", len(got), got, want)
	}
}
