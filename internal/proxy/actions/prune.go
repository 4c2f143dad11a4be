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
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/jobs"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// pruneOptions are the body of POST prune.
type pruneOptions struct {
	Kinds []engine.PruneKind `json:"kinds"`
	// Filters are the engine's own for prunes: until and label, label!; an unknown one is
	// the engine's to refuse.
	Filters map[string][]string `json:"filters"`
	// All takes every unused image, volume and cache record, not only images without a
	// name, volumes without one, and cache that nothing needs.
	All bool `json:"all"`
	// Preview tells what would be removed and removes nothing.
	Preview bool `json:"preview"`
	// Token is a preview's: the prune is refused where it would remove something else by
	// now.
	Token string `json:"token"`
}

// pruneRights are what kinds take, in the order in which they are pruned: containers go
// first, since they hold what the others are.
var pruneRights = []struct {
	kind  engine.PruneKind
	right access.Right
}{
	{engine.PruneContainers, access.Right{Subresource: access.Containers, Verb: access.Delete}},
	{engine.PruneNetworks, access.Right{Subresource: access.Networks, Verb: access.Delete}},
	{engine.PruneVolumes, access.Right{Subresource: access.Volumes, Verb: access.Delete}},
	{engine.PruneImages, access.Right{Subresource: access.Images, Verb: access.Delete}},
	{engine.PruneBuildCache, access.Right{Subresource: access.Build, Verb: access.Delete}},
}

// PrunePreview is the answer to a prune with preview.
type PrunePreview struct {
	metav1.TypeMeta `json:",inline"`
	Host            string `json:"host"`
	// Token stands for what is listed; a prune with it removes that or is refused.
	Token string                            `json:"token"`
	Kinds map[engine.PruneKind]PreviewItems `json:"kinds"`
	// Reclaimable is in bytes, as far as sizes are known. Images may share layers with
	// others that stay, so it is the most.
	Reclaimable int64 `json:"reclaimable"`
}

// PreviewItems are what of one kind would be removed.
type PreviewItems struct {
	Items       []UsageItem `json:"items"`
	Reclaimable int64       `json:"reclaimable"`
	// Estimated: filters that only the engine can judge are not applied.
	Estimated bool `json:"estimated,omitempty"`
}

// PruneProgress is the progress and the result of a Prune.
type PruneProgress struct {
	Kinds []PrunedKind `json:"kinds"`
	// Reclaimed is in bytes.
	Reclaimed uint64 `json:"reclaimed"`
}

// PrunedKind is what was removed of one kind.
type PrunedKind struct {
	Kind    engine.PruneKind `json:"kind"`
	Count   int              `json:"count"`
	Deleted []string         `json:"deleted"`
	// Omitted ids are beyond the bound of what is told.
	Omitted   int    `json:"omitted,omitempty"`
	Reclaimed uint64 `json:"reclaimed"`
}

// maxDeleted ids of a kind are told: 5 kinds of 100 ids of 71 bytes fit a job's result.
const maxDeleted = 100

// prune is not authorized by the table: the kinds say what it takes.
func (a *Actions) prune(c *call) error {
	// The body is read before anything is authorized, so that nothing may depend on it but
	// the rights that it names.
	var o pruneOptions
	if err := c.read(&o); err != nil {
		// Who may prune nothing learns nothing about bodies.
		if denied := c.authorize(pruneRights[0].right); denied != nil {
			return denied
		}
		return err
	}
	var kinds []engine.PruneKind
	for _, p := range pruneRights {
		if slices.Contains(o.Kinds, p.kind) {
			kinds = append(kinds, p.kind)
			if err := c.authorize(p.right); err != nil {
				return err
			}
		}
	}
	if len(kinds) == 0 {
		if err := c.authorize(pruneRights[0].right); err != nil {
			return err
		}
	}
	if err := c.connect(); err != nil {
		return err
	}
	if err := o.check(kinds); err != nil {
		return err
	}
	o.Kinds = kinds
	if o.Preview {
		preview, err := c.preview(c.ctx, o)
		if err == nil {
			apistatus.WriteJSON(c.w, 200, preview)
		}
		return err
	}
	return c.submit(jobPrune, joinKinds(kinds), func(ctx context.Context, p *jobs.Progress) (any, error) { return c.runPrune(ctx, o, p) })
}

