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
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

const (
	// limit bounds a test's waiting. What takes longer on two busy cores hangs.
	limit = 2 * time.Minute
	// prompt is how soon a call must end that was told to: far from the minutes that
	// it may last otherwise, and long enough for two busy cores.
	prompt = 30 * time.Second
)

// ownLabel is on everything the suite makes.
const ownLabel = "dockercontrol.dev/enginetest"

// suite is a run of the contract.
type suite struct {
	Fixture
	e       engine.Engine
	counter atomic.Int64
}

func (s *suite) open(t testing.TB) engine.Engine {
	t.Helper()
	e, err := s.Open()
	if err != nil {
		t.Fatalf("open the engine: %v", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	})
	return e
}

// differs reports whether the fixture declares a difference, and logs the reason.
func (s *suite) differs(t testing.TB, d Difference) bool {
	t.Helper()
	reason, ok := s.Differs[d]
	if ok {
		t.Logf("differs from dockerd: %s: %s", d, reason)
	}
	return ok
}

// context ends with the test, or after limit.
func (s *suite) context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// name is a name that nothing on the engine has yet.
func (s *suite) name(what string) string {
	return fmt.Sprintf("contract-%s-%d", what, s.counter.Add(1))
}

// box is a container to be made.
type box struct {
	name    string
	cmd     []string
	tty     bool
	stdin   bool
	network string // default none: the fastest to start
	env     []string
	labels  map[string]string
	mounts  []mount.Mount
	signal  string // to stop it; default SIGKILL, so that every command stops at once
	grace   int    // seconds before the kill, if not 0
}

func (b box) request(image string) container.CreateRequest {
	labels := map[string]string{ownLabel: "container"}
	for k, v := range b.labels {
		labels[k] = v
	}
	network, signal := b.network, b.signal
	if network == "" {
		network = "none"
	}
	if signal == "" {
		signal = "SIGKILL"
	}
	req := container.CreateRequest{
		Config: &container.Config{
			Image: image, Cmd: b.cmd, Env: b.env, Labels: labels, StopSignal: signal,
			Tty: b.tty, OpenStdin: b.stdin, StdinOnce: b.stdin,
		},
		HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(network), Mounts: b.mounts},
	}
	if b.grace != 0 {
		req.StopTimeout = &b.grace
	}
	return req
}

// create makes a container that is removed after the test.
func (s *suite) create(t testing.TB, b box) string {
	t.Helper()
	if b.name == "" {
		b.name = s.name("box")
	}
	id, err := s.e.ContainerCreate(s.context(t), b.name, b.request(s.Image))
	if err != nil {
		t.Fatalf("create a container: %v", err)
	}
	t.Cleanup(func() { s.remove(t, id) })
	return id
}

// remove removes a container, if it is still there.
func (s *suite) remove(t testing.TB, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit)
	defer cancel()
	var err error
	for {
		// A container that ends by itself just now makes Podman's remove fail.
		err = s.e.ContainerRemove(ctx, id, true, true)
		if !engine.IsConflict(err) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil && !engine.IsNotFound(err) {
		t.Errorf("remove container %s: %v", id, err)
	}
}

// start makes a container and starts it.
func (s *suite) start(t testing.TB, b box) string {
	t.Helper()
	id := s.create(t, b)
	s.must(t, "start", s.e.ContainerStart(s.context(t), id))
	return id
}

// sleeper starts a container that runs until it is removed.
func (s *suite) sleeper(t testing.TB) string {
	t.Helper()
	return s.start(t, box{cmd: []string{"sleep", "1000"}})
}

// shell starts a container that runs a script.
func (s *suite) shell(t testing.TB, script string) string {
	t.Helper()
	return s.start(t, box{cmd: []string{"sh", "-c", script}})
}

// finished runs a script in a container to its end.
func (s *suite) finished(t testing.TB, script string) string {
	t.Helper()
	id := s.shell(t, script)
	s.waitState(t, id, "exited")
	return id
}

// must fails the test where err is not nil.
func (s *suite) must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v (class %s)", what, err, engine.ClassOf(err))
	}
}

// want checks the class of an error, and what every error must be.
func (s *suite) want(t testing.TB, what string, err error, class engine.Class) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error; want class %q", what, class)
		return
	}
	var e *engine.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: the error is a %T; want *engine.Error: %v", what, err, err)
		return
	}
	if e.Class != class {
		t.Errorf("%s: class %q; want %q: %v", what, e.Class, class, err)
	}
	if strings.TrimSpace(e.Message) == "" {
		t.Errorf("%s: the error has no message: %v", what, e.Err)
	}
}

// inspection is what the suite reads of a container's inspect.
type inspection struct {
	ID, Name string
	State    struct {
		Status          string
		Running, Paused bool
		ExitCode        int
		Error           string
		StartedAt       time.Time
		FinishedAt      time.Time
	}
	Config struct {
		Image  string
		Labels map[string]string
		Tty    bool
	}
	Mounts []struct{ Type, Name, Destination string }
}

func (s *suite) inspect(t testing.TB, id string) inspection {
	t.Helper()
	var v inspection
	s.inspectInto(t, engine.Containers, id, &v)
	return v
}

// inspectInto decodes an object's inspect.
func (s *suite) inspectInto(t testing.TB, kind engine.Kind, id string, v any) {
	t.Helper()
	raw, err := s.e.Inspect(s.context(t), kind, id)
	s.must(t, "inspect", err)
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("inspect of %s %s: %v", kind, id, err)
	}
}

// waitState waits for a container's state.
func (s *suite) waitState(t testing.TB, id, state string) {
	t.Helper()
	eventually(t, "container to be "+state, func() bool { return s.inspect(t, id).State.Status == state })
}

// find lists one object by id.
func (s *suite) find(t testing.TB, kind engine.Kind, id string) (engine.Object, bool) {
	t.Helper()
	objects, err := s.e.List(s.context(t), kind, engine.ListOptions{IDs: []string{id}})
	s.must(t, "list "+string(kind), err)
	if len(objects) == 0 {
		return engine.Object{}, false
	}
	return objects[0], true
}

// eventually polls until f is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for the %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ends runs f, which must return soon.
func ends(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(prompt):
		t.Fatalf("%s did not end within %v", what, prompt)
	}
}

// readAll reads a stream to its end, however long the engine takes within limit.
func readAll(t testing.TB, r io.ReadCloser) []byte {
	t.Helper()
	timer := time.AfterFunc(limit, func() { _ = r.Close() })
	defer timer.Stop()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read after %d bytes: %v", len(b), err)
	}
	return b
}

// again does something at once and then five times a second, until it fails or
// the returned stop is called: an engine answers the request for a stream before
// it looks at what the stream is of, so that who waits on one has to go on doing
// what it shows.
func again(t testing.TB, do func() error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			if err := do(); err != nil {
				t.Errorf("doing it again: %v", err)
				return
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	}()
	return func() { cancel(); <-done }
}
