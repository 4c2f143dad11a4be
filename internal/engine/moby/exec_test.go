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

package moby

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// hijacked takes a connection over after 101 and gives it to serve, then waits
// for the other side to go.
func hijacked(serve func(*bufio.ReadWriter)) http.HandlerFunc {
	return hijackedAs("HTTP/1.1 101 UPGRADED\r\nContent-Type: "+multiplexedType+"\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", serve)
}

func hijackedAs(header string, serve func(*bufio.ReadWriter)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer func() { _ = c.Close() }()
		_, _ = rw.WriteString(header)
		_ = rw.Flush()
		serve(rw)
		_ = rw.Flush()
		_, _ = io.Copy(io.Discard, rw)
	}
}

// echo returns its input after its end, like a process that reads stdin.
func echo(rw *bufio.ReadWriter) {
	_, _ = rw.WriteString("ready\n")
	_ = rw.Flush()
	b, _ := io.ReadAll(rw)
	_, _ = rw.Write(b)
}

// TestExec moves binary data of any size both ways and closes stdin only, over
// every kind of connection and for both answers that engines give.
func TestExec(t *testing.T) {
	ca := newAuthority(t)
	connections := map[string]func(*testing.T, http.Handler) engine.Config{
		"unix": func(t *testing.T, h http.Handler) engine.Config { return unixServer(t, h) },
		"tcp":  func(t *testing.T, h http.Handler) engine.Config { return tcpServer(t, h) },
		"TLS 1.3": func(t *testing.T, h http.Handler) engine.Config {
			cfg := tlsHandler(t, tls.VersionTLS13, h, ca, ca, forServers)
			cfg.TLS = ca.client()
			return cfg
		},
		"TLS 1.2": func(t *testing.T, h http.Handler) engine.Config {
			cfg := tlsHandler(t, tls.VersionTLS12, h, ca, ca, forServers)
			cfg.TLS = ca.client()
			return cfg
		},
		"ssh": func(t *testing.T, h http.Handler) engine.Config {
			return newSSHServer(t).client(unixServer(t, h).Endpoint.Path)
		},
	}
	answers := map[string]http.HandlerFunc{
		"101": hijacked(echo),
		"200": hijackedAs("HTTP/1.1 200 OK\r\nContent-Type: "+rawType+"\r\n\r\n", echo),
	}
	payload := make([]byte, 1<<20)
	if _, err := rand.Read(payload); err != nil {
		t.Fatal(err)
	}
	for name, connect := range connections {
		for answer, handler := range answers {
			t.Run(name+" "+answer, func(t *testing.T) {
				e := open(t, connect(t, fakeEngine(map[string]http.HandlerFunc{"POST /exec/x/start": handler})))
				s, err := e.ExecStart(t.Context(), "x", container.ExecStartRequest{})
				if err != nil {
					t.Fatal(err)
				}
				if !s.Multiplexed() {
					t.Error("an exec without a TTY is multiplexed")
				}
				if _, err := s.Write(payload); err != nil {
					t.Fatal(err)
				}
				if err := s.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(s)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, append([]byte("ready\n"), payload...)) {
					t.Errorf("got %d bytes, want ready and the %d sent", len(got), len(payload))
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestExecTTY(t *testing.T) {
	r := &recorder{}
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"POST /exec/x/start": func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Upgrade") != "tcp" || req.Header.Get("Connection") != "Upgrade" {
				t.Errorf("headers are %v", req.Header)
			}
			r.ServeHTTP(discard{w}, req)
			hijacked(echo)(w, req)
		},
	})))
	s, err := e.ExecStart(t.Context(), "x", container.ExecStartRequest{Tty: true, Detach: true, ConsoleSize: &[2]uint{40, 120}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if s.Multiplexed() {
		t.Error("an exec with a TTY is not multiplexed")
	}
	if _, body := r.last(); body != `{"Detach":false,"Tty":true,"ConsoleSize":[40,120]}` {
		t.Errorf("sent %s", body)
	}
}

// discard lets a recorder see a request without answering it.
type discard struct{ http.ResponseWriter }

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func TestHijackRefused(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		class   engine.Class
		part    string
	}{
		{"conflict", status(409, "application/json", `{"message":"Container a is not running"}`), engine.ClassConflict, "is not running"},
		{"200 with a body", status(200, "application/json", `{}`), engine.ClassServer, "does not answer as a Docker engine"},
		{"200 with HTML", status(200, "text/html", `<html>`), engine.ClassServer, "does not answer as a Docker engine"},
		{"redirect", http.RedirectHandler("/x", http.StatusFound).ServeHTTP, engine.ClassServer, "redirects"},
		{"endless header", hijackRaw(flood("HTTP/1.1 101 X\r\nX: ")), engine.ClassServer, "does not answer as a Docker engine"},
		{"hangs up", hijackRaw(func(net.Conn) {}), engine.ClassUnreachable, "broke"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{"POST /containers/a/attach": tt.handler}))).(*client)
			_, err := e.Attach(t.Context(), "a", engine.AttachOptions{})
			wantError(t, err, tt.class, engine.CauseOf(err), tt.part)
			eventually(t, "end of the connection", func() bool { return e.Connections() <= 1 })
		})
	}
}

