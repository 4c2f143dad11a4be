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
	"net/http"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// inspected is a container as its engine describes it.
type inspected struct {
	ID, Name, Image string
	Created         string
	RestartCount    int
	State           struct {
		Status              string
		Running, Restarting bool
		ExitCode            int
		Error               string
		Health              *struct{ Status string }
	}
	Config, HostConfig object
	Mounts             []struct {
		Type, Name, Destination, Mode string
		RW                            bool
	}
	NetworkSettings struct{ Networks map[string]object }
}

func parseContainer(raw json.RawMessage) (*inspected, error) {
	var c inspected
	if err := json.Unmarshal(raw, &c); err != nil || c.ID == "" || c.Config == nil || c.HostConfig == nil {
		return nil, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the engine's description of the container cannot be read")
	}
	c.Name = strings.TrimPrefix(c.Name, "/")
	return &c, nil
}

// ref is the image's name as the container was made of it.
func (c *inspected) ref() string { return c.Config.text("Image") }

// swarmTask is on the containers of a swarm's tasks.
const swarmTask = "com.docker.swarm.task.id"

// imageID is an id of an image, in full or cut.
var imageID = regexp.MustCompile(`^(sha256:)?[0-9a-f]{6,64}$`)

// recreatable says why a container cannot be recreated.
func (c *inspected) recreatable() error {
	var remove bool
	_ = json.Unmarshal(c.HostConfig["AutoRemove"], &remove)
	switch {
	case c.Config.members("Labels")[swarmTask] != nil:
		return conflict("the container is a swarm task's: force an update of its service instead")
	case strings.HasSuffix(c.Name, asideMark+short(c.ID)):
		return conflict("the container is being recreated, or was left by a recreation that failed: rename it first where it was left")
	case remove:
		return conflict("the container was made with --rm: stopping it removes it, so it could not be put back; remove it and create another")
	case c.ref() == "" || imageID.MatchString(c.ref()) && strings.HasPrefix(c.Image, "sha256:"+strings.TrimPrefix(c.ref(), "sha256:")):
		return conflict("the container was made of an image's id and not of a name: nothing can be newer than that")
	}
	switch c.State.Status {
	case "running", "restarting", "exited", "created":
		return nil
	}
	return conflict("the container is %s: it must be running or stopped", c.State.Status)
}

func conflict(format string, args ...any) error {
	return apistatus.New(http.StatusConflict, metav1.StatusReasonConflict, format, args...)
}

// wasUp says whether the container is to run afterwards.
func (c *inspected) wasUp() bool { return c.State.Running || c.State.Restarting }

// networkMode is how the container is on networks: the name of one, default, host, none,
// or container:ID.
func (c *inspected) networkMode() string { return c.HostConfig.text("NetworkMode") }

// plan is what a new container is made of.
type plan struct {
	body json.RawMessage
	// networks are the further ones, by name, each with its endpoint.
	networks map[string]json.RawMessage
}

// successor plans a container like c, of another image under the same name. The image is
// the old one's config, mac the address that the user gave, where the user did.
func (c *inspected) successor(newImage string, image object, mac string) (plan, error) {
	config := userConfig(c.Config, image)
	c.dropGenerated(config)
	if labels := config.members("Labels"); labels != nil && labels.text(composeImage) == c.Image {
		labels.set(composeImage, newImage)
		config.set("Labels", labels)
	}
	host, err := c.hostConfig()
	if err != nil {
		return plan{}, err
	}
	body := config
	body.set("HostConfig", host)
	p := plan{networks: map[string]json.RawMessage{}}
	primary := object{}
	for name, settings := range c.NetworkSettings.Networks {
		endpoint := c.endpoint(settings)
		switch {
		case c.isPrimary(name, settings):
			if mac != "" && c.Config.text("MacAddress") == "" {
				endpoint.set("MacAddress", mac) // its place since API 1.44
			}
			if len(endpoint) > 0 {
				primary.set(name, endpoint)
			}
		case c.joins():
			raw, err := json.Marshal(endpoint)
			if err != nil {
				return plan{}, err
			}
			p.networks[name] = raw
		}
	}
	// Engines before API 1.44 take one network at the creation.
	body.set("NetworkingConfig", map[string]any{"EndpointsConfig": primary})
	p.body, err = json.Marshal(body)
	return p, err
}

