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
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Machine is a set of namespaces that daemons run in as if it were a machine of
// their own, with this one's files. Everything in it ends with the test.
type Machine struct {
	name    string
	slot    *slot
	init    *exec.Cmd
	stdin   io.Closer // the first process lives while this is open
	pid     int       // of the first process, seen from here
	network bool      // its own, not this machine's
	cabled  bool
}

// firstProcess is the program of a machine's first process: sh collects the
// orphans' ends while cat waits for the pipe to close, again if it is killed. $1 is the host name, $2 an
// empty directory that hides the host's settings of its own engine (and, of
// engines before 23.0, the key their ID is made of).
const firstProcess = `
hostname "$1" && ip link set lo up && mkdir -p /etc/docker && mount --bind "$2" /etc/docker || exit 1
echo ready
until cat >/dev/null; do :; done
`

// startMachine makes a machine. With network false it shares this one's network.
func startMachine(t testing.TB, name string, network bool) *Machine {
	t.Helper()
	requireRoot(t)
	unshare := require(t, "unshare", "util-linux")
	require(t, "nsenter", "util-linux")
	require(t, "ip", "iproute2")
	m := &Machine{name: name, slot: takeSlot(t), network: network}
	t.Cleanup(func() {
		m.stop(t)
		if err := m.slot.release(); err != nil {
			t.Errorf("clean up after %s: %v", name, err)
		}
	})
	etc := m.makeDir(t, "etc")

	args := []string{"--pid", "--fork", "--mount", "--propagation", "slave", "--mount-proc", "--uts"}
	if network {
		args = append(args, "--net")
	}
	args = append(args, "--", "sh", "-c", firstProcess, "sh", name, etc)
	m.init = exec.Command(unshare, args...)
	m.init.Env = environment(m.slot.dir)
	m.init.Dir = "/"
	var problems strings.Builder
	m.init.Stderr = &problems
	stdin, err := m.init.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := m.init.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.init.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	m.stdin = stdin
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		m.stop(t)
		t.Fatalf("make namespaces for %s: %v\n%s", name, err, problems.String())
	}
	if m.pid, err = onlyChild(m.init.Process.Pid); err != nil {
		t.Fatalf("find the first process of %s: %v", name, err)
	}
	return m
}

// stop ends everything in the machine.
func (m *Machine) stop(t testing.TB) {
	if m.stdin == nil {
		return
	}
	if m.pid != 0 {
		p, err := os.FindProcess(m.pid)
		if err == nil {
			err = p.Kill() // at once; the pipe's end would do it a little later
		}
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("end %s: %v", m.name, err)
		}
	}
	_ = m.stdin.Close()
	if m.slot != nil {
		m.slot.thaw() // a container that a test left paused cannot be killed
	}
	_ = m.init.Wait() // "killed" is what it should say
	m.stdin = nil
}

// onlyChild is the process that pid has started; it waits for it a little.
func onlyChild(pid int) (int, error) {
	path := fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)
	var child int
	var err error
	within(30*time.Second, func() bool {
		var b []byte
		if b, err = os.ReadFile(path); err != nil {
			return true
		}
		child, err = strconv.Atoi(strings.TrimSpace(string(b)))
		return err == nil
	})
	return child, err
}

// makeDir makes a directory in the machine's slot.
func (m *Machine) makeDir(t testing.TB, name string) string {
	t.Helper()
	dir := m.path(name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// path is where a file of the machine's is.
func (m *Machine) path(name string) string { return filepath.Join(m.slot.dir, name) }

// command is a command that runs in the machine.
func (m *Machine) command(name string, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(m.pid), "--pid", "--mount", "--uts"}
	if m.network {
		enter = append(enter, "--net")
	}
	cmd := exec.Command("nsenter", append(append(enter, "--", name), args...)...)
	cmd.Env = environment(m.slot.dir)
	cmd.Dir = "/"
	return cmd
}

// run runs a short command in the machine and fails the test where it fails.
func (m *Machine) run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := m.command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("in %s: %s %s: %v\n%s", m.name, name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// cable connects the machine's network to this one's and returns the machine's
// address.
func (m *Machine) cable(t testing.TB) string {
	t.Helper()
	here, there := m.slot.addresses()
	if m.cabled {
		return there
	}
	link := m.slot.link()
	run(t, "ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(m.pid))
	run(t, "ip", "address", "add", here+"/30", "dev", link)
	run(t, "ip", "link", "set", link, "up")
	m.run(t, "ip", "address", "add", there+"/30", "dev", "eth0")
	m.run(t, "ip", "link", "set", "eth0", "up")
	m.run(t, "ip", "route", "add", "default", "via", here)
	m.cabled = true
	return there
}

// CutNetwork drops every packet to and from this machine without a word, also
// those of connections that are open.
func (m *Machine) CutNetwork(t testing.TB) {
	t.Helper()
	m.filter(t, "--insert")
}

// HealNetwork undoes CutNetwork.
func (m *Machine) HealNetwork(t testing.TB) {
	t.Helper()
	m.filter(t, "--delete")
}

func (m *Machine) filter(t testing.TB, action string) {
	t.Helper()
	if !m.cabled {
		t.Fatalf("%s has no network cable: start it with TCP", m.name)
	}
	require(t, "iptables", "iptables")
	m.run(t, "iptables", "--wait", action, "INPUT", "--in-interface", "eth0", "--jump", "DROP")
	m.run(t, "iptables", "--wait", action, "OUTPUT", "--out-interface", "eth0", "--jump", "DROP")
}

// killAll kills every process of the machine but the first.
func (m *Machine) killAll(t testing.TB) {
	t.Helper()
	_ = m.command("kill", "-KILL", "-1").Run() // kills itself too
}
