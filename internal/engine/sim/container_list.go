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
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
)

// summaryJSON is a container in a list as sent.
type summaryJSON struct {
	container.Summary
	Ports           []portJSON
	NetworkSettings networksJSON
}

type networksJSON struct {
	Networks map[string]*endpointJSON
}

var containerFilters = []string{
	"ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation",
	"label", "name", "network", "publish", "since", "status", "volume",
}

func (e *Engine) serveContainers(w http.ResponseWriter, r *request) error {
	f, err := parseFilters(r)
	if err != nil {
		return err
	}
	if err := f.allow(containerFilters...); err != nil {
		return err
	}
	for _, s := range f["status"] {
		if err := container.ValidateContainerState(container.ContainerState(s)); err != nil {
			return errorf(http.StatusBadRequest, "Unrecognised filter value for status: %s", s)
		}
	}
	limit, _ := strconv.Atoi(r.query.Get("limit"))
	e.mu.Lock()
	list, err := e.summaries(f, r.flag("all") || limit > 0 || f.has("status"), limit)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// summaries lists the containers that pass, newest first.
func (e *Engine) summaries(f filters, all bool, limit int) ([]summaryJSON, error) {
	list, now := []summaryJSON{}, e.clock.now()
	after, before := int64(0), int64(1)<<62
	for _, ref := range f["since"] {
		c, err := e.containers.get(ref)
		if err != nil {
			return nil, err
		}
		after = max(after, c.created)
	}
	for _, ref := range f["before"] {
		c, err := e.containers.get(ref)
		if err != nil {
			return nil, err
		}
		before = min(before, c.created)
	}
	for _, c := range slices.Backward(e.containers.order) {
		if limit > 0 && len(list) >= limit {
			break
		}
		if !all && !c.running() || f.has("since") && c.created <= after || f.has("before") && c.created >= before || !c.passes(f) {
			continue
		}
		list = append(list, c.summary(now))
	}
	return list, nil
}

func (c *containerObject) passes(f filters) bool {
	if len(f) == 0 {
		return true
	}
	on := func(key string, values func(*endpoint) []string) bool {
		return !f.has(key) || slices.ContainsFunc(c.ends, func(ep *endpoint) bool {
			return slices.ContainsFunc(values(ep), func(v string) bool { return f.exact(key, v) })
		})
	}
	_, task := c.config.Labels["com.docker.swarm.task.id"]
	return f.exact("status", string(c.state.status)) && f.prefix("id", c.id) &&
		(f.match("name", c.name) || f.match("name", "/"+c.name)) && f.labels("label", c.config.Labels) &&
		(!f.has("exited") || !c.running() && c.state.startedAt != 0 && f.exact("exited", strconv.Itoa(c.state.exitCode))) &&
		(!f.has("ancestor") || c.descends(f)) && f.exact("is-task", strconv.FormatBool(task)) && f.exact("health", string(container.NoHealthcheck)) &&
		on("network", func(ep *endpoint) []string {
			if ep.net == nil {
				return []string{ep.name}
			}
			return []string{ep.net.name, ep.net.id}
		}) &&
		(!f.has("volume") || slices.ContainsFunc(c.mounts, func(m container.MountPoint) bool {
			return f.exact("volume", m.Name) || f.exact("volume", m.Destination)
		}))
}

func (c *containerObject) descends(f filters) bool {
	return f.exact("ancestor", c.config.Image) || f.prefix("ancestor", c.image.id) ||
		slices.ContainsFunc(c.image.tags, func(tag string) bool {
			name, _, _ := strings.Cut(tag, ":")
			return f.exact("ancestor", tag) || f.exact("ancestor", name)
		})
}

func (c *containerObject) summary(now time.Time) summaryJSON {
	out := summaryJSON{Summary: container.Summary{
		ID: c.id, Names: []string{"/" + c.name}, Image: c.imageName(), ImageID: c.image.id,
		Command: displayCommand(c.command()), Created: c.created / int64(time.Second),
		Labels: orEmpty(c.config.Labels), State: c.state.status, Status: c.describe(now),
		Mounts: slices.Clone(c.mounts),
	}}
	out.HostConfig.NetworkMode = string(c.host.NetworkMode)
	if out.Mounts == nil {
		out.Mounts = []container.MountPoint{}
	}
	out.Ports, out.NetworkSettings.Networks = c.portSummaries(), c.networks()
	return out
}

// imageName is the name the container was made from, or the image's id once that
// name means another image.
func (c *containerObject) imageName() string {
	if slices.Contains(c.image.tags, normalTag(c.config.Image)) || strings.HasPrefix(c.image.id, c.config.Image) {
		return c.config.Image
	}
	return c.image.id
}

// displayCommand joins a command with its spaced arguments in quotes.
func displayCommand(args []string) string {
	var b strings.Builder
	for i, a := range args {
		if i > 0 {
			b.WriteByte(' ')
			if strings.Contains(a, " ") {
				a = "'" + a + "'"
			}
		}
		b.WriteString(a)
	}
	return b.String()
}
