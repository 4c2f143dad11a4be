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

package enginetest

import (
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func (s *suite) testLifecycle(t *testing.T) {
	subtests(t, []subtest{
		{"create, start, pause, stop, remove", s.testStates},
		{"exit codes", s.testExitCodes},
		{"stop and its grace", s.testStop},
		{"restart", s.testRestart},
		{"kill with a signal", s.testKill},
		{"rename", s.testRename},
		{"what is so already", s.testAlready},
		{"conflicts", s.testConflicts},
		{"unknown container", s.testUnknownContainer},
		{"bad requests", s.testBadRequests},
		{"anonymous volumes", s.testAnonymousVolumes},
	})
}

func (s *suite) testStates(t *testing.T) {
	ctx := s.context(t)
	id := s.create(t, box{name: s.name("life"), cmd: []string{"sleep", "1000"}, labels: map[string]string{"a": "b"}})
	c := s.inspect(t, id)
	if c.ID != id || len(id) != 64 || c.State.Status != "created" || c.State.Running || c.Config.Labels["a"] != "b" {
		t.Errorf("a new container is %+v", c)
	}
	s.must(t, "start", s.e.ContainerStart(ctx, id))
	c = s.inspect(t, id)
	if c.State.Status != "running" || !c.State.Running || time.Since(c.State.StartedAt).Abs() > limit {
		t.Errorf("a started container is %+v", c.State)
	}
	s.must(t, "pause", s.e.ContainerPause(ctx, id))
	if c = s.inspect(t, id); c.State.Status != "paused" || !c.State.Paused {
		t.Errorf("a paused container is %+v", c.State)
	}
	s.must(t, "unpause", s.e.ContainerUnpause(ctx, id))
	if c = s.inspect(t, id); c.State.Status != "running" || c.State.Paused {
		t.Errorf("an unpaused container is %+v", c.State)
	}
	s.must(t, "stop", s.e.ContainerStop(ctx, id, -1))
	c = s.inspect(t, id)
	if c.State.Status != "exited" || c.State.Running || c.State.FinishedAt.Before(c.State.StartedAt) {
		t.Errorf("a stopped container is %+v", c.State)
	}
	s.must(t, "remove", s.e.ContainerRemove(ctx, id, false, false))
	_, err := s.e.Inspect(ctx, engine.Containers, id)
	s.want(t, "inspect of a removed container", err, engine.ClassNotFound)
	if _, ok := s.find(t, engine.Containers, id); ok {
		t.Error("a removed container is listed")
	}
}

func (s *suite) testExitCodes(t *testing.T) {
	for script, want := range map[string]int{"true": 0, "exit 3": 3, "exit 255": 255} {
		if got := s.inspect(t, s.finished(t, script)).State.ExitCode; got != want {
			t.Errorf("%q ended with %d; want %d", script, got, want)
		}
	}
}

func (s *suite) testStop(t *testing.T) {
	ctx := s.context(t)
	// What a stop may take at most tells whose grace it was, so the others are long:
	// dockerd's own is 10 s.
	tests := []struct {
		name     string
		script   string
		own      int // the container's own grace in seconds
		grace    time.Duration
		code     int
		min, max time.Duration
	}{
		// A trap is set before it is said that the script runs: without one the first process
		// of a container does not heed the signal.
		{"heeds the signal", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done", 0, 60 * time.Second, 7, 0, 30 * time.Second},
		{"ignores it", "trap '' TERM; echo up; while :; do sleep 0.05; done", 60, time.Second, 137, 900 * time.Millisecond, 30 * time.Second},
		{"ignores it for its own grace", "trap '' TERM; echo up; while :; do sleep 0.05; done", 1, -1, 137, 900 * time.Millisecond, 9500 * time.Millisecond},
		{"no grace", "trap '' TERM; echo up; while :; do sleep 0.05; done", 60, 0, 137, 0, 30 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			id := s.start(t, box{cmd: []string{"sh", "-c", test.script}, signal: "SIGTERM", grace: test.own})
			s.waitLog(t, id, "up\n")
			from := time.Now()
			s.must(t, "stop", s.e.ContainerStop(ctx, id, test.grace))
			took := time.Since(from)
			if took < test.min || took > test.max {
				t.Errorf("the stop took %v; want %v to %v", took, test.min, test.max)
			}
			if c := s.inspect(t, id); c.State.Running || c.State.ExitCode != test.code {
				t.Errorf("after the stop it is %+v; want exit code %d", c.State, test.code)
			}
		})
	}
}

func (s *suite) testRestart(t *testing.T) {
	ctx := s.context(t)
	id := s.sleeper(t)
	before := s.inspect(t, id).State.StartedAt
	s.must(t, "restart", s.e.ContainerRestart(ctx, id, 0))
	if c := s.inspect(t, id); !c.State.Running || !c.State.StartedAt.After(before) {
		t.Errorf("after a restart it is %+v; it had started at %v", c.State, before)
	}
	s.must(t, "stop", s.e.ContainerStop(ctx, id, 0))
	s.must(t, "restart of a stopped one", s.e.ContainerRestart(ctx, id, 0))
	if c := s.inspect(t, id); !c.State.Running {
		t.Errorf("after a restart it is %+v", c.State)
	}
}

func (s *suite) testKill(t *testing.T) {
	ctx := s.context(t)
	id := s.shell(t, "trap 'echo hup' HUP; trap 'echo usr1; exit 9' USR1; echo up; while :; do sleep 0.05; done")
	s.waitLog(t, id, "up\n")
	s.must(t, "kill with HUP", s.e.ContainerKill(ctx, id, "HUP"))
	s.waitLog(t, id, "up\nhup\n")
	s.must(t, "kill with SIGUSR1", s.e.ContainerKill(ctx, id, "SIGUSR1"))
	s.waitLog(t, id, "up\nhup\nusr1\n")
	s.waitState(t, id, "exited")
	if code := s.inspect(t, id).State.ExitCode; code != 9 {
		t.Errorf("it ended with %d; want 9", code)
	}
	id = s.sleeper(t)
	s.want(t, "kill with an unknown signal", s.e.ContainerKill(ctx, id, "SIGNONSENSE"), engine.ClassInvalid)
	s.must(t, "kill by number", s.e.ContainerKill(ctx, id, "9"))
	s.waitState(t, id, "exited")
}

func (s *suite) testRename(t *testing.T) {
	ctx := s.context(t)
	old, name := s.name("old"), s.name("new")
	id := s.create(t, box{name: old, cmd: []string{"true"}})
	s.must(t, "rename", s.e.ContainerRename(ctx, id, name))
	if c := s.inspect(t, name); c.ID != id || c.Name != "/"+name {
		t.Errorf("by its new name it is %s, %q", c.ID, c.Name)
	}
	_, err := s.e.Inspect(ctx, engine.Containers, old)
	s.want(t, "inspect by the old name", err, engine.ClassNotFound)
	other := s.create(t, box{name: old, cmd: []string{"true"}})
	s.want(t, "rename to a name in use", s.e.ContainerRename(ctx, other, name), engine.ClassConflict)
	s.want(t, "rename to a bad name", s.e.ContainerRename(ctx, other, "a b/c"), engine.ClassInvalid)
}

func (s *suite) testAlready(t *testing.T) {
	ctx := s.context(t)
	id := s.sleeper(t)
	s.must(t, "start of a running container", s.e.ContainerStart(ctx, id))
	s.must(t, "stop", s.e.ContainerStop(ctx, id, 0))
	s.must(t, "stop of a stopped container", s.e.ContainerStop(ctx, id, 0))
}

func (s *suite) testConflicts(t *testing.T) {
	ctx := s.context(t)
	name := s.name("taken")
	running := s.start(t, box{name: name, cmd: []string{"sleep", "1000"}})
	stopped := s.finished(t, "true")
	paused := s.sleeper(t)
	s.must(t, "pause", s.e.ContainerPause(ctx, paused))
	execIn := func(id string) error {
		_, err := s.e.ExecCreate(ctx, id, container.ExecCreateRequest{Cmd: []string{"true"}})
		return err
	}
	_, err := s.e.ContainerCreate(ctx, name, box{cmd: []string{"true"}}.request(s.Image))
	s.want(t, "create with a name in use", err, engine.ClassConflict)
	s.want(t, "pause of a paused container", s.e.ContainerPause(ctx, paused), engine.ClassConflict)
	s.want(t, "pause of a stopped container", s.e.ContainerPause(ctx, stopped), engine.ClassConflict)
	s.want(t, "unpause of a running container", s.e.ContainerUnpause(ctx, running), engine.ClassConflict)
	s.want(t, "unpause of a stopped container", s.e.ContainerUnpause(ctx, stopped), engine.ClassConflict)
	s.want(t, "kill of a stopped container", s.e.ContainerKill(ctx, stopped, ""), engine.ClassConflict)
	s.want(t, "exec in a stopped container", execIn(stopped), engine.ClassConflict)
	s.want(t, "exec in a paused container", execIn(paused), engine.ClassConflict)
	s.want(t, "remove of a running container", s.e.ContainerRemove(ctx, running, false, false), engine.ClassConflict)
	s.want(t, "remove of a paused container", s.e.ContainerRemove(ctx, paused, false, false), engine.ClassConflict)
	s.must(t, "remove of a paused container by force", s.e.ContainerRemove(ctx, paused, true, false))
}

func (s *suite) testUnknownContainer(t *testing.T) {
	ctx, id := s.context(t), unknownID(engine.Containers)
	calls := map[string]func() error{
		"start":   func() error { return s.e.ContainerStart(ctx, id) },
		"stop":    func() error { return s.e.ContainerStop(ctx, id, 0) },
		"restart": func() error { return s.e.ContainerRestart(ctx, id, -1) },
		"kill":    func() error { return s.e.ContainerKill(ctx, id, "") },
		"pause":   func() error { return s.e.ContainerPause(ctx, id) },
		"unpause": func() error { return s.e.ContainerUnpause(ctx, id) },
		"rename":  func() error { return s.e.ContainerRename(ctx, id, s.name("x")) },
		"remove":  func() error { return s.e.ContainerRemove(ctx, id, false, false) },
		"force":   func() error { return s.e.ContainerRemove(ctx, id, true, true) },
		"stats":   func() error { _, err := s.e.Stats(ctx, id); return err },
		"attach":  func() error { _, err := s.e.Attach(ctx, id, engine.AttachOptions{Stdout: true}); return err },
		"logs": func() error {
			_, err := s.e.Logs(ctx, id, engine.LogsOptions{Stdout: true, Tail: -1})
			return err
		},
		"followed logs": func() error {
			_, err := s.e.Logs(ctx, id, engine.LogsOptions{Stdout: true, Tail: -1, Follow: true})
			return err
		},
		"exec": func() error {
			_, err := s.e.ExecCreate(ctx, id, container.ExecCreateRequest{Cmd: []string{"true"}})
			return err
		},
		"exec inspect": func() error { _, err := s.e.ExecInspect(ctx, id); return err },
		"exec start":   func() error { _, err := s.e.ExecStart(ctx, id, container.ExecStartRequest{}); return err },
		"exec resize":  func() error { return s.e.ExecResize(ctx, id, engine.TTYSize{Height: 1, Width: 1}) },
	}
	for name, call := range calls {
		s.want(t, name+" of an unknown id", call(), engine.ClassNotFound)
	}
}

func (s *suite) testBadRequests(t *testing.T) {
	ctx := s.context(t)
	create := func(name, image string, b box) error {
		id, err := s.e.ContainerCreate(ctx, name, b.request(image))
		if err == nil {
			s.remove(t, id)
		}
		return err
	}
	s.want(t, "create from an unknown image", create(s.name("x"), "localhost/no-such-image:1", box{cmd: []string{"true"}}), engine.ClassNotFound)
	s.want(t, "create with a bad name", create("a b", s.Image, box{cmd: []string{"true"}}), engine.ClassInvalid)
	if err := create(s.name("x"), s.Image, box{}); s.differs(t, NoCommandNeeded) {
		s.must(t, "create without a command", err)
	} else {
		s.want(t, "create without a command", err, engine.ClassInvalid)
	}
	id := s.create(t, box{cmd: []string{"/no/such/program"}})
	s.want(t, "start of a program that is not there", s.e.ContainerStart(ctx, id), engine.ClassInvalid)
	c := s.inspect(t, id)
	if s.differs(t, FailedStartForgotten) {
		if c.State.Status != "created" || c.State.ExitCode != 0 {
			t.Errorf("after a failed start it is %+v", c.State)
		}
		return
	}
	if c.State.Status != "created" || c.State.ExitCode != 127 || !strings.Contains(c.State.Error, "no such file") {
		t.Errorf("after a failed start it is %+v", c.State)
	}
}
