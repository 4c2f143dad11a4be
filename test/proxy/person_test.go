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
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// group is the path of the proxy's own API.
const group = "/apis/engine.dockercontrol.dev/v1alpha1"

// person is somebody who comes to the proxy, with a token or with a client certificate.
type person struct {
	b     *bed
	cli   *dockerCLI
	token string
	http  *http.Client // without an end to a request
}

// bearer is whoever has the token.
func (b *bed) bearer(t *testing.T, token string) *person {
	t.Helper()
	return &person{b: b, cli: b.proxied(t, token), token: token, http: b.endless(t, nil)}
}

// holder is whoever has the client certificate.
func (b *bed) holder(t *testing.T, cert, key []byte) *person {
	t.Helper()
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return &person{b: b, cli: b.withCertificate(t, cert, key), http: b.endless(t, []tls.Certificate{pair})}
}

func (b *bed) endless(t *testing.T, certificates []tls.Certificate) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b.ca.Cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certificates}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// send makes a request of a path of the proxy; the answer's body is the caller's to close.
func (p *person) send(ctx context.Context, method, path string, body io.Reader, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+p.b.address+path, body)
	if err != nil {
		return nil, err
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return p.http.Do(req)
}

// get returns a whole answer, and its head.
func (p *person) get(t *testing.T, path string, headers ...string) (code int, head http.Header, body []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	resp, err := p.send(ctx, http.MethodGet, path, nil, headers...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return resp.StatusCode, resp.Header, body
}

// waitAllowed waits until a kube-apiserver knows of a right that was not given by us.
func (p *person) waitAllowed(t *testing.T, path string) {
	t.Helper()
	testenv.Eventually(t, patient, func(context.Context) error {
		if code, _, body := p.get(t, path); code != http.StatusOK {
			return fmt.Errorf("%s: %d %s", path, code, body)
		}
		return nil
	})
}

// following is what somebody reads line by line until it ends.
type following struct {
	lines chan string // closed at the end
	// ended holds when the end was seen, after lines was closed.
	ended time.Time
}

func follow(r io.Reader, end func()) *following {
	f := &following{lines: make(chan string, 1<<14)}
	go func() {
		defer close(f.lines)
		defer func() { f.ended = time.Now() }()
		defer end()
		for scanner := bufio.NewScanner(r); scanner.Scan(); {
			select {
			case f.lines <- scanner.Text():
			default: // nobody looks on: what counts is the end
			}
		}
	}()
	return f
}

// watch opens an answer that goes on.
func (p *person) watch(t *testing.T, path string) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := p.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		_ = resp.Body.Close()
		cancel()
		t.Fatalf("%s: %s: %s", path, resp.Status, body)
	}
	f := follow(resp.Body, func() { _ = resp.Body.Close() })
	t.Cleanup(func() { cancel(); f.drain(t) })
	return f
}

// run starts a command of the docker CLI that goes on. Its stdin stays open until the test ends.
func (p *person) run(t *testing.T, line, typed string) *following {
	t.Helper()
	cmd := p.cli.command(t, "docker", split(line)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, typed); err != nil {
		t.Fatal(err)
	}
	f := follow(out, func() {})
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		_ = in.CloseWithError(errOrEOF(cmd))
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = stdin.Close()
		<-waited
		f.drain(t)
	})
	return f
}

// errOrEOF waits for a command; how it ended is in what it printed.
func errOrEOF(cmd *exec.Cmd) error {
	_ = cmd.Wait()
	return io.EOF
}

// until waits for a line that holds the text.
func (f *following) until(t *testing.T, text string) {
	t.Helper()
	f.through(t, text)
}

// through returns the lines up to the first that holds the text.
func (f *following) through(t *testing.T, text string) (seen []string) {
	t.Helper()
	late := time.After(patient)
	for {
		select {
		case line, more := <-f.lines:
			if !more {
				t.Fatalf("it ended before %q: %q", text, seen)
			}
			seen = append(seen, line)
			if strings.Contains(line, text) {
				return seen
			}
		case <-late:
			t.Fatalf("there was no %q in time: %q", text, seen)
		}
	}
}

// end waits for the end and returns when it was, with the last lines.
func (f *following) end(t *testing.T) (when time.Time, last []string) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case line, more := <-f.lines:
			if !more {
				return f.ended, last
			}
			last = append(last[max(0, len(last)-9):], line)
		case <-late:
			t.Fatalf("it did not end; at last it said %q", last)
		}
	}
}

// drain reads to the end, which was brought about.
func (f *following) drain(t *testing.T) {
	t.Helper()
	late := time.After(patient)
	for {
		select {
		case _, more := <-f.lines:
			if !more {
				return
			}
		case <-late:
			t.Error("what was to end went on")
			return
		}
	}
}

// message is that of a Status, or of an engine's error.
func message(body []byte) string {
	var status struct{ Message string }
	_ = json.Unmarshal(body, &status) // none is none
	return status.Message
}
