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
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// IdleClientEnv has the address that IdleClient is to be run with, in a child.
	IdleClientEnv = "DOCKERCONTROL_TEST_IDLE_CLIENT"

	idleConnections = 10_000
)

// IdleClient opens many connections, sends a request over each, keeps them, says so,
// and ends with its standard input. It has its own process for its own descriptors.
func IdleClient(addr string) error {
	conns := make([]net.Conn, idleConnections)
	var group errgroup.Group
	group.SetLimit(32)
	for i := range conns {
		group.Go(func() error {
			c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			conns[i] = c
			if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				return err
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			return resp.Body.Close()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	fmt.Println("open")
	_, err := io.Copy(io.Discard, os.Stdin)
	for _, c := range conns {
		c.Close()
	}
	return err
}

// TestIdleConnectionsAreHarmless has 10,000 of them, and others served beside.
func TestIdleConnectionsAreHarmless(t *testing.T) {
	r := startReady(t)
	residentBefore, before := residentMiB(t), inUseMiB()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), IdleClientEnv+"="+r.Addr())
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "open\n" {
		t.Errorf("the client says %q, %v", line, err)
	}
	t.Logf("%d connections in %v", idleConnections, time.Since(begun).Round(time.Millisecond))

	begun = time.Now()
	c := client(t)
	if resp, body := r.do(t, c, "GET", "/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("another client: %d %s", resp.StatusCode, body)
	}
	if resp, body := r.do(t, c, "GET", apiPath, "Authorization", "Bearer good"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another client, with a token: %d %s", resp.StatusCode, body)
	}
	t.Logf("another client is served in %v", time.Since(begun).Round(time.Millisecond))
	debug.FreeOSMemory()
	// The race detector's own memory is in what is resident, and is many times more.
	grown := inUseMiB() - before
	t.Logf("they take %d MiB of heap and stacks, %d MiB resident", grown, residentMiB(t)-residentBefore)
	if grown > 1024 { // a quarter of it is common
		t.Errorf("idle connections take %d MiB", grown)
	}
	stdin.Close()
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

// inUseMiB is what the program itself uses.
func inUseMiB() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int((m.HeapInuse + m.StackInuse) >> 20)
}

// residentMiB is the memory of this process.
func residentMiB(t *testing.T) (mib int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &mib); err == nil {
			return mib / 1024
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// TestSlowClients has clients that never come to the point.
func TestSlowClients(t *testing.T) {
	r := startReady(t, func(o *Options) { o.headerTimeout = 3 * time.Second }) // which others' handshakes have, too
	secure := func(t *testing.T) net.Conn {
		t.Helper()
		c, err := tls.Dial("tcp", r.Addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, open := range map[string]func(*testing.T) net.Conn{
		"no handshake": func(t *testing.T) net.Conn {
			t.Helper()
			c, err := net.Dial("tcp", r.Addr())
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		"no request": secure,
		"headers that do not end": func(t *testing.T) net.Conn {
			t.Helper()
			c := secure(t)
			go func() {
				line := "GET /healthz HTTP/1.1\r\nHost: x\r\n"
				for i := 0; ; i++ { // ends when the connection does
					if _, err := io.WriteString(c, line); err != nil {
						return
					}
					line = fmt.Sprintf("X-%d: y\r\n", i)
					time.Sleep(20 * time.Millisecond)
				}
			}()
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t)
			defer c.Close()
			_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
			_, err := io.Copy(io.Discard, c)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("after 30 s it is still open")
			}
			if resp, _ := r.do(t, client(t), "GET", "/healthz"); resp.StatusCode != http.StatusOK {
				t.Errorf("another client: %d", resp.StatusCode)
			}
		})
	}
}
