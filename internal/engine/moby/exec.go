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
	"net/http"
	"net/url"

	"github.com/moby/moby/api/types/container"
	sdk "github.com/moby/moby/client"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// ExecCreate prepares a command in a container.
func (c *client) ExecCreate(ctx context.Context, id string, req container.ExecCreateRequest) (string, error) {
	if err := checkID(engine.Containers, id); err != nil {
		return "", err
	}
	opts := sdk.ExecCreateOptions{
		User:         req.User,
		Privileged:   req.Privileged,
		TTY:          req.Tty,
		AttachStdin:  req.AttachStdin,
		AttachStderr: req.AttachStderr,
		AttachStdout: req.AttachStdout,
		DetachKeys:   req.DetachKeys,
		Env:          req.Env,
		WorkingDir:   req.WorkingDir,
		Cmd:          req.Cmd,
	}
	if req.ConsoleSize != nil {
		opts.ConsoleSize = sdk.ConsoleSize{Height: req.ConsoleSize[0], Width: req.ConsoleSize[1]}
	}
	var execID string
	err := c.write(ctx, 0, func(ctx context.Context, cli *sdk.Client) error {
		res, err := cli.ExecCreate(ctx, id, opts)
		execID = res.ID
		return err
	})
	return c.created(execID, err)
}

// ExecStart starts an exec with its streams attached.
func (c *client) ExecStart(ctx context.Context, execID string, req container.ExecStartRequest) (engine.Session, error) {
	if err := checkID("execs", execID); err != nil {
		return nil, err
	}
	req.Detach = false
	s, err := c.hijack(ctx, "/exec/"+execID+"/start", nil, req)
	if err != nil {
		return nil, err
	}
	s.multiplexed = !req.Tty
	return s, nil
}

// ExecInspect tells whether an exec runs, and its exit code.
func (c *client) ExecInspect(ctx context.Context, execID string) (container.ExecInspectResponse, error) {
	var v struct {
		container.ExecInspectResponse
		// DetachKeys hides those of the answer: Podman sends the names of the keys where
		// dockerd sends bytes in base64. Nobody reads them.
		DetachKeys json.RawMessage
	}
	if err := checkID("execs", execID); err != nil {
		return v.ExecInspectResponse, err
	}
	// The SDK's own would make an exit code of 0 where there is none yet.
	err := c.get(ctx, "/exec/"+execID+"/json", nil, &v)
	return v.ExecInspectResponse, err
}

// ExecResize sets the size of an exec's terminal.
func (c *client) ExecResize(ctx context.Context, execID string, size engine.TTYSize) error {
	if err := checkID("execs", execID); err != nil {
		return err
	}
	return c.write(ctx, 0, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.ExecResize(ctx, execID, sdk.ExecResizeOptions{Height: size.Height, Width: size.Width})
		return err
	})
}

// Attach connects to a container's own streams.
func (c *client) Attach(ctx context.Context, id string, opts engine.AttachOptions) (engine.Session, error) {
	if err := checkID(engine.Containers, id); err != nil {
		return nil, err
	}
	query := url.Values{"stream": {"1"}}
	for key, on := range map[string]bool{"stdin": opts.Stdin, "stdout": opts.Stdout, "stderr": opts.Stderr, "logs": opts.Logs} {
		if on {
			query.Set(key, "1")
		}
	}
	s, err := c.hijack(ctx, "/containers/"+id+"/attach", query, nil)
	if err != nil {
		return nil, err
	}
	s.multiplexed, err = c.multiplexed(ctx, id, s.header)
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// created checks the id that an engine gave to something new.
func (c *client) created(id string, err error) (string, error) {
	if err == nil && id == "" {
		return "", notDocker(c.name, http.Header{}, nil)
	}
	return id, err
}
