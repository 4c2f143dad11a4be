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
	engineswarm "github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/status"
)

// standing is how kstatus reads an object.
type standing int

const (
	settled standing = iota
	reconciling
	stalled
)

// verdict is what is said of a service: its Ready condition, and its Progressing one.
type verdict struct {
	ready           bool
	reason, message string
	standing        standing
	progressing     bool
}

func setServiceConditions(svc *dcv1.SwarmService, v *serviceView, c taskCounts) {
	conditions, generation := &svc.Status.Conditions, svc.Generation
	set := func(conditionType string, is bool, reason, message string) {
		value := metav1.ConditionFalse
		if is {
			value = metav1.ConditionTrue
		}
		status.SetCondition(conditions, metav1.Condition{
			Type: conditionType, Status: value, Reason: reason, Message: message, ObservedGeneration: generation,
		})
	}
	said := judgeService(svc, v, c)
	if v.known && v.fault == nil || v.service != nil {
		p := progress(v, c)
		set(dcv1.ConditionProgressing, p.progressing, p.reason, p.message)
	}
	setDrifted(svc, v, set)
	set(dcv1.ConditionReady, said.ready, said.reason, said.message)
	switch said.standing {
	case reconciling:
		status.SetReconciling(conditions, generation, said.reason, said.message)
	case stalled:
		status.SetStalled(conditions, generation, said.reason, said.message)
	default:
		status.SetSettled(conditions)
	}
}

// setDrifted says whether the service is what its spec says. Its observedGeneration is
// the last generation that was written: what differs from that is drift, and what
// differs from a later one has yet to be written.
func setDrifted(svc *dcv1.SwarmService, v *serviceView, set func(string, bool, string, string)) {
	switch {
	case v.written:
		set(dcv1.ConditionDrifted, false, dcv1.ReasonInSync, "The service is what its spec says.")
	case !v.checked:
	case v.missing:
		set(dcv1.ConditionDrifted, true, dcv1.ReasonDriftFound, "The service was removed from the swarm.")
	case v.diff.Empty():
		set(dcv1.ConditionDrifted, false, dcv1.ReasonInSync, "The service is what its spec says.")
	case rolledBack(v.service):
		set(dcv1.ConditionDrifted, true, dcv1.ReasonRolledBack, "The engine rolled the last change back: "+v.diff.String())
	default:
		set(dcv1.ConditionDrifted, true, dcv1.ReasonDriftFound, v.diff.String())
	}
}

// writtenGeneration reports whether this generation of the spec was written, by what the
// status says.
func writtenGeneration(svc *dcv1.SwarmService) bool {
	drifted := meta.FindStatusCondition(svc.Status.Conditions, dcv1.ConditionDrifted)
	return drifted != nil && drifted.ObservedGeneration == svc.Generation
}

// rolledBack reports whether the engine has undone a change, or is about to.
func rolledBack(service *engineswarm.Service) bool {
	if service == nil || service.UpdateStatus == nil {
		return false
	}
	switch service.UpdateStatus.State {
	case engineswarm.UpdateStateRollbackStarted, engineswarm.UpdateStateRollbackPaused, engineswarm.UpdateStateRollbackCompleted:
		return true
	}
	return false
}

// judgeService says what Ready is.
func judgeService(svc *dcv1.SwarmService, v *serviceView, c taskCounts) verdict {
	switch {
	case isTrue(svc.Spec.Suspend) && (v.fault == nil || v.fault.Reason == dcv1.ReasonSuspended):
		return verdict{reason: dcv1.ReasonSuspended, message: "spec.suspend is true: the service is left as it is on the swarm."}
	case v.fault != nil && v.passes:
		return verdict{reason: v.fault.Reason, message: v.fault.Message, standing: reconciling}
	case v.fault != nil:
		return verdict{reason: v.fault.Reason, message: v.fault.Message, standing: stalled}
	case v.missing:
		return verdict{
			reason: dcv1.ReasonDriftFound, standing: stalled,
			message: whyMissing(svc),
		}
	case v.created:
		return verdict{reason: dcv1.ReasonScaling, message: "The service was created; its tasks are starting.", standing: reconciling}
	case v.written || v.service == nil:
		return verdict{reason: dcv1.ReasonUpdating, message: "The service was changed; the engine is rolling it out.", standing: reconciling}
	}
	said := judgeRollout(v, c)
	if v.checked && !v.diff.Empty() && !rolledBack(v.service) {
		said = verdict{
			reason: dcv1.ReasonDriftFound, standing: stalled,
			message: whyDrifted(svc) + v.diff.String(),
		}
	}
	if said.reason == dcv1.ReasonScaling && c.running < c.desired && wasReady(svc) {
		said.reason = dcv1.ReasonNotEnoughReplicas
	}
	return said
}

