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
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

func TestSetConditionMovesTheTransitionTimeWithTheStatusOnly(t *testing.T) {
	then := metav1.NewTime(time.Now().Add(-time.Hour).Truncate(time.Second))
	old := metav1.Condition{
		Type: "Ready", Status: metav1.ConditionFalse, Reason: "Timeout", Message: "no answer",
		ObservedGeneration: 1, LastTransitionTime: then,
	}
	for name, tc := range map[string]struct {
		set              metav1.Condition
		changed, expired bool // expired: the transition time is no longer the old one
	}{
		"the same":           {set: metav1.Condition{Type: "Ready", Status: "False", Reason: "Timeout", Message: "no answer", ObservedGeneration: 1}},
		"same after cutting": {set: metav1.Condition{Type: "Ready", Status: "False", Reason: "Timeout", Message: "no\n\tanswer\x00", ObservedGeneration: 1}},
		"another message":    {set: metav1.Condition{Type: "Ready", Status: "False", Reason: "Timeout", Message: "nothing", ObservedGeneration: 1}, changed: true},
		"another reason":     {set: metav1.Condition{Type: "Ready", Status: "False", Reason: "DialFailed", Message: "no answer", ObservedGeneration: 1}, changed: true},
		"another generation": {set: metav1.Condition{Type: "Ready", Status: "False", Reason: "Timeout", Message: "no answer", ObservedGeneration: 2}, changed: true},
		"another status":     {set: metav1.Condition{Type: "Ready", Status: "True", Reason: "Connected", Message: "it answers", ObservedGeneration: 1}, changed: true, expired: true},
	} {
		t.Run(name, func(t *testing.T) {
			conditions := []metav1.Condition{old}
			if got := SetCondition(&conditions, tc.set); got != tc.changed {
				t.Errorf("changed: got %v, want %v", got, tc.changed)
			}
			if len(conditions) != 1 {
				t.Fatalf("got %d conditions, want the one", len(conditions))
			}
			if got := !conditions[0].LastTransitionTime.Equal(&then); got != tc.expired {
				t.Errorf("lastTransitionTime moved: got %v, want %v", got, tc.expired)
			}
		})
	}
}

func TestReconcilingAndStalledExcludeOneAnother(t *testing.T) {
	var conditions []metav1.Condition
	SetCondition(&conditions, metav1.Condition{Type: dcv1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Connecting"})
	for _, step := range []struct {
		name    string
		do      func() bool
		changed bool
		want    string // the type that must be there and True, beside Ready
	}{
		{"settled with neither there", func() bool { return SetSettled(&conditions) }, false, ""},
		{"reconciling", func() bool { return SetReconciling(&conditions, 1, "Connecting", "on its way") }, true, dcv1.ConditionReconciling},
		{"reconciling again", func() bool { return SetReconciling(&conditions, 1, "Connecting", "on its way") }, false, dcv1.ConditionReconciling},
		{"stalled", func() bool { return SetStalled(&conditions, 1, "DialFailed", "nobody is there") }, true, dcv1.ConditionStalled},
		{"stalled again", func() bool { return SetStalled(&conditions, 1, "DialFailed", "nobody is there") }, false, dcv1.ConditionStalled},
		{"reconciling after all", func() bool { return SetReconciling(&conditions, 2, "Connecting", "on its way") }, true, dcv1.ConditionReconciling},
		{"settled", func() bool { return SetSettled(&conditions) }, true, ""},
	} {
		if got := step.do(); got != step.changed {
			t.Errorf("%s: changed: got %v, want %v", step.name, got, step.changed)
		}
		for _, conditionType := range []string{dcv1.ConditionReconciling, dcv1.ConditionStalled} {
			c := meta.FindStatusCondition(conditions, conditionType)
			switch {
			case conditionType != step.want && c != nil:
				t.Errorf("%s: %s is there, as %s", step.name, conditionType, c.Status)
			case conditionType == step.want && (c == nil || c.Status != metav1.ConditionTrue):
				t.Errorf("%s: %s is not True: %v", step.name, conditionType, c)
			}
		}
		if meta.FindStatusCondition(conditions, dcv1.ConditionReady) == nil {
			t.Errorf("%s: Ready is gone", step.name)
		}
	}
}
