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
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"
)

func TestSurplusTasks(t *testing.T) {
	t.Parallel()
	running, starting, failed := swarm.TaskStateRunning, swarm.TaskStateStarting, swarm.TaskStateFailed
	slot := func(n int, state swarm.TaskState) swarm.Task { return task(n, n, "app:2", state, "", time.Minute) }
	ending := slot(3, running)
	ending.DesiredState = swarm.TaskStateRemove
	global := replicated(0)
	global.Spec.Mode = swarm.ServiceMode{Global: &swarm.GlobalService{}}
	for name, test := range map[string]struct {
		service *swarm.Service
		tasks   []swarm.Task
		want    int32
	}{
		"none":                {replicated(2), nil, 0},
		"too few":             {replicated(2), []swarm.Task{slot(1, running)}, 0},
		"as many as wanted":   {replicated(2), []swarm.Task{slot(1, running), slot(2, starting)}, 0},
		"too many":            {replicated(1), []swarm.Task{slot(1, running), slot(2, starting), slot(3, running)}, 2},
		"one is being ended":  {replicated(2), []swarm.Task{slot(1, running), slot(2, running), ending}, 0},
		"one has failed":      {replicated(1), []swarm.Task{slot(1, running), slot(2, failed)}, 0},
		"two in one place":    {replicated(1), []swarm.Task{slot(1, running), task(2, 1, "app:3", starting, "", 0)}, 0},
		"scaled down to none": {replicated(0), []swarm.Task{slot(1, running)}, 1},
		"global":              {global, []swarm.Task{slot(1, running)}, 0},
	} {
		if got := surplusTasks(test.service, test.tasks); got != test.want {
			t.Errorf("%s: %d tasks too many, want %d", name, got, test.want)
		}
	}
}

// TestSurplusIsRemembered: between two listings of tasks nothing is known of them, and the
// next pause is as long as it was to be.
func TestSurplusIsRemembered(t *testing.T) {
	t.Parallel()
	service := replicated(1)
	many := []swarm.Task{task(1, 1, "app:2", swarm.TaskStateRunning, "", time.Minute), task(2, 2, "app:2", swarm.TaskStateRunning, "", time.Minute)}
	for name, test := range map[string]struct {
		tasks   []swarm.Task
		current bool
		want    int
	}{
		"listed before our write": {many, false, 4},
		"still too many":          {many, true, 4},
		"as many as wanted":       {many[:1], true, 0},
	} {
		turn := &serviceTurn{svc: aService(), now: time.Now(), memory: &serviceMemory{}, view: serviceView{
			checked: true, service: service, tasks: test.tasks, current: test.current,
		}}
		turn.memory.surplus.asked = 4
		turn.clearSurplus(t.Context())
		if got := turn.memory.surplus.asked; got != test.want {
			t.Errorf("%s: asked %d times, want %d", name, got, test.want)
		}
	}
}

// TestIsSettledIn: nothing is written that would set an update going again.
func TestIsSettledIn(t *testing.T) {
	t.Parallel()
	for state, want := range map[swarm.UpdateState]bool{
		"":                               true,
		swarm.UpdateStateCompleted:       true,
		swarm.UpdateStateUpdating:        false,
		swarm.UpdateStatePaused:          false,
		swarm.UpdateStateRollbackStarted: false,
		swarm.UpdateStateRollbackPaused:  false,
	} {
		service := replicated(1)
		service.UpdateStatus = &swarm.UpdateStatus{State: state}
		turn := &serviceTurn{svc: aService(), view: serviceView{checked: true}}
		if got := turn.isSettledIn(service); got != want {
			t.Errorf("an update that is %q: %v, want %v", state, got, want)
		}
	}
}