func whyDrifted(svc *dcv1.SwarmService) string {
	if svc.Spec.DriftPolicy == dcv1.SwarmDriftReport {
		return "The service is not what its spec says, and spec.driftPolicy is Report: "
	}
	return "Somebody else changes the service again and again, so that it is corrected ever less often: "
}

func whyMissing(svc *dcv1.SwarmService) string {
	if svc.Spec.DriftPolicy == dcv1.SwarmDriftReport {
		return "The service was removed from the swarm, and spec.driftPolicy is Report: it is created again when the spec changes."
	}
	return "Somebody else removes the service again and again, so that it is created ever less often."
}

// wasReady reports whether this generation has been Ready before.
func wasReady(svc *dcv1.SwarmService) bool {
	ready := meta.FindStatusCondition(svc.Status.Conditions, dcv1.ConditionReady)
	return ready != nil && ready.ObservedGeneration == svc.Generation &&
		(ready.Reason == dcv1.ReasonConverged || ready.Reason == dcv1.ReasonNotEnoughReplicas)
}

// judgeRollout goes by what the engine says of the update first, then by the tasks.
func judgeRollout(v *serviceView, c taskCounts) verdict {
	if u := v.service.UpdateStatus; u != nil {
		switch u.State {
		case engineswarm.UpdateStatePaused:
			return rolloutEnded(v, c, dcv1.ReasonUpdatePaused, "The engine paused the update, since tasks failed; it goes on when the spec changes")
		case engineswarm.UpdateStateRollbackPaused:
			return rolloutEnded(v, c, dcv1.ReasonRollbackPaused, "The update failed, and so did its rollback, which the engine paused; it goes on when the spec changes")
		case engineswarm.UpdateStateRollbackStarted:
			return verdict{reason: dcv1.ReasonRollingBack, standing: reconciling, progressing: true, message: rolloutText(v, c, "The engine is rolling the update back")}
		case engineswarm.UpdateStateRollbackCompleted:
			if v.checked && !v.diff.Empty() {
				return rolloutEnded(v, c, dcv1.ReasonRolledBack, "The engine rolled the update back; it is tried again when the spec changes")
			}
		}
	}
	return judgeTasks(v, c)
}

// rolloutEnded is of one that the engine gave up. That is told together with what it failed
// of: until the tasks were listed after it, the rollout is on its way.
func rolloutEnded(v *serviceView, c taskCounts, reason, what string) verdict {
	text := rolloutText(v, c, what)
	if c.culprit == nil && lastFailure(v) == nil && !v.failures {
		return verdict{reason: dcv1.ReasonUpdating, standing: reconciling, progressing: true, message: text}
	}
	return verdict{reason: reason, standing: stalled, message: text}
}

// rolloutText adds why: the task's own error where it is still listed. The engine's
// message has nothing but the id of a task.
func rolloutText(v *serviceView, c taskCounts, what string) string {
	culprit := c.culprit
	if culprit == nil {
		culprit = lastFailure(v)
	}
	return what + "." + because(v, culprit)
}

