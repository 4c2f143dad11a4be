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

package streamapi

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/target"
)

// container is one that was named.
type container struct{ id, name string }

// container finds a container by its id, its name or the beginning of its id: in the
// inventory, and, as that is a moment late for one that was just made, then at the engine.
func (h *Handler) container(ctx context.Context, host hostcache.Key, name string) (container, error) {
	listing, err := h.options.Hosts.List(host, engine.Containers)
	if err == nil {
		var o *engine.Object
		if o, err = target.Object(engine.Containers, listing.Items, name); err == nil {
			return container{o.ID, o.Name}, nil
		}
		if !target.IsMissing(err) {
			return container{}, err
		}
	}
	missing := err
	e, _, err := target.Find(h.options.Hosts, host)
	if err != nil {
		return container{}, err
	}
	raw, err := e.Inspect(ctx, engine.Containers, name)
	if engine.IsNotFound(err) && target.IsMissing(missing) {
		return container{}, missing
	}
	if err != nil {
		return container{}, err
	}
	var found struct{ Id, Name string }
	if err := json.Unmarshal(raw, &found); err != nil || found.Id == "" {
		return container{}, missing
	}
	return container{found.Id, strings.TrimPrefix(found.Name, "/")}, nil
}
