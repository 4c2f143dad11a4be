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

package streamapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	protocol "github.com/dockercontrol/dockercontrol/internal/proxy/remotecommand"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// TestExec runs against a real engine.
func TestExec(t *testing.T) {
	bed := newExecBed(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *execBed)
	}{
		{"exit codes", testExitCodes},
		{"binary data and the end of stdin", testBinary},
		{"10 MB", testPaste},
		{"terminal", testTerminal},
		{"attach", testAttach},
		{"refusals", testRefusals},
		{"record", testSessionRecord},
		{"recordings", testRecordings},
		{"leftover", testLeftover},
		{"reattach", testReattach},
		{"a client that is done", testQuit},
		{"reattach refused", testReattachRefused},
		{"revoked", testRevoked},
		{"revoked while nobody is there", testRevokedAway},
		{"limits of time", testTimeLimits},
		{"limit of streams", testStreamLimit},
		{"shutdown", testShutdown},
		{"mistakes", testMistakes},
		{"clients that take nothing", testSlowClients},
		{"clients that vanish", testVanish},
		{"many opens and closes", testManyOpens},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, bed) })
	}
}

func testExitCodes(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -9 $$": 137, "no-such-program": 127} {
		var out, errs bytes.Buffer
		err := b.run(t.Context(), t, b.at("exec/box", sh("echo out; echo err >&2; "+script)+"&stdout=true&stderr=true"), remotecommand.StreamOptions{Stdout: &out, Stderr: &errs})
		var code exec.CodeExitError
		if want == 0 && err != nil || want != 0 && (!errors.As(err, &code) || code.Code != want) {
			t.Errorf("%s: got %v; want the exit code %d", script, err, want)
		}
		if out.String() != "out\n" || !strings.HasPrefix(errs.String(), "err\n") {
			t.Errorf("%s: stdout is %q, stderr %q", script, out.String(), errs.String())
		}
	}
}

func testBinary(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	in := bytes.Repeat(all, 300)
	var out, errs bytes.Buffer
	err := b.run(t.Context(), t, b.at("exec/box", sh("cat; echo ended >&2")+"&stdin=true&stderr=true"), remotecommand.StreamOptions{Stdin: bytes.NewReader(in), Stdout: &out, Stderr: &errs})
	if err != nil || !bytes.Equal(out.Bytes(), in) || errs.String() != "ended\n" {
		t.Errorf("%d of %d bytes came back, and %q: %v", out.Len(), len(in), errs.String(), err)
	}
}

// testPaste sends 10 MB through cat while they come back, and to one that reads late.
func testPaste(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	paste := make([]byte, 10_000_000)
	for i := range paste {
		paste[i] = byte(i*7 + i>>8)
	}
	sum := sha256.New()
	if err := b.run(t.Context(), t, b.at("exec/box", "command=cat&stdin=true"), remotecommand.StreamOptions{Stdin: bytes.NewReader(paste), Stdout: sum}); err != nil {
		t.Error(err)
	}
	if want := sha256.Sum256(paste); !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Error("what came back is not what was sent")
	}
	var out bytes.Buffer
	err := b.run(t.Context(), t, b.at("exec/box", sh("sleep 1; sha256sum")+"&stdin=true"), remotecommand.StreamOptions{Stdin: bytes.NewReader(paste), Stdout: &out})
	if want := fmt.Sprintf("%x  -\n", sha256.Sum256(paste)); err != nil || out.String() != want {
		t.Errorf("the sum is %q, %v; want %q", out.String(), err, want)
	}
}

// sizes are a terminal's, told one after the other.
type sizes chan remotecommand.TerminalSize

func (s sizes) Next() *remotecommand.TerminalSize {
	size, ok := <-s
	if !ok {
		return nil
	}
	return &size
}

func testTerminal(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	wait := func(size string) string {
		return fmt.Sprintf("until [ \"$(stty size)\" = '%s' ]; do :; done; echo it is $((1+1)): %s; ", size, size)
	}
	queue := make(sizes, 1)
	in, typed := io.Pipe()
	out, said := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := b.run(t.Context(), t, b.at("exec/box", sh(wait("33 101")+wait("44 120")+"read line; echo \"got $line\"")+"&stdin=true&tty=true&width=101&height=33"),
			remotecommand.StreamOptions{Stdin: in, Stdout: said, Tty: true, TerminalSizeQueue: queue})
		_ = said.Close()
		ended <- err
	}()
	defer close(queue)
	until(t, out, "it is 2: 33 101")
	queue <- remotecommand.TerminalSize{Width: 120, Height: 44}
	until(t, out, "it is 2: 44 120")
	if _, err := io.WriteString(typed, "hello\n"); err != nil {
		t.Fatal(err)
	}
	until(t, out, "got hello")
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	_ = typed.Close()
}

