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
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// newExec makes an exec in a container that sleeps.
func newExec(t *testing.T, c *client, request map[string]any) string {
	t.Helper()
	if c.e.containers.byName["c0"] == nil {
		t.Fatal("there is no container")
	}
	var out struct{ ID string }
	if err := json.Unmarshal(c.must(http.StatusCreated, "POST", "/containers/c0/exec", request), &out); err != nil {
		t.Fatal(err)
	}
	return out.ID
}

func attached(tty bool, cmd ...string) map[string]any {
	return map[string]any{"AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": tty, "Cmd": cmd}
}

type execState struct {
	Running  bool
	ExitCode *int
	Pid      int
}

func (c *client) exec(id string) execState {
	var s execState
	c.read("/exec/"+id+"/json", &s)
	return s
}

// ended waits for an exec's end and returns its code.
func (c *client) ended(id string) int {
	c.t.Helper()
	eventually(c.t, "the exec's end", func() bool { return c.exec(id).ExitCode != nil })
	return *c.exec(id).ExitCode
}

func TestExec(t *testing.T) {
	c := serve(t, Options{Containers: 1})
	id := newExec(t, c, attached(false, "sh", "-c", "echo out; echo err >&2; exit 5"))
	if s := c.exec(id); s.Running || s.ExitCode != nil {
		t.Errorf("before its start it is %+v", s)
	}
	h := c.hijack("/exec/"+id+"/start", map[string]any{})
	if got := unframe(t, h.rest()); !slices.Equal(got, []chunk{{1, "out\n"}, {2, "err\n"}}) {
		t.Errorf("it wrote %q", got)
	}
	if code := c.ended(id); code != 5 {
		t.Errorf("it ended with %d", code)
	}
	want := []string{"container exec_create: sh -c echo out; echo err >&2; exit 5", "container exec_start: sh -c echo out; echo err >&2; exit 5", "container exec_die 5"}
	if got := told(t, c, "/events?since=1", "container exec_die"); !slices.Equal(got, want) {
		t.Errorf("the events are %q", got)
	}
	again := c.hijack("/exec/"+id+"/start", map[string]any{})
	if got := string(again.rest()); !strings.Contains(got, "has already run") {
		t.Errorf("a second start says %q", got)
	}
}

// TestExecPaste sends more than any buffer on the way holds, then ends stdin.
func TestExecPaste(t *testing.T) {
	c := serve(t, Options{Containers: 1})
	id := newExec(t, c, attached(false, "sh", "-c", "cat"))
	h := c.hijack("/exec/"+id+"/start", map[string]any{})
	paste := bytes.Repeat([]byte("0123456789\x00\xff\n"), 100_000)
	sent := make(chan error, 1)
	go func() {
		_, err := h.Write(paste)
		if err == nil {
			h.closeWrite()
		}
		sent <- err
	}()
	sum := sha256.New()
	for _, f := range unframe(t, h.rest()) {
		_, _ = io.WriteString(sum, f.text)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if want := sha256.Sum256(paste); !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Error("what came back is not what was sent")
	}
	if code := c.ended(id); code != 0 {
		t.Errorf("it ended with %d", code)
	}
}

func TestExecTTY(t *testing.T) {
	c := serve(t, Options{Containers: 1})
	id := newExec(t, c, attached(true, "sh"))
	c.must(500, "POST", "/exec/"+id+"/resize?h=1&w=1", nil)
	h := c.hijack("/exec/"+id+"/start", map[string]any{"Tty": true, "ConsoleSize": []int{24, 80}})
	h.until("/ # ")
	h.send("stty size\r")
	if got := h.until("/ # "); got != "stty size\r\n24 80\r\n/ # " {
		t.Errorf("the terminal shows %q", got)
	}
	c.must(200, "POST", "/exec/"+id+"/resize?h=10&w=20", nil)
	h.send("stty size\r")
	if got := h.until("/ # "); !strings.Contains(got, "10 20\r\n") {
		t.Errorf("after a resize it shows %q", got)
	}
	h.send("sleep 1000\r")
	h.until("\r\n")
	h.send("\x03")
	h.until("^C")
	h.until("/ # ")
	h.send("exit 4\r")
	h.rest()
	if code := c.ended(id); code != 4 {
		t.Errorf("it ended with %d", code)
	}
}

// TestExecOutlivesClient is what dockerd does: a terminal's shell lives on.
// TestExecResizeWaitsForTheStart: a client has the header of a start before the
// command runs, and what it resizes then must not be lost.
func TestExecResizeWaitsForTheStart(t *testing.T) {
	c := serve(t, Options{Containers: 1})
	id := newExec(t, c, attached(true, "sh"))
	c.e.mu.Lock()
	x := c.e.execs.byID[id]
	err := x.claim()
	c.e.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	resized := make(chan struct{})
	go func() {
		defer close(resized)
		c.must(200, "POST", "/exec/"+id+"/resize?h=10&w=20", nil)
	}()
	select {
	case <-resized:
		t.Error("a terminal was resized before there was one")
	case <-time.After(50 * time.Millisecond):
	}
	if err := c.e.startExec(x, nil); err != nil {
		t.Fatal(err)
	}
	<-resized
	x.proc.mu.Lock()
	defer x.proc.mu.Unlock()
	if x.proc.height != 10 || x.proc.width != 20 {
		t.Errorf("after the start the terminal is %d by %d", x.proc.height, x.proc.width)
	}
}

