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
	"net/http"
	"net/url"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// DiskUsage returns what fills the disk. Before API 1.52 there was one form of the
// answer; the parameter that asks for the items of the new one is ignored there.
func (c *client) DiskUsage(ctx context.Context) (json.RawMessage, error) {
	ctx, done := c.unaryContext(ctx, engine.DiskUsagePatience)
	defer done()
	req, err := c.newRequest(ctx, http.MethodGet, "/system/df", url.Values{"verbose": {"1"}}, nil)
	if err != nil {
		return nil, err
	}
	var raw json.RawMessage
	// It holds the lists of containers, images and volumes.
	if err := c.roundTrip(c.unaryCalls(maxListBytes), req, &raw); err != nil {
		return nil, err
	}
	if len(raw) == 0 || raw[0] != '{' {
		return nil, notDocker(c.name, nil, nil)
	}
	return raw, nil
}

// prunePaths are where kinds are pruned.
var prunePaths = map[engine.PruneKind]string{
	engine.PruneContainers: "/containers/prune",
	engine.PruneImages:     "/images/prune",
	engine.PruneVolumes:    "/volumes/prune",
	engine.PruneNetworks:   "/networks/prune",
	engine.PruneBuildCache: "/build/prune",
}

// Prune removes what nobody uses.
func (c *client) Prune(ctx context.Context, kind engine.PruneKind, filters map[string][]string) (engine.PruneReport, error) {
	path, ok := prunePaths[kind]
	if !ok {
		return engine.PruneReport{}, engine.Errorf(engine.ClassInvalid, "", "%q is not a kind that an engine prunes", kind)
	}
	query := url.Values{}
	if all := filters["all"]; kind == engine.PruneBuildCache && len(all) > 0 {
		query.Set("all", all[0]) // there it is a parameter of its own
	}
	spelled := map[string]map[string]bool{}
	for key, values := range filters {
		if kind == engine.PruneBuildCache && key == "all" {
			continue
		}
		spelled[key] = map[string]bool{}
		for _, v := range values {
			spelled[key][v] = true
		}
	}
	if len(spelled) > 0 {
		b, err := json.Marshal(spelled)
		if err != nil {
			return engine.PruneReport{}, engine.Errorf(engine.ClassInvalid, "", "the filters cannot be written as JSON: %w", err)
		}
		query.Set("filters", string(b))
	}
	ctx, done := c.unaryContext(ctx, engine.PrunePatience)
	defer done()
	var raw json.RawMessage
	if err := c.call(ctx, http.MethodPost, path, query, nil, &raw); err != nil {
		return engine.PruneReport{}, err
	}
	report, err := engine.ParsePruneReport(raw)
	if err != nil {
		return engine.PruneReport{}, notDocker(c.name, nil, err)
	}
	return report, nil
}