// until reads until text has come.
func until(t *testing.T, r io.Reader, text string) {
	t.Helper()
	var said []byte
	buffer := make([]byte, 1024)
	for !bytes.Contains(said, []byte(text)) {
		n, err := r.Read(buffer)
		said = append(said, buffer[:n]...)
		if err != nil {
			t.Fatalf("after %q: %v; want %q", said, err, text)
		}
	}
}

func testAttach(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	b.engine.Call(t, http.MethodPost, "/containers/create?name=attached", map[string]any{
		"Image": busybox, "Cmd": []string{"sh", "-c", "echo before; while read line; do echo \"got $line\"; [ \"$line\" = end ] && exit 5; done"}, "OpenStdin": true, "StopSignal": "SIGKILL",
	})
	if code, text := b.refused(t, "ada", b.at("attach/attached", "stdin=true")); code != http.StatusConflict || !strings.Contains(text, "not running") {
		t.Errorf("to one that does not run: %d %s", code, text)
	}
	b.engine.Call(t, http.MethodPost, "/containers/attached/start", nil)
	first := b.dial(t, "ada", b.at("attach/attached", "stdin=true&logs=true"))
	first.until(protocol.Stdout, "before")
	first.send(0, "one\n")
	first.until(protocol.Stdout, "got one")
	_ = first.Close() // and the container runs on
	var out bytes.Buffer
	in, typed := io.Pipe() // its end would be a detachment
	go func() { _, _ = io.WriteString(typed, "two\nend\n") }()
	err := b.run(t.Context(), t, b.at("attach/attached", "stdin=true&stdout=true"), remotecommand.StreamOptions{Stdin: in, Stdout: &out})
	_ = typed.Close()
	var code exec.CodeExitError
	if !errors.As(err, &code) || code.Code != 5 || out.String() != "got two\ngot end\n" {
		t.Errorf("it said %q and ended with %v; want the exit code 5", out.String(), err)
	}
	if lines := b.records(t, 4); !slices.Contains(lines, "ada attach Container attached succeeded") {
		t.Errorf("the record is %q", lines)
	}
}

