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

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// forceOptions are those of removals.
type forceOptions struct {
	Force bool `json:"force"`
}

// removal serves a removal by force or not.
func (c *call) removal(remove func(ctx context.Context, id string, force bool) error) error {
	var o forceOptions
	if err := c.read(&o); err != nil {
		return err
	}
	return c.act("was removed", func(ctx context.Context, id string) error { return remove(ctx, id, o.Force) })
}

func (a *Actions) removeImage(c *call) error  { return c.removal(c.eng.ImageRemove) }
func (a *Actions) removeVolume(c *call) error { return c.removal(c.eng.VolumeRemove) }
func (a *Actions) removeNetwork(c *call) error {
	return c.plain("was removed", c.eng.NetworkRemove)
}

func (a *Actions) tagImage(c *call) error {
	var o struct {
		// Ref is the further name.
		Ref string `json:"ref"`
	}
	if err := c.read(&o); err != nil {
		return err
	}
	named, err := parseRef(o.Ref)
	if err != nil {
		return err
	}
	tagged, ok := named.(reference.NamedTagged)
	if !ok {
		return apistatus.BadRequest("ref must not have a digest: an image is tagged with a name and a tag")
	}
	return c.act("is now also named "+reference.FamiliarString(tagged), func(ctx context.Context, id string) error {
		return c.eng.ImageTag(ctx, id, reference.FamiliarName(tagged), tagged.Tag())
	})
}

// parseRef reads an image's name as the docker CLI does; without a tag or digest it is
// the tag latest.
func parseRef(ref string) (reference.Named, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return nil, apistatus.BadRequest("ref is not a name of an image, such as busybox, registry.example.com/team/app:1.2 or app@sha256:…")
	}
	return named, nil
}

// createVolume takes the Engine API's body of a create.
func (a *Actions) createVolume(c *call) error {
	var req volume.CreateRequest
	if err := c.read(&bodyOnly[volume.CreateRequest]{&req}); err != nil {
		return err
	}
	if req.Name == "" {
		return apistatus.BadRequest("Name is missing")
	}
	if err := c.do(req.Name, func(ctx context.Context) error { return c.eng.VolumeCreate(ctx, req) }); err != nil {
		return err
	}
	return c.succeeded(req.Name, "", "Volume "+req.Name+" was created, or was there")
}

// createNetwork takes the Engine API's body of a create.
func (a *Actions) createNetwork(c *call) error {
	var req network.CreateRequest
	if err := c.read(&bodyOnly[network.CreateRequest]{&req}); err != nil {
		return err
	}
	if req.Name == "" {
		return apistatus.BadRequest("Name is missing")
	}
	var id string
	err := c.do(req.Name, func(ctx context.Context) (err error) {
		id, err = c.eng.NetworkCreate(ctx, req)
		return err
	})
	if err != nil {
		return err
	}
	return c.succeeded(req.Name, id, "Network "+req.Name+" was created")
}

// bodyOnly decodes into a type of the Engine API, no field of which may stand in a query.
type bodyOnly[T any] struct{ into *T }

// UnmarshalJSON is strict, as its caller's decoder is: its settings do not reach here.
func (b *bodyOnly[T]) UnmarshalJSON(raw []byte) error { return strict(raw, b.into) }

// memberOptions are those of connect and disconnect.
type memberOptions struct {
	Container string `json:"container"`
	// Endpoint is the Engine API's EndpointSettings, for connect.
	Endpoint json.RawMessage `json:"endpoint"`
	// Force is for disconnect.
	Force bool `json:"force"`
}

func (a *Actions) connectNetwork(c *call) error {
	o, err := c.readMember()
	if err != nil {
		return err
	}
	if o.Force {
		return apistatus.BadRequest("force is for disconnect")
	}
	if len(o.Endpoint) > 0 {
		if err := strict(o.Endpoint, &network.EndpointSettings{}); err != nil {
			return err
		}
	}
	return c.act("has container "+o.Container, func(ctx context.Context, id string) error {
		return c.eng.NetworkConnect(ctx, id, o.Container, o.Endpoint)
	})
}

func (a *Actions) disconnectNetwork(c *call) error {
	o, err := c.readMember()
	if err != nil {
		return err
	}
	if len(o.Endpoint) > 0 {
		return apistatus.BadRequest("endpoint is for connect")
	}
	return c.act("no longer has container "+o.Container, func(ctx context.Context, id string) error {
		return c.eng.NetworkDisconnect(ctx, id, o.Container, o.Force)
	})
}

func (c *call) readMember() (memberOptions, error) {
	var o memberOptions
	err := c.read(&o)
	if err == nil && o.Container == "" {
		err = apistatus.BadRequest("container is missing: an id or a name")
	}
	return o, err
}
