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
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// shell runs scripts, and the commands in them, as one process.
type shell struct {
	p      *process
	ctx    context.Context
	vars   map[string]string
	args   []string // $0 and on
	in     *bufio.Reader
	out    io.Writer
	err    io.Writer
	status int
	// exiting, breaks and continues unwind what is running.
	exiting           bool
	breaks, continues int
	loops             int
	errexit           bool
	sub               bool // a subshell leaves traps to its parent
	trapping          bool
	exitTrap          string
	jobs              *sync.WaitGroup
}

// run runs the process's command to its end.
func (p *process) run() int {
	var in io.Reader = strings.NewReader("")
	if p.in != nil {
		in = pipeReader{p.ctx, p.in}
	}
	s := &shell{
		p: p, ctx: p.ctx, vars: maps.Clone(p.env), in: bufio.NewReader(in), jobs: &sync.WaitGroup{},
		out: writer{p, stdoutStream}, err: writer{p, stderrStream},
	}
	if s.vars == nil {
		s.vars = map[string]string{}
	}
	defer s.jobs.Wait()
	defer p.cancel()
	status := s.call(p.argv)
	if s.exitTrap != "" && p.ctx.Err() == nil {
		s.exiting = false
		s.source("trap", s.exitTrap)
	}
	return status
}

// call runs one command with its arguments.
func (s *shell) call(argv []string) int {
	cmd, ok := commands[base(argv[0])]
	if !ok {
		fmt.Fprintf(s.err, "sh: %s: not found\n", argv[0])
		return 127
	}
	return cmd(s, argv)
}

// source parses and runs a script.
func (s *shell) source(name, script string) int {
	l, err := parseScript(script)
	if err != nil {
		fmt.Fprintf(s.err, "%s: %v\n", name, err)
		if errors.As(err, new(unsupported)) {
			return 127
		}
		return 2
	}
	s.list(l)
	return s.status
}

// fork is a shell for a subshell, a stage of a pipeline or a background job.
func (s *shell) fork(ctx context.Context) *shell {
	c := *s
	c.ctx, c.vars, c.sub, c.exitTrap = ctx, maps.Clone(s.vars), true, ""
	return &c
}

func (s *shell) unwinding() bool {
	return s.exiting || s.breaks > 0 || s.continues > 0 || s.ctx.Err() != nil
}

func (s *shell) list(l list) {
	for i := range l {
		if s.unwinding() || !s.p.gate() {
			return
		}
		st := &l[i]
		if st.background {
			c := s.fork(s.p.ctx)
			c.in = bufio.NewReader(strings.NewReader(""))
			s.jobs.Go(func() { c.statement(st) })
			s.status = 0
			continue
		}
		s.statement(st)
		s.poll()
	}
}

func (s *shell) statement(st *statement) {
	s.pipeline(&st.first)
	for i := range st.rest {
		if s.unwinding() {
			return
		}
		if j := &st.rest[i]; j.and == (s.status == 0) {
			s.pipeline(&j.next)
		}
	}
	if s.errexit && s.status != 0 && len(st.rest) == 0 && !st.first.negate {
		s.exiting = true
	}
}

func (s *shell) pipeline(l *pipeline) {
	if len(l.commands) == 1 {
		s.command(&l.commands[0])
	} else {
		s.status = s.stages(l.commands)
	}
	if l.negate && !s.exiting {
		s.status = truth(s.status != 0)
	}
}

// stages runs the commands of a pipeline at once, each reading the one before.
func (s *shell) stages(cmds []command) int {
	var wg sync.WaitGroup
	in, status := s.in, 0
	var last *pipe
	for i := range cmds {
		ctx, cancel := context.WithCancel(s.ctx)
		c, reads, writes := s.fork(ctx), last, (*pipe)(nil)
		c.in = in
		if i < len(cmds)-1 {
			writes = &pipe{}
			c.out = &stageWriter{pipeWriter{ctx, writes}, cancel}
			in, last = bufio.NewReader(pipeReader{s.ctx, writes}), writes
		}
		wg.Go(func() {
			c.command(&cmds[i])
			cancel()
			if writes != nil {
				writes.end()
			} else {
				status = c.status
			}
			if reads != nil {
				reads.breakOff()
			}
		})
	}
	wg.Wait()
	return status
}

