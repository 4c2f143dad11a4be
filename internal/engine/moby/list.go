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

package moby

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// listPaths are where the kinds are listed; inspectPaths hold the id at %.
var listPaths = map[engine.Kind]string{
	engine.Containers: "/containers/json",
	engine.Images:     "/images/json",
	engine.Volumes:    "/volumes",
	engine.Networks:   "/networks",
	engine.Services:   "/services",
	engine.Tasks:      "/tasks",
	engine.Nodes:      "/nodes",
	engine.Secrets:    "/secrets",
	engine.Configs:    "/configs",
}

func unknownKind(kind engine.Kind) error {
	return engine.Errorf(engine.ClassInvalid, "", "%q is not a kind that an engine lists", kind)
}

// List returns the objects of a kind, or those of opts.
func (c *client) List(ctx context.Context, kind engine.Kind, opts engine.ListOptions) ([]engine.Object, error) {
	path, ok := listPaths[kind]
	if !ok {
		return nil, unknownKind(kind)
	}
	patience := engine.ListPatience
	if len(opts.IDs)+len(opts.Names) > 0 {
		patience = 0
	}
	ctx, done := c.unaryContext(ctx, patience)
	defer done()
	query := url.Values{}
	if kind == engine.Containers {
		query.Set("all", "1")
	}
	if len(opts.Names) > 0 {
		return c.listNamed(ctx, kind, path, opts)
	}
	if len(opts.IDs) == 0 {
		switch {
		case opts.Label != "":
			query.Set("filters", filterOf("label", map[string]bool{opts.Label: true}))
		case opts.Service != "":
			query.Set("filters", filterOf("service", map[string]bool{opts.Service: true}))
		}
		return c.listPage(ctx, kind, path, query, nil)
	}
	wanted := make(map[string]bool, len(opts.IDs))
	for _, id := range opts.IDs {
		wanted[id] = true
	}
	// The API has no filter by image id.
	if kind == engine.Images {
		return c.listPage(ctx, kind, path, query, wanted)
	}
	var objects []engine.Object
	key := "id"
	if kind == engine.Volumes {
		key = "name"
	}
	for _, filter := range filters(key, opts.IDs) {
		query.Set("filters", filter)
		page, err := c.listPage(ctx, kind, path, query, wanted)
		if err != nil {
			return nil, err
		}
		for _, o := range page {
			delete(wanted, o.ID) // an id that is given twice is listed once
		}
		objects = append(objects, page...)
	}
	return objects, nil
}

// listNamed lists the objects of opts.Names. Engines match the beginnings of names.
func (c *client) listNamed(ctx context.Context, kind engine.Kind, path string, opts engine.ListOptions) ([]engine.Object, error) {
	wanted := make(map[string]bool, len(opts.Names))
	for _, name := range opts.Names {
		wanted[name] = true
	}
	var objects []engine.Object
	for _, filter := range filters("name", opts.Names) {
		page, err := c.listPage(ctx, kind, path, url.Values{"filters": {filter}}, nil)
		if err != nil {
			return nil, err
		}
		for _, o := range page {
			if wanted[o.Name] {
				objects = append(objects, o)
			}
		}
	}
	return objects, nil
}

func filterOf(key string, values map[string]bool) string {
	b, _ := json.Marshal(map[string]map[string]bool{key: values}) // plain data
	return string(b)
}

// filters spells the API's filters for ids or names, in as many parts as URLs need.
// Engines match prefixes of ids and parts of volumes' names.
func filters(key string, ids []string) []string {
	var filters []string
	part, size := map[string]bool{}, 0
	flush := func() {
		if len(part) > 0 {
			filters = append(filters, filterOf(key, part))
		}
		part, size = map[string]bool{}, 0
	}
	for _, id := range ids {
		if id == "" || len(id) > maxIDBytes {
			continue // no engine has such an object
		}
		n := len(url.QueryEscape(strconv.Quote(id) + ":true,"))
		if size+n > maxFilterBytes {
			flush()
		}
		part[id] = true
		size += n
	}
	flush()
	return filters
}

