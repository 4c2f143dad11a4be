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

package hostapi

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

func TestTakesGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "br, GZIP": true, "gzip;q=0": false, "gzip; q=0.5": true, "gzip;q=x": false, "deflate": false, "x-gzip": false,
	} {
		if takesGzip(header) != want {
			t.Errorf("%q: %t, want %t", header, !want, want)
		}
	}
}

// large makes a bed whose one host has more than a chunk of containers.
func large(t *testing.T, n int) *bed {
	t.Helper()
	inventory := &stock{items: map[hostcache.Key][]engine.Object{}}
	b := newBed(t, func(o *Options) { o.Inventory = inventory })
	for i := range n {
		inventory.items[web] = append(inventory.items[web], container(fmt.Sprintf("%06d", i), strings.Repeat("n", 1000)))
	}
	b.declare(web, nil)
	b.grants.grant("admin", web, all...)
	return b
}

func TestCompression(t *testing.T) {
	b := large(t, 1000)
	for _, test := range []struct {
		remote, accept, query string
		zipped                bool
	}{
		{"192.0.2.1:1000", "gzip", "", true},
		{"192.0.2.1:1000", "identity", "", false},
		{"192.0.2.1:1000", "gzip", "?limit=5", false},
		{"127.0.0.1:1000", "gzip", "", false},
		{"[::1]:1000", "gzip", "", false},
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, route.Prefix+"/containers"+test.query, nil)
		request.RemoteAddr = test.remote
		request.Header.Set("Accept-Encoding", test.accept)
		request.Header.Set("X-User", "admin")
		recorder := httptest.NewRecorder()
		asCaller(b.handler).ServeHTTP(recorder, request)
		if got := recorder.Header().Get("Content-Encoding") == "gzip"; got != test.zipped {
			t.Errorf("%+v: compressed: %t", test, got)
		}
		var body io.Reader = recorder.Body
		if test.zipped {
			zip, err := gzip.NewReader(body)
			if err != nil {
				t.Fatal(err)
			}
			body = zip
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		want := 1000
		if test.query != "" {
			want = 5
		}
		if n := bytes.Count(text, []byte(`"kind":"Container",`)); n != want {
			t.Errorf("%+v: %d items", test, n)
		}
	}
}

// TestSlowListIsCut has a client that reads a little and then no more. What it has must not
// look complete.
func TestSlowListIsCut(t *testing.T) {
	b := large(t, 50_000)
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		asCaller(b.handler).ServeHTTP(w, r)
	}))
	defer server.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("GET " + route.Prefix + "/containers HTTP/1.1\r\nHost: x\r\nX-User: admin\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the handler waits for a client that reads nothing")
	}
	if _, err := io.Copy(io.Discard, response.Body); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the list ended as if it were complete: %v", err)
	}
}
