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

package sim

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/volume"
)

// volumeObject is one volume. Its fields are guarded by Engine.mu.
type volumeObject struct {
	name, driver    string
	created         int64
	labels, options map[string]string
	anonymous       bool
}

func (v *volumeObject) json() volume.Volume {
	return volume.Volume{
		CreatedAt: time.Unix(0, v.created).UTC().Format(time.RFC3339), Driver: v.driver, Labels: v.labels, Name: v.name,
		Mountpoint: v.mountpoint(), Options: v.options, Scope: "local",
	}
}

func (e *Engine) serveVolumes(w http.ResponseWriter, r *request) error {
	f, err := parseFilters(r)
	if err != nil {
		return err
	}
	if err := f.allow("dangling", "name", "driver", "label"); err != nil {
		return err
	}
	e.mu.Lock()
	list := make([]volume.Volume, 0, len(e.volumes))
	for _, v := range e.volumes {
		if f.match("name", v.name) && f.exact("driver", v.driver) && f.labels("label", v.labels) && e.dangling(f, v) {
			list = append(list, v.json())
		}
	}
	e.mu.Unlock()
	slices.SortFunc(list, func(a, b volume.Volume) int { return strings.Compare(a.Name, b.Name) })
	writeJSON(w, http.StatusOK, volume.ListResponse{Volumes: list})
	return nil
}

func (e *Engine) dangling(f filters, v *volumeObject) bool {
	if !f.has("dangling") {
		return true
	}
	return (len(e.users(v)) == 0) == (f.exact("dangling", "true") || f.exact("dangling", "1"))
}

// users are the ids of the containers that have the volume mounted.
func (e *Engine) users(v *volumeObject) []string {
	var ids []string
	for _, c := range e.containers.order {
		for _, m := range c.mounts {
			if m.Name == v.name {
				ids = append(ids, c.id)
				break
			}
		}
	}
	return ids
}
