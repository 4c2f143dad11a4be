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
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// machine says in one line where and when the numbers were made.
func machine() string {
	kernel, _, _ := strings.Cut(firstLine("/proc/sys/kernel/osrelease"), "-")
	return fmt.Sprintf("%s: %d cores (%s), %s of memory, %s, Linux %s, %s; load average %s before the start",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), field("/proc/cpuinfo", "model name"), memory(),
		strings.Trim(field("/etc/os-release", "PRETTY_NAME"), `"`), kernel, runtime.Version(), loadAverage())
}

func memory() string {
	kb, _ := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10, 64)
	return fmt.Sprintf("%.0f GiB", float64(kb)/(1<<20))
}

// machineCPU is the time that all cores were not idle, since the machine's start.
func machineCPU(b *testing.B) (busy time.Duration) {
	b.Helper()
	// The fields are cpu user nice system idle iowait irq softirq steal.
	fields := strings.Fields(firstLine("/proc/stat"))
	for i := 1; i < len(fields) && i <= 8; i++ {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			b.Fatalf("/proc/stat: %v", err)
		}
		if i != 4 && i != 5 {
			busy += time.Duration(n) * clockTick
		}
	}
	return busy
}

// loadAverage is that of the last minute: what else runs shows in the numbers.
func loadAverage() string {
	one, _, _ := strings.Cut(firstLine("/proc/loadavg"), " ")
	return one
}

func firstLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}

// field finds "name: value" or "name=value" in a file of such lines.
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		i := strings.IndexAny(lines.Text(), ":=")
		if i > 0 && strings.TrimSpace(lines.Text()[:i]) == name {
			return strings.TrimSpace(lines.Text()[i+1:])
		}
	}
	return "unknown"
}
