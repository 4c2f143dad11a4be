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

package swarm

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/swarm"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

const (
	// maxDifferences bounds what is listed of a service that has little to do with its
	// spec; somebody who adopts one sees the rest by applying.
	maxDifferences = 20
	// maxShown cuts a value: enough for an image with its digest.
	maxShown = 160
	// maxDiffText is what the note of an Event holds.
	maxDiffText = 1024
)

// Difference is a field in which a service is not what its spec says.
type Difference struct {
	// Path is the field of the SwarmService.
	Path string
	// Want and Have are cut, and empty where Private is set.
	Want, Have string
	// Missing: the service has nothing there. Extra: the spec has nothing there.
	Missing, Extra bool
	// Private values may be secret.
	Private bool
}

// String says it in a few words.
func (d Difference) String() string {
	switch {
	case d.Missing && d.Private:
		return d.Path + " is missing"
	case d.Missing:
		return fmt.Sprintf("%s is missing, want %s", d.Path, d.Want)
	case d.Extra && d.Private:
		return d.Path + " is not in the spec"
	case d.Extra:
		return fmt.Sprintf("%s is %s, and not in the spec", d.Path, d.Have)
	case d.Private:
		return d.Path + " has another value"
	}
	return fmt.Sprintf("%s is %s, want %s", d.Path, d.Have, d.Want)
}

// Differences are sorted by path.
type Differences struct {
	// List are the first of them.
	List []Difference
	// More is how many are not listed.
	More int
	// paths are all of them.
	paths []string
}

// Empty tells whether the service is what its spec says.
func (d Differences) Empty() bool { return len(d.paths) == 0 }

// PullSecretOnly tells whether nothing but the credentials for the registry differs.
func (d Differences) PullSecretOnly() bool {
	return len(d.paths) == 1 && d.paths[0] == keyed("spec.labels", dcv1.LabelPullSecret)
}

// String fits into the note of an Event.
func (d Differences) String() string {
	var b strings.Builder
	for i, v := range d.List {
		text := v.String()
		if i > 0 {
			text = "; " + text
		}
		// Room is kept for the last words.
		if rest := len(d.paths) - i; b.Len()+len(text)+len("; and 1000000 more") > maxDiffText {
			return b.String() + "; and " + strconv.Itoa(rest) + " more"
		}
		b.WriteString(text)
	}
	if d.More > 0 {
		b.WriteString("; and " + strconv.Itoa(d.More) + " more")
	}
	return b.String()
}

// within tells whether a field at or below one of the paths differs.
func (d Differences) within(prefixes ...string) bool {
	return slices.ContainsFunc(d.paths, func(path string) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool {
			rest, ok := strings.CutPrefix(path, prefix)
			return ok && (rest == "" || strings.ContainsRune(".[#", rune(rest[0])))
		})
	})
}

// shown is the field that a user has of a path.
func shown(path string) string {
	if path == keyed("spec.labels", dcv1.LabelPullSecret) {
		return "spec.pullSecretRef"
	}
	return path
}

// Diff lists in what a service is not what its spec says.
func (d Desired) Diff(have swarm.ServiceSpec) Differences {
	want, has := flatten(d.Spec, d.networks), flatten(have, d.networks)
	all := maps.Clone(want)
	maps.Copy(all, has)
	var out Differences
	for _, path := range slices.Sorted(maps.Keys(all)) {
		w, wanted := want[path]
		h, had := has[path]
		if wanted && had && w.value == h.value || noDrift(path, w.value, h.value, wanted, had) {
			continue
		}
		out.paths = append(out.paths, path)
		if len(out.List) == maxDifferences {
			out.More++
			continue
		}
		v := Difference{Path: cut(shown(path)), Missing: !had, Extra: !wanted, Private: w.private || h.private}
		if !v.Private {
			v.Want, v.Have = cut(w.value), cut(h.value)
		}
		out.List = append(out.List, v)
	}
	return out
}

// cut makes text of a value: no line breaks, no end without end.
func cut(s string) string {
	s = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s), "?")
	if runes := []rune(s); len(runes) > maxShown {
		return string(runes[:maxShown-1]) + "…"
	}
	return s
}

// dockerLabels are those that Docker keeps for itself and its tools: docker.com,
// "Docker object labels", key format.
var dockerLabels = []string{"spec.labels[com.docker.", "spec.labels[io.docker.", "spec.labels[org.dockerproject."}

// noDrift knows the fields in which a service may differ from its spec.
func noDrift(path, want, have string, wanted, had bool) bool {
	switch {
	case path == "spec.image":
		return sameImage(want, have)
	case path == "spec.init":
		return !wanted && have == "false"
	case path == "spec.placement.platforms":
		return !wanted
	case path == "spec.forceUpdate":
		if !wanted {
			return true
		}
		w, _ := strconv.ParseUint(want, 10, 64)
		h, _ := strconv.ParseUint(have, 10, 64)
		return had && h >= w
	case strings.HasPrefix(path, "spec.labels["):
		return !wanted && slices.ContainsFunc(dockerLabels, func(p string) bool { return strings.HasPrefix(path, p) })
	case strings.HasSuffix(path, ".id") && (strings.HasPrefix(path, "spec.secrets[") || strings.HasPrefix(path, "spec.configs[")):
		return !wanted // the name differs too then, or the id was not looked up
	}
	return false
}

// sameImage: the same name and tag, with the digest that it stood for once. A digest in
// the spec is meant.
func sameImage(want, have string) bool {
	w, errW := reference.ParseNormalizedNamed(want)
	h, errH := reference.ParseNormalizedNamed(have)
	if errW != nil || errH != nil {
		return want == have
	}
	w, h = reference.TagNameOnly(w), reference.TagNameOnly(h)
	if w.String() == h.String() {
		return true
	}
	if _, pinned := w.(reference.Digested); pinned {
		return false
	}
	tagged, ok := h.(reference.Tagged)
	if !ok {
		return false
	}
	named, err := reference.WithTag(reference.TrimNamed(h), tagged.Tag())
	return err == nil && named.String() == w.String()
}
