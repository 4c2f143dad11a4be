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

package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// TestReplicas: what one replica hands out the other one takes, and what runs through one
// that is killed fails, and is seen to.
func TestReplicas(t *testing.T) {
	b := newBed(t, testbed.DockerdOptions{})
	token := b.user(t, dcv1.HostAdmin)
	s := b.balance(t, token)
	u := b.as(t, token)
	t.Run("exec ids", func(t *testing.T) { b.testExecIDs(t, s, u) })
	t.Run("sessions", func(t *testing.T) { b.testSharedSession(t, s, token) })
	t.Run("continue tokens", func(t *testing.T) { b.testContinue(t, s, u) })
	t.Run("jobs", func(t *testing.T) { b.testJobElsewhere(t, s, u) })
	t.Run("one is killed", func(t *testing.T) { b.testKill(t, s, token) })
}

// testExecIDs makes an exec on one replica and starts it on the other one.
func (b *bed) testExecIDs(t *testing.T, s *second, u *httpUser) {
	b.engine.RunContainer(t, "execs", "busybox:test", "sleep", "600")
	for i := range s.backends {
		s.pin(i)
		a := u.do(t, 201, "POST", b.path()+"/containers/execs/exec", map[string]any{"Cmd": []string{"sh", "-c", "exit 3"}})
		id := decode[struct{ ID string }](t, a.body).ID
		s.pin(1 - i)
		u.do(t, 200, "POST", b.path()+"/exec/"+id+"/start", map[string]any{"Detach": true})
		s.pin(roundRobin)
		u.eventually(t, 200, "GET", b.path()+"/exec/"+id+"/json", nil, func(a answer) error {
			if !strings.Contains(string(a.body), `"ExitCode":3`) {
				return fmt.Errorf("the exec is %s", a.body)
			}
			return nil
		})
	}
	s.pin(roundRobin)
}

// testSharedSession logs in at one replica and is known at both.
func (b *bed) testSharedSession(t *testing.T, s *second, token string) {
	s.pin(0)
	browser := b.login(t, token)
	for i := range s.backends {
		s.pin(i)
		browser.do(t, 200, "GET", "/session", nil)
	}
	s.pin(roundRobin)
}

// testContinue reads pages from the replicas in turn.
func (b *bed) testContinue(t *testing.T, s *second, u *httpUser) {
	want := map[string]bool{}
	for i := range 3 {
		want[b.engine.RunContainer(t, fmt.Sprintf("page-%d", i), "busybox:test", "sleep", "600")] = true
	}
	path := b.typed("containers")
	for i := range s.backends {
		s.pin(i)
		u.eventually(t, 200, "GET", path, nil, hasAll(want))
	}
	next, pages := "", 0
	for got := map[string]bool{}; ; pages++ {
		s.pin(pages % 2)
		page := decode[list](t, u.do(t, 200, "GET", path+"?limit=1&continue="+url.QueryEscape(next), nil).body)
		for _, item := range page.Items {
			if got[item.Metadata.UID] {
				t.Errorf("%s comes twice", item.Metadata.Name)
			}
			got[item.Metadata.UID] = true
		}
		if next = page.Metadata.Continue; next != "" {
			continue
		}
		for id := range want {
			if !got[id] {
				t.Errorf("%s is on no page of %v", id, got)
			}
		}
		break
	}
	s.pin(roundRobin)
	if pages < 3 {
		t.Errorf("there were %d pages before the last, want 3 at least", pages)
	}
}

// testJobElsewhere asks a replica for the other one's job.
func (b *bed) testJobElsewhere(t *testing.T, s *second, u *httpUser) {
	s.pin(0)
	a := u.do(t, 202, "POST", b.typed("prune"), map[string]any{"kinds": []string{"networks"}})
	job := decode[jobs.View](t, a.body)
	s.pin(1)
	a = u.do(t, 404, "GET", a.header.Get("Location"), nil)
	status := decode[metav1.Status](t, a.body)
	replica, _, _ := strings.Cut(job.Metadata.Name, ".")
	if status.Details == nil || len(status.Details.Causes) != 1 || status.Details.Causes[0].Type != jobs.CauseOtherReplica ||
		!strings.HasPrefix(job.Metadata.Name, status.Details.Causes[0].Message+".") || a.header.Get("Retry-After") == "" {
		t.Errorf("asked for a job of %s: %s", replica, a.body)
	}
	s.pin(roundRobin)
	u.eventually(t, 200, "GET", b.typed("jobs/"+job.Metadata.Name), nil, succeeded)
}

// testKill kills a replica through which a command is running.
func (b *bed) testKill(t *testing.T, s *second, token string) {
	b.engine.RunContainer(t, "talker", "busybox:test", "sh", "-c", "while echo talk; do sleep 0.1; done")
	s.pin(1)
	commands := map[string]*exec.Cmd{}
	output := map[string]*waitingWriter{}
	for _, line := range []string{"logs --follow talker", "attach --no-stdin talker", "exec talker sh -c 'while echo talk; do sleep 0.1; done'", "events"} {
		cli := b.proxied(t, token)
		commands[line], output[line] = cli.command(t, "docker", split(line)...), newWaitingWriter()
		commands[line].Stdout = output[line]
		if err := commands[line].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for line, out := range output {
		if line != "events" { // says nothing until something happens
			out.wait(t)
		}
	}
	b.engine.RunContainer(t, "happening", "busybox:test", "true")
	output["events"].wait(t)
	events, ended := b.as(t, token).watch(t, b.typed("containers")+"?watch=true")
	until(t, events, "a container", func(e watchEvent) bool { return e.Type == "ADDED" })
	s.kill()
	s.pin(roundRobin)
	for range 4 { // each backend is tried twice
		if r := runCommand(t, b.proxied(t, token).command(t, "docker", "ps", "--quiet")); r.Code != 0 {
			t.Errorf("the next command fails: %s", r)
		}
	}
	for line, cmd := range commands {
		if err := cmd.Wait(); err == nil {
			t.Errorf("docker %s ended as if that was its end, though the replica was killed", line)
		}
	}
	if err := endOf(t, events, ended); errors.Is(err, io.EOF) {
		t.Error("a watch ended as if that was its end, though the replica was killed")
	}
	b.as(t, token).do(t, http.StatusOK, "GET", b.path()+"/containers/talker/json", nil)
}

// endOf waits for the end of a watch.
func endOf(t *testing.T, events <-chan watchEvent, ended <-chan error) error {
	t.Helper()
	deadline := time.After(patient)
	for {
		select {
		case <-events:
		case err := <-ended:
			return err
		case <-deadline:
			t.Fatalf("the watch did not end within %s", patient)
		}
	}
}

// waitingWriter says when the first byte has come.
type waitingWriter struct {
	first chan struct{}
	begun bool
}

func newWaitingWriter() *waitingWriter { return &waitingWriter{first: make(chan struct{})} }

// Write is called by one goroutine.
func (w *waitingWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.begun = true
		close(w.first)
	}
	return len(p), nil
}

func (w *waitingWriter) wait(t *testing.T) {
	t.Helper()
	testbed.Eventually(t, patient, "output", func() bool {
		select {
		case <-w.first:
			return true
		default:
			return false
		}
	})
}
