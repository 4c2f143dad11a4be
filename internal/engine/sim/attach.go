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
	"fmt"
	"net/http"
	"strconv"

	"github.com/moby/moby/api/types/events"
)

func (e *Engine) serveAttach(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	c, err := e.containers.get(r.name)
	e.mu.Unlock()
	if err != nil {
		return rawError(w, r, err)
	}
	keys, err := detachKeys(r.query.Get("detachKeys"))
	if err != nil {
		return rawError(w, r, err)
	}
	v := &viewer{stdout: r.flag("stdout"), stderr: r.flag("stderr"), tty: c.config.Tty}
	streams, live := e.view(r, c, v)
	defer streams.leave(v)
	// The viewer is there before the client knows: it misses nothing after that.
	s, err := hijack(w, r, streamType(r, c.config.Tty), nil)
	if err != nil {
		return nil
	}
	if r.flag("logs") {
		q := logQuery{stdout: v.stdout, stderr: v.stderr, tail: -1, tty: v.tty}
		e.copyLog(r, &streams.log, q, streams.log.tail(q.tail), func(b []byte) error {
			_, err := s.conn.Write(b)
			return err
		})
	}
	if !live {
		v.out.end()
	}
	e.converse(s, v, e.attachInput(r, c, keys))
	return nil
}

// view joins a viewer to a container's streams, if the call is for what is to come.
func (e *Engine) view(r *request, c *containerObject, v *viewer) (streams *stdio, live bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	streams, live = c.streams(), r.flag("stream") && (v.stdout || v.stderr || r.flag("stdin"))
	if live {
		streams.join(v)
	}
	if c.running() {
		e.process(c)
	}
	e.emitContainer(c, events.ActionAttach)
	return streams, live
}

// rawError is how the engine refuses an attach: by hand, on the hijacked
// connection.
func rawError(w http.ResponseWriter, r *request, err error) error {
	conn, _, hijackErr := http.NewResponseController(w).Hijack()
	if hijackErr != nil {
		return err
	}
	status := statusOf(err)
	fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n\r\n%v\r\n", status, http.StatusText(status), rawStream, err)
	return conn.Close()
}

// attachInput is what an attached client sends, to whatever runs at the moment.
func (e *Engine) attachInput(r *request, c *containerObject, keys []byte) input {
	if !r.flag("stdin") || !r.flag("stream") || !c.config.OpenStdin {
		return input{}
	}
	in := input{
		feed: c.streams().feeder(e, c),
		eof: func() bool {
			if !c.config.StdinOnce || c.config.Tty {
				return false
			}
			c.io.mu.Lock()
			stdin := c.io.stdin
			c.io.mu.Unlock()
			stdin.end()
			return true
		},
	}
	if c.config.Tty {
		in.detach = keys
		in.detached = func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.emitContainer(c, events.ActionDetach)
		}
	}
	return in
}

func (e *Engine) serveResize(w http.ResponseWriter, r *request) error {
	height, width, err := consoleSize(r)
	if err != nil {
		return err
	}
	e.mu.Lock()
	c, err := e.containers.get(r.name)
	if err == nil && !c.running() {
		err = e.notRunning(c)
	}
	var p *process
	if err == nil {
		p = e.process(c)
		e.emitContainer(c, events.ActionResize, "height", strconv.Itoa(int(height)), "width", strconv.Itoa(int(width)))
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	p.resize(height, width)
	w.WriteHeader(http.StatusOK)
	return nil
}
