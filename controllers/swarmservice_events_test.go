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

package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

func TestWithOutcome(t *testing.T) {
	t.Parallel()
	event := func(reason, message string) hostEvent {
		return hostEvent{corev1.EventTypeNormal, reason, "", message}
	}
	created, updated := event(dcv1.ReasonCreated, "Created."), event(dcv1.ReasonUpdated, "Updated: x is 1, want 2")
	corrected, converged := event(dcv1.ReasonDriftCorrected, "Corrected."), event(dcv1.ReasonConverged, "All run.")
	failed, drift := event(dcv1.ReasonTaskFailed, "One fails."), event(dcv1.ReasonDriftFound, "Drift.")
	type list = []hostEvent
	for name, tc := range map[string]struct{ done, news, want list }{
		"created, and it runs":            {list{created}, list{converged}, list{event(dcv1.ReasonCreated, "Created. All run.")}},
		"created, changed, and it runs":   {list{created, updated}, list{converged}, list{created, event(dcv1.ReasonUpdated, "Updated: x is 1, want 2. All run.")}},
		"created, and it fails":           {list{created}, list{failed}, list{created, failed}},
		"what is put right is told apart": {list{corrected}, list{converged}, list{corrected, converged}},
		"more news":                       {list{updated}, list{converged, drift}, list{event(dcv1.ReasonUpdated, "Updated: x is 1, want 2. All run."), drift}},
		"nothing was done":                {nil, list{converged}, list{converged}},
		"no news":                         {list{created}, nil, list{created}},
	} {
		if diff := cmp.Diff(tc.want, withOutcome(tc.done, tc.news), cmp.AllowUnexported(hostEvent{})); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}
