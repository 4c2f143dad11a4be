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
	"net/http"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
)

// defaultGrace is how long a stop waits before it kills.
const defaultGrace = 10 * time.Second

func (e *Engine) notRunning(c *containerObject) error {
	return errorf(http.StatusConflict, "Container %s is not running", c.id)
}

// kill sends a signal to a running container, which a user asked for.
func (e *Engine) kill(c *containerObject, sig int) error {
	e.mu.Lock()
	if !c.running() {
		e.mu.Unlock()
		return e.notRunning(c)
	}
	if c.restart != nil {
		c.endRestart()
		c.state.status = container.StateExited
		c.closeRun()
		e.mu.Unlock()
		return nil
	}
	p := e.process(c)
	ends := sig == sigKill || sig == c.stopSignal()
	c.stopped = c.stopped || ends
	e.emitContainer(c, events.ActionKill, "signal", strconv.Itoa(sig))
	thaw := ends && c.state.status == container.StatePaused
	if thaw {
		c.state.status = container.StateRunning
		e.emitContainer(c, events.ActionUnPause)
	}
	e.mu.Unlock()
	p.signal(sig)
	if thaw {
		p.unfreeze()
	}
	return nil
}

func (c *containerObject) stopSignal() int {
	if sig, err := parseSignal(c.config.StopSignal); err == nil {
		return sig
	}
	return sigTerm
}

// grace is how long a stop waits: as the call says, or the container's own.
// Negative is for ever.
func (c *containerObject) grace(t string) (time.Duration, error) {
	if t != "" {
		n, err := strconv.Atoi(t)
		if err != nil {
			return 0, errorf(http.StatusBadRequest, "%v", err)
		}
		return time.Duration(n) * time.Second, nil
	}
	if c.config.StopTimeout != nil {
		return time.Duration(*c.config.StopTimeout) * time.Second, nil
	}
	return defaultGrace, nil
}

// stop ends a running container: its stop signal, then after the grace a kill.
func (e *Engine) stop(ctx context.Context, c *containerObject, grace time.Duration) error {
	e.mu.Lock()
	end := c.end()
	e.mu.Unlock()
	if err := e.kill(c, c.stopSignal()); err != nil {
		return nil // it ended meanwhile
	}
	var over <-chan time.Time
	if grace >= 0 {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-end.done:
	case <-over:
		_ = e.kill(c, sigKill)
		select {
		case <-end.done:
		case <-e.ctx.Done():
			return e.ctx.Err()
		}
	case <-ctx.Done():
		return ctx.Err()
	case <-e.ctx.Done():
		return e.ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.emitContainer(c, events.ActionStop)
	return nil
}

// find looks a container up under the lock.
func (e *Engine) find(ref string) (*containerObject, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.containers.get(ref)
}

func (e *Engine) isRunning(c *containerObject) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return c.running()
}