// composeImage is the label by which docker compose knows whether its container has the
// image that it should have.
const composeImage = "com.docker.compose.image"

// dropGenerated takes away what the engine made up, or would refuse to be told.
func (c *inspected) dropGenerated(config object) {
	shares := strings.HasPrefix(c.networkMode(), "container:")
	if config.text("Hostname") == short(c.ID) || shares || c.HostConfig.text("UTSMode") == "host" {
		delete(config, "Hostname")
	}
	if shares || c.HostConfig.text("UTSMode") == "host" {
		delete(config, "Domainname")
	}
	if shares {
		delete(config, "ExposedPorts")
		delete(config, "MacAddress")
	}
}

// hostConfig is the container's own, with its anonymous volumes named.
func (c *inspected) hostConfig() (object, error) {
	host := c.HostConfig.clone()
	var mounts []object
	if err := json.Unmarshal(host["Mounts"], &mounts); err != nil && len(host["Mounts"]) > 0 {
		return nil, engine.Errorf(engine.ClassServer, engine.CauseEngineError, "the mounts of the container cannot be read")
	}
	binds := host.list("Binds")
	for _, m := range c.Mounts {
		if m.Type != "volume" || m.Name == "" || bound(binds, m.Destination) {
			continue
		}
		i := slices.IndexFunc(mounts, func(o object) bool { return o.text("Target") == m.Destination })
		switch {
		case i >= 0 && mounts[i].text("Source") == "":
			mounts[i].set("Source", m.Name)
		case i < 0:
			bind := m.Name + ":" + m.Destination
			if !m.RW {
				bind += ":ro"
			}
			binds = append(binds, bind)
		}
	}
	if len(mounts) > 0 {
		host.set("Mounts", mounts)
	}
	host.set("Binds", binds)
	// Links are told as /target:/container/alias and taken as target:alias.
	links := host.list("Links")
	for i, link := range links {
		target, alias, _ := strings.Cut(link, ":")
		links[i] = strings.TrimPrefix(target, "/") + ":" + alias[strings.LastIndexByte(alias, '/')+1:]
	}
	host.set("Links", links)
	return host, nil
}

// bound says whether a bind mounts the destination.
func bound(binds []string, destination string) bool {
	return slices.ContainsFunc(binds, func(b string) bool {
		parts := strings.Split(b, ":")
		return len(parts) > 1 && parts[1] == destination
	})
}

// joins says whether the container can be on further networks.
func (c *inspected) joins() bool {
	mode := c.networkMode()
	return mode != "host" && mode != "none" && !strings.HasPrefix(mode, "container:")
}

func (c *inspected) isPrimary(name string, settings object) bool {
	mode := c.networkMode()
	return name == mode || settings.text("NetworkID") == mode || (mode == "default" || mode == "") && name == "bridge"
}

// endpointSettings are those that users give; the others are the engine's findings.
var endpointSettings = []string{"IPAMConfig", "Links", "Aliases", "DriverOpts", "GwPriority"}

// endpoint is what the user said of a place on a network.
func (c *inspected) endpoint(settings object) object {
	out := object{}
	for _, key := range endpointSettings {
		value := settings[key]
		if len(value) == 0 || string(value) == "null" || string(value) == "{}" || string(value) == "0" {
			continue
		}
		out[key] = value
	}
	// The engine adds the short id to the aliases by itself.
	if aliases := slices.DeleteFunc(settings.list("Aliases"), func(a string) bool { return a == short(c.ID) }); len(aliases) > 0 {
		out.set("Aliases", aliases)
	} else {
		delete(out, "Aliases")
	}
	return out
}
