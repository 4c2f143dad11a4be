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

package target

import (
	"cmp"
	"encoding/json"
	"errors"
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

// Object finds an object in the inventory as the engine does: by its id, then by its name,
// then by the beginning of its id. The error is a Status: 404, or 409 with the candidates.
// items are sorted by ID.
func Object(kind engine.Kind, items []engine.Object, object string) (*engine.Object, error) {
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
	err := apistatus.NotFound("there is no %s %q; an id, the beginning of an id, or a name is asked for", strings.TrimSuffix(string(kind), "s"), object)
	err.ErrStatus.Details = &metav1.StatusDetails{Group: access.EngineGroup, Kind: string(kind), Name: object}
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
func ambiguous(kind engine.Kind, object string, some []*engine.Object) *apierrors.StatusError {
	var ids []string
	var causes []metav1.StatusCause
	for _, o := range some[:min(len(some), maxCandidates)] {
		ids = append(ids, o.ID)
		causes = append(causes, metav1.StatusCause{Type: "Candidate", Field: o.ID, Message: cmp.Or(o.Name, o.ID)})
	}
	err := apistatus.New(http.StatusConflict, metav1.StatusReasonConflict, "%q could be any of %d %s (%s): write more of the id",
		object, len(some), kind, strings.Join(ids, ", "))
	err.ErrStatus.Details = &metav1.StatusDetails{Group: access.EngineGroup, Kind: string(kind), Name: object, Causes: causes}
	return err
}

// IsMissing reports whether an error of Object says that there is no such object.
func IsMissing(err error) bool {
	var status *apierrors.StatusError
	return errors.As(err, &status) && status.ErrStatus.Code == http.StatusNotFound
}
