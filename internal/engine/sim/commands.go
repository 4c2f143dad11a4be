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
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// commands are all that a simulated container can run.
var commands map[string]func(s *shell, argv []string) int

func init() {
	commands = map[string]func(*shell, []string) int{
		":": succeed, "true": succeed, "cd": succeed, "umask": succeed,
		"false": func(*shell, []string) int { return 1 },
		"sh":    runShell, "ash": runShell, "bash": runShell, "busybox": runApplet, "exec": runExec, "exit": runExit,
		"break": runBreak, "continue": runContinue, "trap": runTrap, "wait": runWait, "kill": runKill, "set": runSet,
		"export": runExport, "unset": runUnset, "read": runRead, "test": runTest, "[": runTest,
		"echo": runEcho, "printf": runPrintf, "sleep": runSleep, "cat": runCat, "tail": runTail, "head": runHead, "wc": runCount,
		"seq": runSeq, "yes": runYes, "env": runEnv, "printenv": runEnv, "pwd": runPwd, "id": runID, "whoami": runID,
		"hostname": runHostname, "date": runDate, "stty": runStty, "sha256sum": runChecksum, "pause": runPause,
	}
}

// executable reports whether a container can run this command.
func executable(argv []string) bool {
	if len(argv) == 0 {
		return false
	}
	_, ok := commands[base(argv[0])]
	return ok
}

func succeed(*shell, []string) int { return 0 }

// runShell is sh: with -c a script, else what comes on stdin, with a prompt on a
// terminal.
func runShell(s *shell, argv []string) int {
	args := argv[1:]
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0] != "-c" {
		letters := args[0][1:]
		args = args[1:]
		if strings.Contains(letters, "e") {
			s.errexit = true
		}
		if strings.HasSuffix(letters, "c") {
			args = append([]string{"-c"}, args...)
			break
		}
	}
	if len(args) == 0 {
		return interact(s)
	}
	if args[0] != "-c" || len(args) < 2 {
		fmt.Fprintf(s.err, "sh: can't open '%s': No such file or directory\n", args[0])
		return 2
	}
	c := s.inner()
	c.args = append([]string{argv[0]}, args[2:]...)
	if len(args) > 2 {
		c.args = args[2:]
	}
	status := c.source("sh", args[1])
	s.exitTrap = c.exitTrap
	return status
}

// inner is the shell for a script that a command runs: its exit ends it alone.
func (s *shell) inner() *shell {
	c := *s
	c.exiting, c.breaks, c.continues, c.loops = false, 0, 0, 0
	return &c
}

// shellPrompt is busybox's for root.
const shellPrompt = "/ # "

func interact(s *shell) int {
	c := s.inner()
	if c.p.tty {
		c.p.mu.Lock()
		c.p.prompt = shellPrompt
		c.p.mu.Unlock()
	}
	for !c.exiting && c.p.ctx.Err() == nil {
		if c.p.tty {
			fmt.Fprint(c.out, shellPrompt)
		}
		line, err := c.in.ReadString('\n')
		if strings.TrimSpace(line) != "" {
			c.typed(strings.TrimSuffix(line, "\n"))
		}
		if err != nil {
			if c.p.tty && !c.exiting {
				fmt.Fprintln(c.out)
			}
			break
		}
	}
	return c.status
}

// typed runs a line, which ^C ends on a terminal.
func (s *shell) typed(line string) {
	outer := s.ctx
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	if s.p.tty {
		s.p.setJob(cancel)
		defer s.p.setJob(nil)
	}
	s.ctx = ctx
	s.source("sh", line)
	s.ctx = outer
	if ctx.Err() != nil && outer.Err() == nil {
		s.status = 128 + sigInt
		fmt.Fprintln(s.out)
	}
}

// setJob says what a terminal's ^C ends.
func (p *process) setJob(stop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jobStop = stop
	if stop != nil && p.stopNext {
		stop()
	}
	p.stopNext = false
}

func runApplet(s *shell, argv []string) int {
	if len(argv) < 2 {
		return 0
	}
	return s.call(argv[1:])
}

func runExec(s *shell, argv []string) int {
	if len(argv) < 2 {
		return 0
	}
	status := s.call(argv[1:])
	s.exiting = true
	return status
}

func runExit(s *shell, argv []string) int {
	s.exiting = true
	if len(argv) < 2 {
		return s.status
	}
	n, err := strconv.Atoi(argv[1])
	if err != nil {
		fmt.Fprintf(s.err, "sh: exit: illegal number: %s\n", argv[1])
		return 2
	}
	return n & 0xff
}

func runBreak(s *shell, argv []string) int {
	s.breaks = min(levels(argv), s.loops)
	return 0
}

func runContinue(s *shell, argv []string) int {
	s.continues = min(levels(argv), s.loops)
	return 0
}

func levels(argv []string) int {
	if len(argv) > 1 {
		if n, err := strconv.Atoi(argv[1]); err == nil && n > 0 {
			return n
		}
	}
	return 1
}

// runTrap is trap 'script' SIGNAL..., with - for the default and ” to ignore.
func runTrap(s *shell, argv []string) int {
	if len(argv) < 3 {
		return 0
	}
	for _, sig := range argv[2:] {
		if sig == "EXIT" || sig == "0" {
			s.exitTrap = argv[1]
			continue
		}
		n, err := parseSignal(sig)
		if err != nil {
			fmt.Fprintf(s.err, "sh: trap: %s: invalid signal specification\n", sig)
			return 1
		}
		s.p.trap(n, argv[1])
	}
	return 0
}

func (p *process) trap(sig int, action string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if action == "-" {
		delete(p.traps, sig)
		return
	}
	if p.traps == nil {
		p.traps = map[int]string{}
	}
	p.traps[sig] = action
}

