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
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/mount"
)

var validName = regexp.MustCompile(`^/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

func (e *Engine) serveContainerCreate(w http.ResponseWriter, r *request) error {
	var req container.CreateRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	if req.Config == nil {
		return errorf(http.StatusBadRequest, "Config cannot be empty in order to create a container")
	}
	e.mu.Lock()
	c, err := e.createContainer(r.query.Get("name"), req)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, container.CreateResponse{ID: c.id, Warnings: []string{}})
	return nil
}

// createContainer makes a container. The caller holds e.mu.
func (e *Engine) createContainer(name string, req container.CreateRequest) (*containerObject, error) {
	if req.Image == "" {
		return nil, errorf(http.StatusBadRequest, "Config cannot be empty in order to create a container")
	}
	img, ok := e.image(req.Image)
	if !ok {
		return nil, notFound("image", normalTag(req.Image))
	}
	config := *req.Config
	inherit(&config, img)
	if len(config.Entrypoint)+len(config.Cmd) == 0 {
		return nil, errorf(http.StatusBadRequest, "No command specified")
	}
	id := newID()
	if name == "" {
		name = "sim_" + id[:10]
	}
	if !validName.MatchString(name) {
		return nil, errorf(http.StatusBadRequest, "Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name)
	}
	name = strings.TrimPrefix(name, "/")
	if other, taken := e.containers.byName[name]; taken {
		return nil, nameTaken(name, other)
	}
	config.Labels = orEmpty(config.Labels)
	if config.Hostname == "" {
		config.Hostname = id[:12]
	}
	host := defaultHost(req.HostConfig)
	c := &containerObject{
		id: id, name: name, image: img, config: &config, host: host, created: e.clock.tick(),
		state: containerState{status: container.StateCreated},
	}
	c.ends = wantedEndpoints(c, req)
	if err := e.addMounts(c); err != nil {
		return nil, err
	}
	e.containers.add(c)
	e.emitContainer(c, events.ActionCreate)
	return c, nil
}

func nameTaken(name string, other *containerObject) error {
	return errorf(http.StatusConflict, "Conflict. The container name \"/%s\" is already in use by container \"%s\". You have to remove (or rename) that container to be able to reuse that name.", name, other.id)
}

// inherit fills in what the image says and the request does not.
func inherit(config *container.Config, img *imageObject) {
	from := img.config
	if from == nil {
		return
	}
	if len(config.Entrypoint) == 0 {
		config.Entrypoint = from.Entrypoint
		if len(config.Cmd) == 0 {
			config.Cmd = from.Cmd
		}
	}
	if config.WorkingDir == "" {
		config.WorkingDir = from.WorkingDir
	}
	if config.User == "" {
		config.User = from.User
	}
	config.Env = append(slices.Clone(from.Env), config.Env...)
	if len(from.Labels) > 0 {
		labels := maps.Clone(from.Labels)
		maps.Copy(labels, config.Labels)
		config.Labels = labels
	}
}

// defaultHost is a host configuration with what the engine fills in.
func defaultHost(req *container.HostConfig) *container.HostConfig {
	host := container.HostConfig{}
	if req != nil {
		host = *req
	}
	set := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set((*string)(&host.NetworkMode), "default")
	set((*string)(&host.IpcMode), "private")
	set((*string)(&host.CgroupnsMode), "host")
	set(&host.Runtime, "runc")
	set(&host.LogConfig.Type, "json-file")
	if host.LogConfig.Config == nil {
		host.LogConfig.Config = map[string]string{}
	}
	if host.OomKillDisable == nil {
		host.OomKillDisable = new(bool)
	}
	if host.ShmSize == 0 {
		host.ShmSize = 64 << 20
	}
	if !host.Privileged {
		host.MaskedPaths, host.ReadonlyPaths = maskedPaths, readonlyPaths
	}
	return &host
}

var (
	maskedPaths = []string{
		"/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
	}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// wantedEndpoints are the networks the request names, to be joined at the start.
func wantedEndpoints(c *containerObject, req container.CreateRequest) []*endpoint {
	mode := string(c.host.NetworkMode)
	var ends []*endpoint
	switch {
	case strings.HasPrefix(mode, "container:"):
		return nil
	case mode == "default":
		ends = []*endpoint{{name: "bridge"}}
	default:
		ends = []*endpoint{{name: mode}}
	}
	if req.NetworkingConfig == nil {
		return ends
	}
	for _, name := range slices.Sorted(maps.Keys(req.NetworkingConfig.EndpointsConfig)) {
		settings := req.NetworkingConfig.EndpointsConfig[name]
		ep := ends[0]
		if name != ep.name && !(name == "default" && ep.name == "bridge") {
			ep = &endpoint{name: name}
			ends = append(ends, ep)
		}
		if settings != nil {
			ep.aliases = slices.Clone(settings.Aliases)
		}
	}
	return ends
}

// addMounts works out a container's mounts and makes the volumes they name.
func (e *Engine) addMounts(c *containerObject) error {
	for _, bind := range c.host.Binds {
		parts := strings.Split(bind, ":")
		if len(parts) < 2 || len(parts) > 3 || !path.IsAbs(parts[1]) {
			return errorf(http.StatusBadRequest, "invalid volume specification: '%s'", bind)
		}
		options := ""
		if len(parts) == 3 {
			options = parts[2]
		}
		writable := !slices.Contains(strings.Split(options, ","), "ro")
		if path.IsAbs(parts[0]) {
			c.mounts = append(c.mounts, container.MountPoint{
				Type: mount.TypeBind, Source: parts[0], Destination: parts[1], Mode: options, RW: writable, Propagation: mount.PropagationRPrivate,
			})
			continue
		}
		v, err := e.createVolume(parts[0], "", nil, nil)
		if err != nil {
			return err
		}
		if options == "" {
			options = "z"
		}
		c.mounts = append(c.mounts, v.mount(parts[1], options, writable))
	}
	for _, m := range c.host.Mounts {
		switch m.Type {
		case mount.TypeVolume:
			v, err := e.createVolume(m.Source, "", volumeLabels(m), nil)
			if err != nil {
				return err
			}
			v.anonymous = v.anonymous || m.Source == ""
			c.mounts = append(c.mounts, v.mount(m.Target, "z", !m.ReadOnly))
		default:
			c.mounts = append(c.mounts, container.MountPoint{Type: m.Type, Source: m.Source, Destination: m.Target, RW: !m.ReadOnly})
		}
	}
	for _, target := range slices.Sorted(maps.Keys(c.config.Volumes)) {
		if slices.ContainsFunc(c.mounts, func(m container.MountPoint) bool { return m.Destination == target }) {
			continue
		}
		v, err := e.createVolume("", "", nil, nil)
		if err != nil {
			return err
		}
		v.anonymous = true
		c.mounts = append(c.mounts, v.mount(target, "", true))
	}
	return nil
}

func volumeLabels(m mount.Mount) map[string]string {
	if m.VolumeOptions == nil {
		return nil
	}
	return m.VolumeOptions.Labels
}
