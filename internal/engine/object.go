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
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Kind is a kind of object that an engine lists, by its plural in the API.
type Kind string

// The kinds. Services, Tasks, Nodes, Secrets and Configs exist on swarm managers only.
const (
	Containers Kind = "containers"
	Images     Kind = "images"
	Volumes    Kind = "volumes"
	Networks   Kind = "networks"
	Services   Kind = "services"
	Tasks      Kind = "tasks"
	Nodes      Kind = "nodes"
	Secrets    Kind = "secrets"
	Configs    Kind = "configs"
)

// LocalKinds are an engine's own objects, SwarmKinds those of its swarm. Secrets and
// configs are in neither: nobody keeps them.
var (
	LocalKinds = []Kind{Containers, Images, Volumes, Networks}
	SwarmKinds = []Kind{Services, Tasks, Nodes}
)

// Object is one listed thing: the engine's own JSON and what the project reads
// out of it. Objects are shared between readers and must not be changed.
type Object struct {
	Kind Kind
	// ID is the full id; a volume's is its name.
	ID string
	// Name is without the API's leading slash; an image's is its first tag, or
	// empty when it has none.
	Name   string
	Labels map[string]string
	// Created is zero where the engine does not say.
	Created time.Time
	// State is a container's state ("running"), a task's ("running") or a node's
	// ("ready"), as the API spells it; empty for other kinds.
	State string
	// Version is a swarm object's version index, else 0.
	Version uint64
	// ServiceID and NodeID are set on tasks.
	ServiceID, NodeID string
	// Raw is the object as the engine sent it in its list.
	Raw json.RawMessage
}

// ParseObject reads the index fields of one list item. raw is kept, not copied.
// A field of an unexpected type, or no id, is an error.
func ParseObject(kind Kind, raw json.RawMessage) (Object, error) {
	parse, ok := parsers[kind]
	if !ok {
		return Object{}, fmt.Errorf("kind %q is not one an engine lists", kind)
	}
	o, err := parse(raw)
	if err != nil {
		return Object{}, fmt.Errorf("item of %s: %w", kind, err)
	}
	if o.ID == "" {
		return Object{}, fmt.Errorf("item of %s has no id", kind)
	}
	o.Kind, o.Raw = kind, raw
	return o, nil
}

var parsers = map[Kind]func(json.RawMessage) (Object, error){
	Containers: parseContainer,
	Images:     parseImage,
	Volumes:    parseVolume,
	Networks:   parseNetwork,
	Services:   parseNamed,
	Tasks:      parseTask,
	Nodes:      parseNode,
	Secrets:    parseNamed,
	Configs:    parseNamed,
}

func parseContainer(raw json.RawMessage) (Object, error) {
	var v struct {
		ID      string `json:"Id"`
		Names   []string
		Created int64
		State   string
		Labels  map[string]string
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return Object{}, err
	}
	return Object{ID: v.ID, Name: containerName(v.Names), Labels: v.Labels, Created: unix(v.Created), State: v.State}, nil
}

// containerName picks a container's own name: links of other containers to it
// (the deprecated --link) appear as further names with a second slash.
func containerName(names []string) string {
	for _, n := range names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			return n
		}
	}
	return ""
}

func parseImage(raw json.RawMessage) (Object, error) {
	var v struct {
		ID       string `json:"Id"`
		RepoTags []string
		Created  int64
		Labels   map[string]string
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return Object{}, err
	}
	o := Object{ID: v.ID, Labels: v.Labels, Created: unix(v.Created)}
	if len(v.RepoTags) > 0 && v.RepoTags[0] != "<none>:<none>" {
		o.Name = v.RepoTags[0]
	}
	return o, nil
}

func parseVolume(raw json.RawMessage) (Object, error) {
	var v struct {
		Name      string
		CreatedAt string
		Labels    map[string]string
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return Object{}, err
	}
	return Object{ID: v.Name, Name: v.Name, Labels: v.Labels, Created: rfc3339(v.CreatedAt)}, nil
}

func parseNetwork(raw json.RawMessage) (Object, error) {
	var v struct {
		ID      string `json:"Id"`
		Name    string
		Created string
		Labels  map[string]string
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return Object{}, err
	}
	return Object{ID: v.ID, Name: v.Name, Labels: v.Labels, Created: rfc3339(v.Created)}, nil
}

type swarmMeta struct {
	ID        string
	Version   struct{ Index uint64 }
	CreatedAt string
}

func (m swarmMeta) object() Object {
	return Object{ID: m.ID, Version: m.Version.Index, Created: rfc3339(m.CreatedAt)}
}

// parseNamed reads what has its name in its spec: services, secrets and configs.
func parseNamed(raw json.RawMessage) (Object, error) {
	var v struct {
		swarmMeta
		Spec struct {
			Name   string
			Labels map[string]string
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return Object{}, err
	}
	o := v.object()
	o.Name, o.Labels = v.Spec.Name, v.Spec.Labels
	return o, nil
}

func parseTask(raw json.RawMessage) (Object, error) {
	var v struct {
		swarmMeta
		Name              string
		Labels            map[string]string
		ServiceID, NodeID string
		Status            struct{ State string }
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return Object{}, err
	}
	o := v.object()
	o.Name, o.Labels, o.State = v.Name, v.Labels, v.Status.State
	o.ServiceID, o.NodeID = v.ServiceID, v.NodeID
	return o, nil
}

func parseNode(raw json.RawMessage) (Object, error) {
	var v struct {
		swarmMeta
		Spec        struct{ Labels map[string]string }
		Description struct{ Hostname string }
		Status      struct{ State string }
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return Object{}, err
	}
	o := v.object()
	o.Name, o.Labels, o.State = v.Description.Hostname, v.Spec.Labels, v.Status.State
	o.NodeID = v.ID
	return o, nil
}

func unix(sec int64) time.Time {
	if sec <= 0 {
		return time.Time{}
	}
	return time.Unix(sec, 0).UTC()
}

// rfc3339 is lenient: a time the engine leaves out or spells otherwise is zero.
func rfc3339(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
