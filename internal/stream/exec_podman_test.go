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

package stream

import (
	"testing"

	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// TestPodmanExec holds Podman to what the tests of dockerd ask for by the Engine alone.
func TestPodmanExec(t *testing.T) {
	t.Parallel()
	p := testbed.StartPodman(t)
	p.ImportBusybox(t, busybox)
	r := &realEngine{eng: connectTo(t, p.Endpoint())}
	id := p.RunContainer(t, "exec", busybox, "sleep", "100000")
	for _, test := range []struct {
		name string
		run  func(*realEngine, *execBed, string)
	}{
		{"output and exit code", (*realEngine).testExit},
		{"terminal and its size", (*realEngine).testSize},
		{"keys that detach", (*realEngine).testDetachKeys},
		{"reattach", (*realEngine).testReattach},
		{"vanished client", (*realEngine).testVanishedAnywhere},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(r, newExecBed(t, hostsOf{r.eng}, ExecOptions{}), id)
		})
	}
}

// testVanishedAnywhere believes the engine that a process has ended.
func (r *realEngine) testVanishedAnywhere(b *execBed, id string) {
	for _, command := range [][]string{{"sh"}, {"sleep", "4321"}, {"yes"}, {"sh", "-c", "trap '' INT HUP; sleep 4321; true"}} {
		for _, tty := range []bool{false, true} {
			b.start(ExecRequest{Container: id, Command: command, TTY: tty, Stdin: true}).Close()
			if res := b.result(); res.Reason != ExecVanished || res.Leftover != nil {
				b.Errorf("%q (tty=%t) ended as %+v, leftover %+v", command, tty, res, res.Leftover)
			}
		}
	}
}
