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
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// Actions of Events, as events.k8s.io wants them: what the controller did.
const (
	actionConnect = "Connect"
	actionCheck   = "CheckCredentials"
)

// hostEvent is a Kubernetes Event to be.
type hostEvent struct {
	eventType, reason, action, message string
}

// hostEvents compares two statuses of a host and returns what is news: Ready
// turned, its reason changed to another kind of fault, the engine became another
// one, the client certificate came nearer to its end. Nothing else is an Event.
func hostEvents(before, after *dcv1.DockerHostStatus) []hostEvent {
	var events []hostEvent
	if e, ok := readyEvent(before, after); ok {
		events = append(events, e)
	}
	if replaced(before.Engine, after.Engine) {
		events = append(events, hostEvent{
			corev1.EventTypeWarning, dcv1.ReasonEngineReplaced, actionConnect,
			fmt.Sprintf("Another engine answers at the endpoint: it was %s and is now %s.", before.Engine.ID, after.Engine.ID),
		})
	}
	if e, ok := expiryEvent(before, after); ok {
		events = append(events, e)
	}
	return events
}

// replaced reports whether another engine answers. Podman makes up a new ID for
// each answer, which the host cache leaves out: of such engines nobody can tell.
func replaced(before, after *dcv1.EngineStatus) bool {
	return before != nil && after != nil && before.ID != "" && after.ID != "" && before.ID != after.ID
}

func readyEvent(before, after *dcv1.DockerHostStatus) (hostEvent, bool) {
	was := meta.FindStatusCondition(before.Conditions, dcv1.ConditionReady)
	is := meta.FindStatusCondition(after.Conditions, dcv1.ConditionReady)
	if is == nil || is.Reason == dcv1.ReasonConnecting {
		return hostEvent{}, false
	}
	if was != nil {
		sameFault := was.Reason == is.Reason || (unreachableReasons[was.Reason] && unreachableReasons[is.Reason])
		if was.Status == is.Status && sameFault {
			return hostEvent{}, false
		}
	}
	e := hostEvent{corev1.EventTypeWarning, is.Reason, actionConnect, is.Message}
	if is.Status == metav1.ConditionTrue || is.Reason == dcv1.ReasonSuspended {
		e.eventType = corev1.EventTypeNormal
	}
	return e, true
}

func expiryEvent(before, after *dcv1.DockerHostStatus) (hostEvent, bool) {
	was := meta.FindStatusCondition(before.Conditions, dcv1.ConditionCredentialsValid)
	is := meta.FindStatusCondition(after.Conditions, dcv1.ConditionCredentialsValid)
	if is == nil || is.Reason != dcv1.ReasonCertificateExpiring || (was != nil && was.Message == is.Message) {
		return hostEvent{}, false
	}
	return hostEvent{corev1.EventTypeWarning, is.Reason, actionCheck, is.Message}, true
}
