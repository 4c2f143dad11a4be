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

package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/swarm"
)

// defaultMonitor is how long an updated task is watched where the spec does not say.
const defaultMonitor = 5 * time.Second

// rollout is the replacement of a service's tasks by ones of its new spec.
type rollout struct {
	s       *Swarm
	v       *serviceObject
	kind    swarm.UpdateState // updating or rollback_started
	config  swarm.UpdateConfig
	ctx     context.Context
	cancel  context.CancelFunc
	started int64
}

// startRollout begins to replace a service's tasks. Callers hold s.mu.
func (s *Swarm) startRollout(v *serviceObject, kind swarm.UpdateState) {
	v.endRollout()
	r := &rollout{s: s, v: v, kind: kind, started: s.clock.tick()}
	config := v.spec.UpdateConfig
	if kind == swarm.UpdateStateRollbackStarted {
		config = v.spec.RollbackConfig
	}
	if config != nil {
		r.config = *config
	} else {
		r.config = swarm.UpdateConfig{Parallelism: 1, FailureAction: swarm.UpdateFailureActionPause, Order: swarm.UpdateOrderStopFirst}
	}
	if r.config.Monitor == 0 {
		r.config.Monitor = defaultMonitor
	}
	r.ctx, r.cancel = context.WithCancel(s.ctx)
	v.rollout = r
	if kind == swarm.UpdateStateUpdating {
		r.report(kind, "update in progress")
	}
	s.spawn(r.run)
}

// endRollout abandons what is being replaced; the slots are the orchestrator's again.
func (v *serviceObject) endRollout() {
	if v.rollout != nil {
		v.rollout.cancel()
		v.rollout = nil
	}
	clear(v.busy)
}

// report sets the service's update status. Callers hold s.mu.
func (r *rollout) report(state swarm.UpdateState, message string) {
	attrs := []string{"name", r.v.spec.Name, "updatestate.new", string(state)}
	if r.v.status != nil && r.v.status.State != state {
		attrs = append(attrs, "updatestate.old", string(r.v.status.State))
	}
	at := time.Unix(0, r.started).UTC()
	st := &swarm.UpdateStatus{State: state, StartedAt: &at, Message: message}
	if state == swarm.UpdateStateCompleted || state == swarm.UpdateStateRollbackCompleted {
		now := s2time(r.s.clock.tick())
		st.CompletedAt = &now
	}
	r.v.status = st
	r.s.touch(&r.v.meta)
	r.s.emit(events.ServiceEventType, events.ActionUpdate, r.v.id, attrs...)
}

func s2time(nano int64) time.Time { return time.Unix(0, nano).UTC() }

// run replaces the slots, so many at once as the configuration says, and watches.
func (r *rollout) run() {
	r.s.mu.Lock()
	slots := r.s.slots(r.v)
	r.s.mu.Unlock()
	atOnce := int(r.config.Parallelism)
	if atOnce <= 0 || atOnce > len(slots) {
		atOnce = max(1, len(slots))
	}
	work, done := make(chan slot), make(chan struct{})
	for range atOnce {
		go func() {
			defer func() { done <- struct{}{} }()
			for sl := range work {
				if r.replace(sl) && r.config.Delay > 0 {
					r.wait(r.config.Delay)
				}
			}
		}()
	}
	stopped := false
	for _, sl := range slots {
		if stopped = r.failed(len(slots)); stopped || r.ctx.Err() != nil {
			break
		}
		select {
		case work <- sl:
		case <-r.ctx.Done():
		}
	}
	close(work)
	for range atOnce {
		<-done
	}
	// The last ones are watched too.
	for end := time.Now().Add(r.config.Monitor); !stopped && r.ctx.Err() == nil; {
		if stopped = r.failed(len(slots)); stopped || !time.Now().Before(end) {
			break
		}
		r.wait(min(20*time.Millisecond, time.Until(end)))
	}
	r.finish(stopped)
}

