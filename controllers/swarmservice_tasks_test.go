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
	"fmt"
	"testing"
	"time"

	"github.com/moby/moby/api/types/swarm"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

func template(image string) swarm.TaskSpec {
	return swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Image: image}, Runtime: swarm.RuntimeContainer}
}

func replicated(n uint64) *swarm.Service {
	s := &swarm.Service{ID: "s1", Spec: swarm.ServiceSpec{TaskTemplate: template("app:2")}}
	s.Version.Index = 7
	s.Spec.Mode.Replicated = &swarm.ReplicatedService{Replicas: &n}
	return s
}

// task is the n-th task ever made, of a slot; change may change it.
func task(n, slot int, image string, state swarm.TaskState, failure string, age time.Duration) swarm.Task {
	t := swarm.Task{
		ID: fmt.Sprint("t", n), Slot: slot, NodeID: "n1", Spec: template(image), DesiredState: swarm.TaskStateRunning,
		Status: swarm.TaskStatus{State: state, Err: failure, Timestamp: testNow.Add(-age)},
	}
	t.Spec.Runtime = "" // as engines send it
	t.CreatedAt = testNow.Add(time.Duration(n)*time.Second - time.Hour)
	if isOver(&t) {
		t.DesiredState = swarm.TaskStateShutdown
	}
	return t
}

func TestCountTasks(t *testing.T) {
	const old, long = time.Minute, time.Hour
	running, failed, starting := swarm.TaskStateRunning, swarm.TaskStateFailed, swarm.TaskStateStarting
	gone := func(t swarm.Task) swarm.Task { t.DesiredState = swarm.TaskStateShutdown; return t }
	for name, test := range map[string]struct {
		tasks                                     []swarm.Task
		there, running, updated, failing, desired int32
		settles                                   bool
	}{
		"none yet": {desired: 2},
		"all run": {
			tasks: []swarm.Task{task(1, 1, "app:2", running, "", old), task(2, 2, "app:2", running, "", old)},
			there: 2, running: 2, updated: 2, desired: 2,
		},
		"one is of before": {
			tasks: []swarm.Task{task(1, 1, "app:1", running, "", old), task(2, 2, "app:2", running, "", old)},
			there: 2, running: 2, updated: 1, desired: 2,
		},
		"one is being stopped": {
			tasks: []swarm.Task{task(1, 1, "app:2", running, "", old), gone(task(2, 2, "app:2", running, "", old))},
			there: 1, running: 1, updated: 1, desired: 2,
		},
		"one fails": {
			tasks: []swarm.Task{task(1, 1, "app:2", running, "", old), task(2, 2, "app:2", failed, "task: non-zero exit (1)", old)},
			there: 1, running: 1, updated: 1, failing: 1, desired: 2,
		},
		"one fails, and is started again": {
			tasks: []swarm.Task{task(1, 1, "app:2", running, "", old), task(2, 2, "app:2", failed, "x", old), task(3, 2, "app:2", starting, "", 0)},
			there: 2, running: 1, updated: 1, failing: 1, desired: 2,
		},
		"one failed, and has just started": {
			tasks: []swarm.Task{task(1, 1, "app:2", running, "", old), task(2, 2, "app:2", failed, "x", old), task(3, 2, "app:2", running, "", time.Second)},
			there: 2, running: 2, updated: 2, failing: 1, desired: 2, settles: true,
		},
		"one failed, long ago": {
			tasks: []swarm.Task{task(1, 1, "app:2", running, "", old), task(2, 2, "app:2", failed, "x", long), task(3, 2, "app:2", running, "", long)},
			there: 2, running: 2, updated: 2, desired: 2,
		},
		"one was rejected, and has just started": {
			tasks: []swarm.Task{task(1, 1, "app:2", swarm.TaskStateRejected, "x", old), task(2, 1, "app:2", running, "", time.Second), task(3, 2, "app:2", running, "", old)},
			there: 2, running: 2, updated: 2, desired: 2,
		},
		"one was rejected, and is tried again": {
			tasks: []swarm.Task{task(1, 1, "app:2", swarm.TaskStateRejected, "x", old), task(2, 1, "app:2", starting, "", 0), task(3, 2, "app:2", running, "", old)},
			there: 2, running: 1, updated: 1, failing: 1, desired: 2,
		},
		"what failed is no longer asked for": {
			tasks: []swarm.Task{task(1, 1, "app:1", failed, "x", old), task(2, 1, "app:2", starting, "", 0), task(3, 2, "app:2", running, "", old)},
			there: 2, running: 1, updated: 1, desired: 2,
		},
		"no node": {
			tasks: []swarm.Task{task(1, 1, "app:2", swarm.TaskStatePending, "no suitable node", old), task(2, 2, "app:2", running, "", old)},
			there: 2, running: 1, updated: 1, failing: 1, desired: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := countTasks(replicated(2), test.tasks, testNow)
			if c.there != test.there || c.running != test.running || c.updated != test.updated || c.failing != test.failing || c.desired != test.desired {
				t.Errorf("counts = %+v", c)
			}
			if (c.settlesIn > 0) != test.settles || (c.culprit != nil) != (test.failing > 0) {
				t.Errorf("settles in %s, culprit %v", c.settlesIn, c.culprit)
			}
		})
	}
}

