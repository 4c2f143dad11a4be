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
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
)

// importLimit bounds the tar of an imported image.
const importLimit = 1 << 30

// validReference is an image's name: host, path of lower case, tag.
var validReference = regexp.MustCompile(`^(?:[a-zA-Z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?$`)

// serveImageCreate imports an image. There is no registry to pull from.
func (e *Engine) serveImageCreate(w http.ResponseWriter, r *request) error {
	if r.query.Get("fromSrc") == "" {
		return errorf(http.StatusInternalServerError, "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host")
	}
	if r.query.Get("fromSrc") != "-" {
		return errorf(http.StatusInternalServerError, "not simulated: import from a URL")
	}
	name := r.query.Get("repo")
	if tag := r.query.Get("tag"); name != "" && tag != "" {
		name += ":" + tag
	}
	if name != "" && !validReference.MatchString(name) {
		return errorf(http.StatusBadRequest, "invalid reference format")
	}
	config := &dockerspec.DockerOCIImageConfig{}
	for _, change := range r.query["changes"] {
		if err := applyChange(config, change); err != nil {
			return err
		}
	}
	size, layer, err := measure(io.LimitReader(r.Body, importLimit))
	if err != nil {
		return errorf(http.StatusInternalServerError, "Error processing tar file(exit status 1): %v", err)
	}
	comment := r.query.Get("message")
	if comment == "" {
		comment = "Imported from -"
	}
	e.mu.Lock()
	now := e.clock.tick()
	i := &imageObject{
		id: "sha256:" + derivedID("image", layer, at(now)), layer: "sha256:" + layer, created: now, size: size, comment: comment, config: config,
	}
	e.images = append(e.images, i)
	if name != "" {
		e.tag(i, normalTag(name))
	}
	e.emit(events.ImageEventType, events.ActionImport, i.id, nil, "name", i.id)
	e.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	body, err := json.Marshal(map[string]string{"status": i.id})
	if err == nil {
		_, _ = w.Write(append(body, "\r\n"...))
	}
	return nil
}

// measure reads a tar to its end: the size of its files, and its checksum.
func measure(r io.Reader) (size int64, sum string, err error) {
	h := sha256.New()
	t := tar.NewReader(io.TeeReader(r, h))
	for {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return size, hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return 0, "", err
		}
		size += header.Size
	}
}

// applyChange is a Dockerfile instruction of an import: CMD, ENTRYPOINT, ENV,
// LABEL, WORKDIR or USER.
func applyChange(c *dockerspec.DockerOCIImageConfig, change string) error {
	word, rest, _ := strings.Cut(strings.TrimSpace(change), " ")
	rest = strings.TrimSpace(rest)
	argv := func() []string {
		var list []string
		if json.Unmarshal([]byte(rest), &list) == nil {
			return list
		}
		return []string{"/bin/sh", "-c", rest}
	}
	switch strings.ToUpper(word) {
	case "CMD":
		c.Cmd = argv()
	case "ENTRYPOINT":
		c.Entrypoint = argv()
	case "ENV":
		c.Env = append(c.Env, strings.Replace(rest, " ", "=", 1))
	case "LABEL":
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		k, v, _ := strings.Cut(rest, "=")
		c.Labels[k] = strings.Trim(v, `"`)
	case "WORKDIR":
		c.WorkingDir = rest
	case "USER":
		c.User = rest
	default:
		return errorf(http.StatusBadRequest, "%s is not a valid change command", word)
	}
	return nil
}

// tag gives an image a name, and takes it from the image that had it. The caller
// holds e.mu.
func (e *Engine) tag(i *imageObject, name string) {
	for _, other := range e.images {
		other.tags = slices.DeleteFunc(other.tags, func(t string) bool { return t == name })
	}
	i.tags = append(i.tags, name)
	slices.Sort(i.tags)
	i.tagged = e.clock.tick()
	e.emit(events.ImageEventType, events.ActionTag, i.id, nil, "name", name)
}

func (e *Engine) serveImageTag(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	i, ok := e.image(r.name)
	if !ok {
		return notFound("image", normalTag(r.name))
	}
	name := r.query.Get("repo")
	if t := r.query.Get("tag"); t != "" {
		name += ":" + t
	}
	if !validReference.MatchString(name) {
		return errorf(http.StatusBadRequest, "invalid reference format")
	}
	e.tag(i, normalTag(name))
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (e *Engine) serveImageRemove(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	out, err := e.removeImage(r.name, r.flag("force"))
	e.mu.Unlock()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// removeImage takes a name off an image, and removes the image with its last.
// The caller holds e.mu.
func (e *Engine) removeImage(ref string, force bool) ([]image.DeleteResponse, error) {
	i, ok := e.image(ref)
	if !ok {
		return nil, notFound("image", normalTag(ref))
	}
	short := strings.TrimPrefix(i.id, "sha256:")[:12]
	user, running := e.imageUser(i)
	name := normalTag(ref)
	if slices.Contains(i.tags, name) {
		if len(i.tags) == 1 && user != nil && !force {
			return nil, errorf(http.StatusConflict, "conflict: unable to remove repository reference %q (must force) - container %s is using its referenced image %s", ref, user.id[:12], short)
		}
		out := []image.DeleteResponse{e.untag(i, name)}
		if len(i.tags) > 0 || user != nil {
			return out, nil
		}
		return append(out, e.deleteImage(i)), nil
	}
	switch {
	case running:
		return nil, errorf(http.StatusConflict, "conflict: unable to delete %s (cannot be forced) - image is being used by running container %s", short, user.id[:12])
	case user != nil && !force:
		return nil, errorf(http.StatusConflict, "conflict: unable to delete %s (must be forced) - image is being used by stopped container %s", short, user.id[:12])
	case len(i.tags) > 1 && !force:
		return nil, errorf(http.StatusConflict, "conflict: unable to delete %s (must be forced) - image is referenced in multiple repositories", short)
	}
	var out []image.DeleteResponse
	for _, t := range slices.Clone(i.tags) {
		out = append(out, e.untag(i, t))
	}
	return append(out, e.deleteImage(i)), nil
}

// imageUser is a container of the image, a running one first.
func (e *Engine) imageUser(i *imageObject) (user *containerObject, running bool) {
	for _, c := range e.containers.order {
		if c.image != i {
			continue
		}
		if c.running() {
			return c, true
		}
		user = c
	}
	return user, false
}

func (e *Engine) untag(i *imageObject, name string) image.DeleteResponse {
	i.tags = slices.DeleteFunc(i.tags, func(t string) bool { return t == name })
	e.emit(events.ImageEventType, events.ActionUnTag, i.id, nil, "name", i.id)
	return image.DeleteResponse{Untagged: name}
}

func (e *Engine) deleteImage(i *imageObject) image.DeleteResponse {
	e.images = slices.DeleteFunc(e.images, func(o *imageObject) bool { return o == i })
	e.emit(events.ImageEventType, events.ActionDelete, i.id, nil, "name", i.id)
	return image.DeleteResponse{Deleted: i.id}
}