func (r *rollout) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ctx.Done():
	}
}

// until waits for a task's state.
func (r *rollout) until(reached func() bool) bool {
	for {
		r.s.mu.Lock()
		ok, changed := reached(), r.s.changed
		r.s.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-r.ctx.Done():
			return false
		}
	}
}

// replace gives a slot a task of the new spec. It reports whether it had to.
func (r *rollout) replace(sl slot) bool {
	s, v := r.s, r.v
	s.mu.Lock()
	live, _ := s.occupants(v, sl.key)
	var old []*taskObject
	for _, t := range live {
		if t.template != v.template {
			old = append(old, t)
		}
	}
	if len(live) > 0 && len(old) == 0 || r.ctx.Err() != nil {
		s.mu.Unlock()
		return false
	}
	v.busy[sl.key] = true
	startFirst := r.config.Order == swarm.UpdateOrderStartFirst
	stop := func() {
		for _, t := range old {
			s.want(t, swarm.TaskStateShutdown)
		}
	}
	if !startFirst {
		stop()
	}
	s.mu.Unlock()
	if !startFirst && !r.until(func() bool { return ended(old) }) {
		return true
	}
	s.mu.Lock()
	if r.ctx.Err() != nil {
		s.mu.Unlock()
		return true
	}
	t := s.newTask(v, sl.number, sl.key)
	s.mu.Unlock()
	r.until(func() bool { return t.over() || t.state == swarm.TaskStateRunning })
	s.mu.Lock()
	defer s.mu.Unlock()
	if startFirst && t.state == swarm.TaskStateRunning {
		stop()
	}
	if r.ctx.Err() == nil {
		delete(v.busy, sl.key)
		s.nudge()
	}
	return true
}

func ended(all []*taskObject) bool {
	for _, t := range all {
		if !t.over() {
			return false
		}
	}
	return true
}

// failed reports whether too many of the new tasks have failed.
func (r *rollout) failed(total int) bool {
	if r.config.FailureAction == swarm.UpdateFailureActionContinue {
		return false
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	slots := map[string]bool{}
	for _, t := range r.v.tasks {
		bad := t.state == swarm.TaskStateFailed || t.state == swarm.TaskStateRejected
		if t.template == r.v.template && t.created >= r.started && bad {
			slots[t.key] = true
		}
	}
	return total > 0 && len(slots) > 0 && float32(len(slots))/float32(total) > r.config.MaxFailureRatio
}

// finish says how it went, and begins the way back where the spec wants that.
func (r *rollout) finish(failed bool) {
	s, v := r.s, r.v
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.ctx.Err() != nil || v.rollout != r {
		return
	}
	back := r.kind == swarm.UpdateStateRollbackStarted
	v.endRollout()
	s.nudge()
	switch {
	case failed && !back && r.config.FailureAction == swarm.UpdateFailureActionRollback && v.previous != nil:
		v.setSpec(v.previous)
		v.previous = nil
		s.allocatePorts(v)
		r.report(swarm.UpdateStateRollbackStarted, fmt.Sprintf("update rolled back due to failure or early termination of task %s", r.culprit()))
		s.startRollout(v, swarm.UpdateStateRollbackStarted)
	case failed && back:
		r.report(swarm.UpdateStateRollbackPaused, fmt.Sprintf("rollback paused due to failure or early termination of task %s", r.culprit()))
	case failed:
		r.report(swarm.UpdateStatePaused, fmt.Sprintf("update paused due to failure or early termination of task %s", r.culprit()))
	case back:
		r.report(swarm.UpdateStateRollbackCompleted, "rollback completed")
	default:
		r.report(swarm.UpdateStateCompleted, "update completed")
	}
}

// culprit is the first failed task of a rollout.
func (r *rollout) culprit() string {
	for _, t := range r.v.tasks {
		if t.created >= r.started && (t.state == swarm.TaskStateFailed || t.state == swarm.TaskStateRejected) {
			return t.id
		}
	}
	return ""
}
