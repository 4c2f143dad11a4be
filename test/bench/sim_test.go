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
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// simulated is a process of simulated engines.
type simulated struct {
	*process
	sockets []string
	control *bare
}

// startSim starts n engines in one process, with more flags, and waits until the last
// one answers.
func startSim(b *testing.B, n int, more ...string) *simulated {
	b.Helper()
	checkFiles(b)
	dir := b.TempDir()
	flags := append([]string{"--hosts", strconv.Itoa(n), "--containers", strconv.Itoa(*containers), "--dir", dir}, more...)
	s := &simulated{process: start(b, "enginesim", flags...), control: newBare(filepath.Join(dir, "control.sock"), false, time.Minute)}
	for i := range n {
		s.sockets = append(s.sockets, filepath.Join(dir, fmt.Sprintf("%04d.sock", i)))
	}
	eventually(b, time.Minute, "the simulated engines", func() bool {
		for _, socket := range []string{s.sockets[0], s.sockets[n-1]} {
			if _, err := newBare(socket, false, time.Second).call(http.MethodGet, "/_ping"); err != nil {
				return false
			}
		}
		return true
	})
	return s
}

// calls counts what the engines were asked for since they began, by method and path.
func (s *simulated) calls(b *testing.B) map[string]float64 {
	b.Helper()
	var counts map[string]float64
	if err := json.Unmarshal(s.control.must(b, fmt.Sprintf("/hosts/0000-%04d/calls", len(s.sockets)-1)), &counts); err != nil {
		b.Fatal(err)
	}
	return counts
}

// blackHole stops the process: its sockets accept, as the kernel does it, and
// nothing answers.
func (s *simulated) blackHole(b *testing.B) {
	b.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		b.Fatal(err)
	}
}

// checkFiles fails where a process may not open the files of a thousand hosts: a
// socket that listens, a kept connection and an event stream each.
func checkFiles(b *testing.B) {
	b.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	if need := uint64(*hosts)*4 + 500; limit.Max < need {
		b.Fatalf("a process may open %d files here and %d hosts need %d: raise the limit (ulimit -Hn), or give --hosts", limit.Max, *hosts, need)
	}
}