// listPage makes one request and keeps the wanted objects; nil wants all.
func (c *client) listPage(ctx context.Context, kind engine.Kind, path string, query url.Values, wanted map[string]bool) ([]engine.Object, error) {
	req, err := c.newRequest(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.upkeepCalls(maxListBytes).RoundTrip(req)
	if err != nil {
		return nil, c.swarmless(kind, err)
	}
	defer func() { _ = resp.Body.Close() }()
	defer drain(resp.Body)
	objects, err := parseList(kind, resp.Body, wanted)
	if err == nil {
		return objects, nil
	}
	var mapped *engine.Error
	if errors.As(err, &mapped) {
		return nil, mapped
	}
	return nil, notDocker(c.name, resp.Header, err)
}

// swarmless makes a Conflict of the 404 by which engines without any swarm
// support, Podman's among them, answer a list of what a swarm has.
func (c *client) swarmless(kind engine.Kind, err error) error {
	switch kind {
	case engine.Services, engine.Tasks, engine.Nodes, engine.Secrets, engine.Configs:
		if engine.IsNotFound(err) {
			return fail(engine.ClassConflict, "", err, "%s is not a swarm manager: it has no swarm at all", c.name)
		}
	}
	return err
}

// parseList reads a list's body item by item. An item that is JSON but not an
// object of the kind is left out.
func parseList(kind engine.Kind, body io.Reader, wanted map[string]bool) ([]engine.Object, error) {
	v := newValueReader(body, maxItemBytes)
	if kind == engine.Volumes {
		return parseVolumes(v, wanted)
	}
	return parseItems(kind, v, wanted)
}

// parseVolumes finds the list in {"Volumes": [...], ...}.
func parseVolumes(v *valueReader, wanted map[string]bool) ([]engine.Object, error) {
	var objects []engine.Object
	err := v.object(func(key string) (err error) {
		if key != "Volumes" {
			_, err = v.next()
			return err
		}
		objects, err = parseItems(engine.Volumes, v, wanted)
		return err
	})
	return objects, err
}

func parseItems(kind engine.Kind, v *valueReader, wanted map[string]bool) ([]engine.Object, error) {
	var objects []engine.Object
	n := 0
	err := v.array(func() error {
		raw, err := v.next()
		if err != nil {
			return err
		}
		if n++; n > maxListItems {
			return errors.New("the list has too many items")
		}
		o, err := engine.ParseObject(kind, raw)
		if err == nil && (wanted == nil || wanted[o.ID]) {
			objects = append(objects, o)
		}
		return nil
	})
	return objects, err
}

// Inspect returns the full JSON of one object.
func (c *client) Inspect(ctx context.Context, kind engine.Kind, id string) (json.RawMessage, error) {
	return c.inspect(ctx, kind, id, nil)
}

// InspectSwarmNetwork returns the full JSON of a network of the swarm.
func (c *client) InspectSwarmNetwork(ctx context.Context, id string) (json.RawMessage, error) {
	return c.inspect(ctx, engine.Networks, id, url.Values{"scope": {"swarm"}})
}

func (c *client) inspect(ctx context.Context, kind engine.Kind, id string, query url.Values) (json.RawMessage, error) {
	if listPaths[kind] == "" {
		return nil, unknownKind(kind)
	}
	if err := checkID(kind, id); err != nil {
		return nil, err
	}
	path := "/" + string(kind) + "/" + id
	if kind == engine.Containers || kind == engine.Images {
		path += "/json"
	}
	var raw json.RawMessage
	if err := c.get(ctx, path, query, &raw); err != nil {
		return nil, err
	}
	if len(raw) == 0 || raw[0] != '{' {
		return nil, notDocker(c.name, nil, nil)
	}
	return raw, nil
}
