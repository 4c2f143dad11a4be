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

package engine

import (
	"context"
	"encoding/json"
	"time"
)

// Patience of calls that read or delete whole disks, beyond Config.Timeout.
const (
	// DiskUsagePatience: dockerd walks every volume, which took a minute on hosts
	// with millions of files.
	DiskUsagePatience = 5 * time.Minute
	// PrunePatience is for hundreds of images of many gigabytes on a slow disk.
	PrunePatience = time.Hour
)

// Cleaner tells what fills an engine's disk, and removes what nobody uses.
type Cleaner interface {
	// DiskUsage returns the answer to /system/df with all items: until API 1.51 the
	// lists Images, Containers, Volumes and BuildCache, after that ImageUsage and so on.
	DiskUsage(ctx context.Context) (json.RawMessage, error)
	// Prune removes the objects of one kind that nobody uses. The filters are the
	// engine's own.
	Prune(ctx context.Context, kind PruneKind, filters map[string][]string) (PruneReport, error)
}

// PruneKind is a kind of object that can be pruned.
type PruneKind string

// The kinds.
const (
	PruneContainers PruneKind = "containers"
	PruneImages     PruneKind = "images"
	PruneVolumes    PruneKind = "volumes"
	PruneNetworks   PruneKind = "networks"
	PruneBuildCache PruneKind = "buildCache"
)

// PruneReport is what a prune removed.
type PruneReport struct {
	// Deleted are ids, or names of volumes and networks; of images also the names
	// that were taken away.
	Deleted []string
	// Reclaimed is in bytes; networks have none.
	Reclaimed uint64
}

// ParsePruneReport reads the answer to a prune of any kind.
func ParsePruneReport(raw json.RawMessage) (PruneReport, error) {
	var v struct {
		ContainersDeleted, VolumesDeleted, NetworksDeleted, CachesDeleted []string
		ImagesDeleted                                                     []struct{ Untagged, Deleted string }
		SpaceReclaimed                                                    uint64
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return PruneReport{}, err
	}
	r := PruneReport{Reclaimed: v.SpaceReclaimed}
	for _, list := range [][]string{v.ContainersDeleted, v.VolumesDeleted, v.NetworksDeleted, v.CachesDeleted} {
		r.Deleted = append(r.Deleted, list...)
	}
	for _, i := range v.ImagesDeleted {
		r.Deleted = append(r.Deleted, i.Untagged+i.Deleted) // one of them is set
	}
	return r, nil
}