// lastFailure is the newest failed task of the rollout: one that runs what the service
// says, or, where that was undone, what it said before.
func lastFailure(v *serviceView) (last *engineswarm.Task) {
	for i := range v.tasks {
		t := &v.tasks[i]
		if hasFailed(t) && sameTemplate(v.service.Spec.TaskTemplate, t.Spec) != rolledBack(v.service) &&
			(last == nil || t.Status.Timestamp.After(last.Status.Timestamp)) {
			last = t
		}
	}
	return last
}

// whereToLook names the fields that a task may have failed for.
var whereToLook = map[string]string{
	dcv1.ReasonNoSuitableNode:    " See spec.placement, spec.resources and the ports with publishMode Host.",
	dcv1.ReasonImagePullFailed:   " See spec.image and spec.pullSecretRef.",
	dcv1.ReasonHealthcheckFailed: " See spec.healthcheck.",
	dcv1.ReasonTaskFailed:        " See spec.command, spec.args and the logs of the task.",
}

func judgeTasks(v *serviceView, c taskCounts) verdict {
	if isGlobal(v.service) && c.desired == 0 && c.failing == 0 {
		return judgeNowhere(v, c)
	}
	updating := v.service.UpdateStatus != nil && v.service.UpdateStatus.State == engineswarm.UpdateStateUpdating
	text := ofTasks(v.service, c) + "."
	switch {
	case isJob(v.service) && v.current && c.completed >= c.desired:
		return verdict{ready: true, reason: dcv1.ReasonJobComplete, message: text}
	case c.failing > 0 && (!v.failures || updating && c.culprit.Status.State != engineswarm.TaskStatePending):
		// What failed may be of before the change, or the engine has yet to say what it
		// makes of it.
		return verdict{
			reason: dcv1.ReasonUpdating, standing: reconciling, progressing: true,
			message: "The engine is rolling a change out: " + text + because(v, c.culprit),
		}
	case c.failing > 0:
		reason := taskReason(c.culprit)
		return verdict{reason: reason, standing: stalled, progressing: updating, message: text + because(v, c.culprit) + whereToLook[reason]}
	case isJob(v.service):
		return verdict{reason: dcv1.ReasonJobRunning, standing: reconciling, progressing: true, message: text}
	case updating:
		return verdict{reason: dcv1.ReasonUpdating, standing: reconciling, progressing: true, message: "The engine is rolling a change out: " + text}
	case c.running == c.desired && c.there == c.desired && c.updated == c.desired && v.current:
		return verdict{ready: true, reason: dcv1.ReasonConverged, message: text}
	}
	return verdict{reason: dcv1.ReasonScaling, standing: reconciling, progressing: true, message: text}
}

// judgeNowhere is of a global service that has no task. Where no node fits, a service has
// what it asks for; a job has not done a thing, and who waits for it is to know.
func judgeNowhere(v *serviceView, c taskCounts) verdict {
	text := ofTasks(v.service, c)
	const nowhere = ": no active node fits spec.placement; one that comes to fit gets a task."
	switch {
	case !v.current || v.early:
		return verdict{reason: dcv1.ReasonScaling, standing: reconciling, progressing: true, message: text + ": the swarm has yet to make tasks for its nodes."}
	case isJob(v.service):
		return verdict{reason: dcv1.ReasonNoSuitableNode, standing: stalled, message: text + nowhere}
	}
	return verdict{ready: true, reason: dcv1.ReasonConverged, message: text + nowhere}
}

// progress is what Progressing says, whatever keeps the spec from being written.
func progress(v *serviceView, c taskCounts) verdict {
	switch {
	case v.created:
		return verdict{progressing: true, reason: dcv1.ReasonScaling, message: "The service was created; its tasks are starting."}
	case v.written:
		return verdict{progressing: true, reason: dcv1.ReasonUpdating, message: "The service was changed; the engine is rolling it out."}
	case v.service == nil:
		return verdict{reason: dcv1.ReasonRolloutComplete, message: "There is nothing to roll out."}
	}
	said := judgeRollout(v, c)
	if said.ready {
		said.reason, said.message = dcv1.ReasonRolloutComplete, "The last rollout has ended well."
	}
	return said
}
