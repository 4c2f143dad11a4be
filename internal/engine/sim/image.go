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
	"runtime"
	"slices"
	"strings"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
)

// imageObject is one image. Its fields are guarded by Engine.mu; config is shared
// and never changed.
type imageObject struct {
	id      string // sha256:...
	tags    []string
	created int64
	size    int64
	layer   string
	comment string
	tagged  int64 // last time a tag was set
	config  *dockerspec.DockerOCIImageConfig
}

// imageJSON is an image's summary as sent; VirtualSize ended with API 1.44.
type imageJSON struct {
	image.Summary
	VirtualSize *int64 `json:"VirtualSize,omitempty"`
}

func (i *imageObject) summary(r *request) imageJSON {
	out := imageJSON{Summary: image.Summary{
		Containers: -1, Created: i.created / int64(time.Second), ID: i.id, Labels: i.labels(),
		RepoTags: slices.Clone(i.tags), SharedSize: -1, Size: i.size,
	}}
	if len(out.RepoTags) == 0 && r.before("1.43") {
		out.RepoTags, out.RepoDigests = []string{"<none>:<none>"}, []string{"<none>@<none>"}
	}
	if r.before("1.44") {
		out.VirtualSize = &out.Size
	} else {
		out.RepoTags, out.RepoDigests = append([]string{}, out.RepoTags...), []string{}
	}
	return out
}

func (i *imageObject) labels() map[string]string {
	if i.config == nil {
		return nil
	}
	return i.config.Labels
}

// image finds an image by id, the beginning of an id, or name; a name without a
// tag means latest.
func (e *Engine) image(ref string) (*imageObject, bool) {
	tag := normalTag(ref)
	for _, i := range e.images {
		if i.id == ref || i.id == "sha256:"+ref || slices.Contains(i.tags, tag) {
			return i, true
		}
	}
	for _, i := range e.images {
		if len(ref) >= 1 && strings.HasPrefix(strings.TrimPrefix(i.id, "sha256:"), strings.TrimPrefix(ref, "sha256:")) {
			return i, true
		}
	}
	return nil, false
}

// normalTag gives a name its tag and takes Docker Hub's own prefix off it.
func normalTag(ref string) string {
	ref = strings.TrimPrefix(strings.TrimPrefix(ref, "docker.io/"), "library/")
	if last := ref[strings.LastIndex(ref, "/")+1:]; !strings.ContainsAny(last, ":@") {
		ref += ":latest"
	}
	return ref
}

func (e *Engine) serveImages(w http.ResponseWriter, r *request) error {
	f, err := parseFilters(r)
	if err != nil {
		return err
	}
	if err := f.allow("dangling", "label", "before", "since", "reference", "until"); err != nil {
		return err
	}
	e.mu.Lock()
	list := make([]imageJSON, 0, len(e.images))
	for _, i := range slices.Backward(e.images) {
		if i.passes(f) {
			list = append(list, i.summary(r))
		}
	}
	e.mu.Unlock()
	writeJSON(w, http.StatusOK, list)
	return nil
}

func (i *imageObject) passes(f filters) bool {
	if f.has("dangling") && (len(i.tags) == 0) != (f.exact("dangling", "true") || f.exact("dangling", "1")) {
		return false
	}
	if f.has("reference") && !slices.ContainsFunc(i.tags, func(tag string) bool {
		name, _, _ := strings.Cut(tag, ":")
		return f.exact("reference", tag) || f.exact("reference", name)
	}) {
		return false
	}
	return f.labels("label", i.labels())
}

// imageInspectJSON is an image as sent, with what engines before API 1.45 say
// beside it.
type imageInspectJSON struct {
	image.InspectResponse
	Config any
	*oldImageJSON
}

type oldImageJSON struct {
	Parent          string
	Container       string
	ContainerConfig *container.Config
	DockerVersion   string
	VirtualSize     int64
}

func (e *Engine) serveImageInspect(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	i, ok := e.image(r.name)
	var out imageInspectJSON
	if ok {
		out = e.inspectImage(i, r)
	}
	e.mu.Unlock()
	if !ok {
		return errorf(http.StatusNotFound, "no such image: %s: No such image: %s", r.name, normalTag(r.name))
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (e *Engine) inspectImage(i *imageObject, r *request) imageInspectJSON {
	out := imageInspectJSON{InspectResponse: image.InspectResponse{
		ID: i.id, RepoTags: append([]string{}, i.tags...), RepoDigests: []string{}, Comment: i.comment, Created: at(i.created),
		Architecture: runtime.GOARCH, Os: "linux", Size: i.size, GraphDriver: graphDriver(i.id),
		RootFS: image.RootFS{Type: "layers", Layers: []string{i.layer}},
	}}
	out.Config = i.config
	out.Metadata.LastTagTime = time.Unix(0, i.tagged).UTC()
	if r.before("1.45") {
		c := &container.Config{}
		if from := i.config; from != nil {
			c.Cmd, c.Entrypoint, c.Env, c.Labels, c.WorkingDir, c.User = from.Cmd, from.Entrypoint, from.Env, from.Labels, from.WorkingDir, from.User
		}
		out.Config = c
		out.oldImageJSON = &oldImageJSON{ContainerConfig: &container.Config{}, DockerVersion: e.opts.Version, VirtualSize: i.size}
	}
	return out
}

func (e *Engine) serveImageHistory(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	i, ok := e.image(r.name)
	var out []image.HistoryResponseItem
	if ok {
		out = []image.HistoryResponseItem{{Comment: i.comment, Created: i.created / int64(time.Second), ID: i.id, Size: i.size, Tags: slices.Clone(i.tags)}}
	}
	e.mu.Unlock()
	if !ok {
		return notFound("image", normalTag(r.name))
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}
