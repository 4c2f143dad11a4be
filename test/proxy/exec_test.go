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

package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// TestExec drives sessions with the executor of kubectl.
func TestExec(t *testing.T) { inBothModes(t, testExec) }

func testExec(t *testing.T, begin begin) {
	b := newBed(t, testbed.DockerdOptions{})
	token := b.account(t, "operator")
	grant := b.grant(t, dcv1.HostOperator, dcv1.HostPermissionSubject{Kind: dcv1.SubjectServiceAccount, Name: "operator"})
	viewer := b.user(t, dcv1.HostViewer)
	midway := begin(b, token)
	b.engine.RunContainer(t, "box", "busybox:test", "sleep", "100000")

	b.wantExit(t, token, "echo hello; exit 3", 3, "hello\n")
	for query, code := range map[string]int{"exec/box?command=true": 403, "attach/box": 403} {
		b.as(t, viewer).do(t, code, http.MethodGet, b.typed(query), nil)
	}
	b.as(t, token).do(t, 403, http.MethodGet, b.typed("exec/box?command=true&privileged=true"), nil)
	midway()
	for i := range 4 { // each backend is tried twice
		b.wantExit(t, token, fmt.Sprintf("echo hello; exit %d", i), i, "hello\n")
	}
	b.testPastes(t, token)
	b.testReattach(t, token)

	// A right that is taken away takes the session and its process.
	said, ended := newWaitingWriter(), make(chan error, 1)
	go func() {
		ended <- b.exec(t, token, b.script("echo on; exec sleep 5555"), remotecommand.StreamOptions{Stdout: said})
	}()
	said.wait(t)
	since := time.Now()
	b.Delete(t, grant)
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "revoked") {
			t.Errorf("a session whose right was taken away ended with %v", err)
		}
		inTime(t, "an exec", time.Since(since), promised, revoked)
	case <-time.After(patient):
		t.Fatal("a session goes on without a right to it")
	}
	testbed.Eventually(t, patient, "the process to end", func() bool { return !b.runsInBox(t, "sleep 5555") })
	var failed []audit.Entry
	testbed.Eventually(t, patient, "the record", func() bool {
		failed = b.records(t, audit.Filter{Verb: "exec", Outcome: audit.Failed})
		return len(failed) > 0
	})
	if len(failed) != 1 || failed[0].Reason != "Revoked" || !slices.Equal(failed[0].Detail.Command, []string{"sh", "-c", "echo on; exec sleep 5555"}) {
		t.Errorf("on record are %+v", failed)
	}
	for _, r := range b.records(t, audit.Filter{Verb: "exec", Outcome: audit.Succeeded}) {
		if r.Object.Name != "box" || r.Detail == nil || r.Detail.ExitCode == nil || len(r.Detail.Command) == 0 {
			t.Errorf("on record is %+v", r)
		}
	}
}

// script is the path of an exec of a shell's script.
func (b *bed) script(text string, more ...string) string {
	q := url.Values{"command": {"sh", "-c", text}}
	return b.typed("exec/box?" + strings.Join(append([]string{q.Encode()}, more...), "&"))
}

// exec runs what a path says.
func (b *bed) exec(t *testing.T, token, path string, o remotecommand.StreamOptions) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	config := &rest.Config{Host: "https://" + b.address, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: b.ca.Cert}}
	executor, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, config.Host+path)
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, o)
}

// wantExit runs a script to its end.
func (b *bed) wantExit(t *testing.T, token, script string, code int, output string) {
	t.Helper()
	var out bytes.Buffer
	err := b.exec(t, token, b.script(script), remotecommand.StreamOptions{Stdout: &out})
	var exit exec.CodeExitError
	if code == 0 && err != nil || code != 0 && (!errors.As(err, &exit) || exit.Code != code) || out.String() != output {
		t.Errorf("%q said %q and ended with %v; want the exit code %d", script, out.String(), err, code)
	}
}

// testPastes sends 10 MB there and back.
func (b *bed) testPastes(t *testing.T, token string) {
	t.Helper()
	paste := bytes.Repeat([]byte("0123456789\x00\xff\r\n"), 10<<20/14)
	back := sha256.New()
	err := b.exec(t, token, b.typed("exec/box?command=cat&stdin=true"), remotecommand.StreamOptions{Stdin: bytes.NewReader(paste), Stdout: back})
	if want := sha256.Sum256(paste); err != nil || !bytes.Equal(back.Sum(nil), want[:]) {
		t.Errorf("10 MB did not come back as they were: %v", err)
	}
}

// terminalOf is a WebSocket to a path.
func (b *bed) terminalOf(t *testing.T, token, path string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b.ca.Cert)
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}, HandshakeTimeout: patient, Subprotocols: []string{"v5.channel.k8s.io"}}
	c, resp, err := dialer.DialContext(t.Context(), "wss://"+b.address+path, http.Header{"Authorization": {"Bearer " + token}})
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetReadDeadline(time.Now().Add(patient))
	}
	return c, resp, err
}

