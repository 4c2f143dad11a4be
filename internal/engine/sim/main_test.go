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
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit bounds what a test waits for.
const limit = 30 * time.Second

// client talks to an engine as any program would: by plain HTTP over its socket.
type client struct {
	t      testing.TB
	e      *Engine
	socket string
	http   *http.Client
}

// serve makes an engine that listens on a socket until the test ends.
func serve(t testing.TB, opts Options) *client {
	t.Helper()
	// Not t.TempDir: a socket's path may have 108 bytes at most.
	dir, err := os.MkdirTemp("", "sim")
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, e: New(opts), socket: filepath.Join(dir, "docker.sock")}
	l, err := net.Listen("unix", c.socket)
	if err != nil {
		t.Fatal(err)
	}
	c.http = &http.Client{
		Transport:     &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) }},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	done := make(chan error, 1)
	go func() { done <- c.e.Serve(l) }()
	t.Cleanup(func() {
		c.http.CloseIdleConnections()
		c.e.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		_ = os.RemoveAll(dir)
	})
	return c
}

func (c *client) dial(ctx context.Context) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
}

// request sends a call. The caller closes the body.
func (c *client) request(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var in io.Reader
	if raw, ok := body.(io.Reader); ok {
		in = raw
	} else if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://sim"+path, in)
	if err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.http.Do(req)
}

// call sends a call and reads the whole answer.
func (c *client) call(method, path string, body any) (int, []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	resp, err := c.request(ctx, method, path, body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, b
}

// must is call that wants a status.
func (c *client) must(status int, method, path string, body any) []byte {
	c.t.Helper()
	got, b := c.call(method, path, body)
	if got != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, path, got, status, b)
	}
	return b
}

// read decodes an answer.
func (c *client) read(path string, v any) {
	c.t.Helper()
	if err := json.Unmarshal(c.must(http.StatusOK, http.MethodGet, path, nil), v); err != nil {
		c.t.Fatalf("GET %s: %v", path, err)
	}
}

// create makes a container and returns its id; change may change the request.
func (c *client) create(name string, request map[string]any) string {
	c.t.Helper()
	if request["Image"] == nil {
		request["Image"] = "app-0:1"
	}
	var out struct{ ID string }
	if err := json.Unmarshal(c.must(http.StatusCreated, http.MethodPost, "/containers/create?name="+name, request), &out); err != nil {
		c.t.Fatal(err)
	}
	return out.ID
}

// script makes and starts a container of a script.
func (c *client) script(name, script string) string {
	c.t.Helper()
	id := c.create(name, map[string]any{"Cmd": []string{"sh", "-c", script}})
	c.must(http.StatusNoContent, http.MethodPost, "/containers/"+id+"/start", nil)
	return id
}

// wait waits for a container's end and returns its exit code.
func (c *client) wait(ref string) int {
	c.t.Helper()
	var out struct{ StatusCode int }
	if err := json.Unmarshal(c.must(http.StatusOK, http.MethodPost, "/containers/"+ref+"/wait", nil), &out); err != nil {
		c.t.Fatal(err)
	}
	return out.StatusCode
}

// state is a container's status.
func (c *client) state(ref string) string {
	c.t.Helper()
	var out struct{ State struct{ Status string } }
	c.read("/containers/"+ref+"/json", &out)
	return out.State.Status
}

// eventually polls until f is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", limit, what)
		}
	}
}

// chunk is a frame of a multiplexed stream.
type chunk struct {
	stream byte
	text   string
}

// unframe splits a multiplexed stream.
func unframe(t testing.TB, b []byte) []chunk {
	t.Helper()
	var all []chunk
	for len(b) > 0 {
		if len(b) < 8 || len(b) < 8+int(binary.BigEndian.Uint32(b[4:])) {
			t.Fatalf("a broken frame: %q", b)
		}
		n := 8 + int(binary.BigEndian.Uint32(b[4:]))
		all = append(all, chunk{b[0], string(b[8:n])})
		b = b[n:]
	}
	return all
}

// stream opens a call whose answer is read line by line.
func (c *client) stream(path string) *bufio.Scanner {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	resp, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		cancel()
		c.t.Fatal(err)
	}
	timer := time.AfterFunc(limit, cancel)
	c.t.Cleanup(func() {
		timer.Stop()
		cancel()
		_ = resp.Body.Close()
	})
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("GET %s: status %d", path, resp.StatusCode)
	}
	return bufio.NewScanner(resp.Body)
}

// hijacked is an upgraded connection.
type hijacked struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func (c *client) hijack(path string, body any) *hijacked {
	c.t.Helper()
	conn, err := c.dial(context.Background())
	if err != nil {
		c.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(limit))
	c.t.Cleanup(func() { _ = conn.Close() })
	var b []byte
	if body != nil {
		b, _ = json.Marshal(body)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: sim\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n%s", path, len(b), b)
	h := &hijacked{t: c.t, Conn: conn, in: bufio.NewReader(conn)}
	status, err := h.in.ReadString('\n')
	if err != nil || !strings.Contains(status, " 101 ") {
		c.t.Fatalf("POST %s: %q, %v", path, status, err)
	}
	for line := ""; strings.TrimSpace(line) != "" || line == ""; {
		if line, err = h.in.ReadString('\n'); err != nil {
			c.t.Fatal(err)
		}
	}
	return h
}

func (h *hijacked) send(s string) {
	h.t.Helper()
	if _, err := io.WriteString(h.Conn, s); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hijacked) closeWrite() {
	h.t.Helper()
	if err := h.Conn.(*net.UnixConn).CloseWrite(); err != nil {
		h.t.Fatal(err)
	}
}

// rest reads to the end.
func (h *hijacked) rest() []byte {
	h.t.Helper()
	b, err := io.ReadAll(h.in)
	if err != nil {
		h.t.Fatalf("read after %q: %v", b, err)
	}
	return b
}

// until reads until what has come contains s.
func (h *hijacked) until(s string) string {
	h.t.Helper()
	var got []byte
	for !bytes.Contains(got, []byte(s)) {
		b, err := h.in.ReadByte()
		if err != nil {
			h.t.Fatalf("waiting for %q after %q: %v", s, got, err)
		}
		got = append(got, b)
	}
	return string(got)
}

func escape(s string) string { return url.QueryEscape(s) }
