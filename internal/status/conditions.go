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

package status

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// maxMessageRunes is where a condition's message is cut. 1024 runes are at most
// 4 KiB of UTF-8, an eighth of what the API allows.
const maxMessageRunes = 1024

// SetCondition adds a condition or updates the one of its type, and reports
// whether anything changed. lastTransitionTime moves only when the status does.
// The message is cleaned and cut (see the package's bounds).
func SetCondition(conditions *[]metav1.Condition, c metav1.Condition) bool {
	c.Message = CleanText(c.Message, maxMessageRunes)
	return meta.SetStatusCondition(conditions, c)
}

// RemoveCondition removes the conditions of these types, and reports whether
// there were any.
func RemoveCondition(conditions *[]metav1.Condition, conditionTypes ...string) bool {
	removed := false
	for _, t := range conditionTypes {
		removed = meta.RemoveStatusCondition(conditions, t) || removed
	}
	return removed
}

// SetReconciling says that the object is on its way to what its spec asks for:
// Reconciling is True, and there is no Stalled. kstatus calls that InProgress.
func SetReconciling(conditions *[]metav1.Condition, generation int64, reason, message string) bool {
	return setOneOf(conditions, dcv1.ConditionReconciling, dcv1.ConditionStalled, generation, reason, message)
}

// SetStalled says that the object will not get there without help: Stalled is
// True, and there is no Reconciling. kstatus calls that Failed.
func SetStalled(conditions *[]metav1.Condition, generation int64, reason, message string) bool {
	return setOneOf(conditions, dcv1.ConditionStalled, dcv1.ConditionReconciling, generation, reason, message)
}

// SetSettled says that there is nothing to do: neither Reconciling nor Stalled is
// there. kstatus calls that Current where Ready is True.
func SetSettled(conditions *[]metav1.Condition) bool {
	return RemoveCondition(conditions, dcv1.ConditionReconciling, dcv1.ConditionStalled)
}

func setOneOf(conditions *[]metav1.Condition, is, isNot string, generation int64, reason, message string) bool {
	removed := RemoveCondition(conditions, isNot)
	return SetCondition(conditions, metav1.Condition{
		Type: is, Status: metav1.ConditionTrue, Reason: reason, Message: message, ObservedGeneration: generation,
	}) || removed
}
