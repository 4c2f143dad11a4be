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

package dockerapi

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit"
)

func TestFollowedOutputComesAtOnce(t *testing.T) {
	b := newBed(t)
	next := make(chan string)
	b.engine.HandleFunc("GET /containers/a/logs", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		for line := range next {
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, line)
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set(http.TrailerPrefix+"X-Docker-End", "yes")
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url("/containers/a/logs?follow=1&stdout=1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	go func() { defer close(began); next <- "first\n" }()
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-began
	lines := bufio.NewReader(resp.Body)
	big := strings.Repeat("x", 64<<10-1) + "\n" // as long as the buffer
	for _, want := range []string{"first\n", big, "last\n"} {
		if want != "first\n" {
			next <- want
		}
		if got, err := lines.ReadString('\n'); got != want || err != nil {
			t.Fatalf("got %.20q, %v; want %.20q", got, err, want)
		}
	}
	close(next)
	if _, err := io.ReadAll(lines); err != nil {
		t.Error(err)
	}
}

// TestFollowedOutputIsNotKept: what came on the heels of something else, and was collected,
// is there soon though nothing follows it.
func TestFollowedOutputIsNotKept(t *testing.T) {
	b := newBed(t)
	end := make(chan struct{})
	b.engine.HandleFunc("GET /containers/a/logs", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			for range 100 {
				_, _ = io.WriteString(w, "a line\n")
				_ = http.NewResponseController(w).Flush()
			}
			end <- struct{}{}
		}
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url("/containers/a/logs?follow=1&stdout=1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for range 3 {
		if got, err := io.ReadFull(resp.Body, make([]byte, 100*len("a line\n"))); err != nil {
			t.Fatalf("got %d bytes, %v", got, err)
		}
		<-end
	}
	if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
		t.Errorf("got %q, %v at the end", rest, err)
	}
}

// TestCutAnswers: an answer that the engine did not end is never a whole one, whatever
// its framing and whoever cut it.
func TestCutAnswers(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n"
	for name, tc := range map[string]struct {
		answer string
		cut    func(b *bed, engine net.Conn)
	}{
		"the engine dies": {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", func(_ *bed, c net.Conn) { _ = c.Close() }},
		"the engine dies before the length it told": {head + "Content-Length: 100\r\n\r\nhello", func(_ *bed, c net.Conn) { _ = c.Close() }},
		"the right is revoked":                      {head + "Content-Length: 100\r\n\r\nhello", func(b *bed, _ net.Conn) { b.authz.revoke() }},
		"the host is lost":                          {head + "Content-Length: 100\r\n\r\nhello", func(b *bed, _ net.Conn) { _ = b.hosts.engine.Close() }},
	} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				b := newBed(t)
				engine := make(chan net.Conn, 1)
				b.engine.HandleFunc("GET /containers/a/export", func(w http.ResponseWriter, _ *http.Request) {
					c, _, _ := http.NewResponseController(w).Hijack()
					_, _ = io.WriteString(c, tc.answer)
					engine <- c
				})
				if protocol == "HTTP/2.0" {
					b.useHTTP2()
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url("/containers/a/export"), nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := b.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil || resp.Proto != protocol {
					t.Fatalf("got %s, %v", resp.Proto, err)
				}
				c := <-engine
				defer c.Close()
				tc.cut(b, c)
				if rest, err := io.ReadAll(resp.Body); err == nil {
					t.Errorf("got a clean end after %q", rest)
				}
			})
		}
	}
}

