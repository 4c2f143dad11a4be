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
	"strings"
	"sync"
	"time"
)

// The streams of a process, by the numbers that multiplexed frames carry.
const (
	stdinStream  = 0
	stdoutStream = 1
	stderrStream = 2
)

// process is a simulated command at work: a container's first one or an exec's.
// A command that only waits (sleep, tail -f) is a timer; a script is a goroutine.
type process struct {
	pid  int
	argv []string
	env  map[string]string
	dir  string
	user string
	tty  bool
	// first is PID 1 of a container: a signal it does not handle is ignored.
	first bool
	// in is what it reads; nil is an empty stdin.
	in *pipe
	// output takes what it writes. It may wait until ctx ends.
	output func(ctx context.Context, stream byte, p []byte)
	// exited is told the exit code, once, with no lock held.
	exited func(code int)
	// group counts the goroutine of a script.
	group *sync.WaitGroup

	ctx    context.Context // ends when the process is killed
	cancel context.CancelFunc

	mu       sync.Mutex
	ended    bool
	killedBy int
	thaw     chan struct{} // set while frozen, closed at the thaw
	timer    *time.Timer
	due      bool // the timer fired while frozen
	height   uint
	width    uint
	screen   terminal
	traps    map[int]string
	pending  []int
	kick     chan struct{} // wakes a wait that signals interrupt; has room for one
	prompt   string        // of an interactive shell: ^C ends its command, not it
	jobStop  func()        // ends that command, while one runs
	stopNext bool          // a ^C came between a command's line and its start
}

// start runs the process as a child of parent. It is called once.
func (p *process) start(parent context.Context) {
	p.kick = make(chan struct{}, 1)
	p.ctx, p.cancel = context.WithCancel(parent)
	if d, idle := idleFor(p.argv); idle {
		if d >= 0 {
			p.mu.Lock()
			p.timer = time.AfterFunc(d, p.elapsed)
			p.mu.Unlock()
		}
		return
	}
	p.group.Go(func() {
		code := p.run()
		p.mu.Lock()
		if p.killedBy != 0 {
			code = 128 + p.killedBy
		}
		p.mu.Unlock()
		p.finish(code)
	})
}

// idleFor reports whether a command does nothing but wait, and how long;
// negative is for ever.
func idleFor(argv []string) (time.Duration, bool) {
	if len(argv) == 0 {
		return 0, false
	}
	switch name := base(argv[0]); {
	case name == "sleep" && len(argv) == 2:
		d, err := sleepTime(argv[1])
		return d, err == nil
	case name == "pause" && len(argv) == 1, name == "tail" && strings.Join(argv[1:], " ") == "-f /dev/null":
		return -1, true
	}
	return 0, false
}

func (p *process) idle() bool {
	_, idle := idleFor(p.argv)
	return idle
}

func (p *process) elapsed() {
	p.mu.Lock()
	if p.thaw != nil {
		p.due = true
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.finish(0)
}

func (p *process) finish(code int) {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.cancel()
	if p.in != nil {
		p.in.breakOff()
	}
	p.exited(code)
}

// abandon ends the process for good, whatever it does, when its engine closes.
func (p *process) abandon() {
	if p == nil || p.cancel == nil {
		return
	}
	p.cancel()
	if p.idle() {
		p.finish(128 + sigKill)
	}
}

// signal delivers a signal.
func (p *process) signal(sig int) {
	p.mu.Lock()
	_, trapped := p.traps[sig]
	switch {
	case p.ended, harmless(sig) && !trapped:
		p.mu.Unlock()
		return
	case sig == sigInt && p.prompt != "":
		p.mu.Unlock()
		p.interrupt()
		return
	case trapped && sig != sigKill:
		p.pending = append(p.pending, sig)
		select {
		case p.kick <- struct{}{}:
		default:
		}
		p.mu.Unlock()
		return
	case p.first && sig != sigKill:
		p.mu.Unlock()
		return
	}
	p.killedBy = sig
	p.mu.Unlock()
	p.cancel()
	if p.idle() {
		p.finish(128 + sig)
	}
}

// interrupt is ^C at an interactive shell: it ends the command that runs, or
// drops what was typed.
func (p *process) interrupt() {
	p.mu.Lock()
	stop, prompt := p.jobStop, p.prompt
	idle := stop == nil && p.in.flush()
	p.stopNext = stop == nil && !idle
	p.mu.Unlock()
	switch {
	case stop != nil:
		stop()
	case idle:
		p.output(p.ctx, stdoutStream, []byte("\r\n"+prompt))
	}
}

// freeze and unfreeze stop the process and let it go on.
func (p *process) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.thaw == nil {
		p.thaw = make(chan struct{})
	}
}

func (p *process) unfreeze() {
	p.mu.Lock()
	if p.thaw != nil {
		close(p.thaw)
		p.thaw = nil
	}
	due := p.due
	p.mu.Unlock()
	if due {
		p.finish(0)
	}
}

// gate waits while the process is frozen, and reports whether it lives.
func (p *process) gate() bool {
	p.mu.Lock()
	thaw := p.thaw
	p.mu.Unlock()
	if thaw != nil {
		select {
		case <-thaw:
		case <-p.ctx.Done():
		}
	}
	return p.ctx.Err() == nil
}

// resize sets the terminal's size in characters.
func (p *process) resize(height, width uint) {
	p.mu.Lock()
	p.height, p.width = height, width
	p.mu.Unlock()
	p.signal(signalNumbers["WINCH"])
}

// feed gives the process what a client sent to its stdin.
func (p *process) feed(ctx context.Context, b []byte) error {
	if p.in == nil {
		return nil
	}
	if !p.tty {
		_, err := p.in.write(ctx, b)
		return err
	}
	var err error
	p.screen.typed(b,
		func(line []byte) {
			if _, e := p.in.write(ctx, line); e != nil {
				err = e
			}
		},
		func(echo []byte) { p.output(ctx, stdoutStream, echo) },
		p.signal,
		p.in.end,
	)
	return err
}

// writer is one of the process's output streams.
type writer struct {
	p      *process
	stream byte
}

func (w writer) Write(b []byte) (int, error) {
	if !w.p.gate() {
		return 0, w.p.ctx.Err()
	}
	if w.p.tty {
		w.p.output(w.p.ctx, stdoutStream, newlines(b))
	} else {
		w.p.output(w.p.ctx, w.stream, b)
	}
	return len(b), nil
}

func base(path string) string { return path[strings.LastIndex(path, "/")+1:] }
