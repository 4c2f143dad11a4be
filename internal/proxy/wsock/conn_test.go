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

package wsock

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// TestWriteAfterTheEnd: a context that has ended lets nothing through, though nobody else writes.
func TestWriteAfterTheEnd(t *testing.T) {
	written := make(chan int, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, Options{ReadLimit: 1})
		if err != nil {
			written <- -1
			return
		}
		defer c.Abort()
		ended, cancel := context.WithCancel(r.Context())
		cancel()
		n := 0
		for range 100 {
			if err := c.Write(ended, Text, []byte("late")); !errors.Is(err, context.Canceled) {
				n++
			}
		}
		written <- n
	}))
	defer server.Close()
	c, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = resp.Body.Close()
	if n := <-written; n != 0 {
		t.Errorf("%d of 100 messages were written", n)
	}
}