// runWait waits for the background jobs, or until a trapped signal comes.
func runWait(s *shell, _ []string) int {
	done := make(chan struct{})
	go func() {
		s.jobs.Wait()
		close(done)
	}()
	select {
	case <-done:
		return 0
	case <-s.p.kick:
		return 128 + sigTerm
	case <-s.ctx.Done():
		return 128 + sigInt
	}
}

// runKill sends the process itself a signal.
func runKill(s *shell, argv []string) int {
	sig := sigTerm
	args := argv[1:]
	if len(args) > 1 && args[0] == "-s" {
		args = append([]string{"-" + args[1]}, args[2:]...)
	}
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		n, err := parseSignal(args[0][1:])
		if err != nil {
			fmt.Fprintf(s.err, "sh: kill: bad signal name '%s'\n", args[0][1:])
			return 1
		}
		sig, args = n, args[1:]
	}
	if len(args) != 1 || args[0] != s.lookup("$") {
		fmt.Fprintln(s.err, "sh: kill: not simulated: other processes")
		return 127
	}
	s.p.raise(sig)
	return 0
}

// raise is a signal that the process sends itself. Not even SIGKILL reaches
// PID 1 from inside, where no handler takes it.
func (p *process) raise(sig int) {
	p.mu.Lock()
	_, trapped := p.traps[sig]
	p.mu.Unlock()
	if !p.first || trapped {
		p.signal(sig)
	}
}

func runSet(s *shell, argv []string) int {
	for _, a := range argv[1:] {
		switch {
		case strings.HasPrefix(a, "-") && strings.Contains(a, "e"):
			s.errexit = true
		case strings.HasPrefix(a, "+") && strings.Contains(a, "e"):
			s.errexit = false
		}
	}
	return 0
}

func runExport(s *shell, argv []string) int {
	for _, a := range argv[1:] {
		if v, value, ok := strings.Cut(a, "="); ok {
			s.vars[v] = value
		}
	}
	return 0
}

func runUnset(s *shell, argv []string) int {
	for _, v := range argv[1:] {
		delete(s.vars, v)
	}
	return 0
}

// runRead is read [-r] name...: one line of stdin, split over the names.
func runRead(s *shell, argv []string) int {
	names := argv[1:]
	if len(names) > 0 && names[0] == "-r" {
		names = names[1:]
	}
	line, err := s.in.ReadString('\n')
	fields := strings.Fields(line)
	for i, v := range names {
		switch {
		case i >= len(fields):
			s.vars[v] = ""
		case i == len(names)-1:
			s.vars[v] = strings.Join(fields[i:], " ")
		default:
			s.vars[v] = fields[i]
		}
	}
	return truth(err == nil)
}

func runSleep(s *shell, argv []string) int {
	if len(argv) != 2 {
		fmt.Fprintln(s.err, "Usage: sleep [N]...")
		return 1
	}
	d, err := sleepTime(argv[1])
	if err != nil {
		fmt.Fprintf(s.err, "sleep: invalid number '%s'\n", argv[1])
		return 1
	}
	if d < 0 {
		<-s.ctx.Done()
		return 128 + sigInt
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return 0
	case <-s.ctx.Done():
		return 128 + sigInt
	}
}

// maxSleep keeps a wait inside what a duration can hold.
const maxSleep = 10 * 365 * 24 * time.Hour

// sleepTime reads the argument of sleep: a number with an optional unit, or inf,
// which is negative.
func sleepTime(arg string) (time.Duration, error) {
	if arg == "inf" || arg == "infinity" {
		return -1, nil
	}
	unit := time.Second
	for suffix, d := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour} {
		if number, ok := strings.CutSuffix(arg, suffix); ok {
			arg, unit = number, d
			break
		}
	}
	n, err := strconv.ParseFloat(arg, 64)
	if err != nil || !(n >= 0) {
		return 0, fmt.Errorf("invalid number %q", arg)
	}
	if n > float64(maxSleep/unit) {
		return maxSleep, nil
	}
	return time.Duration(n * float64(unit)), nil
}

func runPause(s *shell, _ []string) int {
	<-s.ctx.Done()
	return 128 + sigInt
}

func runTail(s *shell, argv []string) int {
	if strings.Join(argv[1:], " ") == "-f /dev/null" {
		return runPause(s, argv)
	}
	fmt.Fprintln(s.err, "tail: not simulated: anything but -f /dev/null")
	return 127
}

func runHead(s *shell, argv []string) int {
	lines, bytes := 10, -1
	for i := 1; i < len(argv); i++ {
		flag, value := argv[i], ""
		switch {
		case (flag == "-n" || flag == "-c") && i+1 < len(argv):
			i++
			value = argv[i]
		case strings.HasPrefix(flag, "-n"), strings.HasPrefix(flag, "-c"):
			flag, value = flag[:2], flag[2:]
		default:
			fmt.Fprintln(s.err, "head: not simulated: files")
			return 127
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			fmt.Fprintf(s.err, "head: invalid number '%s'\n", value)
			return 1
		}
		if flag == "-c" {
			bytes = n
		} else {
			lines = n
		}
	}
	if bytes >= 0 {
		_, err := io.CopyN(s.out, s.in, int64(bytes))
		return truth(err == nil || err == io.EOF)
	}
	return copyLines(s.out, s.in, lines)
}

func copyLines(w io.Writer, r *bufio.Reader, n int) int {
	for range n {
		line, err := r.ReadString('\n')
		if _, werr := io.WriteString(w, line); werr != nil {
			return 1
		}
		if err != nil {
			break
		}
	}
	return 0
}
