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

package limit

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	r := NewRates(1.0/3600, 3)
	for i := range 3 {
		if !r.Has("alice") || !r.Take("alice") {
			t.Errorf("request %d is refused", i)
		}
	}
	if r.Has("alice") || r.Take("alice") {
		t.Error("a request over the limit is let through")
	}
	if !r.Take("bob") {
		t.Error("bob pays for alice")
	}
	if got := r.RetryAfter(); got != time.Hour {
		t.Errorf("RetryAfter = %v", got)
	}
	if got := NewRates(200, 400).RetryAfter(); got != time.Second {
		t.Errorf("RetryAfter = %v, want whole seconds", got)
	}
}

func TestRatesAreBounded(t *testing.T) {
	r := NewRates(1, 1)
	for i := range keys + 10 {
		r.Take(fmt.Sprint(i))
	}
	if got := r.buckets.Len(); got != keys {
		t.Errorf("%d buckets, want %d", got, keys)
	}
}

func TestCounter(t *testing.T) {
	c := NewCounter(10)
	var wg sync.WaitGroup
	releases := make(chan func(), 100)
	for range 100 {
		wg.Go(func() {
			if release, ok := c.Acquire("alice"); ok {
				releases <- release
			}
		})
	}
	wg.Wait()
	close(releases)
	if got := len(releases); got != c.Most() {
		t.Errorf("%d are open, want 10", got)
	}
	if _, ok := c.Acquire("bob"); !ok {
		t.Error("bob is refused for alice's")
	}
	for release := range releases {
		release()
		release()
	}
	if c.open["alice"] != 0 || len(c.open) != 1 {
		t.Errorf("still open: %v", c.open)
	}
}

func TestBody(t *testing.T) {
	read := Body(10, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	for name, tc := range map[string]struct {
		body io.Reader
		want int
	}{
		"short":                   {strings.NewReader("0123456789"), http.StatusOK},
		"long, and says so":       {strings.NewReader("0123456789x"), http.StatusRequestEntityTooLarge},
		"long, and does not tell": {struct{ io.Reader }{strings.NewReader("0123456789x")}, http.StatusTeapot},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			read.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", tc.body))
			if w.Code != tc.want {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, tc.want)
			}
		})
	}
}

// wrapped is a ResponseWriter around the server's own.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// A body that is too long ends its connection, also where the writer is a wrapped one.
func TestReaderEndsTheConnection(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(Reader(wrapped{wrapped{w}}, r.Body, 10)); !errors.As(err, new(*http.MaxBytesError)) {
			t.Errorf("reading too much: %v", err)
		}
	}))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(strings.Repeat("x", 100)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if !resp.Close {
		t.Error("the connection was kept")
	}
}
