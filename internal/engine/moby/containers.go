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

package moby

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/moby/moby/api/types/container"
	sdk "github.com/moby/moby/client"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// ContainerCreate creates a container; an empty name lets the engine choose one.
func (c *client) ContainerCreate(ctx context.Context, name string, req container.CreateRequest) (string, error) {
	var id string
	err := c.write(ctx, 0, func(ctx context.Context, cli *sdk.Client) error {
		res, err := cli.ContainerCreate(ctx, sdk.ContainerCreateOptions{
			Name: name, Config: req.Config, HostConfig: req.HostConfig, NetworkingConfig: req.NetworkingConfig,
		})
		id = res.ID
		return err
	})
	return c.created(id, err)
}

// ContainerCreateRaw creates a container from the API's own JSON.
func (c *client) ContainerCreateRaw(ctx context.Context, name string, body json.RawMessage) (string, error) {
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	query := url.Values{}
	if name != "" {
		query.Set("name", name)
	}
	var v struct{ ID string }
	err := c.call(ctx, http.MethodPost, "/containers/create", query, body, &v)
	return c.created(v.ID, err)
}

// change runs fn on one container.
func (c *client) change(ctx context.Context, id string, extra time.Duration, fn func(context.Context, *sdk.Client) error) error {
	if err := checkID(engine.Containers, id); err != nil {
		return err
	}
	return c.write(ctx, extra, fn)
}

// ContainerStart starts a container; one that runs is left alone.
func (c *client) ContainerStart(ctx context.Context, id string) error {
	return c.change(ctx, id, 0, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.ContainerStart(ctx, id, sdk.ContainerStartOptions{})
		return err
	})
}

// ContainerStop stops a container. The call may take the grace and the
// configured timeout.
func (c *client) ContainerStop(ctx context.Context, id string, grace time.Duration) error {
	extra, err := c.grace(ctx, id, grace)
	if err != nil {
		return err
	}
	return c.change(ctx, id, extra, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.ContainerStop(ctx, id, sdk.ContainerStopOptions{Timeout: graceSeconds(grace)})
		return err
	})
}

// ContainerRestart stops a container like ContainerStop and starts it.
func (c *client) ContainerRestart(ctx context.Context, id string, grace time.Duration) error {
	extra, err := c.grace(ctx, id, grace)
	if err != nil {
		return err
	}
	return c.change(ctx, id, extra, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.ContainerRestart(ctx, id, sdk.ContainerRestartOptions{Timeout: graceSeconds(grace)})
		return err
	})
}

// Grace periods that are no option of the call.
const (
	// defaultGrace is the engine's, for containers that say nothing.
	defaultGrace = 10 * time.Second
	// maxGrace bounds what a container asks for itself; a stop that takes longer
	// is given up here and goes on in the engine.
	maxGrace = time.Hour
)

// grace returns how long a stop may take beyond an ordinary call.
func (c *client) grace(ctx context.Context, id string, grace time.Duration) (time.Duration, error) {
	if grace >= 0 {
		return min(grace, maxGrace), nil
	}
	if err := checkID(engine.Containers, id); err != nil {
		return 0, err
	}
	info, err := c.containerConfig(ctx, id)
	switch own := info.Config.StopTimeout; {
	case err != nil:
		return 0, err
	case own == nil:
		return defaultGrace, nil
	case *own < 0 || *own > int(maxGrace/time.Second):
		return maxGrace, nil
	default:
		return time.Duration(*own) * time.Second, nil
	}
}

// graceSeconds rounds up to the API's whole seconds; nil is the container's own.
func graceSeconds(grace time.Duration) *int {
	if grace < 0 {
		return nil
	}
	s := int(math.Ceil(grace.Seconds()))
	return &s
}

// ContainerKill sends a signal; an empty one is SIGKILL.
func (c *client) ContainerKill(ctx context.Context, id, signal string) error {
	return c.change(ctx, id, 0, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.ContainerKill(ctx, id, sdk.ContainerKillOptions{Signal: signal})
		return err
	})
}

// ContainerPause freezes a container's processes.
func (c *client) ContainerPause(ctx context.Context, id string) error {
	return c.change(ctx, id, 0, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.ContainerPause(ctx, id, sdk.ContainerPauseOptions{})
		return err
	})
}

// ContainerUnpause lets a container's processes go on.
func (c *client) ContainerUnpause(ctx context.Context, id string) error {
	return c.change(ctx, id, 0, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.ContainerUnpause(ctx, id, sdk.ContainerUnpauseOptions{})
		return err
	})
}

// ContainerRename gives a container another name.
func (c *client) ContainerRename(ctx context.Context, id, name string) error {
	return c.change(ctx, id, 0, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.ContainerRename(ctx, id, sdk.ContainerRenameOptions{NewName: name})
		return err
	})
}

// ContainerResize tells a container's terminal its size.
func (c *client) ContainerResize(ctx context.Context, id string, size engine.TTYSize) error {
	return c.change(ctx, id, 0, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.ContainerResize(ctx, id, sdk.ContainerResizeOptions{Height: size.Height, Width: size.Width})
		return err
	})
}

// ContainerRemove removes a container; force also a running one, volumes its
// anonymous volumes too.
func (c *client) ContainerRemove(ctx context.Context, id string, force, volumes bool) error {
	return c.change(ctx, id, 0, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.ContainerRemove(ctx, id, sdk.ContainerRemoveOptions{Force: force, RemoveVolumes: volumes})
		return err
	})
}
