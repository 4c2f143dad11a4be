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
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// listen listens for TCP in the machine's network, from this process.
func (m *Machine) listen(t testing.TB, address string) net.Listener {
	t.Helper()
	var l net.Listener
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		// A socket stays in the network that its thread was in. The thread is never given
		// back, so that it ends with this goroutine, and nothing else runs in that network.
		runtime.LockOSThread()
		if err = enterNetwork(m.pid); err == nil {
			l, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		}
	}()
	<-done
	if err != nil {
		t.Fatalf("listen at %s of %s: %v", address, m.name, err)
	}
	return l
}

// enterNetwork moves the calling thread to the network of a process.
func enterNetwork(pid int) error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
}
