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
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
)

// containerObject is one container. Its fields are guarded by Engine.mu. It is
// kept small: what follows from the id is derived when asked for, and config and
// host are shared between generated containers.
type containerObject struct {
	id, name  string
	image     *imageObject
	config    *container.Config
	host      *container.HostConfig
	created   int64
	state     containerState
	ends      []*endpoint
	mounts    []container.MountPoint
	published []published       // while it runs
	attrs     map[string]string // of events; dropped when the name changes
	io        *stdio            // made when needed
	proc      *process          // while it runs; nil too for a generated container nobody has touched
	run       *runEnd           // made when waited for
	removed   chan struct{}     // closed at the removal; made when waited for
	execs     []*execution      // not ended
	stopped   bool              // by a user: no restart policy
	keep      bool              // is being restarted: not to remove itself
	onExit    func(code int)    // the swarm's
	restart   *time.Timer       // of the restart policy
	backoff   time.Duration
}

// runEnd tells that a run of a container has ended and been dealt with.
type runEnd struct {
	done chan struct{}
	code int
}

// containerState is what a container's process is and was.
type containerState struct {
	status              container.ContainerState
	pid, exitCode       int
	failure             string
	startedAt, finished int64
	restarts            int
	oom                 bool
}

func (c *containerObject) running() bool {
	switch c.state.status {
	case container.StateRunning, container.StatePaused, container.StateRestarting:
		return true
	}
	return false
}

// command is the process's path and arguments.
func (c *containerObject) command() []string {
	return append(slices.Clone(c.config.Entrypoint), c.config.Cmd...)
}

// eventAttrs are the labels, the image and the name, as container events have.
func (c *containerObject) eventAttrs() map[string]string {
	if c.attrs == nil {
		c.attrs = make(map[string]string, len(c.config.Labels)+2)
		for k, v := range c.config.Labels {
			c.attrs[k] = v
		}
		c.attrs["image"], c.attrs["name"] = c.config.Image, c.name
	}
	return c.attrs
}

func (e *Engine) emitContainer(c *containerObject, action events.Action, extra ...string) {
	e.bus.publish(&event{
		kind: events.ContainerEventType, action: action, id: c.id, from: c.config.Image, scope: "local",
		attrs: c.eventAttrs(), extra: extra, nano: e.clock.tick(),
	})
}

// containerStore holds containers in the order they were made.
type containerStore struct {
	order  []*containerObject
	byID   map[string]*containerObject
	byName map[string]*containerObject
}

func (s *containerStore) add(c *containerObject) {
	if s.byID == nil {
		s.byID, s.byName = map[string]*containerObject{}, map[string]*containerObject{}
	}
	s.order = append(s.order, c)
	s.byID[c.id], s.byName[c.name] = c, c
}

func (s *containerStore) remove(c *containerObject) {
	if i := slices.Index(s.order, c); i >= 0 {
		s.order = slices.Delete(s.order, i, i+1)
	}
	delete(s.byID, c.id)
	delete(s.byName, c.name)
}

func (s *containerStore) rename(c *containerObject, name string) {
	delete(s.byName, c.name)
	c.name, c.attrs = name, nil
	s.byName[name] = c
}

// get finds a container by id, name, or the beginning of an id, in this order.
func (s *containerStore) get(ref string) (*containerObject, error) {
	if c, ok := s.byID[ref]; ok {
		return c, nil
	}
	if c, ok := s.byName[strings.TrimPrefix(ref, "/")]; ok {
		return c, nil
	}
	var found *containerObject
	for _, c := range s.order {
		if ref != "" && strings.HasPrefix(c.id, ref) {
			if found != nil {
				return nil, errorf(http.StatusBadRequest, "Multiple IDs found with provided prefix: %s", ref)
			}
			found = c
		}
	}
	if found == nil {
		return nil, notFound("container", ref)
	}
	return found, nil
}

// describe is the Status column: "Up 5 minutes", "Exited (0) 2 hours ago".
func (c *containerObject) describe(now time.Time) string {
	since := func(nano int64) string { return units(now.Sub(time.Unix(0, nano))) }
	switch s := &c.state; s.status {
	case container.StateCreated:
		return "Created"
	case container.StateRunning:
		return "Up " + since(s.startedAt)
	case container.StatePaused:
		return "Up " + since(s.startedAt) + " (Paused)"
	case container.StateRestarting:
		return fmt.Sprintf("Restarting (%d) %s ago", s.exitCode, since(s.finished))
	case container.StateDead:
		return "Dead"
	case container.StateRemoving:
		return "Removal In Progress"
	}
	return fmt.Sprintf("Exited (%d) %s ago", c.state.exitCode, since(c.state.finished))
}

// units spells a duration in words, roughly, as the engine's lists do.
func units(d time.Duration) string {
	hours := int(d.Round(time.Hour).Hours())
	switch s, m := int(d.Seconds()), int(d.Minutes()); {
	case s < 1:
		return "Less than a second"
	case s == 1:
		return "1 second"
	case s < 60:
		return fmt.Sprintf("%d seconds", s)
	case m == 1:
		return "About a minute"
	case m < 60:
		return fmt.Sprintf("%d minutes", m)
	case hours == 1:
		return "About an hour"
	case hours < 48:
		return fmt.Sprintf("%d hours", hours)
	case hours < 24*7*2:
		return fmt.Sprintf("%d days", hours/24)
	case hours < 24*30*2:
		return fmt.Sprintf("%d weeks", hours/24/7)
	case hours < 24*365*2:
		return fmt.Sprintf("%d months", hours/24/30)
	}
	return fmt.Sprintf("%d years", int(d.Hours())/24/365)
}
