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

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Top lists a container's processes.
func (c *client) Top(ctx context.Context, id, psArgs string) (json.RawMessage, error) {
	query := url.Values{}
	if psArgs != "" {
		query.Set("ps_args", psArgs)
	}
	return c.examine(ctx, engine.Containers, id, "/top", query, '{')
}

// Changes lists the files that differ from a container's image.
func (c *client) Changes(ctx context.Context, id string) (json.RawMessage, error) {
	return c.examine(ctx, engine.Containers, id, "/changes", nil, '[')
}

// lastWithMAC is the last API version whose container has the MAC address that its user
// configured.
const lastWithMAC = "1.51"

// ConfiguredMAC returns the MAC address that a container was made with. An engine that no
// longer speaks the API version that tells it is taken to have none.
func (c *client) ConfiguredMAC(ctx context.Context, id string) (string, error) {
	if err := checkID(engine.Containers, id); err != nil {
		return "", err
	}
	ctx, done := c.unaryContext(ctx, 0)
	defer done()
	version, err := c.apiVersion(ctx)
	if err != nil {
		return "", err
	}
	newer := engine.CompareAPIVersions(version, lastWithMAC) > 0
	if newer {
		version = lastWithMAC
	}
	var v struct{ Config struct{ MacAddress string } }
	req, err := c.newRawRequest(ctx, http.MethodGet, "/v"+version+"/containers/"+id+"/json", nil, nil)
	if err == nil {
		err = c.roundTrip(c.unaryCalls(maxBodyBytes), req, &v)
	}
	if newer && engine.CauseOf(err) == engine.CauseAPIVersion {
		return "", nil
	}
	return v.Config.MacAddress, err
}

// ImageHistory lists an image's layers.
func (c *client) ImageHistory(ctx context.Context, id string) (json.RawMessage, error) {
	return c.examine(ctx, engine.Images, id, "/history", nil, '[')
}

// examine reads an answer whose JSON begins with open, or is null where that is an
// array.
func (c *client) examine(ctx context.Context, kind engine.Kind, id, what string, query url.Values, open byte) (json.RawMessage, error) {
	if err := checkID(kind, id); err != nil {
		return nil, err
	}
	var raw json.RawMessage
	if err := c.get(ctx, "/"+string(kind)+"/"+id+what, query, &raw); err != nil {
		return nil, err
	}
	if len(raw) == 0 || raw[0] != open && (open != '[' || string(raw) != "null") {
		return nil, notDocker(c.name, nil, nil)
	}
	return raw, nil
}