func hijackRaw(serve func(net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer func() { _ = c.Close() }()
		serve(c)
	}
}

func TestAttach(t *testing.T) {
	tests := []struct {
		name, api, mediaType string
		tty, multiplexed     bool
	}{
		{"old engine", "1.41", rawType, false, true},
		{"old engine, TTY", "1.41", rawType, true, false},
		{"new engine", "1.42", multiplexedType, false, true},
		{"new engine, TTY", "1.42", rawType, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var query string
			tty := `{"Config":{"Tty":false}}`
			if tt.tty {
				tty = `{"Config":{"Tty":true}}`
			}
			answer := hijackedAs("HTTP/1.1 101 UPGRADED\r\nContent-Type: "+tt.mediaType+"\r\n\r\n", echo)
			e := open(t, unixServer(t, versioned(tt.api, map[string]http.HandlerFunc{
				"GET /containers/a/json": status(200, "application/json", tty),
				"POST /containers/a/attach": func(w http.ResponseWriter, r *http.Request) {
					query = r.URL.RawQuery
					answer(w, r)
				},
			})))
			s, err := e.Attach(t.Context(), "a", engine.AttachOptions{Stdin: true, Stdout: true, Stderr: true, Logs: true})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if query != "logs=1&stderr=1&stdin=1&stdout=1&stream=1" {
				t.Errorf("query is %s", query)
			}
			if s.Multiplexed() != tt.multiplexed {
				t.Errorf("multiplexed is %v", s.Multiplexed())
			}
			b := make([]byte, 6)
			if _, err := io.ReadFull(s, b); err != nil || string(b) != "ready\n" {
				t.Errorf("read %q, %v", b, err)
			}
		})
	}
}

// TestExecInspect: no exit code is not the exit code 0.
func TestExecInspect(t *testing.T) {
	e := open(t, unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"GET /exec/runs/json":  status(200, "application/json", `{"ID":"runs","Running":true,"ExitCode":null,"Pid":7}`),
		"GET /exec/ended/json": status(200, "application/json", `{"ID":"ended","Running":false,"ExitCode":3}`),
	})))
	runs, err := e.ExecInspect(t.Context(), "runs")
	if err != nil || !runs.Running || runs.ExitCode != nil || runs.Pid != 7 {
		t.Errorf("got %+v, %v", runs, err)
	}
	ended, err := e.ExecInspect(t.Context(), "ended")
	if err != nil || ended.Running || ended.ExitCode == nil || *ended.ExitCode != 3 {
		t.Errorf("got %+v, %v", ended, err)
	}
}

// TestSessionOutlivesTheTimeout: only the header has a deadline.
func TestSessionOutlivesTheTimeout(t *testing.T) {
	e := open(t, slow(unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"POST /exec/x/start": hijacked(func(rw *bufio.ReadWriter) {
			time.Sleep(impatience * 3 / 2)
			_, _ = rw.WriteString("late")
		}),
	}))))
	s, err := e.ExecStart(t.Context(), "x", execStart())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	b := make([]byte, 4)
	if _, err := io.ReadFull(s, b); err != nil || string(b) != "late" {
		t.Errorf("read %q, %v", b, err)
	}
}

// TestSessionCut: an ssh connection that breaks is no end of the output.
func TestSessionCut(t *testing.T) {
	server := newSSHServer(t)
	e := open(t, server.client(unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"POST /exec/x/start": hijacked(func(*bufio.ReadWriter) {}),
	})).Endpoint.Path))
	s, err := e.ExecStart(t.Context(), "x", execStart())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	server.cut()
	_, err = io.ReadAll(s)
	wantError(t, err, engine.ClassUnreachable, engine.CauseDialFailed, "broke")
}