func TestExecOutlivesClient(t *testing.T) {
	c := serve(t, Options{Containers: 1})
	for _, detach := range []bool{true, false} {
		id := newExec(t, c, attached(true, "sh"))
		h := c.hijack("/exec/"+id+"/start", map[string]any{"Tty": true})
		h.until("/ # ")
		if detach {
			h.send("\x10\x11")
		} else {
			h.closeWrite()
		}
		h.rest()
		if s := c.exec(id); !s.Running {
			t.Errorf("after the client went it is %+v", s)
		}
	}
	// A command that reads stdin ends with it.
	id := newExec(t, c, attached(false, "cat"))
	_ = c.hijack("/exec/"+id+"/start", map[string]any{}).Close()
	if code := c.ended(id); code != 0 {
		t.Errorf("cat ended with %d", code)
	}
}

func TestExecEndsWithContainer(t *testing.T) {
	c := serve(t, Options{Containers: 1})
	id := newExec(t, c, attached(false, "sh", "-c", "echo up; sleep 1000"))
	h := c.hijack("/exec/"+id+"/start", map[string]any{})
	h.until("up\n")
	c.must(204, "POST", "/containers/c0/kill", nil)
	h.rest()
	if code := c.ended(id); code != 137 {
		t.Errorf("it ended with %d", code)
	}
	c.must(409, "POST", "/containers/c0/exec", attached(false, "true"))
}

func TestExecDetached(t *testing.T) {
	c := serve(t, Options{Containers: 1})
	id := newExec(t, c, map[string]any{"Cmd": []string{"sh", "-c", "seq 100000; exit 7"}})
	c.must(200, "POST", "/exec/"+id+"/start", map[string]any{"Detach": true})
	if code := c.ended(id); code != 7 {
		t.Errorf("it ended with %d", code)
	}
}

func TestExecHistory(t *testing.T) {
	c := serve(t, Options{Containers: 1})
	first := newExec(t, c, map[string]any{"Cmd": []string{"true"}})
	for i := range execHistory + 1 {
		id := first
		if i > 0 {
			id = newExec(t, c, map[string]any{"Cmd": []string{"true"}})
		}
		c.must(200, "POST", "/exec/"+id+"/start", map[string]any{"Detach": true})
		if i < execHistory {
			c.ended(id)
		}
	}
	eventually(t, "the first exec to be forgotten", func() bool {
		status, _ := c.call("GET", "/exec/"+first+"/json", nil)
		return status == http.StatusNotFound
	})
}

func TestAttach(t *testing.T) {
	c := serve(t, Options{Images: 1})
	c.create("a1", map[string]any{"Cmd": []string{"sh", "-c", "while read x; do echo got $x; done; echo end; exit 6"}, "OpenStdin": true, "StdinOnce": true})
	early := c.hijack("/containers/a1/attach?stream=1&stdin=1&stdout=1&stderr=1", nil)
	early.send("one\n")
	c.must(204, "POST", "/containers/a1/start", nil)
	early.until("got one\n")
	late := c.hijack("/containers/a1/attach?stream=1&logs=1&stdout=1", nil)
	late.until("got one\n")
	early.send("two\n")
	late.until("got two\n")
	early.closeWrite()
	if got := unframe(t, late.rest()); !slices.Equal(got, []chunk{{1, "end\n"}}) {
		t.Errorf("the late viewer saw %q", got)
	}
	if got := fmt.Sprintf("%q", early.rest()); !strings.Contains(got, "end") {
		t.Errorf("the early viewer saw %s", got)
	}
	if code := c.wait("a1"); code != 6 {
		t.Errorf("it ended with %d", code)
	}
}

func TestAttachDetach(t *testing.T) {
	c := serve(t, Options{Images: 1})
	c.create("a1", map[string]any{"Cmd": []string{"sh"}, "OpenStdin": true, "Tty": true})
	c.must(204, "POST", "/containers/a1/start", nil)
	h := c.hijack("/containers/a1/attach?stream=1&stdin=1&stdout=1&detachKeys=ctrl-x,y", nil)
	h.send("echo hi\r")
	h.until("hi\r\n/ # ")
	h.send("\x18y")
	h.rest()
	if got := c.state("a1"); got != "running" {
		t.Errorf("after a detach it is %s", got)
	}
	if got := told(t, c, "/events?since=1", "container detach"); !slices.Contains(got, "container attach") {
		t.Errorf("the events are %q", got)
	}
}
