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
	"net/http"

	"github.com/moby/moby/api/types/swarm"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// SecretCreate makes a secret.
func (c *client) SecretCreate(ctx context.Context, spec swarm.SecretSpec) (string, error) {
	return c.createFile(ctx, "/secrets/create", spec)
}

// SecretRemove removes a secret.
func (c *client) SecretRemove(ctx context.Context, id string) error {
	return c.removeFile(ctx, engine.Secrets, id)
}

// ConfigCreate makes a config.
func (c *client) ConfigCreate(ctx context.Context, spec swarm.ConfigSpec) (string, error) {
	return c.createFile(ctx, "/configs/create", spec)
}

// ConfigRemove removes a config.
func (c *client) ConfigRemove(ctx context.Context, id string) error {
	return c.removeFile(ctx, engine.Configs, id)
}

func (c *client) createFile(ctx context.Context, path string, spec any) (string, error) {
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	var v struct{ ID string }
	err := c.call(ctx, http.MethodPost, path, nil, spec, &v)
	return c.created(v.ID, err)
}

func (c *client) removeFile(ctx context.Context, kind engine.Kind, id string) error {
	if err := checkID(kind, id); err != nil {
		return err
	}
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	return c.call(ctx, http.MethodDelete, listPaths[kind]+"/"+id, nil, nil, nil)
}
