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
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// Actions of a HostPermission's Events.
const (
	actionGrant  = "Grant"
	actionRevoke = "Revoke"
)

// permissionEvents compares two statuses of a HostPermission and returns what is
// news: rights came, changed or went, or were put right after somebody edited them
// (wrote, and nothing else changed), or there is another fault.
func permissionEvents(before, after *dcv1.HostPermissionStatus, wrote bool) []hostEvent {
	ready := meta.FindStatusCondition(after.Conditions, dcv1.ConditionReady)
	if ready == nil {
		return nil
	}
	var news []hostEvent
	had, has := before.RoleBindingName != "", after.RoleBindingName != ""
	switch {
	case ready.Reason == dcv1.ReasonGrantFailed: // and said below, once
	case !had && has:
		news = append(news, hostEvent{corev1.EventTypeNormal, dcv1.ReasonGranted, actionGrant, ready.Message})
	case had && !has && isTrue(after.Expired):
		return []hostEvent{{corev1.EventTypeNormal, dcv1.ReasonExpired, actionRevoke, ready.Message}}
	case had && !has:
		news = append(news, hostEvent{corev1.EventTypeWarning, dcv1.ReasonRevoked, actionRevoke, "Nothing is granted any more: " + ready.Message})
	case had && has && before.ObservedGeneration == after.ObservedGeneration && sameHosts(before, after):
		if wrote {
			news = append(news, hostEvent{corev1.EventTypeWarning, dcv1.ReasonRestored, actionGrant, "The Role or the RoleBinding was not as it should be, and is again: " + ready.Message})
		}
	case had && has:
		news = append(news, hostEvent{corev1.EventTypeNormal, dcv1.ReasonChanged, actionGrant, ready.Message})
	}
	was := meta.FindStatusCondition(before.Conditions, dcv1.ConditionReady)
	if ready.Status != "True" && (was == nil || was.Reason != ready.Reason) {
		news = append(news, hostEvent{corev1.EventTypeWarning, ready.Reason, actionGrant, ready.Message})
	}
	return news
}

// sameHosts is right but for hosts beyond those that a status lists.
func sameHosts(a, b *dcv1.HostPermissionStatus) bool {
	return countOf(a) == countOf(b) && countOf(a) <= maxMatchedHosts && slices.Equal(a.MatchedHosts, b.MatchedHosts)
}

func countOf(s *dcv1.HostPermissionStatus) int32 {
	if s.MatchedHostCount == nil {
		return 0
	}
	return *s.MatchedHostCount
}
