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
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// quietReasons are Ready's on the way to somewhere: where it arrives is news.
var quietReasons = map[string]bool{
	dcv1.ReasonScaling: true, dcv1.ReasonUpdating: true, dcv1.ReasonJobRunning: true,
	dcv1.ReasonDriftFound: true, // told of the condition Drifted
}

// serviceEvents compares two statuses of a service and returns what is news: it arrived
// where the spec wants it, or something keeps it from there.
func serviceEvents(before, after *dcv1.SwarmServiceStatus) []hostEvent {
	var list []hostEvent
	was := meta.FindStatusCondition(before.Conditions, dcv1.ConditionReady)
	is := meta.FindStatusCondition(after.Conditions, dcv1.ConditionReady)
	if is != nil && !quietReasons[is.Reason] && (was == nil || was.Reason != is.Reason || was.Status != is.Status) {
		e := hostEvent{corev1.EventTypeWarning, is.Reason, actionWatchService, is.Message}
		if is.Status == metav1.ConditionTrue || is.Reason == dcv1.ReasonSuspended {
			e.eventType = corev1.EventTypeNormal
		}
		list = append(list, e)
	}
	was = meta.FindStatusCondition(before.Conditions, dcv1.ConditionDrifted)
	is = meta.FindStatusCondition(after.Conditions, dcv1.ConditionDrifted)
	if is != nil && is.Reason == dcv1.ReasonDriftFound && (was == nil || was.Reason != is.Reason || was.Message != is.Message) {
		list = append(list, hostEvent{corev1.EventTypeWarning, is.Reason, actionWatchService, is.Message})
	}
	return list
}
