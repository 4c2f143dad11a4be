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

package remotecommand

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/wsock"
)

const patient = 30 * time.Second

// echo is a session that says what it is told, and ends with stdin.
type echo struct {
	code   int
	known  bool
	in     *io.PipeReader
	out    *io.PipeWriter
	mu     sync.Mutex
	sizes  []engine.TTYSize
	resize chan struct{}
}

func newEcho(code int, known bool) *echo {
	r, w := io.Pipe()
	return &echo{code: code, known: known, in: r, out: w, resize: make(chan struct{}, 100)}
}

func (e *echo) Write(ctx context.Context, p []byte) error {
	stop := context.AfterFunc(ctx, func() { _ = e.in.CloseWithError(ctx.Err()) })
	defer stop()
	_, err := e.out.Write(p)
	return err
}

func (e *echo) CloseStdin() error { return e.out.Close() }

func (e *echo) Resize(size engine.TTYSize) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sizes = append(e.sizes, size)
	e.resize <- struct{}{}
	return nil
}

func (e *echo) Output(ctx context.Context) (byte, []byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = e.out.CloseWithError(ctx.Err()) })
	defer stop()
	buffer := make([]byte, 1<<10)
	n, err := e.in.Read(buffer)
	stream := byte(1)
	if bytes.HasPrefix(buffer[:n], []byte("err:")) {
		stream = 2
	}
	return stream, buffer[:n], err
}

func (e *echo) ExitCode() (int, bool) { return e.code, e.known }

// serve runs a server that joins each client to the session, and returns its address and
// how the last one ended.
func serve(t *testing.T, s Session) (*httptest.Server, chan error) {
	ended := make(chan error, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := wsock.Accept(w, r, wsock.Options{Protocols: []string{Protocol}, ReadLimit: MaxMessage})
		if err != nil {
			ended <- err
			return
		}
		ended <- Serve(r.Context(), c, s)
	}))
	t.Cleanup(server.Close)
	return server, ended
}

// TestClientGo drives a session with the executor of kubectl.
func TestClientGo(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 10<<20/16)
	for name, tc := range map[string]struct {
		session     *echo
		in          string
		out, errors string
		code        int
		fails       string
	}{
		"stdin and stdout": {session: newEcho(0, true), in: "hello\x00\xff\n", out: "hello\x00\xff\n"},
		"stderr":           {session: newEcho(0, true), in: "err: no\n", errors: "err: no\n"},
		"an exit code":     {session: newEcho(3, true), in: "x", out: "x", code: 3},
		"10 MB":            {session: newEcho(0, true), in: big, out: big},
		"an unknown end":   {session: newEcho(0, false), fails: "does not say how"},
	} {
		t.Run(name, func(t *testing.T) {
			server, ended := serve(t, tc.session)
			u, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			executor, err := remotecommand.NewWebSocketExecutor(&rest.Config{Host: u.Host}, http.MethodGet, server.URL+"/exec")
			if err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			err = executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdin: strings.NewReader(tc.in), Stdout: &out, Stderr: &errs})
			var code exec.CodeExitError
			switch {
			case tc.code != 0:
				if !errors.As(err, &code) || code.Code != tc.code {
					t.Errorf("got %v; want exit code %d", err, tc.code)
				}
			case tc.fails != "":
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("got %v; want %q", err, tc.fails)
				}
			case err != nil:
				t.Error(err)
			}
			if sha256.Sum256(out.Bytes()) != sha256.Sum256([]byte(tc.out)) || errs.String() != tc.errors {
				t.Errorf("got %d bytes and %q", out.Len(), errs.String())
			}
			if err := <-ended; err != nil {
				t.Errorf("the server's side ended with %v", err)
			}
		})
	}
}

