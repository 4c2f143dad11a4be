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

package streamapi

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// maxCursors is how many sources a client may resume.
const maxCursors = 4 * stream.MaxSources

// parseCursors reads the cursors of several sources.
func parseCursors(texts map[string]string) (map[stream.LogSource]stream.Cursor, error) {
	if len(texts) > maxCursors {
		return nil, apistatus.BadRequest("there are %d cursors: at most %d are taken", len(texts), maxCursors)
	}
	cursors := make(map[stream.LogSource]stream.Cursor, len(texts))
	for name, text := range texts {
		parts := strings.Split(name, "/")
		if len(parts) != 3 {
			return nil, apistatus.BadRequest("the cursor of %.80q has no source: %s", name, errSource)
		}
		cursor, err := stream.ParseCursor(text)
		if err != nil {
			return nil, apistatus.BadRequest("the cursor of %.80q is not one of ours: %s", name, err)
		}
		cursors[stream.LogSource{Host: types.NamespacedName{Namespace: parts[0], Name: parts[1]}, Container: parts[2]}] = cursor
	}
	return cursors, nil
}

// openSources finds the logs of a query, and follows which those are.
func openSources(ctx context.Context, c *call, host hostcache.Key, q logQuery) (sourceSet, error) {
	switch {
	case len(q.containers) > 0:
		return openNamed(ctx, c, host, q.containers)
	case q.service != "":
		return openService(ctx, c, host, q)
	}
	return openSelected(ctx, c, host, q)
}

// namedSources are containers of one host that were named.
type namedSources struct {
	stream.FixedSources
	names map[string]string
}

// openNamed finds containers by their names. Whoever opens them guards the right.
func openNamed(ctx context.Context, c *call, host hostcache.Key, names []string) (sourceSet, error) {
	if len(names) > stream.MaxSources {
		return nil, apistatus.BadRequest("there are %d containers: no more than %d logs are shown at once", len(names), stream.MaxSources)
	}
	s := namedSources{names: make(map[string]string, len(names))}
	for _, name := range names {
		found, err := c.h.container(ctx, host, name)
		if err != nil {
			return nil, err
		}
		if _, twice := s.names[found.id]; !twice {
			s.names[found.id] = found.name
			s.FixedSources = append(s.FixedSources, stream.LogSource{Host: host, Container: found.id})
		}
	}
	return s, nil
}

func (s namedSources) name(of stream.LogSource) string { return s.names[of.Container] }
func (s namedSources) notices() []string               { return nil }
func (s namedSources) failed() error                   { return nil }
func (s namedSources) close()                          {}