func TestBigBodiesBothWays(t *testing.T) {
	b := newBed(t)
	const size = 32 << 20
	b.engine.HandleFunc("POST /images/load", func(w http.ResponseWriter, r *http.Request) {
		// The answer begins before the body has ended.
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		h := sha256.New()
		n, _ := io.Copy(h, r.Body)
		_, _ = fmt.Fprintf(w, "%d %x", n, h.Sum(nil))
	})
	b.engine.HandleFunc("GET /images/get", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, io.LimitReader(zeros{}, size))
	})
	h := sha256.New()
	_, _ = io.Copy(h, io.LimitReader(zeros{}, size))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url("/images/load"), io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if want := fmt.Sprintf("%d %x", size, h.Sum(nil)); string(body) != want || err != nil {
		t.Errorf("the engine got %s, %v; want %s", body, err, want)
	}
	if _, body := b.do("ada", "GET", "/images/get", ""); len(body) != size {
		t.Errorf("got %d bytes", len(body))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// useHTTP2 makes server and client speak HTTP/2.
func (b *bed) useHTTP2() {
	b.server.Close()
	next := b.listen(true)
	b.t.Cleanup(next.Close)
	b.server = next
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	b.t.Cleanup(transport.CloseIdleConnections)
	b.client = &http.Client{Transport: transport, Timeout: patient}
}

// raw sends a request that takes the connection over, and returns it after the header.
func (b *bed) raw(who, path string, headers ...string) (*tls.Conn, *bufio.Reader, *http.Response) {
	b.t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(b.server.URL, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patient))
	_, _ = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nTest-User: %s\r\n", strings.TrimPrefix(b.url(path), b.server.URL), who)
	for i := 0; i < len(headers); i += 2 {
		_, _ = fmt.Fprintf(c, "%s: %s\r\n", headers[i], headers[i+1])
	}
	_, _ = io.WriteString(c, "\r\n")
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodPost})
	if err != nil {
		b.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return c, r, resp
}

// hijack answers as engines do, and hands the connection to script.
func hijack(status string, script func(c *net.UnixConn, in io.Reader)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, buffered, _ := http.NewResponseController(w).Hijack()
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 "+status+"\r\nContent-Type: application/vnd.docker.raw-stream\r\n")
		if strings.HasPrefix(status, "101") {
			_, _ = io.WriteString(c, "Connection: Upgrade\r\nUpgrade: tcp\r\n")
		}
		_, _ = io.WriteString(c, "\r\n")
		script(c.(*net.UnixConn), buffered)
	}
}

func TestTunnels(t *testing.T) {
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "tcp"}
	for name, tc := range map[string]struct {
		status  string
		headers []string
	}{
		"upgraded":                   {"101 UPGRADED", upgrade},
		"not asked to upgrade":       {"200 OK", nil},
		"Upgrade without Connection": {"101 UPGRADED", []string{"Upgrade", "tcp"}},
		"an engine that does not":    {"200 OK", upgrade},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			// The engine says what it got only after the client has ended its side.
			b.engine.HandleFunc("POST /containers/a/attach", hijack(tc.status, func(c *net.UnixConn, in io.Reader) {
				got, _ := io.ReadAll(in)
				_, _ = fmt.Fprintf(c, "%d %x", len(got), sha256.Sum256(got))
			}))
			c, r, resp := b.raw("ada", "/containers/a/attach?stream=1&stdin=1", tc.headers...)
			if fmt.Sprint(resp.StatusCode) != tc.status[:3] || resp.Header.Get("Content-Type") != "application/vnd.docker.raw-stream" {
				t.Fatalf("got %v", resp)
			}
			sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
			if _, err := c.Write(sent); err != nil {
				t.Fatal(err)
			}
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if want := fmt.Sprintf("%d %x", len(sent), sha256.Sum256(sent)); string(got) != want || err != nil {
				t.Errorf("got %s, %v; want %s", got, err, want)
			}
			eventually(t, "the end is on record", func() bool {
				return cmp.Equal([]string{"ada attach Container a allowed", "ada attach Container a succeeded"}, b.lines())
			})
			if n := b.Tunnels.Len(); n != 0 {
				t.Errorf("%d tunnels are left", n)
			}
		})
	}
}

// TestTunnelOutlastsStdin: output that comes before the end is whole though the client
// goes on sending what nobody reads.
func TestTunnelOutlastsStdin(t *testing.T) {
	b := newBed(t)
	const size = 1 << 20
	b.engine.HandleFunc("POST /containers/a/attach", hijack("101 UPGRADED", func(c *net.UnixConn, in io.Reader) {
		_, _ = io.Copy(c, io.LimitReader(zeros{}, size))
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, in) // closed with something unread, a socket is reset
	}))
	c, r, _ := b.raw("ada", "/containers/a/attach", "Connection", "Upgrade", "Upgrade", "tcp")
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for {
			if _, err := c.Write(make([]byte, 1024)); err != nil {
				return
			}
		}
	}()
	got, err := io.ReadAll(r)
	_ = c.Close()
	<-stop
	if len(got) != size || err != nil {
		t.Errorf("got %d bytes, %v; want %d and a clean end", len(got), err, size)
	}
}

