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
	"strings"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
)

// populate gives a new engine what every engine has and what its options ask for.
func (e *Engine) populate() {
	e.networks = e.predefinedNetworks()
	e.volumes = map[string]*volumeObject{}
	now := e.clock.tick()
	for i := range max(e.opts.Images, min(e.opts.Containers, 1)) {
		e.images = append(e.images, e.generatedImage(i, now))
	}
	// Each image's containers share their configuration.
	configs := make([]*container.Config, len(e.images))
	for i, img := range e.images {
		configs[i] = &container.Config{
			Image: img.tags[0], Cmd: []string{"sleep", "infinity"},
			Labels: map[string]string{"app": strings.TrimSuffix(img.tags[0], ":1"), "dockercontrol.dev/simulated": "true"},
		}
	}
	for i := range e.opts.Containers {
		k := i % len(e.images)
		e.generatedContainer(i, e.images[k], configs[k], now)
	}
}

// generatedHost is shared by every generated container.
var generatedHost = &container.HostConfig{
	LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{}}, NetworkMode: "default",
	Resources: container.Resources{OomKillDisable: new(bool)}, MaskedPaths: maskedPaths, ReadonlyPaths: readonlyPaths,
	IpcMode: "private", CgroupnsMode: "host", ShmSize: 64 << 20, Runtime: "runc",
}

var emptyImageConfig = &dockerspec.DockerOCIImageConfig{}

func (e *Engine) generatedImage(i int, now int64) *imageObject {
	name := numbered("app-", i)
	return &imageObject{
		id: "sha256:" + derivedID("image", name), layer: "sha256:" + derivedID("layer", name), tags: []string{name + ":1"},
		created: now - int64(24*time.Hour), tagged: now, size: 2 << 20, config: emptyImageConfig,
	}
}

func (e *Engine) generatedContainer(i int, img *imageObject, config *container.Config, now int64) {
	bridge := e.networks[2]
	c := &containerObject{
		id: derivedID("container", e.opts.Seed, itoa(i)), name: numbered("c", i), image: img, config: config, host: generatedHost,
		created: now - int64(time.Hour) + int64(i), ends: []*endpoint{{name: bridge.name, net: bridge, address: bridge.allocate()}},
	}
	c.state = containerState{status: container.StateRunning, pid: e.newPID(), startedAt: c.created}
	e.containers.add(c)
}
