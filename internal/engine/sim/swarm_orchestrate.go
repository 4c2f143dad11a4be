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
	"slices"
	"time"

	"github.com/moby/moby/api/types/swarm"
)

const (
	// restartDelay is how long a restart waits where the spec does not say.
	restartDelay = 5 * time.Second
	// taskHistory is how many ended tasks a slot keeps: the swarm's default.
	taskHistory = 5
)

// slot is a place that a service wants filled.
type slot struct {
	number int
	key    string
}

// slots are the places of a service now. Callers hold s.mu.
func (s *Swarm) slots(v *serviceObject) []slot {
	var all []slot
	switch m := v.spec.Mode; {
	case m.Replicated != nil:
		for i := range *m.Replicated.Replicas {
			all = append(all, slot{int(i) + 1, itoa(int(i) + 1)})
		}
	case m.ReplicatedJob != nil:
		for i := range *m.ReplicatedJob.TotalCompletions {
			all = append(all, slot{int(i), itoa(int(i))})
		}
	default:
		for _, n := range s.nodes {
			if s.suits(n, v.spec) {
				all = append(all, slot{0, n.id})
			}
		}
	}
	return all
}

// MissScaleDown has the next scale-down of a service end no task, until the service is
// written again. Docker's swarms do so where a task changes at that very moment.
func (s *Swarm) MissScaleDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missNext = true
}

// orchestrate keeps the tasks what the services want.
func (s *Swarm) orchestrate() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-s.wake:
		case <-timer.C:
		case <-s.ctx.Done():
			return
		}
		s.mu.Lock()
		next := s.reconcile()
		s.mu.Unlock()
		timer.Reset(next)
	}
}

// reconcile looks at everything once, and returns when to look again at the
// latest. Callers hold s.mu.
func (s *Swarm) reconcile() time.Duration {
	if s.ctx.Err() != nil || s.quorum() != nil {
		return time.Hour
	}
	next := time.Hour
	for _, v := range s.services {
		next = min(next, s.fill(v))
	}
	for _, t := range slices.Clone(s.tasks) {
		s.step(t)
	}
	s.trim()
	return next
}

// fill gives each slot of a service its task, and ends the tasks without a slot.
func (s *Swarm) fill(v *serviceObject) time.Duration {
	next := time.Hour
	now := s.clock.now().UnixNano()
	wanted := map[string]bool{}
	running := 0
	limit := 1 << 30
	if j := v.spec.Mode.ReplicatedJob; j != nil {
		limit = int(*j.MaxConcurrent)
		for _, t := range v.tasks {
			if t.live() {
				running++
			}
		}
	}
	for _, sl := range s.slots(v) {
		wanted[sl.key] = true
		if v.busy[sl.key] {
			continue
		}
		live, last := s.occupants(v, sl.key)
		for _, t := range live {
			if t.desired == swarm.TaskStateReady {
				if wait := t.notBefore - now; wait > 0 {
					next = min(next, time.Duration(wait))
				} else {
					s.want(t, swarm.TaskStateRunning)
				}
			}
		}
		if len(live) > 0 || running >= limit || !v.again(last) {
			continue
		}
		t := s.newTask(v, sl.number, sl.key)
		running++
		if last != nil && last.template == v.template && last.desired != swarm.TaskStateShutdown && !v.job() {
			s.want(t, swarm.TaskStateReady)
			t.notBefore = now + int64(delay(v))
			v.attempts[sl.key]++
			next = min(next, delay(v))
			s.want(last, swarm.TaskStateShutdown)
		}
	}
	if v.missed {
		return next
	}
	for _, t := range v.tasks {
		gone := !wanted[t.key] || v.job() && t.iteration != v.iteration
		if gone && t.desired != swarm.TaskStateRemove && !(v.job() && t.over()) {
			s.want(t, swarm.TaskStateRemove)
		}
	}
	return next
}

// occupants are the live tasks of a slot, and the newest of the ended ones.
func (s *Swarm) occupants(v *serviceObject, key string) (live []*taskObject, last *taskObject) {
	for _, t := range v.tasks {
		if t.key != key || v.job() && t.iteration != v.iteration {
			continue
		}
		switch {
		case t.live() && s.lost(t):
			s.want(t, swarm.TaskStateShutdown)
		case t.live():
			live = append(live, t)
		case last == nil || t.created > last.created:
			last = t
		}
	}
	return live, last
}

// lost reports whether a task's node has stopped taking part.
func (s *Swarm) lost(t *taskObject) bool {
	return t.node != nil && (t.node.state == swarm.NodeStateDown || t.node.availability == swarm.NodeAvailabilityDrain)
}

// again applies the restart condition to the last task of a slot.
func (v *serviceObject) again(last *taskObject) bool {
	if last == nil || last.desired == swarm.TaskStateShutdown {
		return true
	}
	condition := swarm.RestartPolicyConditionAny
	if p := v.spec.TaskTemplate.RestartPolicy; p != nil {
		condition = p.Condition
		if *p.MaxAttempts > 0 && v.attempts[last.key] >= *p.MaxAttempts {
			return false
		}
	}
	if v.job() && last.state == swarm.TaskStateComplete {
		return false
	}
	switch condition {
	case swarm.RestartPolicyConditionNone:
		return last.template != v.template
	case swarm.RestartPolicyConditionOnFailure:
		return last.state != swarm.TaskStateComplete
	}
	return true
}

func delay(v *serviceObject) time.Duration {
	if p := v.spec.TaskTemplate.RestartPolicy; p != nil && p.Delay != nil {
		return *p.Delay
	}
	return restartDelay
}

// step does what one task needs next.
func (s *Swarm) step(t *taskObject) {
	if t.working {
		return
	}
	stop := t.desired == swarm.TaskStateShutdown || t.desired == swarm.TaskStateRemove
	switch {
	case t.service.removed && t.desired != swarm.TaskStateRemove:
		s.want(t, swarm.TaskStateRemove)
		s.step(t)
	case t.over() && t.desired == swarm.TaskStateRemove:
		s.discard(t)
	case t.over():
	case stop && t.node != nil && t.node.away && t.container != nil:
		// Its engine does not answer: it is told when it comes back.
	case stop:
		t.working = true
		s.spawn(func() { s.halt(t) })
	case t.state == swarm.TaskStateNew || t.state == swarm.TaskStatePending:
		if s.assign(t); t.node != nil {
			s.step(t)
		}
	case t.state == swarm.TaskStateAssigned && t.desired != swarm.TaskStateReady && t.node.engine != nil && !t.node.away:
		t.working = true
		e := t.node.engine
		s.spawn(func() { s.launch(t, e) })
	}
}

// trim discards the oldest ended tasks of each slot.
func (s *Swarm) trim() {
	type place struct {
		v   *serviceObject
		key string
	}
	ended := map[place][]*taskObject{}
	for _, t := range s.tasks {
		if t.over() && !t.service.job() {
			p := place{t.service, t.key}
			ended[p] = append(ended[p], t)
		}
	}
	for _, all := range ended {
		for len(all) > taskHistory {
			s.discard(all[0])
			all = all[1:]
		}
	}
}
