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
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
)

// Do does something to a container from inside, as the engine's own machine
// would, whatever fault the engine has: create, start, stop, restart, kill,
// pause, unpause or remove. ref is its id or name; a create takes the name and
// what cmd and image say. It returns the id and the engine's time of the event.
func (e *Engine) Do(action, ref, image string, cmd []string) (id string, at time.Time, err error) {
	if action == "create" {
		return e.doCreate(ref, image, cmd)
	}
	c, err := e.find(ref)
	if err != nil {
		return "", time.Time{}, err
	}
	told := events.Action(action)
	switch action {
	case "start":
		e.mu.Lock()
		err = e.startContainer(c)
		e.mu.Unlock()
	case "stop", "kill":
		told = events.ActionDie
		err = e.doKill(c)
	case "restart":
		told = events.ActionStart
		if err = e.doKill(c); err == nil {
			e.mu.Lock()
			err = e.startContainer(c)
			e.mu.Unlock()
		}
	case "pause":
		err = e.setPaused(c.id, true)
	case "unpause":
		err = e.setPaused(c.id, false)
	case "remove":
		told = events.ActionDestroy
		err = e.remove(c, true, true)
	default:
		err = errorf(http.StatusNotFound, "action %q is none of create, start, stop, restart, kill, pause, unpause and remove", action)
	}
	if err != nil {
		return "", time.Time{}, err
	}
	return c.id, e.bus.lastTime(c.id, told), nil
}

func (e *Engine) doCreate(name, image string, cmd []string) (string, time.Time, error) {
	if len(cmd) == 0 {
		cmd = []string{"sleep", "infinity"}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if image == "" && len(e.images) > 0 && len(e.images[0].tags) > 0 {
		image = e.images[0].tags[0]
	}
	c, err := e.createContainer(name, container.CreateRequest{Config: &container.Config{Image: image, Cmd: cmd}})
	if err != nil {
		return "", time.Time{}, err
	}
	return c.id, e.bus.lastTime(c.id, events.ActionCreate), nil
}

// doKill kills a container and waits for its end.
func (e *Engine) doKill(c *containerObject) error {
	e.mu.Lock()
	end := c.end()
	e.mu.Unlock()
	if err := e.kill(c, sigKill); err != nil {
		return err
	}
	select {
	case <-end.done:
		return nil
	case <-e.ctx.Done():
		return fmt.Errorf("the engine has closed: %w", e.ctx.Err())
	}
}

// lastTime is when the newest such event of an object was; zero when forgotten.
func (b *bus) lastTime(id string, action events.Action) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ev := range slices.Backward(append(slices.Clone(b.ring[b.next:]), b.ring[:b.next]...)) {
		if ev.id == id && ev.action == action {
			return time.Unix(0, ev.nano).UTC()
		}
	}
	return time.Time{}
}
