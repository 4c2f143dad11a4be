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

package sim

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/mount"
)

const (
	// The engine waits this long before a restart policy's first restart, then
	// twice as long each time, until a run of stableRun.
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = time.Minute
	stableRun    = 10 * time.Second
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// startContainer starts a container that is not running. The caller holds e.mu.
func (e *Engine) startContainer(c *containerObject) error {
	if err := e.ctx.Err(); err != nil {
		return err
	}
	switch c.state.status {
	case container.StatePaused:
		return errorf(http.StatusConflict, "cannot start a paused container, try unpause instead")
	case container.StateRunning:
		return errNotModified
	}
	c.endRestart()
	if err := e.connect(c); err != nil {
		c.state.status = container.StateExited
		if c.state.startedAt == 0 {
			c.state.status = container.StateCreated
		}
		return err
	}
	e.emitMounts(c, events.ActionMount)
	argv := c.command()
	if !executable(argv) {
		err := errorf(http.StatusBadRequest, "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: %s: unknown", notExecutable(argv[0]))
		c.state.status, c.state.exitCode, c.state.failure = container.StateCreated, 127, err.Error()
		e.disconnect(c)
		return err
	}
	c.state = containerState{
		status: container.StateRunning, pid: e.newPID(), startedAt: e.clock.tick(), finished: c.state.finished, restarts: c.state.restarts,
	}
	c.stopped = false
	c.proc = e.newProcess(c)
	e.emitContainer(c, events.ActionStart)
	c.log().begin()
	c.proc.start(e.ctx)
	return nil
}

// notExecutable is the runtime's word on a command that is not there.
func notExecutable(name string) string {
	if strings.Contains(name, "/") {
		return fmt.Sprintf("exec: %q: stat %s: no such file or directory", name, name)
	}
	return fmt.Sprintf("exec: %q: executable file not found in $PATH", name)
}

// newPID gives out process ids as a busy machine would.
func (e *Engine) newPID() int {
	e.nextPID++
	return e.nextPID
}

// newProcess is the container's first process, not yet started.
func (e *Engine) newProcess(c *containerObject) *process {
	streams := c.streams()
	p := &process{
		pid: c.state.pid, argv: c.command(), env: environment(c, nil, c.config.Tty), dir: c.config.WorkingDir, user: c.config.User,
		tty: c.config.Tty, first: c.host.Init == nil || !*c.host.Init, group: &e.group, in: streams.stdin,
	}
	p.output = func(ctx context.Context, stream byte, b []byte) {
		streams.log.write(e.clock.tick, stream, b)
		streams.show(ctx, stream, b)
	}
	p.exited = func(code int) { e.containerExited(c, p, code) }
	return p
}

// environment is what a process of the container finds in its environment.
func environment(c *containerObject, more []string, tty bool) map[string]string {
	env := map[string]string{"PATH": defaultPath, "HOSTNAME": c.config.Hostname, "HOME": "/root"}
	if tty {
		env["TERM"] = "xterm"
	}
	for _, set := range [][]string{c.config.Env, more} {
		for _, kv := range set {
			k, v, _ := strings.Cut(kv, "=")
			env[k] = v
		}
	}
	return env
}

// process is the running container's first process, made now if nobody has
// needed it. The caller holds e.mu.
func (e *Engine) process(c *containerObject) *process {
	if c.proc == nil {
		c.proc = e.newProcess(c)
		c.log().begin()
		c.proc.start(e.ctx)
		if c.state.status == container.StatePaused {
			c.proc.freeze()
		}
	}
	return c.proc
}

// end is what tells the end of the container's present run. The caller holds e.mu.
func (c *containerObject) end() *runEnd {
	if c.run == nil {
		c.run = &runEnd{done: make(chan struct{})}
	}
	return c.run
}

// closeRun tells those who wait that the run has been dealt with. The caller
// holds e.mu.
func (c *containerObject) closeRun() {
	if c.run != nil {
		c.run.code = c.state.exitCode
		close(c.run.done)
		c.run = nil
	}
}

// containerExited deals with the end of a container's process.
func (e *Engine) containerExited(c *containerObject, p *process, code int) {
	e.mu.Lock()
	if c.proc != p || e.ctx.Err() != nil {
		e.mu.Unlock()
		return
	}
	execs := e.endExecs(c)
	now := e.clock.tick()
	c.log().end(e.clock.tick)
	c.proc = nil
	c.state.pid, c.state.exitCode, c.state.finished = 0, code, now
	c.state.status = container.StateExited
	again := c.restarts(code)
	if again {
		c.state.status = container.StateRestarting
	}
	e.emitContainer(c, events.ActionDie, "exitCode", strconv.Itoa(code))
	e.disconnect(c)
	c.streams().end()
	if again {
		e.scheduleRestart(c)
	} else if c.host.AutoRemove && !c.keep {
		e.forget(c, true)
	}
	c.closeRun()
	onExit := c.onExit
	e.mu.Unlock()
	for _, x := range execs {
		x.kill()
	}
	if onExit != nil {
		onExit(code)
	}
}

// restarts applies the restart policy.
func (c *containerObject) restarts(code int) bool {
	if c.stopped {
		return false
	}
	switch policy := c.host.RestartPolicy; policy.Name {
	case container.RestartPolicyAlways, container.RestartPolicyUnlessStopped:
		return true
	case container.RestartPolicyOnFailure:
		return code != 0 && (policy.MaximumRetryCount == 0 || c.state.restarts < policy.MaximumRetryCount)
	}
	return false
}

func (e *Engine) scheduleRestart(c *containerObject) {
	c.backoff = min(max(2*c.backoff, firstBackoff), maxBackoff)
	if c.state.finished-c.state.startedAt > int64(stableRun) {
		c.backoff = firstBackoff
	}
	c.restart = time.AfterFunc(c.backoff, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if c.restart == nil || e.ctx.Err() != nil {
			return
		}
		c.state.restarts++
		_ = e.startContainer(c)
	})
}

