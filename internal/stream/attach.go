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
	"context"
	"encoding/json"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// AttachRequest says which container's own streams to connect to.
type AttachRequest struct {
	Host Key
	// Container is the full id.
	Container string
	// Owner is who may come back to the session.
	Owner                 string
	Stdin, Stdout, Stderr bool
	// Logs replays what the container has written before.
	Logs bool
	// Size is the terminal's, where the container has one; zero leaves it alone.
	Size         engine.TTYSize
	Reattachable bool
	Hooks        ExecHooks
}

// Attach connects to a container's own streams. The end of the session leaves the
// container running, but for what an end of its stdin does to it.
func (e *ExecSessions) Attach(ctx context.Context, req AttachRequest) (*ExecClient, error) {
	if !req.Stdin && !req.Stdout && !req.Stderr {
		return nil, engine.Errorf(engine.ClassInvalid, "", "none of stdin, stdout and stderr is asked for: ask for one at least")
	}
	if req.Size != (engine.TTYSize{}) {
		if err := checkSize(req.Size); err != nil {
			return nil, err
		}
	}
	eng, err := e.hosts.Engine(req.Host)
	if err != nil {
		return nil, err
	}
	if err := e.reserve(); err != nil {
		return nil, err
	}
	ctx, stop := e.whileOpen(ctx)
	defer stop()
	client, err := e.startAttach(ctx, eng, req)
	if err != nil {
		e.settle(nil)
	}
	return client, err
}

func (e *ExecSessions) startAttach(ctx context.Context, eng engine.Engine, req AttachRequest) (*ExecClient, error) {
	target := &attachTarget{engine: eng, container: req.Container}
	v, err := target.inspect(ctx)
	switch {
	case err != nil:
		return nil, err
	case !v.State.Running:
		return nil, engine.Errorf(engine.ClassConflict, "", "container %s is not running: start it, or read its log", req.Container)
	case req.Stdin && !v.Config.OpenStdin:
		return nil, engine.Errorf(engine.ClassConflict, "", "container %s was created without an open stdin: attach without stdin, or exec", req.Container)
	}
	info := ExecInfo{
		ID: newID(), Owner: req.Owner, Host: req.Host, Container: req.Container,
		TTY: v.Config.Tty, Started: time.Now(),
	}
	s := newExecSession(info, target, e.opts, req.Reattachable, req.Hooks)
	s.stdin, s.size = req.Stdin, req.Size
	return e.launch(ctx, s, func(ctx context.Context) (engine.Session, error) {
		return eng.Attach(ctx, req.Container, engine.AttachOptions{Stdin: req.Stdin, Stdout: req.Stdout, Stderr: req.Stderr, Logs: req.Logs})
	})
}

// attachTarget is a container's own process.
type attachTarget struct {
	engine    engine.Engine
	container string
}

// attached is the part of a container's JSON that attaching needs.
type attached struct {
	State struct {
		Running  bool
		ExitCode int
	}
	Config struct{ Tty, OpenStdin bool }
}

func (t *attachTarget) inspect(ctx context.Context) (attached, error) {
	var v attached
	raw, err := t.engine.Inspect(ctx, engine.Containers, t.container)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's answer about container %s is not understood: %w", t.container, err)
	}
	return v, nil
}

func (t *attachTarget) resize(ctx context.Context, size engine.TTYSize) error {
	return t.engine.ContainerResize(ctx, t.container, size)
}

func (t *attachTarget) exit(ctx context.Context) (code *int, running bool, err error) {
	v, err := t.inspect(ctx)
	if err != nil || v.State.Running {
		return nil, v.State.Running, err
	}
	return &v.State.ExitCode, false, nil
}

// kill leaves the container alone: it was there before the session.
func (*attachTarget) kill(context.Context) error { return nil }

func (*attachTarget) owned() bool { return false }

func (*attachTarget) pid(context.Context) int { return 0 }
