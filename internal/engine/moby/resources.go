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

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
	sdk "github.com/moby/moby/client"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// ImageRemove removes an image, or one of its names.
func (c *client) ImageRemove(ctx context.Context, id string, force bool) error {
	if err := checkID(engine.Images, id); err != nil {
		return err
	}
	return c.write(ctx, 0, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.ImageRemove(ctx, id, sdk.ImageRemoveOptions{Force: force, PruneChildren: true})
		return err
	})
}

// ImageTag gives an image a further name.
func (c *client) ImageTag(ctx context.Context, id, repository, tag string) error {
	if err := checkID(engine.Images, id); err != nil {
		return err
	}
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	query := url.Values{"repo": {repository}, "tag": {tag}}
	return c.call(ctx, http.MethodPost, "/images/"+id+"/tag", query, nil, nil)
}

// VolumeCreate creates a volume; one that exists is left alone.
func (c *client) VolumeCreate(ctx context.Context, req volume.CreateRequest) error {
	return c.write(ctx, 0, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.VolumeCreate(ctx, sdk.VolumeCreateOptions{
			Name:              req.Name,
			Driver:            req.Driver,
			DriverOpts:        req.DriverOpts,
			Labels:            req.Labels,
			ClusterVolumeSpec: req.ClusterVolumeSpec,
		})
		return err
	})
}

// VolumeRemove removes a volume.
func (c *client) VolumeRemove(ctx context.Context, name string, force bool) error {
	if err := checkID(engine.Volumes, name); err != nil {
		return err
	}
	return c.write(ctx, 0, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.VolumeRemove(ctx, name, sdk.VolumeRemoveOptions{Force: force})
		return err
	})
}

// NetworkCreate creates a network, unless its name is taken: engines before API
// 1.44 have to be asked for that, and the SDK no longer does.
func (c *client) NetworkCreate(ctx context.Context, req network.CreateRequest) (string, error) {
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	body := struct {
		network.CreateRequest
		CheckDuplicate bool
	}{req, true}
	var v struct{ ID string }
	err := c.call(ctx, http.MethodPost, "/networks/create", nil, body, &v)
	return c.created(v.ID, err)
}

// NetworkRemove removes a network.
func (c *client) NetworkRemove(ctx context.Context, id string) error {
	if err := checkID(engine.Networks, id); err != nil {
		return err
	}
	return c.write(ctx, 0, func(ctx context.Context, cli *sdk.Client) error {
		_, err := cli.NetworkRemove(ctx, id, sdk.NetworkRemoveOptions{})
		return err
	})
}

// NetworkConnect puts a container on a network.
func (c *client) NetworkConnect(ctx context.Context, id, containerID string, endpoint json.RawMessage) error {
	return c.networkMember(ctx, id, "connect", struct {
		Container      string
		EndpointConfig json.RawMessage `json:",omitempty"`
	}{containerID, endpoint})
}

// NetworkDisconnect takes a container off a network; force also where the container
// is not there any more.
func (c *client) NetworkDisconnect(ctx context.Context, id, containerID string, force bool) error {
	return c.networkMember(ctx, id, "disconnect", struct {
		Container string
		Force     bool
	}{containerID, force})
}

func (c *client) networkMember(ctx context.Context, id, action string, body any) error {
	if err := checkID(engine.Networks, id); err != nil {
		return err
	}
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	return c.call(ctx, http.MethodPost, "/networks/"+id+"/"+action, nil, body, nil)
}
