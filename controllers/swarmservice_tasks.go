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
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"k8s.io/apimachinery/pkg/api/equality"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// settleTime is for how long a task must run that follows one that failed, before it is
// believed: engines restart at once after 5 s, so that a container that always ends
// would be well every other second. It is the engine's own default for watching an update.
const settleTime = 5 * time.Second

// taskCounts is what the tasks of a service come to.
type taskCounts struct {
	// there are all that live or begin to; desired is how many there should be.
	there, desired int32
	running        int32
	// updated are those that run what the service says now.
	updated   int32
	completed int32
	// perNode are running tasks by node id.
	perNode map[string]int32
	// failing are the slots that have no working task, and culprit the newest failure.
	failing int32
	culprit *swarm.Task
	// settlesIn is how long until a task that follows one that failed is believed.
	settlesIn time.Duration
}

// countTasks counts the tasks of one service.
func countTasks(service *swarm.Service, tasks []swarm.Task, now time.Time) taskCounts {
	c := taskCounts{perNode: map[string]int32{}}
	job := service.Spec.Mode.ReplicatedJob != nil || service.Spec.Mode.GlobalJob != nil
	slots := map[string][]*swarm.Task{}
	wanted := map[string]bool{}
	for i := range tasks {
		t := &tasks[i]
		if job && !sameIteration(service, t) {
			continue
		}
		slots[slotOf(t)] = append(slots[slotOf(t)], t)
		if isWanted(t) {
			wanted[slotOf(t)] = true
		}
		switch {
		case t.Status.State == swarm.TaskStateComplete && job:
			c.completed++
			wanted[slotOf(t)] = true
		case lives(t):
			c.there++
		}
		if t.Status.State == swarm.TaskStateRunning && isWanted(t) {
			c.running++
			c.perNode[t.NodeID]++
			if sameTemplate(service.Spec.TaskTemplate, t.Spec) {
				c.updated++
			}
		}
	}
	c.desired = desiredTasks(service.Spec.Mode, int32(len(wanted)))
	for _, slot := range slots {
		c.judge(service, slot, now)
	}
	return c
}

// judge looks at the tasks of one slot, of which one at most should live.
func (c *taskCounts) judge(service *swarm.Service, slot []*swarm.Task, now time.Time) {
	slices.SortFunc(slot, func(a, b *swarm.Task) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	newest := slot[0]
	if !isWanted(newest) && !hasFailed(newest) {
		return // scaled down
	}
	bad := newest
	if !hasFailed(newest) {
		if len(slot) == 1 || !hasFailed(slot[1]) || !sameTemplate(newest.Spec, slot[1].Spec) || newest.Status.State == swarm.TaskStateComplete {
			return
		}
		bad = slot[1]
		if newest.Status.State == swarm.TaskStateRunning {
			if bad.Status.State == swarm.TaskStateRejected {
				return // what kept it from starting is over, where the next one has
			}
			left := settleTime - now.Sub(newest.Status.Timestamp)
			if left <= 0 || left > 2*settleTime { // or the engine's clock is ahead of ours
				return
			}
			c.settlesIn = max(c.settlesIn, min(left, settleTime))
		}
	}
	if !sameTemplate(service.Spec.TaskTemplate, bad.Spec) {
		return // what failed is no longer asked for
	}
	c.failing++
	if c.culprit == nil || bad.Status.Timestamp.After(c.culprit.Status.Timestamp) {
		c.culprit = bad
	}
}

func desiredTasks(m swarm.ServiceMode, slots int32) int32 {
	switch {
	case m.Replicated != nil && m.Replicated.Replicas != nil:
		return clamp32(*m.Replicated.Replicas)
	case m.ReplicatedJob != nil && m.ReplicatedJob.TotalCompletions != nil:
		return clamp32(*m.ReplicatedJob.TotalCompletions)
	case m.ReplicatedJob != nil, m.Replicated != nil:
		return 1
	}
	return slots
}

func clamp32(n uint64) int32 { return int32(min(n, 1<<31-1)) }

// slotOf is the place that a task fills: a number, or the node of a global service's.
func slotOf(t *swarm.Task) string {
	if t.Slot != 0 {
		return strconv.Itoa(t.Slot)
	}
	return "node " + t.NodeID
}

func isWanted(t *swarm.Task) bool {
	switch t.DesiredState {
	case swarm.TaskStateRunning, swarm.TaskStateReady, swarm.TaskStateComplete:
		return true
	}
	return false
}

// lives reports whether a task runs, or is to.
func lives(t *swarm.Task) bool { return isWanted(t) && !isOver(t) }

// isOver reports whether a task has ended.
func isOver(t *swarm.Task) bool {
	switch t.Status.State {
	case swarm.TaskStateComplete, swarm.TaskStateShutdown, swarm.TaskStateFailed, swarm.TaskStateRejected, swarm.TaskStateRemove, swarm.TaskStateOrphaned:
		return true
	}
	return false
}

// hasFailed reports whether a task has failed, or cannot be placed.
func hasFailed(t *swarm.Task) bool {
	switch t.Status.State {
	case swarm.TaskStateFailed, swarm.TaskStateRejected:
		return true
	case swarm.TaskStatePending:
		return t.Status.Err != "" && isWanted(t)
	}
	return false
}

func sameIteration(service *swarm.Service, t *swarm.Task) bool {
	if service.JobStatus == nil || t.JobIteration == nil {
		return service.JobStatus == nil && t.JobIteration == nil
	}
	return service.JobStatus.JobIteration.Index == t.JobIteration.Index
}

// sameTemplate compares what tasks run. Where they may run does not count: the engine
// lets a task be whose node still suits. It tells the runtime of services only.
func sameTemplate(a, b swarm.TaskSpec) bool {
	a.Placement, b.Placement = nil, nil
	a.Runtime, b.Runtime = "", ""
	return equality.Semantic.DeepEqual(a, b)
}

// taskReason is the reason for a condition that a failed task gives.
func taskReason(t *swarm.Task) string {
	text := strings.ToLower(t.Status.Err)
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) })
	}
	switch {
	case strings.Contains(text, "no suitable node"):
		return dcv1.ReasonNoSuitableNode
	case has("unhealthy container"):
		return dcv1.ReasonHealthcheckFailed
	case t.Status.State == swarm.TaskStateRejected && has("no such image", "pull access denied", "manifest", "pulling image",
		"repository", "registry", "toomanyrequests", "failed to resolve reference", "invalid reference format", "image"):
		return dcv1.ReasonImagePullFailed
	case t.Status.State == swarm.TaskStateRejected:
		return dcv1.ReasonTaskRejected
	}
	return dcv1.ReasonTaskFailed
}

// decodeTasks reads the tasks of one service. One that cannot be read is left out.
func decodeTasks(raws []json.RawMessage) []swarm.Task {
	tasks := make([]swarm.Task, 0, len(raws))
	for _, raw := range raws {
		var t swarm.Task
		if json.Unmarshal(raw, &t) == nil {
			tasks = append(tasks, t)
		}
	}
	return tasks
}
