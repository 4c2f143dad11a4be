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
	"strconv"
	"strings"
	"time"
)

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
