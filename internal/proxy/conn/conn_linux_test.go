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

package conn

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serve runs a TLS server whose connections are Listen's.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.Listener.Close()
	s.Listener = listener
	s.EnableHTTP2 = true
	s.Config.ConnContext = Context
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// option reads an option of the request's TCP connection.
func option(r *http.Request, level, name int) (value int, err error) {
	c, err := tcp(r)
	if err != nil {
		return 0, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var get error
	err = raw.Control(func(fd uintptr) { value, get = unix.GetsockoptInt(int(fd), level, name) })
	return value, errors.Join(err, get)
}

func TestConnectionsAreWatched(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for _, o := range []struct {
			name                string
			level, option, want int
		}{
			{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 30000},
			{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
			{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 5},
			{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
		} {
			if got, err := option(r, o.level, o.option); err != nil || got != o.want {
				t.Errorf("%s: got %d, %v, want %d", o.name, got, err, o.want)
			}
		}
		if err := Patience(r, 10*time.Minute); err != nil {
			t.Error(err)
		}
		if got, err := option(r, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); err != nil || got != 600_000 {
			t.Errorf("with patience: got %d, %v", got, err)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent || resp.ProtoMajor != 2 {
		t.Errorf("got %s over %s", resp.Status, resp.Proto)
	}
}

// TestResetIsSeen has answers that look whole when they are cut: without a length,
// they end with the connection.
func TestResetIsSeen(t *testing.T) {
	for name, hijack := range map[string]bool{"an answer": false, "a hijacked connection": true} {
		t.Run(name, func(t *testing.T) {
			read := make(chan struct{})
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if hijack {
					c, _, err := w.(http.Hijacker).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\npart")
				} else {
					_, _ = io.WriteString(w, "part")
					_ = http.NewResponseController(w).Flush()
				}
				<-read
				if err := Reset(r); err != nil {
					t.Error(err)
				}
				if !hijack {
					panic(http.ErrAbortHandler)
				}
			})
			raw, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			fmt.Fprint(c, "GET / HTTP/1.0\r\nHost: x\r\nConnection: close\r\n\r\n")
			in := bufio.NewReader(c)
			for line := "x"; line != "\r\n" && err == nil; {
				line, err = in.ReadString('\n')
			}
			got := make([]byte, 4)
			if _, err := io.ReadFull(in, got); err != nil || string(got) != "part" {
				t.Fatalf("got %q, %v", got, err)
			}
			close(read)
			if _, err := in.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the cut answer ends with %v, want a reset", err)
			}
		})
	}
}

func TestResetOverHTTP2LeavesTheConnection(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/cut" {
			fmt.Fprint(w, r.RemoteAddr)
			return
		}
		_, _ = io.WriteString(w, "part")
		_ = http.NewResponseController(w).Flush()
		if err := Reset(r); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	get := func(path string) (string, error) {
		resp, err := s.Client().Get(s.URL + path)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	before, err := get("/")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := get("/cut"); err == nil {
		t.Errorf("a cut answer is read to its end: %q", body)
	}
	if after, err := get("/"); err != nil || after != before {
		t.Errorf("another connection is used: %s, then %s, %v", before, after, err)
	}
}

func TestUnknownConnections(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err := Reset(r); !errors.Is(err, errUnknown) {
		t.Errorf("got %v", err)
	}
	if err := Patience(r, time.Minute); !errors.Is(err, errUnknown) {
		t.Errorf("got %v", err)
	}
}
