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

package sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// session is a hijacked connection.
type session struct {
	conn net.Conn
	in   io.Reader
}

// hijack takes the connection over and answers with a status line: 101 to a
// client that asked for an upgrade, else 200. headers come after it.
func hijack(w http.ResponseWriter, r *request, contentType string, headers http.Header) (*session, error) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	var head bytes.Buffer
	if r.Header.Get("Upgrade") != "" {
		fmt.Fprintf(&head, "HTTP/1.1 101 UPGRADED\r\nContent-Type: %s\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n", contentType)
	} else {
		fmt.Fprintf(&head, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n", contentType)
	}
	_ = headers.Write(&head)
	head.WriteString("\r\n")
	if _, err := conn.Write(head.Bytes()); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &session{conn: conn, in: buf.Reader}, nil
}

// input is where a session's stdin goes.
type input struct {
	// feed takes what the client sent; nil discards it.
	feed func(ctx context.Context, p []byte) error
	// eof is called when the client has ended its stdin; it reports whether the
	// session goes on.
	eof func() bool
	// detach is the key sequence that ends the session; empty is none.
	detach []byte
	// detached is called when it was typed.
	detached func()
}

// converse copies between the client and a viewer until the output ends, the
// client detaches, or the engine does. It closes the connection.
func (e *Engine) converse(s *session, v *viewer, in input) {
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if !copyInput(ctx, s.in, in) {
			cancel()
		}
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := v.out.read(ctx, buf)
		if n > 0 {
			if _, err := s.conn.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	v.out.breakOff()
	cancel()
	_ = s.conn.Close()
	<-done
}

// copyInput reports whether the session outlives the client's stdin.
func copyInput(ctx context.Context, r io.Reader, in input) bool {
	buf := make([]byte, 32<<10)
	var keys []byte
	for {
		n, err := r.Read(buf)
		if data := buf[:n]; n > 0 && in.feed != nil {
			if keys = append(keys, data...); len(in.detach) > 0 && bytes.Contains(keys, in.detach) {
				in.detached()
				return false
			}
			keys = keys[max(0, len(keys)-len(in.detach)):]
			if in.feed(ctx, data) != nil && ctx.Err() != nil {
				return false
			}
		}
		if err != nil {
			return in.feed == nil || in.eof == nil || in.eof()
		}
	}
}

// defaultDetach is ctrl-p ctrl-q.
var defaultDetach = []byte{0x10, 0x11}

// detachKeys reads a sequence like "ctrl-p,ctrl-q" or "a,b".
func detachKeys(s string) ([]byte, error) {
	if s == "" {
		return defaultDetach, nil
	}
	var keys []byte
	for _, k := range strings.Split(s, ",") {
		letter, ctrl := strings.CutPrefix(k, "ctrl-")
		if len(letter) != 1 {
			return nil, errorf(http.StatusBadRequest, "Invalid detach keys (%s) provided", s)
		}
		c := letter[0]
		if ctrl {
			c &= 0x1f
		}
		keys = append(keys, c)
	}
	return keys, nil
}

// apiHeaders are the headers that every answer has, for one written by hand.
func apiHeaders(w http.ResponseWriter) http.Header {
	h := http.Header{}
	for _, k := range []string{"Api-Version", "Docker-Experimental", "Ostype", "Server"} {
		h.Set(k, w.Header().Get(k))
	}
	return h
}