func (o pruneOptions) check(kinds []engine.PruneKind) error {
	distinct := slices.Compact(slices.Sorted(slices.Values(o.Kinds)))
	if len(kinds) == 0 || len(distinct) != len(kinds) {
		return apistatus.BadRequest("kinds names one or more of containers, networks, volumes, images and buildCache")
	}
	for key, values := range o.Filters {
		if key == "dangling" || key == "all" {
			return apistatus.BadRequest("the filter %q is said by the field all", key)
		}
		if len(values) == 0 || len(values) > maxFilterValues || key == "" {
			return apistatus.BadRequest("the filter %q has no values, or too many", key)
		}
	}
	return nil
}

// maxFilterValues keeps the query short enough for an engine.
const maxFilterValues = 32

func joinKinds(kinds []engine.PruneKind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, ",")
}

// filters are the engine's for one kind.
func (o pruneOptions) filters(kind engine.PruneKind, apiVersion string) map[string][]string {
	f := map[string][]string{}
	for key, values := range o.Filters {
		f[key] = slices.Clone(values)
	}
	switch kind {
	case engine.PruneImages:
		f["dangling"] = []string{strconv.FormatBool(!o.All)}
	case engine.PruneVolumes:
		// Before API 1.42 every unused volume was taken, always.
		if o.All && engine.CompareAPIVersions(apiVersion, "1.42") >= 0 {
			f["all"] = []string{"true"}
		}
	case engine.PruneBuildCache:
		if o.All {
			f["all"] = []string{"true"}
		}
	}
	return f
}

func (c *call) runPrune(ctx context.Context, o pruneOptions, p *jobs.Progress) (any, error) {
	if o.Token != "" {
		now, err := c.preview(ctx, o)
		if err != nil {
			return nil, err
		}
		if now.Token != o.Token {
			return nil, apistatus.New(409, metav1.StatusReasonConflict, "what would be removed is not what the preview said any more: ask for another one")
		}
	}
	result := PruneProgress{Kinds: []PrunedKind{}}
	for _, kind := range o.Kinds {
		eng, err := c.live().engine()
		if err != nil {
			return nil, err
		}
		report, err := eng.Prune(ctx, kind, o.filters(kind, c.state.Version.APIVersion))
		if err != nil {
			p.Set(result)
			return nil, err
		}
		pruned := PrunedKind{Kind: kind, Count: len(report.Deleted), Deleted: report.Deleted, Reclaimed: report.Reclaimed}
		if extra := pruned.Count - maxDeleted; extra > 0 {
			pruned.Deleted, pruned.Omitted = pruned.Deleted[:maxDeleted], extra
		}
		if pruned.Deleted == nil {
			pruned.Deleted = []string{}
		}
		result.Kinds = append(result.Kinds, pruned)
		result.Reclaimed += report.Reclaimed
		p.Set(result)
	}
	return result, nil
}

// preview tells what a prune would remove.
func (c *call) preview(ctx context.Context, o pruneOptions) (*PrunePreview, error) {
	eng, err := c.live().engine()
	if err != nil {
		return nil, err
	}
	raw, err := eng.DiskUsage(ctx)
	if err != nil {
		return nil, err
	}
	usage, err := parseUsage(raw)
	if err != nil {
		return nil, err
	}
	preview := &PrunePreview{
		TypeMeta: metav1.TypeMeta{APIVersion: access.EngineGroup + "/" + route.Version, Kind: "PrunePreview"},
		Host:     c.route.Host, Kinds: map[engine.PruneKind]PreviewItems{},
	}
	for _, kind := range o.Kinds {
		var items []UsageItem
		if kind == engine.PruneNetworks {
			items, err = unusedNetworks(ctx, eng)
			if err != nil {
				return nil, err
			}
		} else {
			items = o.candidates(kind, usage, c.state.Version.APIVersion)
		}
		found := PreviewItems{Items: []UsageItem{}, Estimated: o.estimated()}
		for _, item := range items {
			if labelsMatch(o.Filters, item.labels) {
				found.Items = append(found.Items, item)
				found.Reclaimable += max(0, item.Size)
			}
		}
		slices.SortFunc(found.Items, func(a, b UsageItem) int { return strings.Compare(a.ID, b.ID) })
		preview.Kinds[kind] = found
		preview.Reclaimable += found.Reclaimable
	}
	preview.Token = previewToken(preview, o)
	return preview, nil
}

