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

package stream

import (
	"slices"
	"strings"

	"github.com/moby/moby/api/types/events"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// EventFilter chooses events. Within a field one match is enough, and all fields
// have to match; an empty field lets everything through.
type EventFilter struct {
	Types []string `json:"types,omitempty"`
	// Actions are compared as a whole and up to a colon: "exec_create" is also
	// "exec_create: sh".
	Actions []string `json:"actions,omitempty"`
	// Containers are full ids or names.
	Containers []string `json:"containers,omitempty"`
	// Labels are "name", or "name=value"; all of them have to match.
	Labels []string `json:"labels,omitempty"`
}

// maxFilter bounds the words of a filter: each is compared with every event.
const maxFilter = 100

// eventMatcher is a filter that was checked.
type eventMatcher struct {
	EventFilter
	all bool
}

func (f EventFilter) matcher() (*eventMatcher, error) {
	n := len(f.Types) + len(f.Actions) + len(f.Containers) + len(f.Labels)
	if n > maxFilter {
		return nil, engine.Errorf(engine.ClassInvalid, "", "the filter has %d words, and may have %d: choose by a label", n, maxFilter)
	}
	return &eventMatcher{EventFilter: f, all: n == 0}, nil
}

// match says yes to events only.
func (m *eventMatcher) match(entry *eventEntry) bool {
	switch {
	case entry.gap || entry.gone:
		return false
	case m.all:
		return true
	}
	e := &entry.event.Message
	action, _, _ := strings.Cut(string(e.Action), ":")
	return oneOf(m.Types, string(e.Type)) && (oneOf(m.Actions, action) || oneOf(m.Actions, string(e.Action))) && m.container(e) && m.labels(e)
}

func oneOf(words []string, word string) bool { return len(words) == 0 || slices.Contains(words, word) }

// container also lets events of networks and volumes through that name a container.
func (m *eventMatcher) container(e *events.Message) bool {
	if len(m.Containers) == 0 {
		return true
	}
	if e.Type == events.ContainerEventType {
		return slices.Contains(m.Containers, e.Actor.ID) || slices.Contains(m.Containers, e.Actor.Attributes["name"])
	}
	id := e.Actor.Attributes["container"]
	return id != "" && slices.Contains(m.Containers, id)
}

func (m *eventMatcher) labels(e *events.Message) bool {
	for _, label := range m.Labels {
		name, want, valued := strings.Cut(label, "=")
		value, ok := e.Actor.Attributes[name]
		if !ok || valued && value != want {
			return false
		}
	}
	return true
}
