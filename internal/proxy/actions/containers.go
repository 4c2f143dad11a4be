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

package actions

import (
	"context"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// none are the options of an action that has none.
type none struct{}

// plain serves an action without options on the path's container.
func (c *call) plain(done string, act func(ctx context.Context, id string) error) error {
	if err := c.read(&none{}); err != nil {
		return err
	}
	return c.act(done, act)
}

// act records and does something to the path's object, and answers.
func (c *call) act(done string, act func(ctx context.Context, id string) error) error {
	id := c.route.Object
	if err := c.do(id, func(ctx context.Context) error { return act(ctx, id) }); err != nil {
		return err
	}
	return c.succeeded(id, "", c.line.kind+" "+id+" "+done)
}

func (a *Actions) start(c *call) error   { return c.plain("was started", c.eng.ContainerStart) }
func (a *Actions) pause(c *call) error   { return c.plain("was paused", c.eng.ContainerPause) }
func (a *Actions) unpause(c *call) error { return c.plain("goes on", c.eng.ContainerUnpause) }

// stopOptions are those of stop and restart.
type stopOptions struct {
	// Timeout is the grace in seconds before the kill; the container's own by default.
	Timeout *int `json:"timeout"`
}

// grace is the timeout as the engine interface wants it.
func (o stopOptions) grace() (time.Duration, error) {
	if o.Timeout == nil {
		return -1, nil
	}
	if *o.Timeout < 0 || time.Duration(*o.Timeout)*time.Second > stopPatience {
		return 0, apistatus.BadRequest("timeout is a number of seconds from 0 to %d", int(stopPatience.Seconds()))
	}
	return time.Duration(*o.Timeout) * time.Second, nil
}

func (a *Actions) stop(c *call) error {
	return c.stopping("was stopped", c.eng.ContainerStop)
}

func (a *Actions) restart(c *call) error {
	return c.stopping("was restarted", c.eng.ContainerRestart)
}

func (c *call) stopping(done string, act func(context.Context, string, time.Duration) error) error {
	var o stopOptions
	if err := c.read(&o); err != nil {
		return err
	}
	grace, err := o.grace()
	if err != nil {
		return err
	}
	return c.act(done, func(ctx context.Context, id string) error { return act(ctx, id, grace) })
}

func (a *Actions) kill(c *call) error {
	var o struct {
		// Signal is a name, with or without SIG, or a number; SIGKILL by default.
		Signal string `json:"signal"`
	}
	if err := c.read(&o); err != nil {
		return err
	}
	if o.Signal == "" {
		o.Signal = "SIGKILL"
	}
	if err := checkSignal(o.Signal); err != nil {
		return err
	}
	return c.act("was sent "+strings.ToUpper(o.Signal), func(ctx context.Context, id string) error { return c.eng.ContainerKill(ctx, id, o.Signal) })
}

// signalName is what names of signals look like. Which there are is the engine's matter:
// Windows and Linux differ, and real-time signals are many.
var signalName = regexp.MustCompile(`^(?i:SIG)?[A-Za-z][A-Za-z0-9]{1,9}([+-][0-9]{1,2})?$`)

func checkSignal(s string) error {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n <= 64 || err != nil && signalName.MatchString(s) {
		return nil
	}
	return apistatus.BadRequest("signal is a name as SIGTERM or a number from 1 to 64")
}

func (a *Actions) rename(c *call) error {
	var o struct {
		Name string `json:"name"`
	}
	if err := c.read(&o); err != nil {
		return err
	}
	if err := checkName(o.Name); err != nil {
		return err
	}
	return c.act("is now named "+o.Name, func(ctx context.Context, id string) error { return c.eng.ContainerRename(ctx, id, o.Name) })
}

// containerName is the engine's own rule.
var containerName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,252}$`)

func checkName(name string) error {
	if !containerName.MatchString(name) {
		return apistatus.BadRequest("name must have two letters, digits, _, . or - at least, and begin with a letter or a digit")
	}
	return nil
}

func (a *Actions) resize(c *call) error {
	var o struct {
		Height uint `json:"height"`
		Width  uint `json:"width"`
	}
	if err := c.read(&o); err != nil {
		return err
	}
	if o.Height == 0 || o.Width == 0 || o.Height > maxTerminal || o.Width > maxTerminal {
		return apistatus.BadRequest("height and width are numbers from 1 to %d", maxTerminal)
	}
	return c.act("has another terminal size", func(ctx context.Context, id string) error {
		return c.eng.ContainerResize(ctx, id, engine.TTYSize{Height: o.Height, Width: o.Width})
	})
}

// maxTerminal is the most that the kernel keeps of a terminal's size.
const maxTerminal = 1<<16 - 1

func (a *Actions) removeContainer(c *call) error {
	var o struct {
		// Force also removes a running container.
		Force bool `json:"force"`
		// Volumes also removes its anonymous volumes.
		Volumes bool `json:"volumes"`
	}
	if err := c.read(&o); err != nil {
		return err
	}
	return c.act("was removed", func(ctx context.Context, id string) error { return c.eng.ContainerRemove(ctx, id, o.Force, o.Volumes) })
}

// createOptions are the body of POST containers.
type createOptions struct {
	Name string `json:"name"`
	// Start starts it too.
	Start bool `json:"start"`
	// Config is the Engine API's body of a create.
	Config json.RawMessage `json:"config"`
}

// createContainer creates a container of an image that is there. The config reaches the
// engine as it came, once no field of it is unknown.
func (a *Actions) createContainer(c *call) error {
	var o createOptions
	if err := c.read(&o); err != nil {
		return err
	}
	if o.Name != "" {
		if err := checkName(o.Name); err != nil {
			return err
		}
	}
	var config container.CreateRequest
	if len(o.Config) == 0 {
		return apistatus.BadRequest("config is missing: the Engine API's body of a create")
	}
	if err := strict(o.Config, &config); err != nil {
		return badConfig(err)
	}
	if config.Config == nil || config.Image == "" {
		return apistatus.BadRequest("config.Image is missing")
	}
	var id string
	err := c.do(o.Name, func(ctx context.Context) (err error) {
		if id, err = c.eng.ContainerCreateRaw(ctx, o.Name, o.Config); err != nil || !o.Start {
			return err
		}
		return c.eng.ContainerStart(ctx, id)
	})
	switch {
	case id == "" && engine.IsNotFound(err) && c.imageMissing(config.Image):
		return apistatus.NotFound("the image %q is not on the host: pull it first (POST images/pull)", config.Image)
	case id != "" && err != nil:
		return apistatus.New(409, "Conflict", "the container %s was created, but did not start: %s", short(id), err)
	case err != nil:
		return err
	}
	return c.succeeded(o.Name, id, "Container "+short(id)+" was created")
}

func (c *call) imageMissing(ref string) bool {
	_, err := c.eng.Inspect(c.ctx, engine.Images, ref)
	return engine.IsNotFound(err)
}

// badConfig says that it is the config that is wrong.
func badConfig(err error) error {
	return apistatus.BadRequest("%s", strings.Replace(err.Error(), "the body", "config", 1))
}

// short is an id as people know it.
func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(12, len(id))]
}
