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
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// onItsWay are Ready's reasons on the way to somewhere: where it arrives is news.
var onItsWay = map[string]bool{dcv1.ReasonScaling: true, dcv1.ReasonUpdating: true, dcv1.ReasonJobRunning: true}

// withOutcome adds news to what was done before. A service that came to be what its spec
// says before anybody was told of the change is one Event, not two.
func withOutcome(done, news []hostEvent) []hostEvent {
	if n := len(done); n > 0 && len(news) > 0 && arrived[news[0].reason] && changes[done[n-1].reason] {
		done[n-1].message = strings.TrimSuffix(done[n-1].message, ".") + ". " + news[0].message
		news = news[1:]
	}
	return append(done, news...)
}

var (
	arrived = map[string]bool{dcv1.ReasonConverged: true, dcv1.ReasonJobComplete: true}
	changes = map[string]bool{dcv1.ReasonCreated: true, dcv1.ReasonUpdated: true, dcv1.ReasonAdopted: true}
)

// serviceEvents compares two statuses of a service and returns what is news: it arrived
// where the spec wants it, or something keeps it from there.
func serviceEvents(before, after *dcv1.SwarmServiceStatus) []hostEvent {
	var list []hostEvent
	was := meta.FindStatusCondition(before.Conditions, dcv1.ConditionReady)
	is := meta.FindStatusCondition(after.Conditions, dcv1.ConditionReady)
	// Drift is told of the condition Drifted.
	if is != nil && !onItsWay[is.Reason] && is.Reason != dcv1.ReasonDriftFound &&
		(was == nil || was.Reason != is.Reason || was.Status != is.Status || was.ObservedGeneration != is.ObservedGeneration) {
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