// estimated: until and whatever else there is are the engine's to judge.
func (o pruneOptions) estimated() bool {
	for key := range o.Filters {
		if key != "label" && key != "label!" {
			return true
		}
	}
	return false
}

// candidates are the objects that a prune takes where no filter spares them. Images of
// containers that the same prune removes are not among them: the engine takes those only
// where it removed the containers first, which a preview cannot know of.
func (o pruneOptions) candidates(kind engine.PruneKind, usage *DiskUsage, apiVersion string) []UsageItem {
	var from []UsageItem
	takes := func(UsageItem) bool { return true }
	switch kind {
	case engine.PruneContainers:
		from = usage.Containers.Items
	case engine.PruneImages:
		from = usage.Images.Items
		takes = func(i UsageItem) bool { return o.All || i.dangling }
	case engine.PruneVolumes:
		from = usage.Volumes.Items
		every := o.All || engine.CompareAPIVersions(apiVersion, "1.42") < 0
		takes = func(i UsageItem) bool { return every || i.anonymous }
	case engine.PruneBuildCache:
		from = usage.BuildCache.Items
		takes = func(i UsageItem) bool { return o.All || !i.shared }
	case engine.PruneNetworks:
	}
	var out []UsageItem
	for _, item := range from {
		if !item.used && takes(item) {
			out = append(out, item)
		}
	}
	return out
}

// labelsMatch applies the filters label and label! as engines do: name or name=value; all
// of the first must hold, and none of the second.
func labelsMatch(filters map[string][]string, labels map[string]string) bool {
	holds := func(want string) bool {
		name, value, valued := strings.Cut(want, "=")
		have, ok := labels[name]
		return ok && (!valued || have == value)
	}
	return !slices.ContainsFunc(filters["label"], func(s string) bool { return !holds(s) }) &&
		!slices.ContainsFunc(filters["label!"], holds)
}

// ownNetworks are never pruned.
var ownNetworks = []string{"bridge", "host", "none", "ingress", "docker_gwbridge", "podman"}

// unusedNetworks are those that no container and no service uses. The engine's list does
// not say who uses a network, its description does.
func unusedNetworks(ctx context.Context, eng engine.Engine) ([]UsageItem, error) {
	networks, err := eng.List(ctx, engine.Networks, engine.ListOptions{})
	if err != nil {
		return nil, err
	}
	used, err := usedNetworks(ctx, eng)
	if err != nil {
		return nil, err
	}
	var out []UsageItem
	for _, n := range networks {
		if used[n.ID] || used[n.Name] || slices.Contains(ownNetworks, n.Name) {
			continue
		}
		item := UsageItem{ID: n.ID, Name: n.Name}
		if !n.Created.IsZero() {
			item.Created = n.Created.Unix()
		}
		item.labels = n.Labels
		out = append(out, item)
	}
	return out, nil
}

// usedNetworks are the ids and names of networks that containers have endpoints on, those
// that do not run included, as an engine's prune spares only what is in use: the ones of
// running containers.
func usedNetworks(ctx context.Context, eng engine.Engine) (map[string]bool, error) {
	containers, err := eng.List(ctx, engine.Containers, engine.ListOptions{})
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, o := range containers {
		var v struct {
			NetworkSettings struct {
				Networks map[string]struct{ NetworkID string }
			}
		}
		if json.Unmarshal(o.Raw, &v) != nil || !runs(o.State) {
			continue
		}
		for name, endpoint := range v.NetworkSettings.Networks {
			used[name], used[endpoint.NetworkID] = true, true
		}
	}
	return used, nil
}

func runs(state string) bool { return state == "running" || state == "paused" || state == "restarting" }

// previewToken stands for the options and for what they would remove.
func previewToken(p *PrunePreview, o pruneOptions) string {
	type listed struct {
		Kind engine.PruneKind
		IDs  []string
	}
	var all []listed
	for _, kind := range slices.Sorted(maps.Keys(p.Kinds)) {
		l := listed{Kind: kind}
		for _, item := range p.Kinds[kind].Items {
			l.IDs = append(l.IDs, item.ID)
		}
		all = append(all, l)
	}
	b, _ := json.Marshal(struct { // these types always encode; maps in order
		All     bool
		Filters map[string][]string
		Listed  []listed
	}{o.All, o.Filters, all})
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
