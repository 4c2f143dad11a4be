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

// callLimit bounds a call of the test bed's own; a container's stop may take 10 s on an
// idle machine.
const callLimit = time.Minute

// api talks to an engine's unix socket with net/http and nothing else, so that
// what it finds does not depend on the code under test.
type api struct {
	socket string
	http   *http.Client
}

func newAPI(t testing.TB, socket string) *api {
	t.Helper()
	if len(socket) > 100 { // the kernel's limit is 107
		t.Fatalf("the socket's path %s is too long: set TMPDIR to a shorter one", socket)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &api{socket: socket, http: &http.Client{
		Timeout:   callLimit,
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
	}}
}

// Endpoint is unix:// and the engine's socket.
func (a *api) Endpoint() string { return "unix://" + a.socket }

// Socket is the path of the engine's socket.
func (a *api) Socket() string { return a.socket }

// Ready reports whether the engine answers a ping.
func (a *api) Ready() bool {
	_, err := a.do(http.MethodGet, "/_ping", "", nil)
	return err == nil
}

// Call makes a request of the engine's API without a version in the path, with a
// JSON body unless it is nil, and returns the answer. A refusal fails the test.
func (a *api) Call(t testing.TB, method, path string, body any) []byte {
	t.Helper()
	answer, err := a.TryCall(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TryCall is Call that returns what went wrong.
func (a *api) TryCall(method, path string, body any) ([]byte, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(b)
	}
	return a.do(method, path, "application/json", r)
}

func (a *api) do(method, path, contentType string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequest(method, "http://engine"+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(answer))
	}
	return answer, nil
}

// importImage makes an image of a root filesystem.
func (a *api) importImage(t testing.TB, ref string, tar []byte) {
	t.Helper()
	q := url.Values{"fromSrc": {"-"}, "repo": {ref}, "changes": {"ENV PATH=/bin"}}
	answer, err := a.do(http.MethodPost, "/images/create?"+q.Encode(), "application/x-tar", bytes.NewReader(tar))
	if err != nil || bytes.Contains(answer, []byte(`"error"`)) {
		t.Fatalf("import the image %s: %v %s", ref, err, answer)
	}
}

// RunContainer starts a container of image, named name, and returns its id. Its
// stop signal is SIGKILL, so that it stops at once whatever its command.
func (a *api) RunContainer(t testing.TB, name, image string, command ...string) string {
	t.Helper()
	var created struct{ ID string }
	answer := a.Call(t, http.MethodPost, "/containers/create?name="+url.QueryEscape(name), map[string]any{
		"Image": image, "Cmd": command, "StopSignal": "SIGKILL",
	})
	if err := json.Unmarshal(answer, &created); err != nil {
		t.Fatalf("create the container %s: %v", name, err)
	}
	a.Call(t, http.MethodPost, "/containers/"+created.ID+"/start", nil)
	return created.ID
}

// RemoveContainer removes a container, running or not.
func (a *api) RemoveContainer(t testing.TB, id string) {
	t.Helper()
	a.Call(t, http.MethodDelete, "/containers/"+url.PathEscape(id)+"?force=1&v=1", nil)
}
