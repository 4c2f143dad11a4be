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
	"fmt"
	"strconv"
	"strings"
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