// endRestart calls off a restart that the policy has planned.
func (c *containerObject) endRestart() {
	if c.restart != nil {
		c.restart.Stop()
		c.restart = nil
	}
}

// connect joins a container that starts to its networks and takes its ports.
func (e *Engine) connect(c *containerObject) error {
	for _, ep := range c.ends {
		n, err := e.network(ep.name)
		if err != nil {
			return err
		}
		ep.name, ep.net = n.name, n
	}
	if err := e.publish(c); err != nil {
		return err
	}
	for _, ep := range c.ends {
		ep.address = ep.net.allocate()
		if !ep.net.predefined && len(ep.aliases) == 0 {
			ep.aliases = []string{c.id[:12]}
		}
		e.emitEndpoint(c, ep, events.ActionConnect)
	}
	return nil
}

// disconnect is the end of what connect did, and of the mounts.
func (e *Engine) disconnect(c *containerObject) {
	c.published = nil
	for _, ep := range c.ends {
		if ep.net != nil {
			e.emitEndpoint(c, ep, events.ActionDisconnect)
		}
	}
	e.emitMounts(c, events.ActionUnmount)
}

func (e *Engine) emitEndpoint(c *containerObject, ep *endpoint, action events.Action) {
	e.emit(events.NetworkEventType, action, ep.net.id, nil, "container", c.id, "name", ep.net.name, "type", ep.net.driver)
}

func (e *Engine) emitMounts(c *containerObject, action events.Action) {
	for _, m := range c.mounts {
		if m.Type != mount.TypeVolume {
			continue
		}
		extra := []string{"container", c.id, "driver", m.Driver}
		if action == events.ActionMount {
			extra = append(extra, "destination", m.Destination, "propagation", string(m.Propagation), "read/write", strconv.FormatBool(m.RW))
		}
		e.emit(events.VolumeEventType, action, m.Name, nil, extra...)
	}
}

// forget removes a container that does not run. The caller holds e.mu.
func (e *Engine) forget(c *containerObject, volumes bool) {
	c.endRestart()
	e.containers.remove(c)
	if volumes {
		for _, m := range c.mounts {
			if v, ok := e.volumes[m.Name]; ok && v.anonymous && len(e.users(v)) == 0 {
				e.removeVolume(v)
			}
		}
	}
	e.emitContainer(c, events.ActionDestroy)
	if c.removed != nil {
		close(c.removed)
		c.removed = nil
	}
}
