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

package testbed

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	stopLimit = time.Minute // dockerd gives containers 15 s to stop
	logTail   = 4 << 10     // bytes of a log printed where a test failed
)

// process is a daemon in a machine. Its output goes to a file.
type process struct {
	name  string
	enter *exec.Cmd // nsenter, whose child is the daemon
	pid   int       // the daemon's, seen from here
	done  chan struct{}
	log   string
}

// start starts a daemon; name is its log's. It ends with the machine.
func (m *Machine) start(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: m.name + "/" + name, enter: cmd, done: make(chan struct{})}
	p.log = filepath.Join(t.ArtifactDir(), fmt.Sprintf("%s-%d-%s.log", m.name, m.slot.n, name))
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() { p.cleanup(t) })
	if p.pid, err = onlyChild(cmd.Process.Pid); err != nil {
		t.Fatalf("start %s: %v\n%s", p.name, err, p.tail())
	}
	return p
}

func (p *process) cleanup(t testing.TB) {
	if p.alive() {
		_ = p.signal(syscall.SIGKILL)
		<-p.done
	}
	if t.Failed() {
		t.Logf("the end of %s's output:\n%s", p.name, p.tail())
	}
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal signals the daemon; nsenter ends and stops with it, and wakes it.
func (p *process) signal(s syscall.Signal) error {
	if !p.alive() {
		return os.ErrProcessDone
	}
	if s == syscall.SIGKILL { // a stopped nsenter would not see its child's end
		defer func() { _ = p.enter.Process.Signal(syscall.SIGCONT) }()
	}
	return syscall.Kill(p.pid, s)
}

// Kill ends the daemon with SIGKILL and waits for its end.
func (p *process) Kill(t testing.TB) {
	t.Helper()
	p.end(t, syscall.SIGKILL)
}

// Stop ends the daemon with SIGTERM and waits for its end.
func (p *process) Stop(t testing.TB) {
	t.Helper()
	p.end(t, syscall.SIGTERM)
}

func (p *process) end(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.signal(s); err != nil {
		t.Fatalf("send %v to %s: %v", s, p.name, err)
	}
	select {
	case <-p.done:
	case <-time.After(stopLimit):
		t.Fatalf("%s did not end within %v of %v\n%s", p.name, stopLimit, s, p.tail())
	}
}

// Pause stops the daemon in its tracks with SIGSTOP: the kernel still accepts
// connections for it, and nothing answers.
func (p *process) Pause(t testing.TB) {
	t.Helper()
	if err := p.signal(syscall.SIGSTOP); err != nil {
		t.Fatalf("stop %s: %v", p.name, err)
	}
	// The signal is on its way only: other threads still run, and may answer. When
	// nsenter sees its child stopped it stops itself.
	Eventually(t, 30*time.Second, p.name+" to stop", func() bool {
		return stopped(p.pid) && stopped(p.enter.Process.Pid)
	})
}

// stopped reports whether every thread of a process is stopped.
func stopped(pid int) bool {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(files) == 0 {
		return false
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		// The state follows the name, which is in parentheses and may hold any.
		if _, state, ok := strings.Cut(string(b[bytes.LastIndexByte(b, ')')+1:]), " "); err != nil || !ok || !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// Resume undoes Pause.
func (p *process) Resume(t testing.TB) {
	t.Helper()
	// nsenter wakes its child. Were the child woken by both, nsenter's signal could
	// come late and undo the next Pause.
	if err := p.enter.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatalf("resume %s: %v", p.name, err)
	}
	Eventually(t, 30*time.Second, p.name+" to go on", func() bool {
		return !stopped(p.pid) && !stopped(p.enter.Process.Pid)
	})
}

// PID is the daemon's process id, seen from the test.
func (p *process) PID() int { return p.pid }

// waitFor polls ready until it is true, and fails the test where the daemon ends
// before, or takes longer than limit.
func (p *process) waitFor(t testing.TB, limit time.Duration, ready func() bool) {
	t.Helper()
	if within(limit, func() bool { return !p.alive() || ready() }) && p.alive() {
		return
	}
	what := fmt.Sprintf("was not ready within %v", limit)
	if !p.alive() {
		what = "ended at its start"
	}
	t.Fatalf("%s %s:\n%s", p.name, what, p.tail())
}

// tail is the end of the output.
func (p *process) tail() string {
	f, err := os.Open(p.log)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > logTail {
		_, _ = f.Seek(-logTail, io.SeekEnd)
	}
	var b bytes.Buffer
	_, _ = b.ReadFrom(f)
	return strings.TrimSpace(b.String())
}
