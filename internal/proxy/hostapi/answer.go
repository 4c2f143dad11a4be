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
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/cork"
	"github.com/dockercontrol/dockercontrol/internal/proxy/conn"
)

const (
	// chunk is how much is written at once. Below it an answer is sent whole, with its
	// length and not compressed, as a kube-apiserver does.
	chunk = 128 << 10
	// writeTimeout is how long a client may not take a chunk, or a watch's lines.
	writeTimeout = 10 * time.Second
	// readTimeout is longer than a watch is silent, twice.
	readTimeout = 2 * pingInterval
)

var (
	chunks = sync.Pool{New: func() any { b := make([]byte, 0, chunk+chunk/4); return &b }}
	// BestSpeed makes an eighth of a list of containers, at a quarter of the default's CPU.
	zippers = sync.Pool{New: func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }}
)

// answer sends a long body piece by piece. It holds one chunk, whatever the body's length.
type answer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	tcp     *net.TCPConn
	mayZip  bool
	zip     *gzip.Writer
	buf     *[]byte
	began   bool
}

// newAnswer begins an answer; close must be called. It compresses where the client takes
// that and is not on this machine, where compressing is the slowest part by far.
func newAnswer(w http.ResponseWriter, r *http.Request) *answer {
	buf := chunks.Get().(*[]byte)
	*buf = (*buf)[:0]
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache, private")
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept-Encoding")
	return &answer{
		w: w, control: http.NewResponseController(w), tcp: conn.TCP(r), buf: buf,
		mayZip: takesGzip(r.Header.Get("Accept-Encoding")) && !isLocal(r.RemoteAddr),
	}
}

// flush writes the buffer when it has a chunk; the error ends the answer.
func (a *answer) flush() error {
	if len(*a.buf) < chunk {
		return nil
	}
	if !a.began {
		a.began = true
		if a.mayZip {
			a.w.Header().Set("Content-Encoding", "gzip")
			a.zip = zippers.Get().(*gzip.Writer)
			a.zip.Reset(deadlined{a})
		}
	}
	return a.write()
}

func (a *answer) write() error {
	var to io.Writer = deadlined{a}
	if a.zip != nil {
		to = a.zip
	}
	_, err := to.Write(*a.buf)
	*a.buf = (*a.buf)[:0]
	return err
}

// finish sends what is left.
func (a *answer) finish() error {
	if !a.began {
		a.w.Header().Set("Content-Length", strconv.Itoa(len(*a.buf)))
	}
	err := a.write()
	if a.zip != nil && err == nil {
		err = a.zip.Close()
	}
	return err
}

// close gives back what the answer held.
func (a *answer) close() {
	if cap(*a.buf) <= 4*chunk { // an engine's item may be large
		chunks.Put(a.buf)
	}
	if a.zip != nil {
		a.zip.Reset(io.Discard)
		zippers.Put(a.zip)
	}
}

// deadlined gives each write its own deadline: a long list to a slow client is no fault,
// a client that takes nothing is.
type deadlined struct{ a *answer }

func (d deadlined) Write(p []byte) (int, error) {
	moveDeadlines(d.a.control)
	return cork.Write(d.a.tcp, len(p), func() (int, error) { return d.a.w.Write(p) })
}

// moveDeadlines lets an answer go on as long as it is taken. The deadline for reading is
// moved too, for at its end the server takes the client for gone; it is not lifted, or
// who sends a body and does not end it would keep the connection for good.
func moveDeadlines(control *http.ResponseController) {
	now := time.Now()
	// Writers without deadlines are those of tests.
	_ = control.SetWriteDeadline(now.Add(writeTimeout))
	_ = control.SetReadDeadline(now.Add(readTimeout))
}

// takesGzip reads Accept-Encoding.
func takesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			return strings.TrimSpace(weight) == "" || err == nil && q > 0
		}
	}
	return false
}

func isLocal(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	return err == nil && net.ParseIP(host).IsLoopback()
}
