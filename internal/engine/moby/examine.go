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
