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
	"encoding/json"
	"slices"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// DiskUsage is the answer to GET system/df: names and sizes, nothing that could hold a
// secret.
type DiskUsage struct {
	metav1.TypeMeta `json:",inline"`
	Host            string `json:"host"`
	Images          Usage  `json:"images"`
	Containers      Usage  `json:"containers"`
	Volumes         Usage  `json:"volumes"`
	BuildCache      Usage  `json:"buildCache"`
}

// Usage is the disk usage of one kind.
type Usage struct {
	Total  int `json:"total"`
	Active int `json:"active"`
	// Size and Reclaimable are in bytes. Layers that images share count once.
	Size        int64       `json:"size"`
	Reclaimable int64       `json:"reclaimable"`
	Items       []UsageItem `json:"items"`
}

// UsageItem is the disk usage of one object.
type UsageItem struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	// Size is what the object alone takes; -1 where the engine does not know.
	Size int64 `json:"size"`
	// InUse: a container runs of the image, uses the volume; a container runs.
	InUse   bool  `json:"inUse"`
	Created int64 `json:"created,omitempty"`

	prunable
}

// prunable is what the preview of a prune goes by.
type prunable struct {
	labels    map[string]string
	dangling  bool // an image without a name
	anonymous bool // a volume
	used      bool // also by a container that does not run
	shared    bool // build cache
	state     string
}

func (a *Actions) diskUsage(c *call) error {
	if err := c.read(&none{}); err != nil {
		return err
	}
	raw, err := c.eng.DiskUsage(c.ctx)
	if err != nil {
		return err
	}
	usage, err := parseUsage(raw)
	if err != nil {
		return err
	}
	usage.TypeMeta = metav1.TypeMeta{APIVersion: access.EngineGroup + "/" + route.Version, Kind: "DiskUsage"}
	usage.Host = c.route.Host
	apistatus.WriteJSON(c.w, 200, usage)
	return nil
}

// anonymousLabel is on anonymous volumes since Docker 23.
const anonymousLabel = "com.docker.volume.anonymous"

type rawVolume struct {
	Name      string
	CreatedAt string
	Labels    map[string]string
	UsageData *struct{ Size, RefCount int64 }
}

// rawUsage is both forms of the engine's answer: lists until API 1.51, then one object a
// kind.
type rawUsage struct {
	LayersSize int64
	Images     []image.Summary
	Containers []rawContainer
	Volumes    []rawVolume
	BuildCache []build.CacheRecord

	ImageUsage *struct {
		TotalSize int64
		Items     []image.Summary
	}
	ContainerUsage  *struct{ Items []rawContainer }
	VolumeUsage     *struct{ Items []rawVolume }
	BuildCacheUsage *struct{ Items []build.CacheRecord }
}

type rawContainer struct {
	ID      string `json:"Id"`
	Names   []string
	ImageID string
	Created int64
	SizeRw  int64
	State   container.ContainerState
	Labels  map[string]string
}

func parseUsage(raw json.RawMessage) (*DiskUsage, error) {
	var v rawUsage
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's disk usage cannot be read")
	}
	if u := v.ImageUsage; u != nil {
		v.Images, v.LayersSize = u.Items, u.TotalSize
	}
	if u := v.ContainerUsage; u != nil {
		v.Containers = u.Items
	}
	if u := v.VolumeUsage; u != nil {
		v.Volumes = u.Items
	}
	if u := v.BuildCacheUsage; u != nil {
		v.BuildCache = u.Items
	}
	usage := &DiskUsage{Containers: containerUsage(v.Containers), Volumes: volumeUsage(v.Volumes), BuildCache: cacheUsage(v.BuildCache)}
	usage.Images = imageUsage(v.Images, v.LayersSize, v.Containers)
	return usage, nil
}

// add counts an item.
func (u *Usage) add(item UsageItem) {
	u.Total++
	if item.InUse {
		u.Active++
	}
	u.Items = append(u.Items, item)
}

func imageUsage(images []image.Summary, layers int64, containers []rawContainer) Usage {
	u := Usage{Size: layers, Reclaimable: layers, Items: []UsageItem{}}
	for _, i := range images {
		used := i.Containers > 0 || slices.ContainsFunc(containers, func(c rawContainer) bool { return c.ImageID == i.ID })
		own := int64(-1)
		if i.SharedSize >= 0 {
			own = i.Size - i.SharedSize
		}
		item := UsageItem{ID: i.ID, Size: own, InUse: used, Created: i.Created}
		item.labels, item.used = i.Labels, used
		item.dangling = len(i.RepoTags) == 0 || i.RepoTags[0] == "<none>:<none>"
		if !item.dangling {
			item.Name = i.RepoTags[0]
		}
		// Docker's own reckoning: a layer that a used image has is not reclaimable.
		if used && own >= 0 {
			u.Reclaimable -= i.Size - i.SharedSize
		}
		u.add(item)
	}
	u.Reclaimable = max(0, u.Reclaimable)
	return u
}

func containerUsage(containers []rawContainer) Usage {
	u := Usage{Items: []UsageItem{}}
	for _, c := range containers {
		running := c.State == container.StateRunning || c.State == container.StatePaused || c.State == container.StateRestarting
		item := UsageItem{ID: c.ID, Size: c.SizeRw, InUse: running, Created: c.Created}
		if len(c.Names) > 0 {
			item.Name = c.Names[0][min(1, len(c.Names[0])):] // its slash
		}
		item.labels, item.used, item.state = c.Labels, running, string(c.State)
		u.Size += c.SizeRw
		if !running {
			u.Reclaimable += c.SizeRw
		}
		u.add(item)
	}
	return u
}

func volumeUsage(volumes []rawVolume) Usage {
	u := Usage{Items: []UsageItem{}}
	for _, v := range volumes {
		item := UsageItem{ID: v.Name, Name: v.Name, Size: -1}
		if v.UsageData != nil {
			item.Size, item.InUse = v.UsageData.Size, v.UsageData.RefCount > 0
			u.Size += max(0, item.Size)
			if !item.InUse {
				u.Reclaimable += max(0, item.Size)
			}
		}
		_, item.anonymous = v.Labels[anonymousLabel]
		item.labels, item.used = v.Labels, item.InUse
		u.add(item)
	}
	return u
}

func cacheUsage(records []build.CacheRecord) Usage {
	u := Usage{Items: []UsageItem{}}
	for _, r := range records {
		item := UsageItem{ID: r.ID, Name: r.Type, Size: r.Size, InUse: r.InUse, Created: r.CreatedAt.Unix()}
		item.used, item.shared = r.InUse, r.Shared
		if !r.Shared {
			u.Size += r.Size
			if !r.InUse {
				u.Reclaimable += r.Size
			}
		}
		u.add(item)
	}
	return u
}
