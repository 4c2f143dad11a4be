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
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/status"
)

// maxMatchedHosts is how many names a status lists: what a person reads, and what a
// watch carries. The Role has all.
const maxMatchedHosts = 100

// setPermissionStatus brings perm.Status to what g says; failed is why RBAC could not
// be made so. It depends on its arguments only.
func setPermissionStatus(perm *dcv1.HostPermission, g grant, failed error) {
	s := &perm.Status
	s.ObservedGeneration = perm.Generation
	s.MatchedHosts = g.hosts[:min(len(g.hosts), maxMatchedHosts)]
	s.MatchedHostCount = ptr.To(int32(len(g.hosts)))
	s.Expired = ptr.To(g.reason == dcv1.ReasonExpired)
	if failed != nil {
		// What RBAC holds is as it was, or partly written; the names stay.
		setPermissionReady(perm, metav1.ConditionFalse, dcv1.ReasonGrantFailed, failureMessage(failed))
		status.SetReconciling(&s.Conditions, perm.Generation, dcv1.ReasonGrantFailed, failureMessage(failed))
		return
	}
	s.RoleName, s.RoleBindingName = "", ""
	if g.holds() {
		s.RoleName, s.RoleBindingName = rolePrefix+perm.Name, rolePrefix+perm.Name
	}
	if g.ready {
		setPermissionReady(perm, metav1.ConditionTrue, g.reason, g.message)
		status.SetSettled(&s.Conditions)
		return
	}
	setPermissionReady(perm, metav1.ConditionFalse, g.reason, g.message)
	status.SetStalled(&s.Conditions, perm.Generation, g.reason, g.message)
}

func setPermissionReady(perm *dcv1.HostPermission, value metav1.ConditionStatus, reason, message string) {
	status.SetCondition(&perm.Status.Conditions, metav1.Condition{
		Type: dcv1.ConditionReady, Status: value, Reason: reason, Message: message, ObservedGeneration: perm.Generation,
	})
}

// failureMessage says what failed in words that stay the same while it does.
func failureMessage(err error) string {
	if errors.Is(err, audit.ErrRefused) {
		return "The audit trail cannot be written, so nothing new is granted; it is tried again."
	}
	return fmt.Sprintf("The Role or the RoleBinding could not be written (%s); it is tried again. The manager's log has the details.", apiReason(err))
}