// hears reads a channel until it has said text.
func hears(t *testing.T, c *websocket.Conn, channel byte, text string) string {
	t.Helper()
	var said strings.Builder
	for !strings.Contains(said.String(), text) {
		_, data, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("after %q: %v; want %q", said.String(), err, text)
		}
		if len(data) > 0 && data[0] == channel {
			said.Write(data[1:])
		}
	}
	return said.String()
}

// testReattach loses a connection and comes back: through a balancer, until the replica that
// has the session is asked.
func (b *bed) testReattach(t *testing.T, token string) {
	t.Helper()
	first, _, err := b.terminalOf(t, token, b.script("echo before; read line; echo \"got $line\"", "stdin=true&tty=true&reattach=true"))
	if err != nil {
		t.Fatal(err)
	}
	var told struct{ Session string }
	if err := json.Unmarshal([]byte(hears(t, first, 5, "}")), &told); err != nil || told.Session == "" {
		t.Fatalf("the news are %+v, %v", told, err)
	}
	hears(t, first, 1, "before")
	_ = first.Close()
	testbed.Eventually(t, patient, "the session again", func() bool {
		second, resp, err := b.terminalOf(t, token, b.typed("exec/box?session="+told.Session+"&after=0"))
		if err != nil {
			if resp != nil && resp.StatusCode != http.StatusNotFound {
				t.Fatalf("coming back is answered with %d", resp.StatusCode)
			}
			return false
		}
		hears(t, second, 1, "before")
		if err := second.WriteMessage(websocket.BinaryMessage, []byte("\x00again\n")); err != nil {
			t.Fatal(err)
		}
		hears(t, second, 1, "got again")
		hears(t, second, 3, "Success")
		return true
	})
}

// runsInBox tells whether a command line is among the box's processes.
func (b *bed) runsInBox(t *testing.T, command string) bool {
	t.Helper()
	return strings.Contains(string(b.engine.Call(t, http.MethodGet, "/containers/box/top", nil)), command)
}

// TestExecOfAKilledReplica: a session is one replica's. When that is killed its clients see
// an error, never an end; new sessions begin at once. What was run is left: nobody can
// end it, and the trail has its begin alone.
func TestExecOfAKilledReplica(t *testing.T) {
	b := newBed(t, testbed.DockerdOptions{})
	token := b.user(t, dcv1.HostOperator)
	s := b.balance(t, token)
	b.engine.RunContainer(t, "box", "busybox:test", "sleep", "100000")
	s.pin(1)
	b.as(t, token).eventually(t, 426, http.MethodGet, b.typed("exec/box?command=true"), nil) // it has the host
	ended := map[string]chan error{}
	for script, more := range map[string]string{
		"echo on; exec sleep 7777":                     "",
		"echo on; cat":                                 "stdin=true",
		"echo on; while sleep 0.1; do echo more; done": "tty=true",
	} {
		said, end := newWaitingWriter(), make(chan error, 1)
		in, typed := io.Pipe()
		defer func() { _ = typed.Close() }()
		o := remotecommand.StreamOptions{Stdout: said, Tty: more == "tty=true"}
		if more == "stdin=true" {
			o.Stdin = in
		}
		go func() { end <- b.exec(t, token, b.script(script, more), o) }()
		said.wait(t)
		ended[script] = end
	}
	kept, _, err := b.terminalOf(t, token, b.typed("exec/box?command=cat&stdin=true&reattach=true"))
	if err != nil {
		t.Fatal(err)
	}
	var told struct{ Session string }
	if err := json.Unmarshal([]byte(hears(t, kept, 5, "}")), &told); err != nil {
		t.Fatal(err)
	}
	s.kill()
	s.pin(roundRobin)
	for range 4 {
		b.wantExit(t, token, "echo hello", 0, "hello\n")
	}
	for script, end := range ended {
		select {
		case err := <-end:
			if err == nil {
				t.Errorf("%q ended as if that was its end, though its replica was killed", script)
			}
			var exit exec.CodeExitError
			if errors.As(err, &exit) {
				t.Errorf("%q ended with an exit code out of nowhere: %v", script, err)
			}
		case <-time.After(patient):
			t.Errorf("%q goes on, though its replica was killed", script)
		}
	}
	_, resp, err := b.terminalOf(t, token, b.typed("exec/box?session="+told.Session))
	if err == nil || resp == nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("a session of the killed replica is answered with %v, %v", resp, err)
	}
	testbed.Eventually(t, patient, "the end of what reads stdin", func() bool { return !b.runsInBox(t, "echo on; cat") && !b.runsInBox(t, "\"cat\"") })
	if !b.runsInBox(t, "sleep 7777") {
		t.Error("what was run has ended: say so in docs/exec.md")
	}
	records := recordsOf(t, b.trails[1], audit.Filter{Verb: "exec"})
	if len(records) != 4 || slices.ContainsFunc(records, func(r audit.Entry) bool { return r.Outcome != audit.Allowed }) {
		t.Errorf("the killed replica's trail has %+v", records)
	}
}
