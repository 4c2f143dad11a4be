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
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/target"
)

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
	o, err := target.Object(rq.kind.kind, listing.Items, rq.at.Object)
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
