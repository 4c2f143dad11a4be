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
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// holdVariable makes TestKilledTestLeavesNothing the test that is killed.
const holdVariable = "TESTBED_TEST_HOLD"

// TestKilledTestLeavesNothing kills a test that runs an engine with a container,
// and looks for what is left.
func TestKilledTestLeavesNothing(t *testing.T) {
	if os.Getenv(holdVariable) != "" {
		hold(t)
		return
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledTestLeavesNothing$",
		"-test.artifacts", "-test.outputdir="+t.TempDir()) // else its logs stay in the temporary directory
	cmd.Env = append(os.Environ(), holdVariable+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	var namespace string
	var n int
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		_, err = fmt.Sscanf(line, "holding %s %d", &namespace, &n)
	}
	if err != nil {
		t.Fatalf("the test to be killed did not start: %v: %s", err, line)
	}
	if len(processes(t, namespace)) < 4 { // first process, dockerd, containerd, shim, container
		t.Errorf("the namespace %s has only the processes %v", namespace, processes(t, namespace))
	}
	s := slot{n: n}
	before := s.files()
	if len(before) < 2 {
		t.Errorf("the test to be killed has %v, want an interface and a cgroup", before)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, 30*time.Second, "the processes of a killed test to end", func() bool {
		return len(processes(t, namespace)) == 0
	})
	link := "/sys/class/net/" + s.link()
	Eventually(t, 30*time.Second, "the interface of a killed test to go", func() bool {
		return !os.SameFile(before[link], s.files()[link])
	})
	// What is left is files, for the slot's next owner: any slot taken is empty.
	m := startMachine(t, "next", true)
	if entries, err := os.ReadDir(m.slot.dir); err != nil || len(entries) != 1 {
		t.Errorf("a new machine's directory holds %v, %v; want etc alone", entries, err)
	}
}

func hold(t *testing.T) {
	d := StartDockerd(t, DockerdOptions{TCP: true})
	d.ImportBusybox(t, image)
	d.RunContainer(t, "c1", image, "sleep", "1000")
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", d.PID()))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("holding %s %d\n", namespace, d.machine.slot.n)
	time.Sleep(time.Minute)
	t.Error("nobody killed this test")
}

// processes are the processes in a process namespace.
func processes(t *testing.T, namespace string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789") != "" {
			continue
		}
		if ns, err := os.Readlink("/proc/" + e.Name() + "/ns/pid"); err == nil && ns == namespace {
			name, _ := os.ReadFile("/proc/" + e.Name() + "/comm")
			found = append(found, strings.TrimSpace(string(name)))
		}
	}
	return found
}
