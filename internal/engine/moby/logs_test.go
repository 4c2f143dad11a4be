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
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func TestLogs(t *testing.T) {
	all := engine.LogsOptions{
		Stdout: true, Stderr: true, Follow: true, Timestamps: true, Tail: 7,
		Since: time.Unix(1, 2), Until: time.Unix(3, 0),
	}
	tests := []struct {
		name, api, mediaType string
		tty                  bool
		opts                 engine.LogsOptions
		query                string
		multiplexed          bool
	}{
		{"old engine", "1.41", "", false, all, "follow=1&since=1.000000002&stderr=1&stdout=1&tail=7&timestamps=1&until=3.000000000", true},
		{"old engine, TTY", "1.41", "", true, all, "follow=1&since=1.000000002&stderr=1&stdout=1&tail=7&timestamps=1&until=3.000000000", false},
		{"old engine, raw type means nothing", "1.41", rawType, false, engine.LogsOptions{Stdout: true, Tail: -1}, "stdout=1", true},
		{"new engine", "1.42", multiplexedType, true, engine.LogsOptions{Stderr: true}, "stderr=1&tail=0", true},
		{"new engine, TTY", "1.42", rawType, false, engine.LogsOptions{Stdout: true, Tail: -1}, "stdout=1", false},
		{"new engine without a type", "1.50", "", true, engine.LogsOptions{Stdout: true, Tail: -1}, "stdout=1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var query string
			e := open(t, unixServer(t, versioned(tt.api, map[string]http.HandlerFunc{
				"GET /containers/a/json": status(200, "application/json", fmt.Sprintf(`{"Config":{"Tty":%v}}`, tt.tty)),
				"GET /containers/a/logs": func(w http.ResponseWriter, r *http.Request) {
					query = r.URL.RawQuery
					w.Header().Set("Content-Type", tt.mediaType)
					_, _ = io.WriteString(w, "line\n")
				},
			})))
			s, err := e.Logs(t.Context(), "a", tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			b, err := io.ReadAll(s)
			if err != nil || string(b) != "line\n" {
				t.Errorf("read %q, %v", b, err)
			}
			if query != tt.query {
				t.Errorf("query is %s, want %s", query, tt.query)
			}
			if s.Multiplexed != tt.multiplexed {
				t.Errorf("multiplexed is %v", s.Multiplexed)
			}
		})
	}
}

// TestLateLogs: an engine that sends no header before the first line.
func TestLateLogs(t *testing.T) {
	written := make(chan struct{})
	e := open(t, slow(unixServer(t, fakeEngine(map[string]http.HandlerFunc{
		"GET /containers/a/json": status(200, "application/json", `{"Config":{}}`),
		"GET /containers/a/logs": func(w http.ResponseWriter, r *http.Request) {
			<-written
			flushed(w, "late")
			untilGone(r)
		},
		"GET /containers/gone/json": status(200, "application/json", `{"Config":{}}`),
		"GET /containers/gone/logs": status(404, "application/json", `{"message":"No such container: gone"}`),
	}))))
	s, err := e.Logs(t.Context(), "a", engine.LogsOptions{Stdout: true, Follow: true, Tail: -1})
	if err != nil {
		t.Fatal(err)
	}
	close(written)
	b := make([]byte, 4)
	if _, err := io.ReadFull(s, b); err != nil || string(b) != "late" {
		t.Errorf("read %q, %v", b, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	_, err = e.Logs(t.Context(), "gone", engine.LogsOptions{Stdout: true, Follow: true, Tail: -1})
	if !engine.IsNotFound(err) {
		t.Errorf("got %v, want not found", err)
	}
	_, err = e.Logs(t.Context(), "never", engine.LogsOptions{Stdout: true, Follow: true, Tail: -1})
	if !engine.IsNotFound(err) {
		t.Errorf("got %v, want not found", err)
	}
}
