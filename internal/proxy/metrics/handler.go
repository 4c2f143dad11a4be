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

package metrics

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/access"
)

// Labels of requests without a right, and of what no closed set has.
const (
	none  = "none"
	other = "other"
)

// request is what handlers tell of one.
type request struct {
	mu                sync.Mutex
	subresource, verb string
	goesOn            bool
}

type key struct{}

// Set tells which right the request of a context asks for; the last one counts.
func Set(ctx context.Context, right access.Right) {
	r, ok := ctx.Value(key{}).(*request)
	if !ok { // a test without Handler
		return
	}
	subresource, verb := other, other
	if slices.Contains(access.Subresources(), right.Subresource) {
		subresource = string(right.Subresource)
	}
	if slices.Contains(access.Verbs(), right.Verb) {
		verb = string(right.Verb)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subresource, r.verb = subresource, verb
}

// Open counts a stream until done is called, and takes the request of the context out of
// the durations.
func Open(ctx context.Context, stream Stream) (done func()) {
	if r, ok := ctx.Value(key{}).(*request); ok {
		r.mu.Lock()
		r.goesOn = true
		r.mu.Unlock()
	}
	gauge := streams.WithLabelValues(string(stream))
	gauge.Inc()
	return sync.OnceFunc(gauge.Dec)
}

// Handler counts the requests that next serves.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		told := &request{subresource: none, verb: none}
		counted := &writer{ResponseWriter: w}
		returned := false
		defer func() { // an answer that is cut panics
			if counted.code == 0 && returned {
				counted.code = http.StatusOK // as net/http has it
			}
			told.count(counted.code, time.Since(began))
		}()
		next.ServeHTTP(counted, r.WithContext(context.WithValue(r.Context(), key{}, told)))
		returned = true
	})
}

func (r *request) count(code int, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if http.StatusText(code) == "" {
		code = 0
	}
	requestsTotal.WithLabelValues(r.subresource, r.verb, strconv.Itoa(code)).Inc()
	if !r.goesOn && code != http.StatusSwitchingProtocols {
		requestDuration.WithLabelValues(r.subresource).Observe(took.Seconds())
	}
}

// writer remembers the answer's code.
type writer struct {
	http.ResponseWriter
	code int // 0: not known yet
}

// Unwrap lets http.ResponseController reach what the connection can do.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(code int) {
	if w.code == 0 && (code >= http.StatusOK || code == http.StatusSwitchingProtocols) { // others come before the answer
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.code = http.StatusSwitchingProtocols
	}
	return c, buffered, err
}

// FlushError is for http.ResponseController.
func (w *writer) FlushError() error {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements http.Flusher, for those who look for one. Errors show at the next
// write.
func (w *writer) Flush() { _ = w.FlushError() }
