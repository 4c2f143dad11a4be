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

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a program that is measured.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// start starts a program of bin/, which ends with the benchmark at the latest.
func start(b *testing.B, name string, args ...string) *process {
	b.Helper()
	p := &process{name: name, done: make(chan struct{}), log: filepath.Join(b.TempDir(), name+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(program(b, name), args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A Ctrl-C on the terminal is for the benchmarks, which stop things in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	b.Cleanup(func() {
		if b.Failed() {
			b.Logf("the end of %s's log:\n%s", p.name, p.tail())
		}
		p.stop(b)
	})
	return p
}

// stop asks the program to end, and ends it the hard way where it does not.
func (p *process) stop(b *testing.B) {
	b.Helper()
	if !p.alive() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		b.Errorf("%s did not end within 30 s of SIGTERM", p.name)
		_ = p.cmd.Process.Kill()
		<-p.done
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

func (p *process) tail() string {
	data, _ := os.ReadFile(p.log)
	return string(data[len(data)-min(len(data), 4096):])
}

// usage is what a process has used since it began, or uses now.
type usage struct {
	at  time.Time
	cpu time.Duration
	// rss and peak are in bytes.
	rss, peak float64
	files     int
}

// clockTick is the unit of CPU times in /proc; it is the same on every Linux.
const clockTick = time.Second / 100

func (p *process) usage(b *testing.B) usage {
	b.Helper()
	u, err := usageOf(p.cmd.Process.Pid)
	if err != nil {
		b.Fatalf("%s: %v\n%s", p.name, err, p.tail())
	}
	return u
}

func usageOf(pid int) (usage, error) {
	proc := "/proc/" + strconv.Itoa(pid)
	u := usage{at: time.Now()}
	stat, err := os.ReadFile(proc + "/stat")
	if err != nil {
		return u, err
	}
	// The second field is the program's name in parentheses; utime is the 14th.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return u, fmt.Errorf("%s/stat has %d fields", proc, len(fields))
	}
	for _, ticks := range fields[11:13] {
		n, err := strconv.ParseInt(ticks, 10, 64)
		if err != nil {
			return u, fmt.Errorf("%s/stat: %w", proc, err)
		}
		u.cpu += time.Duration(n) * clockTick
	}
	u.rss, u.peak = kilobytes(proc, "VmRSS"), kilobytes(proc, "VmHWM")
	files, err := os.ReadDir(proc + "/fd")
	u.files = len(files)
	return u, err
}

func kilobytes(proc, name string) float64 {
	kb, _ := strconv.ParseFloat(strings.TrimSuffix(field(proc+"/status", name), " kB"), 64)
	return kb * 1024
}

// coresSince is how many cores a process used on average since an earlier usage.
func (u usage) coresSince(before usage) float64 {
	return (u.cpu - before.cpu).Seconds() / u.at.Sub(before.at).Seconds()
}
