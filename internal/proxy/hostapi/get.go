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

package hostapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// maxCandidates of an ambiguous name are enough to see what to add to it.
const maxCandidates = 10

// get serves one item of the inventory.
func (rq *request) get(w http.ResponseWriter, r *http.Request) error {
	f, err := rq.fleet(r.Context())
	if err != nil {
		return err
	}
	src := f.sources[0]
	listing, err := rq.listing(src)
	if err != nil {
		return err
	}
	o, err := find(rq.kind, listing.Items, rq.at.Object)
	if err != nil {
		return err
	}
	e := encoder{kind: rq.kind, masker: rq.h.options.Masker}
	origin := origin{source: src}
	if rq.kind.swarm {
		origin.servedBy = listing.ServedBy.Name
	}
	docker, _, err := e.visible(origin, o)
	if err != nil {
		rq.h.options.Log.Error(err, "An item could not be masked", "DockerHost", src.host.String(), "kind", rq.kind.kind)
		return apistatus.New(http.StatusInternalServerError, metav1.StatusReasonInternalError,
			"what you may not see of it could not be hidden; who holds inspect (get) on %s sees it", src.host.Name)
	}
	out := newAnswer(w, r)
	defer out.close()
	*out.buf = append(e.appendObject(*out.buf, origin, observed(listing.ObservedAt), o, docker), '\n')
	if out.flush() != nil || out.finish() != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// find looks for an object as the engine does: by its id, then by its name, then by the
// beginning of its id.
func find(kind kindInfo, items []engine.Object, object string) (*engine.Object, error) {
	i, found := slices.BinarySearchFunc(items, object, func(o engine.Object, id string) int { return strings.Compare(o.ID, id) })
	if found {
		return &items[i], nil
	}
	var named, begin []*engine.Object
	for i := range items {
		o := &items[i]
		if isNamed(o, object) {
			named = append(named, o)
		}
		if hasPrefix(o, object) {
			begin = append(begin, o)
		}
	}
	for _, some := range [][]*engine.Object{named, begin} {
		switch {
		case len(some) == 1:
			return some[0], nil
		case len(some) > 1:
			return nil, ambiguous(kind, object, some)
		}
	}
	err := apistatus.NotFound("there is no %s %q; an id, the beginning of an id, or a name is asked for", strings.ToLower(kind.name), object)
	err.ErrStatus.Details = &metav1.StatusDetails{Group: access.EngineGroup, Kind: string(kind.kind), Name: object}
	return nil, err
}

// isNamed compares names. An image has several, and its tag may be left out.
func isNamed(o *engine.Object, name string) bool {
	if o.Name != "" && o.Name == strings.TrimPrefix(name, "/") {
		return true
	}
	if o.Kind != engine.Images {
		return false
	}
	var names struct{ RepoTags, RepoDigests []string }
	if json.Unmarshal(o.Raw, &names) != nil {
		return false
	}
	return slices.Contains(names.RepoTags, name) || slices.Contains(names.RepoTags, name+":latest") || slices.Contains(names.RepoDigests, name)
}

// hasPrefix compares the beginning of ids. A volume's id is its name, which is not cut.
func hasPrefix(o *engine.Object, prefix string) bool {
	return o.Kind != engine.Volumes && (strings.HasPrefix(o.ID, prefix) || strings.HasPrefix(strings.TrimPrefix(o.ID, "sha256:"), prefix))
}

// ambiguous names the candidates: 409.
func ambiguous(kind kindInfo, object string, some []*engine.Object) *apierrors.StatusError {
	var ids []string
	var causes []metav1.StatusCause
	for _, o := range some[:min(len(some), maxCandidates)] {
		ids = append(ids, o.ID)
		causes = append(causes, metav1.StatusCause{Type: "Candidate", Field: o.ID, Message: displayName(o)})
	}
	err := apistatus.New(http.StatusConflict, metav1.StatusReasonConflict, "%q could be any of %d %s (%s): write more of the id",
		object, len(some), kind.kind, strings.Join(ids, ", "))
	err.ErrStatus.Details = &metav1.StatusDetails{Group: access.EngineGroup, Kind: string(kind.kind), Name: object, Causes: causes}
	return err
}
