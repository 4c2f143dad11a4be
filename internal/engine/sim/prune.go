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
	"strconv"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
)

// pruneFilters reads a prune's filters.
func pruneFilters(r *request, keys ...string) (filters, error) {
	f, err := parseFilters(r)
	if err != nil {
		return nil, err
	}
	return f, f.allow(append(keys, "label", "label!", "until")...)
}

// spares reports whether a prune's filters keep an object. Times are not looked at.
func (f filters) spares(labels map[string]string) bool {
	if !f.labels("label", labels) {
		return true
	}
	return slices.ContainsFunc(f["label!"], func(want string) bool { return filters{"x": {want}}.labels("x", labels) })
}

// pruned tells that a prune of one kind has ended.
func (e *Engine) pruned(kind events.Type, reclaimed int64) {
	e.emit(kind, events.ActionPrune, "", nil, "reclaimed", strconv.FormatInt(reclaimed, 10))
}

func (e *Engine) serveContainersPrune(w http.ResponseWriter, r *request) error {
	f, err := pruneFilters(r)
	if err != nil {
		return err
	}
	var out container.PruneReport
	e.mu.Lock()
	for _, c := range slices.Clone(e.containers.order) {
		if !c.running() && !f.spares(c.config.Labels) {
			out.ContainersDeleted = append(out.ContainersDeleted, c.id)
			e.forget(c, false)
		}
	}
	e.pruned(events.ContainerEventType, 0)
	e.mu.Unlock()
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (e *Engine) serveImagesPrune(w http.ResponseWriter, r *request) error {
	f, err := pruneFilters(r, "dangling")
	if err != nil {
		return err
	}
	all := f.has("dangling") && (f.exact("dangling", "false") || f.exact("dangling", "0"))
	var out image.PruneReport
	e.mu.Lock()
	for _, i := range slices.Clone(e.images) {
		if user, _ := e.imageUser(i); user != nil || len(i.tags) > 0 && !all || f.spares(i.labels()) {
			continue
		}
		for _, tag := range slices.Clone(i.tags) {
			out.ImagesDeleted = append(out.ImagesDeleted, e.untag(i, tag))
		}
		out.ImagesDeleted = append(out.ImagesDeleted, e.deleteImage(i))
		out.SpaceReclaimed += uint64(i.size)
	}
	e.pruned(events.ImageEventType, int64(out.SpaceReclaimed))
	e.mu.Unlock()
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (e *Engine) serveVolumesPrune(w http.ResponseWriter, r *request) error {
	f, err := pruneFilters(r, "all")
	if err != nil {
		return err
	}
	// Since API 1.42 volumes with a name are taken where that is asked for only.
	all := r.before("1.42") || f.has("all") && (f.exact("all", "true") || f.exact("all", "1"))
	var out volume.PruneReport
	e.mu.Lock()
	for _, v := range e.volumes {
		if len(e.users(v)) == 0 && (all || v.anonymous) && !f.spares(v.labels) {
			out.VolumesDeleted = append(out.VolumesDeleted, v.name)
			e.removeVolume(v)
		}
	}
	e.pruned(events.VolumeEventType, 0)
	e.mu.Unlock()
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (e *Engine) serveNetworksPrune(w http.ResponseWriter, r *request) error {
	f, err := pruneFilters(r)
	if err != nil {
		return err
	}
	var out network.PruneReport
	e.mu.Lock()
	for _, n := range slices.Clone(e.networks) {
		if !n.predefined && !n.ingress && len(e.members(n)) == 0 && !f.spares(n.labels) {
			out.NetworksDeleted = append(out.NetworksDeleted, n.name)
			e.forgetNetwork(n)
		}
	}
	e.pruned(events.NetworkEventType, 0)
	e.mu.Unlock()
	writeJSON(w, http.StatusOK, out)
	return nil
}

// serveBuildPrune: nothing is built here.
func (e *Engine) serveBuildPrune(w http.ResponseWriter, r *request) error {
	if _, err := parseFilters(r); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, build.CachePruneReport{})
	return nil
}