// refused asks for a WebSocket that is not to be had.
func (b *execBed) refused(t *testing.T, who, address string) (code int, text string) {
	t.Helper()
	c, resp, err := b.tryDial(t, who, address)
	if err == nil {
		_ = c.Close()
		t.Fatalf("%s was opened", address)
	}
	if resp == nil {
		t.Fatalf("%s: %v", address, err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	var status metav1.Status
	if err := json.Unmarshal(body, &status); err != nil || status.Kind != "Status" || int(status.Code) != resp.StatusCode {
		t.Errorf("%s: %d %s is no Status", address, resp.StatusCode, body)
	}
	return resp.StatusCode, status.Message
}

func testRefusals(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	b.engine.Call(t, http.MethodPost, "/containers/create?name=stopped", map[string]any{"Image": busybox, "Cmd": []string{"true"}})
	b.hosts.items = []engine.Object{{ID: "aa1", Name: "one", Kind: engine.Containers}, {ID: "aa2", Name: "two", Kind: engine.Containers}}
	b.authz.deny("viewer", execRight)
	b.authz.deny("operator", access.PrivilegedExec)
	for query, want := range map[string]int{
		"viewer exec/box command=true":                             http.StatusForbidden,
		"operator exec/box command=true&privileged=true":           http.StatusForbidden,
		"ada exec/none command=true":                               http.StatusNotFound,
		"ada exec/aa command=true":                                 http.StatusConflict,
		"ada exec/stopped command=true":                            http.StatusConflict,
		"ada exec/box ":                                            http.StatusBadRequest,
		"ada exec/box command=":                                    http.StatusBadRequest,
		"ada exec/box command=true&stdout=false":                   http.StatusBadRequest,
		"ada exec/box command=true&width=80":                       http.StatusBadRequest,
		"ada exec/box command=true&tty&width=0&height=24":          http.StatusBadRequest,
		"ada exec/box command=true&tty&width=80&height=65536":      http.StatusBadRequest,
		"ada exec/box command=true&width=80&height=24":             http.StatusBadRequest,
		"ada exec/box command=true&env=novalue":                    http.StatusBadRequest,
		"ada exec/box command=a%00b":                               http.StatusBadRequest,
		"ada exec/box command=true&comand=false":                   http.StatusBadRequest,
		"ada exec/box command=true&session=x":                      http.StatusBadRequest,
		"ada exec/box " + strings.Repeat("command=a&", 1001) + "x": http.StatusBadRequest,
		"ada exec/box command=" + strings.Repeat("a", 33<<10):      http.StatusBadRequest,
		"ada exec/box session=none":                                http.StatusNotFound,
		"ada attach/box stdin=true":                                http.StatusConflict, // it was created without
		"ada attach/box stdout=false":                              http.StatusBadRequest,
	} {
		parts := strings.SplitN(query, " ", 3)
		if code, text := b.refused(t, parts[0], b.at(parts[1], parts[2])); code != want || text == "" {
			t.Errorf("%.80s: %d %s; want %d", query, code, text, want)
		}
	}
	b.trail.Fail(errors.New("disk full"))
	if code, text := b.refused(t, "ada", b.at("exec/box", sh("sleep 7654"))); code != http.StatusServiceUnavailable || !strings.Contains(text, "audit") {
		t.Errorf("without a trail: %d %s", code, text)
	}
	if b.runs(t, "sleep 7654") {
		t.Error("it runs though it is not on record")
	}
	b.trail.Fail(nil)
	for method, want := range map[string]int{http.MethodGet: http.StatusUpgradeRequired, http.MethodPost: http.StatusUpgradeRequired, http.MethodDelete: http.StatusMethodNotAllowed} {
		req, err := http.NewRequestWithContext(t.Context(), method, b.at("exec/box", "command=true"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer ada")
		resp, err := b.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s without an upgrade: %d; want %d", method, resp.StatusCode, want)
		}
	}
	// Of all these only two were denied, and none began.
	want := []string{"operator exec Container box denied Forbidden", "viewer exec Container box denied Forbidden"}
	lines := b.records(t, 2)
	if slices.Sort(lines); !slices.Equal(lines, want) {
		t.Errorf("the record is %q; want %q", lines, want)
	}
	if n := b.authz.guarded(); n != 0 {
		t.Errorf("%d guards are left", n)
	}
}

func testSessionRecord(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	err := b.run(t.Context(), t, b.at("exec/"+b.box[:12], sh("cat; exit 3")+"&stdin=true&env=PASSWORD=hunter2&user=0:0&workingDir=/bin"), remotecommand.StreamOptions{Stdin: strings.NewReader("hello"), Stdout: io.Discard})
	if err == nil {
		t.Error("it ended well")
	}
	want := []string{"ada exec Container box allowed", "ada exec Container box succeeded"}
	if lines := b.records(t, 2); !slices.Equal(lines, want) {
		t.Errorf("the record is %q; want %q", lines, want)
	}
	r := b.trail.Records()[1]
	d := r.Detail
	if r.Object.ID != b.box || r.Host.UID != "uid-1" || r.Source != "192.0.2.1" || r.Duration <= 0 ||
		!slices.Equal(d.Command, []string{"sh", "-c", "cat; exit 3"}) || !slices.Equal(d.EnvNames, []string{"PASSWORD"}) ||
		d.BytesIn != 5 || d.BytesOut != 5 || d.ExitCode == nil || *d.ExitCode != 3 || d.LeftoverPID != nil {
		t.Errorf("the end is %+v with %+v", r, d)
	}
}

func testRecordings(t *testing.T, bed *execBed) {
	dir := t.TempDir()
	b := bed.serve(t, stream.ExecOptions{RecordDir: dir})
	if err := b.run(t.Context(), t, b.at("exec/box", "command=echo&command=hello"), remotecommand.StreamOptions{Stdout: io.Discard}); err != nil {
		t.Fatal(err)
	}
	b.records(t, 2)
	name := b.trail.Records()[1].Detail.Recording
	cast, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil || !strings.Contains(string(cast), "\"version\":2") || !strings.Contains(string(cast), "hello") {
		t.Errorf("the recording %q is %q, %v", name, cast, err)
	}
}

// testLeftover has a process that took off the marker by which it would be found.
func testLeftover(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	c := b.dial(t, "ada", b.at("exec/box", "command=env&command=-i&command=sleep&command=4711"))
	eventually(t, "the process", func() bool { return b.runs(t, "sleep 4711") })
	_ = c.Close()
	if lines := b.records(t, 2); lines[1] != "ada exec Container box failed Vanished" {
		t.Errorf("the record is %q", lines)
	}
	if pid := b.trail.Records()[1].Detail.LeftoverPID; pid == nil || *pid == 0 {
		t.Errorf("a process that is left is not named: %v", pid)
	}
	if !b.runs(t, "sleep 4711") {
		t.Error("it does not run: nothing was left")
	}
}

func testRevoked(t *testing.T, bed *execBed) {
	for _, why := range []error{authz.ErrRevoked, authz.ErrExpired, authz.ErrUnverified} {
		b := bed.serve(t, stream.ExecOptions{})
		c := b.dial(t, "ada", b.at("exec/box", sh("echo on; exec sleep 5432")))
		c.until(protocol.Stdout, "on")
		b.authz.revoke(why)
		if _, status, closed := c.end(); status != "" || closed.Code != websocket.ClosePolicyViolation || closed.Text != why.Error() {
			t.Errorf("it ended with %q, %v; want %v", status, closed, why)
		}
		if lines := b.records(t, 2); lines[1] != "ada exec Container box failed Revoked" {
			t.Errorf("the record is %q", lines)
		}
		if b.runs(t, "sleep 5432") {
			t.Error("the process runs on")
		}
	}
}

// testRevokedAway: the right of who is away counts too, and that of who came last.
func testRevokedAway(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	c := b.dial(t, "ada", b.at("exec/box", "command=cat&stdin=true&reattach=true"))
	id := c.tale().Session
	_ = c.Close()
	c = b.dial(t, "ada", b.at("exec/box", "session="+id))
	c.tale()
	eventually(t, "the first guard's end", func() bool { return b.authz.guarded() == 1 })
	_ = c.Close()
	eventually(t, "nobody to be there", func() bool { return b.authz.guarded() == 1 })
	b.authz.revoke(authz.ErrExpired)
	if lines := b.records(t, 4); lines[3] != "ada exec Container box failed Revoked" {
		t.Errorf("the record is %q", lines)
	}
}

func testTimeLimits(t *testing.T, bed *execBed) {
	for name, opts := range map[string]stream.ExecOptions{
		"--exec-idle-timeout": {Idle: 300 * time.Millisecond},
		"--exec-max-duration": {Total: 300 * time.Millisecond},
	} {
		b := bed.serve(t, opts)
		c := b.dial(t, "ada", b.at("exec/box", sh("echo on; exec sleep 5432")))
		if _, status, closed := c.end(); status != "" || closed.Code != websocket.ClosePolicyViolation || !strings.Contains(closed.Text, name) {
			t.Errorf("it ended with %q, %v; want %s", status, closed, name)
		}
		err := b.run(t.Context(), t, b.at("exec/box", sh("exec sleep 5432")), remotecommand.StreamOptions{Stdout: io.Discard})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("kubectl's executor says %v; want %s", err, name)
		}
	}
}

func testStreamLimit(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	b.Handler.options.Streams = newCounter(1)
	c := b.dial(t, "ada", b.at("exec/box", "command=cat&stdin=true"))
	if code, text := b.refused(t, "ada", b.at("exec/box", "command=true")); code != http.StatusTooManyRequests || !strings.Contains(text, "--user-streams") {
		t.Errorf("one too many: %d %s", code, text)
	}
	_ = b.dial(t, "eve", b.at("exec/box", "command=true"))
	_ = c.Close()
	b.records(t, 4)
	eventually(t, "the stream to be free", func() bool {
		c, resp, err := b.tryDial(t, "ada", b.at("exec/box", "command=true"))
		if resp != nil {
			_ = resp.Body.Close()
		}
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

func testShutdown(t *testing.T, bed *execBed) {
	b := bed.serve(t, stream.ExecOptions{})
	c := b.dial(t, "ada", b.at("exec/box", sh("echo on; exec sleep 5432")+"&reattach=true"))
	c.until(protocol.Stdout, "on")
	hangs := b.dial(t, "ada", b.at("exec/box", "command=yes")) // and nobody reads
	began := time.Now()
	b.Close(t.Context())
	if took := time.Since(began); took > execPatience {
		t.Errorf("the end took %s", took)
	}
	if _, status, closed := c.end(); status != "" || closed.Code != websocket.CloseGoingAway {
		t.Errorf("it ended with %q, %v", status, closed)
	}
	_ = hangs.Close()
	if b.runs(t, "sleep 5432") {
		t.Error("a process runs on")
	}
	if code, _ := b.refused(t, "ada", b.at("exec/box", "command=true")); code != http.StatusServiceUnavailable {
		t.Errorf("after the end: %d", code)
	}
}