// TestMistakes: each is answered by a close code, and the session is left alone.
func TestMistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		messageType int
		data        string
		code        int
	}{
		"text":                     {websocket.TextMessage, "\x00hello", websocket.CloseUnsupportedData},
		"empty":                    {websocket.BinaryMessage, "", websocket.CloseProtocolError},
		"stdout":                   {websocket.BinaryMessage, "\x01hello", websocket.CloseProtocolError},
		"no such channel":          {websocket.BinaryMessage, "\x09hello", websocket.CloseProtocolError},
		"a size of zero":           {websocket.BinaryMessage, "\x04{\"Width\":0,\"Height\":24}", websocket.CloseProtocolError},
		"a size too large":         {websocket.BinaryMessage, "\x04{\"Width\":65536,\"Height\":24}", websocket.CloseProtocolError},
		"a size that is no JSON":   {websocket.BinaryMessage, "\x04big", websocket.CloseProtocolError},
		"closing stdout":           {websocket.BinaryMessage, "\xff\x01", websocket.CloseProtocolError},
		"closing nothing":          {websocket.BinaryMessage, "\xff", websocket.CloseProtocolError},
		"a message over the limit": {websocket.BinaryMessage, "\x00" + strings.Repeat("x", MaxMessage), websocket.CloseMessageTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			server, ended := serve(t, newEcho(0, true))
			c := dial(t, server)
			if err := c.WriteMessage(tc.messageType, []byte(tc.data)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, tc.code) {
				t.Errorf("got %v; want close code %d", err, tc.code)
			}
			_ = c.Close()
			if err := <-ended; err == nil {
				t.Error("the server's side ended well")
			}
		})
	}
}

func TestResizeAndLeaving(t *testing.T) {
	s := newEcho(0, true)
	server, ended := serve(t, s)
	c := dial(t, server)
	if err := c.WriteMessage(websocket.BinaryMessage, []byte("\x04{\"Width\":120,\"Height\":40}")); err != nil {
		t.Fatal(err)
	}
	<-s.resize
	if want := (engine.TTYSize{Width: 120, Height: 40}); s.sizes[0] != want {
		t.Errorf("the size is %v; want %v", s.sizes[0], want)
	}
	_ = c.Close() // without a word
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a client that left looks like an end")
		}
	case <-time.After(patient):
		t.Fatal("the server waits for a client that left")
	}
}

// TestUnheard: whoever vanishes about when its process ends may not have been told.
func TestUnheard(t *testing.T) {
	for name, answers := range map[string]bool{"an answer": true, "none": false} {
		t.Run(name, func(t *testing.T) {
			server, ended := serve(t, newEcho(0, true))
			c := dial(t, server)
			if err := c.WriteMessage(websocket.BinaryMessage, []byte{255, stdin}); err != nil {
				t.Fatal(err)
			}
			if _, data, err := c.ReadMessage(); err != nil || len(data) == 0 || data[0] != end {
				t.Fatalf("got %q, %v; want the end", data, err)
			}
			if answers {
				_, _, _ = c.ReadMessage()
			}
			_ = c.Close()
			if err := <-ended; (err == nil) != answers {
				t.Errorf("the server's side ended with %v", err)
			}
		})
	}
}

func dial(t *testing.T, server *httptest.Server) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{Protocol}, HandshakeTimeout: patient}
	c, resp, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(patient))
	return c
}

func TestOtherRequests(t *testing.T) {
	server, ended := serve(t, newEcho(0, true))
	for name, tc := range map[string]struct {
		headers http.Header
		code    int
	}{
		"no upgrade":       {code: http.StatusUpgradeRequired},
		"another protocol": {http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {"v4.channel.k8s.io"}}, http.StatusBadRequest},
		"another version":  {http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"12"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {Protocol}}, http.StatusBadRequest},
		"no key":           {http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {Protocol}}, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.headers != nil {
				req.Header = tc.headers
			}
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tc.code || !strings.Contains(string(body), `"kind":"Status"`) {
				t.Errorf("got %d %s; want %d and a Status", resp.StatusCode, body, tc.code)
			}
			if err := <-ended; err == nil {
				t.Error("the server took it")
			}
		})
	}
	server.Client().CloseIdleConnections()
}
