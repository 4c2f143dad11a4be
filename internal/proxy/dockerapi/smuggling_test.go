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
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSmuggling sends requests that two servers could take apart differently. Whatever
// comes of them, the engine never gets the second request that hides in the first one's
// body, and never one that was not judged.
func TestSmuggling(t *testing.T) {
	const hidden = "DELETE /containers/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	for name, tc := range map[string]struct {
		path, headers, body string
	}{
		"both lengths":                 {headers: "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", body: "0\r\n\r\n" + hidden},
		"both lengths, the other way":  {headers: "Transfer-Encoding: chunked\r\nContent-Length: " + fmt.Sprint(len(chunk)) + "\r\n", body: chunk},
		"two lengths":                  {headers: "Content-Length: 0\r\nContent-Length: " + fmt.Sprint(len(hidden)) + "\r\n", body: hidden},
		"a list of lengths":            {headers: "Content-Length: 0, " + fmt.Sprint(len(hidden)) + "\r\n", body: hidden},
		"a length with a sign":         {headers: "Content-Length: +0\r\n", body: hidden},
		"an encoding that hides":       {headers: "Transfer-Encoding: xchunked\r\n", body: chunk},
		"two encodings":                {headers: "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", body: "0\r\n\r\n" + hidden},
		"a space before the colon":     {headers: "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", body: "0\r\n\r\n" + hidden},
		"a folded header":              {headers: "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", body: hidden},
		"a bare newline":               {headers: "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n", body: hidden},
		"a chunk with a bad length":    {headers: "Transfer-Encoding: chunked\r\n", body: "0x0\r\n\r\n" + hidden},
		"a chunk with an extension":    {headers: "Transfer-Encoding: chunked\r\n", body: "0;a=\"\r\n\r\n" + hidden},
		"a body where none belongs":    {headers: "Content-Length: " + fmt.Sprint(len(hidden)) + "\r\n", body: hidden},
		"a line break in the path":     {path: "/containers/a%0d%0aDELETE%20/containers/smuggled/start"},
		"an upgrade that is not one":   {headers: "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: " + fmt.Sprint(len(hidden)) + "\r\n", body: hidden},
		"an upgrade with a body":       {path: "/containers/a/attach", headers: "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: " + fmt.Sprint(len(hidden)) + "\r\n", body: hidden},
		"an upgrade that is refused":   {path: "/containers/refused/attach", headers: "Connection: Upgrade\r\nUpgrade: tcp\r\n", body: hidden},
		"a connection that names much": {headers: "Connection: close, Content-Length, Host\r\nContent-Length: 0\r\n", body: hidden},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			seen := &seen{}
			b.engine.HandleFunc("/", seen.serve)
			path := tc.path
			if path == "" {
				path = "/containers/a/start"
			}
			c, err := tls.Dial("tcp", strings.TrimPrefix(b.server.URL, "https://"), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patient))
			_, _ = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nTest-User: ada\r\n%s\r\n%s", strings.TrimPrefix(b.url(path), b.server.URL), tc.headers, tc.body)
			_ = c.CloseWrite()
			// Every answer there is; what hides has no route of the proxy's (418).
			r := bufio.NewReader(c)
			for {
				resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodPost})
				if err != nil {
					break
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Error(err)
				}
				_ = resp.Body.Close()
			}
			if got := seen.all(); len(got) > 1 || len(got) == 1 && (strings.Contains(got[0], "smuggled") || got[0] != "POST "+path) {
				t.Errorf("the engine got %q", got)
			}
		})
	}
}

// seen are the requests that reached an engine.
type seen struct {
	mu       sync.Mutex
	requests []string
}

func (s *seen) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.RequestURI)
	s.mu.Unlock()
	_, _ = io.Copy(io.Discard, r.Body)
	if strings.Contains(r.URL.Path, "refused") {
		w.WriteHeader(http.StatusConflict)
	}
}

func (s *seen) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}