func TestHijackRefused(t *testing.T) {
	b := newBed(t)
	b.engine.HandleFunc("POST /containers/gone/attach", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"No such container: gone"}`)
	})
	b.authz.deny("viewer", access.Right{Subresource: access.Attach, Verb: access.Create})
	if _, _, resp := b.raw("ada", "/containers/gone/attach", "Connection", "Upgrade", "Upgrade", "tcp"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a container that is not there: %d", resp.StatusCode)
	}
	if _, _, resp := b.raw("viewer", "/containers/a/attach", "Connection", "Upgrade", "Upgrade", "tcp"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("without the right: %d", resp.StatusCode)
	}
	if _, _, resp := b.raw("ada", "/containers/a/attach", "Connection", "Upgrade", "Upgrade", "h2c"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("another protocol: %d", resp.StatusCode)
	}
	b.useHTTP2()
	if resp, body := b.do("ada", "POST", "/containers/a/attach", ""); resp.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("over HTTP/2: %d %s", resp.StatusCode, body)
	}
}

// eventually waits for what happens in another goroutine.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patient)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("after %s: still not %s", patient, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestExecOnRecord: who ran what where, how much went both ways and how it ended; names of
// the environment and no values.
func TestExecOnRecord(t *testing.T) {
	b := newBed(t)
	b.engine.HandleFunc("POST /containers/a/exec", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"Id":"e1"}`)
	})
	running := atomic.Int32{} // how often it is said to run yet, as engines do for a moment
	running.Store(3)
	b.engine.HandleFunc("GET /v1.41/exec/e1/json", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"ID":"e1","ContainerID":"c1","Running":%t,"ExitCode":3,"ProcessConfig":{"entrypoint":"sh","arguments":["-c","exit 3"]}}`, running.Add(-1) > 0)
	})
	b.engine.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	b.engine.HandleFunc("POST /exec/e1/start", hijack("101 UPGRADED", func(c *net.UnixConn, in io.Reader) {
		_, _ = io.ReadFull(in, make([]byte, 2))
		_, _ = io.WriteString(c, "four")
	}))
	_, body := b.do("ada", "POST", "/containers/a/exec", `{"Cmd":["sh","-c","exit 3"],"Env":["A=secret"]}`)
	var created struct{ ID string }
	if err := json.Unmarshal([]byte(body), &created); err != nil {
		t.Fatal(err)
	}
	c, r, _ := b.raw("ada", "/exec/"+created.ID+"/start", "Connection", "Upgrade", "Upgrade", "tcp")
	_, _ = io.WriteString(c, "in")
	if got, err := io.ReadAll(r); string(got) != "four" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	_ = c.Close()
	eventually(t, "the end is on record", func() bool { return len(b.trail.Records()) == 4 })
	records := b.trail.Records()
	command, code := []string{"sh", "-c", "exit 3"}, 3
	for i, want := range []audit.Record{
		{Verb: "create-exec", Object: audit.Object{Kind: "Container", Name: "a"}, Outcome: audit.Allowed, Detail: &audit.Detail{Command: command, EnvNames: []string{"A"}}},
		{Verb: "create-exec", Object: audit.Object{Kind: "Container", Name: "a"}, Outcome: audit.Succeeded, Detail: &audit.Detail{Command: command, EnvNames: []string{"A"}}},
		{Verb: "exec", Object: audit.Object{Kind: "Container", ID: "c1"}, Outcome: audit.Allowed, Detail: &audit.Detail{Command: command}},
		{Verb: "exec", Object: audit.Object{Kind: "Container", ID: "c1"}, Outcome: audit.Succeeded, Detail: &audit.Detail{Command: command, BytesIn: 2, BytesOut: 4, ExitCode: &code}},
	} {
		got := audit.Record{Verb: records[i].Verb, Object: records[i].Object, Outcome: records[i].Outcome, Detail: records[i].Detail}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("record %d (-want +got):\n%s", i, d)
		}
	}
}
