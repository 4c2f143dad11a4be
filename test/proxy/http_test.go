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
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// engineAPI is where the typed API is.
const engineAPI = "/apis/engine.dockercontrol.dev/v1alpha1"

// httpUser sends requests as somebody, each over a connection of its own: a balancer
// sends them to each replica in turn.
type httpUser struct {
	b      *bed
	client *http.Client
	header http.Header
}

// as sends a bearer token; an empty one is none.
func (b *bed) as(t *testing.T, token string) *httpUser {
	t.Helper()
	u := &httpUser{b: b, client: b.httpClient(t), header: http.Header{}}
	if token != "" {
		u.header.Set("Authorization", "Bearer "+token)
	}
	return u
}

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

// try sends a request. body is JSON to be, or a string that is it.
func (u *httpUser) try(ctx context.Context, method, path string, body any, headers ...string) (answer, error) {
	var content []byte
	switch body := body.(type) {
	case nil:
	case string:
		content = []byte(body)
	default:
		var err error
		if content, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://"+u.b.address+path, bytes.NewReader(content))
	if err != nil {
		return answer{}, err
	}
	req.Header = u.header.Clone()
	if len(content) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, got}, err
}

// do sends a request whose answer must have a code.
func (u *httpUser) do(t *testing.T, code int, method, path string, body any, headers ...string) answer {
	t.Helper()
	a, err := u.try(t.Context(), method, path, body, headers...)
	if err != nil || a.code != code {
		t.Fatalf("%s %s: %d, %v, want %d: %.1000s", method, path, a.code, err, code, a.body)
	}
	return a
}

// eventually repeats a request until its answer has a code, and holds where checks are
// given.
func (u *httpUser) eventually(t *testing.T, code int, method, path string, body any, checks ...func(answer) error) answer {
	t.Helper()
	var last answer
	testenv.Eventually(t, patient, func(ctx context.Context) error {
		a, err := u.try(ctx, method, path, body)
		if err != nil {
			return err
		}
		if last = a; a.code != code {
			return fmt.Errorf("%s %s: %d, want %d: %.1000s", method, path, a.code, code, a.body)
		}
		for _, check := range checks {
			if err := check(a); err != nil {
				return err
			}
		}
		return nil
	})
	return last
}

func decode[T any](t *testing.T, data []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v: %.300s", err, data)
	}
	return v
}
