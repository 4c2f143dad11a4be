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

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// bare is an engine asked with net/http and nothing else: the reference.
type bare struct {
	socket string
	http   *http.Client
}

// newBare asks over connections that are kept where keep is set, and over a new
// one for each request else. No timeout means none.
func newBare(socket string, keep bool, timeout time.Duration) *bare {
	return &bare{socket: socket, http: &http.Client{Timeout: timeout, Transport: &http.Transport{
		DisableKeepAlives: !keep,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}}
}

func (e *bare) open(ctx context.Context, method, path string) (*http.Response, error) {
	return e.send(ctx, method, path, nil)
}

// send is open with a body of JSON, which may be nil.
func (e *bare) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://engine"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := e.http.Do(req)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, body)
	}
	return resp, err
}

// call makes a request and reads the whole answer.
func (e *bare) call(method, path string) ([]byte, error) {
	resp, err := e.open(context.Background(), method, path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// post is call with a body.
func (e *bare) post(path string, body []byte) ([]byte, error) {
	resp, err := e.send(context.Background(), http.MethodPost, path, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func (e *bare) must(b *testing.B, path string) []byte {
	b.Helper()
	body, err := e.call(http.MethodGet, path)
	if err != nil {
		b.Fatal(err)
	}
	return body
}

// timed is how long one GET takes.
func (e *bare) timed(b *testing.B, path string) time.Duration {
	b.Helper()
	begun := time.Now()
	e.must(b, path)
	return time.Since(begun)
}

// containerIDs lists every container.
func (e *bare) containerIDs(b *testing.B) []string {
	b.Helper()
	var list []struct{ ID string }
	if err := json.Unmarshal(e.must(b, "/containers/json?all=1"), &list); err != nil {
		b.Fatal(err)
	}
	ids := make([]string, len(list))
	for i, c := range list {
		ids[i] = c.ID
	}
	return ids
}

// listOf is the path that lists one container.
func listOf(id string) string {
	return "/containers/json?" + url.Values{"all": {"1"}, "filters": {fmt.Sprintf(`{"id":{%q:true}}`, id)}}.Encode()
}

// refused returns how long after since the socket refused connections.
func refused(socket string, since time.Time) time.Duration {
	for {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return time.Since(since)
		}
		_ = conn.Close()
		if time.Since(since) > time.Minute {
			return time.Minute
		}
		time.Sleep(200 * time.Microsecond)
	}
}