func (e *Engine) serveStart(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	c, err := e.containers.get(r.name)
	if err == nil {
		err = e.startContainer(c)
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (e *Engine) serveStop(w http.ResponseWriter, r *request) error {
	c, err := e.find(r.name)
	if err != nil {
		return err
	}
	grace, err := c.grace(r.query.Get("t"))
	if err != nil {
		return err
	}
	if !e.isRunning(c) {
		return errNotModified
	}
	if err := e.stop(e.ctx, c, grace); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (e *Engine) serveRestart(w http.ResponseWriter, r *request) error {
	c, err := e.find(r.name)
	if err != nil {
		return err
	}
	grace, err := c.grace(r.query.Get("t"))
	if err != nil {
		return err
	}
	if e.isRunning(c) {
		// A container that removes itself must not do so in between.
		e.mu.Lock()
		c.keep = true
		e.mu.Unlock()
		err = e.stop(e.ctx, c, grace)
		e.mu.Lock()
		c.keep = false
		e.mu.Unlock()
	}
	if err == nil {
		e.mu.Lock()
		if err = e.startContainer(c); err == nil {
			e.emitContainer(c, events.ActionRestart)
		}
		e.mu.Unlock()
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (e *Engine) serveKill(w http.ResponseWriter, r *request) error {
	c, err := e.find(r.name)
	if err != nil {
		return err
	}
	sig := sigKill
	if s := r.query.Get("signal"); s != "" {
		if sig, err = parseSignal(s); err != nil {
			return err
		}
	}
	e.mu.Lock()
	running, end := c.running(), (*runEnd)(nil)
	if running {
		end = c.end()
	}
	e.mu.Unlock()
	if !running {
		return errorf(http.StatusConflict, "Cannot kill container: %s: Container %s is not running", r.name, c.id)
	}
	if err := e.kill(c, sig); err != nil {
		return err
	}
	if sig == sigKill {
		select {
		case <-end.done:
		case <-r.Context().Done():
		case <-e.ctx.Done():
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (e *Engine) servePause(w http.ResponseWriter, r *request) error {
	if err := e.setPaused(r.name, true); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (e *Engine) serveUnpause(w http.ResponseWriter, r *request) error {
	if err := e.setPaused(r.name, false); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// setPaused freezes a container's processes, or lets them go on.
func (e *Engine) setPaused(ref string, paused bool) error {
	e.mu.Lock()
	c, err := e.containers.get(ref)
	if err == nil {
		err = e.checkPause(c, paused)
	}
	if err != nil {
		e.mu.Unlock()
		return err
	}
	processes := []*process{c.proc}
	for _, x := range c.execs {
		processes = append(processes, x.proc)
	}
	if paused {
		c.state.status = container.StatePaused
		e.emitContainer(c, events.ActionPause)
	} else {
		c.state.status = container.StateRunning
		e.emitContainer(c, events.ActionUnPause)
	}
	e.mu.Unlock()
	for _, p := range processes {
		switch {
		case p == nil:
		case paused:
			p.freeze()
		default:
			p.unfreeze()
		}
	}
	return nil
}

// checkPause says why a container cannot be paused, or unpaused, now.
func (e *Engine) checkPause(c *containerObject, paused bool) error {
	switch is := c.state.status; {
	case !paused && is != container.StatePaused:
		return errorf(http.StatusInternalServerError, "Container %s is not paused", c.id)
	case !paused:
		return nil
	case is == container.StatePaused:
		return errorf(http.StatusConflict, "Container %s is already paused", c.id)
	case is == container.StateRestarting:
		return errorf(http.StatusConflict, "Container %s is restarting, wait until the container is running", c.id)
	case !c.running():
		return e.notRunning(c)
	}
	return nil
}

func (e *Engine) serveRename(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, err := e.containers.get(r.name)
	if err != nil {
		return err
	}
	name, old := r.query.Get("name"), c.name
	if name == "" {
		return errorf(http.StatusBadRequest, "Neither old nor new names may be empty")
	}
	if !validName.MatchString(name) {
		return errorf(http.StatusBadRequest, "Error when allocating new name: Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name)
	}
	if name[0] == '/' {
		name = name[1:]
	}
	if name == old {
		return errorf(http.StatusBadRequest, "Renaming a container with the same name as its current name")
	}
	if other, taken := e.containers.byName[name]; taken {
		return errorf(http.StatusConflict, "Error when allocating new name: %v", nameTaken(name, other))
	}
	e.containers.rename(c, name)
	e.emitContainer(c, events.ActionRename, "oldName", "/"+old)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (e *Engine) serveRemove(w http.ResponseWriter, r *request) error {
	c, err := e.find(r.name)
	if err != nil {
		return err
	}
	if err := e.remove(c, r.flag("force"), r.flag("v")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// remove removes a container; a running one only by force.
func (e *Engine) remove(c *containerObject, force, volumes bool) error {
	e.mu.Lock()
	status, end := c.state.status, c.end()
	e.mu.Unlock()
	switch {
	case status == container.StatePaused && !force:
		return errorf(http.StatusConflict, "You cannot remove a paused container %s. Unpause and then stop the container before attempting removal or force remove", c.id)
	case status == container.StateRunning && !force:
		return errorf(http.StatusConflict, "You cannot remove a running container %s. Stop the container before attempting removal or force remove", c.id)
	case status == container.StateRestarting && !force:
		return errorf(http.StatusConflict, "You cannot remove a restarting container %s. Stop the container before attempting removal or force remove", c.id)
	}
	if status == container.StateRunning || status == container.StatePaused {
		if e.kill(c, sigKill) == nil {
			select {
			case <-end.done:
			case <-e.ctx.Done():
				return e.ctx.Err()
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.containers.byID[c.id] != nil {
		e.forget(c, volumes)
	}
	return nil
}
