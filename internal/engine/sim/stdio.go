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
	"context"
	"sync"
)

// stdio is what a container's streams are joined to: its log, its stdin, and the
// viewers attached to it. A container has one once something needs it.
type stdio struct {
	log logStore

	mu      sync.Mutex
	stdin   *pipe // nil unless the container was made with an open stdin
	viewers map[*viewer]struct{}
}

// viewer is an attached client's side of a container's or an exec's output.
type viewer struct {
	out            pipe
	stdout, stderr bool
	tty            bool
}

func (v *viewer) write(ctx context.Context, stream byte, p []byte) {
	switch {
	case v.tty && (v.stdout || v.stderr):
		_, _ = v.out.write(ctx, p)
	case !v.tty && (stream == stdoutStream && v.stdout || stream == stderrStream && v.stderr):
		_, _ = v.out.write(ctx, frame(stream, p))
	}
}

func (c *containerObject) streams() *stdio {
	if c.io == nil {
		c.io = &stdio{viewers: map[*viewer]struct{}{}}
		c.io.log.limit = logBound(c.host.LogConfig)
		if c.config.OpenStdin {
			c.io.stdin = &pipe{}
		}
	}
	return c.io
}

func (c *containerObject) log() *logStore { return &c.streams().log }

func (s *stdio) join(v *viewer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.viewers[v] = struct{}{}
}

func (s *stdio) leave(v *viewer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.viewers, v)
	v.out.breakOff()
}

// show gives output to every viewer. One that does not read makes the container
// wait, as in the engine.
func (s *stdio) show(ctx context.Context, stream byte, p []byte) {
	s.mu.Lock()
	all := make([]*viewer, 0, len(s.viewers))
	for v := range s.viewers {
		all = append(all, v)
	}
	s.mu.Unlock()
	for _, v := range all {
		v.write(ctx, stream, p)
	}
}

// end tells the viewers that the container has ended, and opens a new stdin for
// its next run.
func (s *stdio) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range s.viewers {
		v.out.end()
	}
	clear(s.viewers)
	if s.stdin != nil {
		s.stdin = &pipe{}
	}
}

// feeder gives the container's present process what a client sends, and keeps
// what comes before its start.
func (s *stdio) feeder(e *Engine, c *containerObject) func(context.Context, []byte) error {
	return func(ctx context.Context, b []byte) error {
		e.mu.Lock()
		p := c.proc
		e.mu.Unlock()
		if p != nil {
			return p.feed(ctx, b)
		}
		s.mu.Lock()
		stdin := s.stdin
		s.mu.Unlock()
		_, err := stdin.write(ctx, b)
		return err
	}
}
