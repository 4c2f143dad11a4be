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
	"errors"
	"fmt"
	"slices"
	"time"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/hostspec"
)

// reasonMasking is the reason of a host whose items could not all be masked.
const reasonMasking = "MaskingFailed"

// failedHost stands beside the items: of this host they are old, not all, or none.
type failedHost struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Reason and Message are those of the DockerHost's condition Ready, where it is not
	// connected.
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// ObservedAt is the age of the items that are there; empty where there are none.
	ObservedAt string `json:"observedAt,omitempty"`
}

// failureOf says why a host's inventory is not current. err is the list's.
func failureOf(host hostcache.Key, state hostcache.State, err error) failedHost {
	f := failedHost{Namespace: host.Namespace, Name: host.Name}
	var e *engine.Error
	switch {
	case !state.Connected():
		f.Reason, f.Message = hostspec.Unavailability(state)
	case errors.As(err, &e):
		f.Reason, f.Message = hostspec.Reason(e), e.Error()
	default:
		f.Reason, f.Message = dcv1.ReasonEngineError, "its inventory cannot be read"
	}
	return f
}

func sortFailed(failed []failedHost) []failedHost {
	slices.SortStableFunc(failed, func(a, b failedHost) int {
		return sourceKey{a.Namespace, a.Name}.compare(sourceKey{b.Namespace, b.Name})
	})
	return failed
}

// maskingFailure tells of items that were left out.
func maskingFailure(host hostcache.Key, items int) failedHost {
	return failedHost{
		Namespace: host.Namespace, Name: host.Name, Reason: reasonMasking,
		Message: fmt.Sprintf("%d items are left out: what you may not see in them could not be hidden; who holds inspect (get) there sees them", items),
	}
}

// observed writes a time as items have it.
func observed(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02T15:04:05.000Z")
}
