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
	"regexp"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/volume"
)

var validVolume = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

// createVolume makes a volume, or returns the one of that name. The caller holds e.mu.
func (e *Engine) createVolume(name, driver string, labels, options map[string]string) (*volumeObject, error) {
	if driver != "" && driver != "local" {
		return nil, errorf(http.StatusNotFound, "create %s: error looking up volume plugin %s: plugin \"%s\" not found", name, driver, driver)
	}
	if name == "" {
		name = newID()
	}
	if !validVolume.MatchString(name) {
		return nil, errorf(http.StatusBadRequest, "create %s: %q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path", name, name)
	}
	v, ok := e.volumes[name]
	if !ok {
		v = &volumeObject{name: name, driver: "local", created: e.clock.tick(), labels: labels, options: options}
		e.volumes[name] = v
	}
	e.emit(events.VolumeEventType, events.ActionCreate, name, nil, "driver", "local")
	return v, nil
}

func (v *volumeObject) mountpoint() string { return "/var/lib/docker/volumes/" + v.name + "/_data" }

func (v *volumeObject) mount(target, mode string, writable bool) container.MountPoint {
	return container.MountPoint{
		Type: mount.TypeVolume, Name: v.name, Source: v.mountpoint(), Destination: target, Driver: v.driver, Mode: mode, RW: writable,
	}
}

// removeVolume forgets a volume that nobody uses. The caller holds e.mu.
func (e *Engine) removeVolume(v *volumeObject) {
	delete(e.volumes, v.name)
	e.emit(events.VolumeEventType, events.ActionDestroy, v.name, nil, "driver", v.driver)
}

func (e *Engine) serveVolumeCreate(w http.ResponseWriter, r *request) error {
	var req volume.CreateRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	e.mu.Lock()
	v, err := e.createVolume(req.Name, req.Driver, req.Labels, req.DriverOpts)
	var out volume.Volume
	if err == nil {
		out = v.json()
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, out)
	return nil
}

func (e *Engine) serveVolumeInspect(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	v, ok := e.volumes[r.name]
	var out volume.Volume
	if ok {
		out = v.json()
	}
	e.mu.Unlock()
	if !ok {
		return errorf(http.StatusNotFound, "get %s: no such volume", r.name)
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

func (e *Engine) serveVolumeRemove(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	v, ok := e.volumes[r.name]
	switch {
	case !ok && !r.flag("force"):
		return errorf(http.StatusNotFound, "get %s: no such volume", r.name)
	case ok:
		if users := e.users(v); len(users) > 0 {
			return errorf(http.StatusConflict, "remove %s: volume is in use - [%s]", r.name, strings.Join(users, ", "))
		}
		e.removeVolume(v)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