// stageWriter ends its stage when nobody reads any more, as SIGPIPE does.
type stageWriter struct {
	pipeWriter
	cancel context.CancelFunc
}

func (w *stageWriter) Write(b []byte) (int, error) {
	n, err := w.pipeWriter.Write(b)
	if err != nil {
		w.cancel()
	}
	return n, err
}

func (s *shell) command(c *command) {
	run := s
	if len(c.redirects) > 0 {
		redirected, ok := s.redirect(c.redirects)
		if !ok {
			return
		}
		in, out, err := s.in, s.out, s.err
		s.in, s.out, s.err = redirected.in, redirected.out, redirected.err
		defer func() { s.in, s.out, s.err = in, out, err }()
	}
	switch body := c.compound.(type) {
	case nil:
		run.simple(c)
	case group:
		if !body.subshell {
			s.list(body.body)
			return
		}
		sub := s.fork(s.ctx)
		sub.list(body.body)
		s.status = sub.status
	case ifElse:
		s.ifElse(body)
	case whileLoop:
		s.whileLoop(body)
	case forLoop:
		items, ok := s.fields(body.items)
		if !ok {
			return
		}
		s.status = 0
		s.repeat(body.body, func() bool {
			if len(items) == 0 {
				return false
			}
			s.vars[body.name], items = items[0], items[1:]
			return true
		})
	}
}

func (s *shell) ifElse(f ifElse) {
	for _, b := range f.branches {
		if b.cond != nil {
			s.condition(b.cond)
			if s.unwinding() {
				return
			}
			if s.status != 0 {
				s.status = 0
				continue
			}
		}
		s.list(b.body)
		return
	}
}

// condition runs a list whose failure does not end a shell under set -e.
func (s *shell) condition(l list) {
	errexit := s.errexit
	s.errexit = false
	s.list(l)
	s.errexit = errexit
}

func (s *shell) whileLoop(w whileLoop) {
	s.repeat(w.body, func() bool {
		last := s.status
		s.condition(w.cond)
		again := !s.unwinding() && (s.status == 0) != w.until
		if !again && !s.exiting {
			s.status = last
		}
		return again
	})
}

// repeat runs body while next says so, and honours break and continue.
func (s *shell) repeat(body list, next func() bool) {
	s.loops++
	defer func() { s.loops-- }()
	for next() {
		s.list(body)
		if s.continues > 0 {
			s.continues--
		}
		if s.unwinding() {
			break
		}
		s.poll()
	}
	if s.breaks > 0 {
		s.breaks--
	}
}

func (s *shell) simple(c *command) {
	argv, ok := s.fields(c.words)
	if !ok {
		return
	}
	if len(argv) == 0 {
		s.status = 0
		s.assign(c.assigns)
		return
	}
	if len(c.assigns) > 0 {
		saved := maps.Clone(s.vars)
		if !s.assign(c.assigns) {
			return
		}
		defer func() { s.vars = saved }()
	}
	s.status = s.call(argv)
}

func (s *shell) assign(all []assign) bool {
	for _, a := range all {
		v, ok := s.text(a.value)
		if !ok {
			return false
		}
		s.vars[a.name] = v
	}
	return true
}

// poll runs what the script trapped for the signals that have come.
func (s *shell) poll() {
	if s.sub || s.trapping {
		return
	}
	s.trapping = true
	defer func() { s.trapping = false }()
	for s.p.gate() && !s.exiting {
		s.p.mu.Lock()
		if len(s.p.pending) == 0 {
			select { // a wait must not be woken for what has been dealt with
			case <-s.p.kick:
			default:
			}
			s.p.mu.Unlock()
			return
		}
		action := s.p.traps[s.p.pending[0]]
		s.p.pending = slices.Clone(s.p.pending[1:])
		s.p.mu.Unlock()
		status := s.status
		s.source("trap", action)
		if !s.exiting {
			s.status = status
		}
	}
}

func truth(b bool) int {
	if b {
		return 0
	}
	return 1
}
