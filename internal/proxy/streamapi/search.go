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
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

const (
	// searchAction follows a container's name in the path of a search.
	searchAction = "search"
	// defaultFound is how many lines a page of a search has where the client does not say.
	defaultFound = 100
)

// foundList is the answer to a search: lines as the JSON format of logs spells them, the
// oldest first.
type foundList struct {
	Kind       string        `json:"kind"`
	APIVersion string        `json:"apiVersion"`
	Metadata   foundMetadata `json:"metadata"`
	// Incomplete: the search came to its bounds of time or bytes, and there may be more
	// that it did not see.
	Incomplete bool              `json:"incomplete,omitempty"`
	Items      []json.RawMessage `json:"items"`
}

type foundMetadata struct {
	// Continue is the parameter before of the next page, which is older.
	Continue string `json:"continue,omitempty"`
}

// serveSearch looks back through a container's log.
func (h *Handler) serveSearch(c *call) error {
	p := parseParameters(c.r.URL.RawQuery)
	q := logQuery{}
	search := stream.LogSearch{Stdout: p.boolean("stdout", false), Stderr: p.boolean("stderr", false), Limit: defaultFound}
	if n, ok := p.number("limit", 1, stream.MaxSearchLines); ok {
		search.Limit = n
	}
	var err error
	if search.Before, err = stream.ParseCursor(p.text("before")); err != nil {
		p.fail("before is not a cursor of ours: %s", err)
	}
	if err := q.setFilter(p.text("filter"), p.text("pattern"), p.boolean("invert", false)); err != nil {
		return err
	}
	search.Filter = q.Filter
	if err := p.done(); err != nil {
		return err
	}
	// A search reads up to 256 MiB at the engine: it counts as a stream while it goes on.
	release, err := c.slot()
	if err != nil {
		return err
	}
	defer release()
	ctx, stop := c.guard(c.r.Context(), authz.Right{Host: c.at.Key(), Right: logRight})
	defer stop()
	found, err := h.container(ctx, c.at.Key(), c.at.Object)
	if err != nil {
		return cause(ctx, err)
	}
	result, err := h.logs.Search(ctx, stream.LogSource{Host: c.at.Key(), Container: found.id}, search)
	if err != nil {
		return cause(ctx, unreadable(found, err))
	}
	answer := foundList{Kind: "LogLineList", APIVersion: access.EngineGroup + "/" + route.Version, Incomplete: result.Cut, Items: []json.RawMessage{}}
	if !result.Done {
		answer.Metadata.Continue = result.Next.String()
	}
	for i := range result.Lines {
		answer.Items = append(answer.Items, bytes.TrimSpace(appendJSON(nil, result.Lines[i:i+1], nil)))
	}
	apistatus.WriteJSON(c.w, http.StatusOK, answer)
	return nil
}
