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
	"context"
	"fmt"
	"time"

	engineswarm "github.com/moby/moby/api/types/swarm"
	corev1 "k8s.io/api/core/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// surplusPatience is how long a swarm may take to end the tasks of a service that was scaled
// down, before it is asked again; it doubles with each time, up to maxFightPause. Swarm marks
// them within milliseconds, or not at all.
const surplusPatience = 3 * time.Second

// surplus is what is remembered of tasks that a swarm keeps beyond what their service asks
// for.
type surplus struct {
	// version is the service's, and since is when it was first seen with too many tasks.
	version uint64
	since   time.Time
	// asked is how often the swarm was asked to look again.
	asked int
}

// clearSurplus writes a service again, unchanged, that keeps too many tasks. Swarm ends tasks
// by what it read a moment before: where one of them changed meanwhile, as it does while it
// starts, the leader logs "failed to update task to REMOVE" and "update out of sequence", and
// does not look again until the service is written. So do swarmkit's sources up to 2.0, and
// 20.10 does it in 3 of 100 scale-downs that come within 50 ms of a scale-up.
func (t *serviceTurn) clearSurplus(ctx context.Context) {
	m, v := &t.memory.surplus, &t.view
	if v.service == nil || !v.current {
		return // tasks of before a change, our own write among them, tell nothing of it
	}
	n := surplusTasks(v.service, v.tasks)
	if n == 0 || !t.isSettledIn(v.service) {
		*m = surplus{}
		return
	}
	if version := v.service.Version.Index; m.version != version {
		m.version, m.since = version, t.now
	}
	if left := min(surplusPatience<<min(m.asked, 10), maxFightPause) - t.now.Sub(m.since); left > 0 {
		t.soon(left)
		return
	}
	switch again, err := t.write(ctx, v.service, v.service.Spec); {
	case err != nil:
		m.asked, m.since = m.asked+1, t.now
		t.failed(err, "")
	case again:
		t.soon(conflictPause)
	default:
		m.asked++
		t.memory.written = writtenService{v.service.ID, m.version, t.now}
		t.soon(listingPatience)
		t.event(corev1.EventTypeWarning, dcv1.ReasonSurplusTasks, actionUpdateService, fmt.Sprintf(
			"The swarm kept %d tasks more than spec.replicas asks for; the service was written again, unchanged, so that it ends them.", n))
	}
}

// isSettledIn reports whether the service is what the spec says, and is the operator's to
// write: to write one whose update was paused would set that going again.
func (t *serviceTurn) isSettledIn(service *engineswarm.Service) bool {
	if !t.view.checked || !t.view.diff.Empty() || isTrue(t.svc.Spec.Suspend) {
		return false
	}
	u := service.UpdateStatus
	return u == nil || u.State == "" || u.State == engineswarm.UpdateStateCompleted || u.State == engineswarm.UpdateStateRollbackCompleted
}

// surplusTasks is how many places of a replicated service have a task beyond what it asks
// for. An update that starts the new task first has two in one place.
func surplusTasks(service *engineswarm.Service, tasks []engineswarm.Task) int32 {
	if service.Spec.Mode.Replicated == nil {
		return 0
	}
	taken := map[int]bool{}
	for i := range tasks {
		if lives(&tasks[i]) {
			taken[tasks[i].Slot] = true
		}
	}
	return max(0, int32(len(taken))-desiredTasks(service.Spec.Mode, 0))
}
