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
	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// hostInfo is what is known of a host's engine without asking it: the part of GET /info
// and GET /version that the project reads, which holds no secret (join tokens are not in
// it). The whole of both is below proxy/.
type hostInfo struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        struct {
		Name      string    `json:"name"`
		Namespace string    `json:"namespace"`
		UID       types.UID `json:"uid"`
	} `json:"metadata"`
	Host string `json:"host"`
	// ObservedAt is when the engine last answered.
	ObservedAt string `json:"observedAt,omitempty"`
	Phase      string `json:"phase"`
	// Failure is why the host is not connected; with stale=true only.
	Failure *failedHost    `json:"failure,omitempty"`
	Latency string         `json:"latency,omitempty"`
	Counts  hostCounts     `json:"containers"`
	Docker  engine.Info    `json:"docker"`
	Version engine.Version `json:"version"`
}

// hostCounts are the inventory's, which are newer than those in Docker.
type hostCounts struct {
	Running int `json:"running"`
	Paused  int `json:"paused"`
	Stopped int `json:"stopped"`
	Total   int `json:"total"`
}

// info serves what is known of a host.
func (h *Handler) info(w http.ResponseWriter, r *http.Request, who *caller.Caller, at route.Route) error {
	host := at.Key()
	if err := h.authorize(r.Context(), who, host, infoGet); err != nil {
		return err
	}
	q, err := h.parseQuery(r.URL.RawQuery, route.Route{Namespace: at.Namespace, Host: at.Host, Segment: at.Segment, Object: at.Segment})
	if err != nil {
		return err
	}
	state, known := h.options.Inventory.State(host)
	if !known {
		return h.unknown(r.Context(), host)
	}
	heard := state.Version != engine.Version{}
	var failure *failedHost
	if !state.Connected() {
		f := failureOf(host, state, nil)
		if !q.stale || !heard {
			return apistatus.HostUnavailable(host, f.Reason, f.Message)
		}
		failure = &f
	}
	info := hostInfo{
		TypeMeta: metav1.TypeMeta{APIVersion: apiVersion, Kind: "HostInfo"}, Host: host.Name,
		ObservedAt: observed(state.LastProbe), Phase: string(state.Phase), Failure: failure,
		Counts: hostCounts{Running: state.Counts.Running, Paused: state.Counts.Paused, Stopped: state.Counts.Stopped, Total: state.Counts.Total},
		Docker: state.Info, Version: state.Version,
	}
	if state.Latency > 0 {
		info.Latency = state.Latency.String()
	}
	info.Metadata.Name, info.Metadata.Namespace, info.Metadata.UID = host.Name, host.Namespace, state.UID
	header := w.Header()
	header.Set("Content-Security-Policy", "sandbox")
	header.Set("X-Content-Type-Options", "nosniff")
	apistatus.WriteJSON(w, http.StatusOK, info)
	return nil
}
