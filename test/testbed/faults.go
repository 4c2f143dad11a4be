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

package testbed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// FaultServer listens where an engine was expected, on loopback and on a unix
// socket, and is none, or a bad one. It ends with the test.
type FaultServer struct {
	tcp, unix   net.Listener
	connections atomic.Int64
}

// Endpoint is tcp://127.0.0.1:port.
func (s *FaultServer) Endpoint() string { return "tcp://" + s.tcp.Addr().String() }

// UnixEndpoint is unix:// and the server's socket.
func (s *FaultServer) UnixEndpoint() string { return "unix://" + s.unix.Addr().String() }

// Connections is how many connections were accepted so far.
func (s *FaultServer) Connections() int64 { return s.connections.Load() }

// StartHTMLServer answers every request with a web page.
func StartHTMLServer(t testing.TB) *FaultServer {
	t.Helper()
	return startHandler(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><body><h1>It works!</h1></body></html>")
	})
}

// StartSilentServer accepts connections and says nothing.
func StartSilentServer(t testing.TB) *FaultServer {
	t.Helper()
	return startConns(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
}

// StartRedirectServer sends every request to the same path of another server,
// given as http://host:port.
func StartRedirectServer(t testing.TB, to string) *FaultServer {
	t.Helper()
	return startHandler(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, to+req.URL.Path, http.StatusTemporaryRedirect)
	})
}

// StartOldServer is an engine that speaks the Engine API of one version at most,
// such as "1.24", and refuses requests of a newer one, as an old engine does.
func StartOldServer(t testing.TB, apiVersion string) *FaultServer {
	t.Helper()
	return startHandler(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Api-Version", apiVersion)
		w.Header().Set("Ostype", "linux")
		w.Header().Set("Server", "Docker/1.12.6 (linux)")
		w.Header().Set("Content-Type", "application/json")
		version, rest, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/v"), "/")
		switch {
		case strings.HasSuffix(req.URL.Path, "/_ping"):
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, "OK")
		case rest != "" && version != apiVersion && strings.HasPrefix(req.URL.Path, "/v1."):
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"message":"client version %s is too new. Maximum supported API version is %s"}`, version, apiVersion)
		case strings.HasSuffix(req.URL.Path, "/version"):
			fmt.Fprintf(w, `{"Version":"1.12.6","ApiVersion":%q,"Os":"linux","Arch":"amd64"}`, apiVersion)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"message":"page not found"}`)
		}
	})
}

// StartJunkServer answers every request with a JSON answer's header and then n
// bytes that are no JSON.
func StartJunkServer(t testing.TB, n int64) *FaultServer {
	t.Helper()
	return startHandler(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Content-Type", "application/json")
		if req.Method == http.MethodHead {
			return
		}
		_, _ = io.CopyN(w, junk{}, n)
	})
}

// StartGarbageServer answers every connection with n bytes that are no HTTP.
func StartGarbageServer(t testing.TB, n int64) *FaultServer {
	t.Helper()
	return startConns(t, func(c net.Conn) {
		if _, err := bufio.NewReader(c).ReadByte(); err == nil {
			_, _ = io.CopyN(c, junk{}, n)
		}
	})
}

// junk is an endless source of bytes that are no JSON and no line.
type junk struct{}

func (junk) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "\x01junk{[\x80"[i%8]
	}
	return len(p), nil
}

func startHandler(t testing.TB, h http.HandlerFunc) *FaultServer {
	t.Helper()
	s := listen(t)
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}}
	var serving sync.WaitGroup
	for _, l := range []net.Listener{s.tcp, s.unix} {
		serving.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("serve: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return s
}

// startConns gives every connection to handle, which returns when it is closed.
func startConns(t testing.TB, handle func(net.Conn)) *FaultServer {
	t.Helper()
	s := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	for _, l := range []net.Listener{s.tcp, s.unix} {
		serving.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				s.connections.Add(1)
				serving.Go(func() {
					stop := context.AfterFunc(ctx, func() { _ = c.Close() })
					defer stop()
					defer func() { _ = c.Close() }()
					handle(c)
				})
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		_ = s.tcp.Close()
		_ = s.unix.Close()
		serving.Wait()
	})
	return s
}

func listen(t testing.TB) *FaultServer {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "fault") // TempDir's names are too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	unix, err := net.Listen("unix", filepath.Join(dir, "docker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	return &FaultServer{tcp: tcp, unix: unix}
}
