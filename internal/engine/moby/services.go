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
	"strconv"

	"github.com/moby/moby/api/types/swarm"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// ServiceCreate creates a service as spec says, its image's spelling included.
func (c *client) ServiceCreate(ctx context.Context, spec swarm.ServiceSpec, opts ...engine.ServiceOption) (string, error) {
	var v struct{ ID string }
	err := c.writeService(ctx, "/services/create", nil, spec, &v, opts)
	return c.created(v.ID, err)
}

// writeService sends a spec, and what the nodes need to pull its image.
func (c *client) writeService(ctx context.Context, path string, query url.Values, spec swarm.ServiceSpec, out any, opts []engine.ServiceOption) error {
	var o engine.ServiceOptions
	for _, set := range opts {
		set(&o)
	}
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	req, err := c.newRequest(ctx, http.MethodPost, path, query, spec)
	if err != nil {
		return err
	}
	if o.RegistryAuth != "" {
		req.Header.Set(authHeader, o.RegistryAuth)
	}
	return c.roundTrip(c.unaryCalls(maxBodyBytes), req, out)
}

// ServiceUpdate replaces a service's spec; version is the one that was read.
func (c *client) ServiceUpdate(ctx context.Context, id string, version uint64, spec swarm.ServiceSpec, opts ...engine.ServiceOption) error {
	if err := checkID(engine.Services, id); err != nil {
		return err
	}
	query := url.Values{"version": {strconv.FormatUint(version, 10)}}
	return c.writeService(ctx, "/services/"+id+"/update", query, spec, nil, opts)
}

// ServiceUpdateRaw is ServiceUpdate with the API's own JSON.
func (c *client) ServiceUpdateRaw(ctx context.Context, id string, version uint64, spec json.RawMessage, rollback bool) error {
	if err := checkID(engine.Services, id); err != nil {
		return err
	}
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	query := url.Values{"version": {strconv.FormatUint(version, 10)}}
	if rollback {
		query.Set("rollback", "previous")
	}
	return c.call(ctx, http.MethodPost, "/services/"+id+"/update", query, spec, nil)
}

// NodeUpdate replaces a node's spec; version is the one that was read.
func (c *client) NodeUpdate(ctx context.Context, id string, version uint64, spec json.RawMessage) error {
	if err := checkID(engine.Nodes, id); err != nil {
		return err
	}
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	query := url.Values{"version": {strconv.FormatUint(version, 10)}}
	return c.call(ctx, http.MethodPost, "/nodes/"+id+"/update", query, spec, nil)
}

// ServiceRemove removes a service.
func (c *client) ServiceRemove(ctx context.Context, id string) error {
	if err := checkID(engine.Services, id); err != nil {
		return err
	}
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	return c.call(ctx, http.MethodDelete, "/services/"+id, nil, nil, nil)
}
