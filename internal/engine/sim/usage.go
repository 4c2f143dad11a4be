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

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/volume"
)

// usageJSON is the disk usage as sent until API 1.51.
type usageJSON struct {
	LayersSize int64
	Images     []imageJSON
	Containers []summaryJSON
	Volumes    []volume.Volume
	BuildCache []build.CacheRecord
	// BuilderSize ended with API 1.42, but newer clients do not mind.
	BuilderSize int64
}

// kindUsageJSON is the disk usage of one kind since API 1.52.
type kindUsageJSON struct {
	ActiveCount, TotalCount, TotalSize, Reclaimable int64
	Items                                           any `json:",omitempty"`
}

// serveDiskUsage tells what fills the simulated disk: layers that no two images share.
func (e *Engine) serveDiskUsage(w http.ResponseWriter, r *request) error {
	out := usageJSON{Images: []imageJSON{}, Volumes: []volume.Volume{}, BuildCache: []build.CacheRecord{}}
	e.mu.Lock()
	containers, err := e.summaries(nil, true, 0)
	for _, i := range e.images {
		s := i.summary(r)
		s.SharedSize, s.Containers = 0, 0
		for _, c := range e.containers.order {
			if c.image == i {
				s.Containers++
			}
		}
		out.LayersSize += i.size
		out.Images = append(out.Images, s)
	}
	for _, v := range e.volumes {
		j := v.json()
		j.UsageData = &volume.UsageData{RefCount: int64(len(e.users(v)))}
		out.Volumes = append(out.Volumes, j)
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	out.Containers = containers
	if r.before("1.52") {
		writeJSON(w, http.StatusOK, out)
		return nil
	}
	verbose := r.flag("verbose")
	kind := func(n int, size int64, items any) kindUsageJSON {
		u := kindUsageJSON{TotalCount: int64(n), TotalSize: size}
		if verbose && n > 0 {
			u.Items = items
		}
		return u
	}
	writeJSON(w, http.StatusOK, map[string]kindUsageJSON{
		"ImageUsage":      kind(len(out.Images), out.LayersSize, out.Images),
		"ContainerUsage":  kind(len(out.Containers), 0, out.Containers),
		"VolumeUsage":     kind(len(out.Volumes), 0, out.Volumes),
		"BuildCacheUsage": kind(0, 0, nil),
	})
	return nil
}

// serveChanges: there is no file system that could change.
func (e *Engine) serveChanges(w http.ResponseWriter, r *request) error {
	if _, err := e.find(r.name); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, []container.FilesystemChange(nil))
	return nil
}
