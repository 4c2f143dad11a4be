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

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// partLimit ends a part that hangs in spite of the limits in it; the whole run has 90 minutes.
	partLimit = 40 * time.Minute
	// testLimit is the -timeout of one package's tests: its stack dump says where they hang.
	testLimit = "20m"
	// killDelay is what a part gets to put its daemons away after it was interrupted.
	killDelay = 60 * time.Second
	// heartbeat is how long a part may be silent.
	heartbeat = 30 * time.Second
)

// outcome is what became of a part.
type outcome struct {
	name    string
	took    time.Duration
	passed  int
	failed  []testID // also the name of a command that failed
	skipped []testID
	why     map[testID]string // output of the skipped tests
	err     error             // the part failed
	log     string
}

// runner runs parts and shows them.
type runner struct {
	root, logs string
	out        io.Writer
}

func (r *runner) say(format string, args ...any) {
	fmt.Fprintf(r.out, "==> "+format+"\n", args...)
}

// runPart runs one part with its output in a log file of its own.
func (r *runner) runPart(ctx context.Context, p part) outcome {
	ctx, cancel := context.WithTimeout(ctx, partLimit)
	defer cancel()
	o := outcome{name: p.name, log: filepath.Join(r.logs, strings.ReplaceAll(p.name, " ", "-")+".log")}
	start := time.Now()
	log, err := os.Create(o.log)
	if err != nil {
		o.err = fmt.Errorf("make the log of %s: %w", p.name, err)
		return o
	}
	if p.tests != nil {
		r.runTests(ctx, p, log, &o)
	} else {
		r.runCommand(ctx, p, log, &o)
	}
	o.err = errors.Join(o.err, log.Close())
	o.took = time.Since(start)
	if o.err != nil {
		r.say("%s FAILED after %.0f s: %v (log: %s)", p.name, o.took.Seconds(), o.err, o.log)
	} else {
		r.say("%s ok, %.0f s", p.name, o.took.Seconds())
	}
	return o
}

// runCommand runs a command part; what it prints is shown as it comes.
func (r *runner) runCommand(ctx context.Context, p part, log io.Writer, o *outcome) {
	cmd := r.command(ctx, p.command)
	both := &syncWriter{w: io.MultiWriter(r.out, log)}
	var answer bytes.Buffer
	cmd.Stdout, cmd.Stderr = both, both
	if p.sets != "" {
		cmd.Stdout = &answer
	}
	if err := runGroup(cmd); err != nil {
		o.err = fmt.Errorf("%s: %w", strings.Join(p.command, " "), err)
		o.failed = append(o.failed, testID{name: strings.Join(p.command, " ")})
		return
	}
	o.passed = p.checks
	if p.sets != "" {
		o.err = os.Setenv(p.sets, strings.TrimSpace(answer.String()))
	}
}

// command prepares a command that is interrupted, not killed, when ctx ends: tests put daemons away then.
// It has a process group of its own, which gets the signal: "go test" would not pass it on to the tests.
func (r *runner) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = r.root
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = killDelay
	return cmd
}

// runGroup runs a command of r.command, and ends what is left of its process group: nothing outlives its
// part, nor what had to be killed because it did not heed the interrupt.
func runGroup(cmd *exec.Cmd) error {
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // there is mostly nobody left
	}
	return err
}

// runTests runs "go test" over the part's packages.
func (r *runner) runTests(ctx context.Context, p part, log io.Writer, o *outcome) {
	packages, err := listPackages(ctx, r.root, p.tests.module)
	if err != nil {
		o.err = err
		return
	}
	paths := assign(parts(), p.name, packages)
	if len(paths) == 0 {
		o.err = errors.New("no package has a test for it")
		return
	}
	args := []string{"go", "test", "-json", "-count=1", "-timeout=" + testLimit}
	cgo := "CGO_ENABLED=0"
	if p.tests.race {
		args = append(args, "-race")
		cgo = "CGO_ENABLED=1"
	}
	args = append(append(args, p.tests.args...), paths...)
	cmd := r.command(ctx, args)
	cmd.Dir = filepath.Join(r.root, p.tests.module)
	cmd.Env = append(os.Environ(), cgo)

	events, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	results := newResults()
	var reading sync.WaitGroup
	reading.Go(func() { r.follow(events, log, results) })
	err = runGroup(cmd)
	writer.Close() // never fails
	reading.Wait()

	s := results.summarise()
	o.passed, o.failed, o.skipped = s.passed, s.failed, s.skipped
	o.why = map[testID]string{}
	for _, id := range s.skipped {
		o.why[id] = results.text(id)
	}
	switch {
	case len(s.failed) > 0:
		o.err = fmt.Errorf("%d failed", len(s.failed))
	case err != nil:
		o.err = fmt.Errorf("go test: %w", err)
		o.failed = append(o.failed, testID{name: "go test"})
	case s.passed == 0:
		o.err = errors.New("no test ran")
	}
}

// follow reads the events of a run to its end, writes all output to the log, and shows each package as
// it ends, failed tests with what they printed, and a sign of life in between.
func (r *runner) follow(events io.Reader, log io.Writer, results *results) {
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		in := bufio.NewReader(events)
		for {
			line, err := in.ReadBytes('\n')
			if len(line) > 0 {
				lines <- bytes.TrimRight(line, "\n")
			}
			if err != nil {
				return
			}
		}
	}()
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	start, finished, current := time.Now(), 0, ""
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return
			}
			e, isEvent := results.add(line)
			fmt.Fprint(log, e.Output)
			if !isEvent {
				fmt.Fprint(r.out, e.Output)
				continue
			}
			if e.Test != "" {
				current = testID{e.Package, e.Test}.String()
			}
			switch e.Action {
			case "pass", "fail", "skip":
				if e.Test != "" {
					finished++
				} else {
					r.showPackage(e, results)
				}
				ticker.Reset(heartbeat)
			}
		case <-ticker.C:
			r.say("still running after %.0f s: %d tests done, last seen %s", time.Since(start).Seconds(), finished, current)
		}
	}
}

// showPackage prints one line for a package that ended, and the output of what failed in it.
func (r *runner) showPackage(e event, results *results) {
	if e.Action == "skip" {
		return // no test of it was asked for
	}
	fmt.Fprintf(r.out, "    %s %s (%.1f s)\n", e.Action, testID{pkg: e.Package}, e.Elapsed)
	if e.Action == "pass" {
		return
	}
	for _, id := range results.order {
		if id.pkg == e.Package && results.status[id] == "fail" {
			fmt.Fprintf(r.out, "--- FAILED: %s\n%s", id, results.text(id))
		}
	}
	for path := range results.broken {
		// A package of tests is built as "path [path.test]".
		if strings.HasPrefix(path, e.Package) {
			fmt.Fprintf(r.out, "--- DOES NOT BUILD: %s\n%s", path, results.text(testID{pkg: path}))
		}
	}
}

// syncWriter lets a command's standard output and error share a writer.
type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