func TestCountJobTasks(t *testing.T) {
	job := &swarm.Service{ID: "s1", Spec: swarm.ServiceSpec{TaskTemplate: template("app:2")}, JobStatus: &swarm.JobStatus{JobIteration: swarm.Version{Index: 3}}}
	job.Spec.Mode.ReplicatedJob = &swarm.ReplicatedJob{MaxConcurrent: ptr.To[uint64](1), TotalCompletions: ptr.To[uint64](3)}
	of := func(iteration uint64, t swarm.Task) swarm.Task {
		t.JobIteration, t.DesiredState = &swarm.Version{Index: iteration}, swarm.TaskStateComplete
		return t
	}
	c := countTasks(job, []swarm.Task{
		of(2, task(1, 1, "app:2", swarm.TaskStateComplete, "", time.Hour)),
		of(3, task(2, 1, "app:2", swarm.TaskStateComplete, "", time.Minute)),
		of(3, task(3, 2, "app:2", swarm.TaskStateRunning, "", time.Second)),
	}, testNow)
	if c.completed != 1 || c.running != 1 || c.desired != 3 || c.failing != 0 {
		t.Errorf("counts = %+v", c)
	}
}

func TestTaskReason(t *testing.T) {
	for _, test := range []struct {
		state     swarm.TaskState
		err, want string
	}{
		{swarm.TaskStatePending, "no suitable node (scheduling constraints not satisfied on 3 nodes)", dcv1.ReasonNoSuitableNode},
		{swarm.TaskStateRejected, `No such image: nope:1`, dcv1.ReasonImagePullFailed},
		{swarm.TaskStateRejected, `pull access denied for x, repository does not exist or may require 'docker login'`, dcv1.ReasonImagePullFailed},
		{swarm.TaskStateRejected, `invalid mount config for type "bind": bind source path does not exist: /x`, dcv1.ReasonTaskRejected},
		{swarm.TaskStateFailed, "task: non-zero exit (137): dockerexec: unhealthy container", dcv1.ReasonHealthcheckFailed},
		{swarm.TaskStateFailed, "task: non-zero exit (1)", dcv1.ReasonTaskFailed},
	} {
		if got := taskReason(&swarm.Task{Status: swarm.TaskStatus{State: test.state, Err: test.err}}); got != test.want {
			t.Errorf("%s is %s, want %s", test.err, got, test.want)
		}
	}
}

// TestTaskErrors: each text once, the newest first, and no news while the same repeats.
func TestTaskErrors(t *testing.T) {
	nodes := map[string]string{"n1": "one"}
	tasks := []swarm.Task{
		task(1, 1, "app:2", swarm.TaskStateFailed, "first", time.Hour),
		task(2, 1, "app:2", swarm.TaskStateFailed, "second", time.Minute),
		task(3, 1, "app:2", swarm.TaskStateFailed, "first", 2*time.Hour),
		task(4, 1, "app:2", swarm.TaskStateRunning, "", 0),
	}
	told := taskErrors(nil, tasks, nodes)
	if len(told) != 2 || told[0].Error != "second" || told[1].TaskID != "t1" || told[0].Node != "one" || told[0].State != "failed" {
		t.Fatalf("errors = %+v", told)
	}
	again := taskErrors(told, append(tasks, task(5, 1, "app:2", swarm.TaskStateFailed, "second", 0)), nodes)
	if fmt.Sprint(again) != fmt.Sprint(told) {
		t.Errorf("an error that repeats is news: %+v", again)
	}
	var many []swarm.Task
	for i := range 30 {
		many = append(many, task(i, i, "app:2", swarm.TaskStateFailed, fmt.Sprint("error ", i), time.Duration(i)*time.Minute))
	}
	if list := taskErrors(nil, many, nodes); len(list) != maxTaskErrors || list[0].Error != "error 0" {
		t.Errorf("%d errors, the first %+v", len(list), list[0])
	}
}
