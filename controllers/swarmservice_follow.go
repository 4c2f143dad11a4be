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
	"time"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

const (
	// fightPause is the pause after the first correction of drift; it doubles with each
	// that follows, up to maxFightPause. Two who keep one service differently would
	// otherwise restart its tasks without end.
	fightPause    = 2 * time.Second
	maxFightPause = 5 * time.Minute
	// fightOver is for how long nobody interferes before the first pause applies again.
	fightOver = 10 * time.Minute
)

// fought reports whether drift is to be left alone for now, since it was corrected a
// moment ago. The first is corrected at once.
func (t *serviceTurn) fought() bool {
	c := &t.memory.corrections
	since := t.now.Sub(c.last)
	if since > fightOver {
		*c = corrections{}
		return false
	}
	pause := min(fightPause<<min(c.count-1, 10), maxFightPause)
	if c.count > 0 && since < pause {
		t.soon(pause - since)
		return true
	}
	return false
}

// corrected counts a correction of drift.
func (t *serviceTurn) corrected() {
	t.memory.corrections.count++
	t.memory.corrections.last = t.now
	t.Metrics.drifted(t.svc)
}

// followUntilDone asks for tasks to be listed often while the service is not done, and
// lets go what it no longer needs when it is.
func (t *serviceTurn) followUntilDone(ctx context.Context) {
	if t.view.service == nil && !t.view.written {
		t.follow("", false)
		return
	}
	done := !t.view.written && isDone(t.svc)
	t.follow(t.svc.Status.ServiceID, !done)
	switch {
	case !done && t.view.service != nil && (!t.view.failures || t.view.early):
		t.soon(tasksPause)
	case done && t.err == nil && !isTrue(t.svc.Spec.Suspend):
		var again time.Duration
		again, t.err = t.Inputs.Settled(ctx, t.svc, t.on)
		t.soon(again)
	}
}

// isDone reports whether nothing moves that has to be watched closely.
func isDone(svc *dcv1.SwarmService) bool {
	return saysReady(svc, dcv1.ReasonConverged) || saysReady(svc, dcv1.ReasonJobComplete) || saysReady(svc, dcv1.ReasonSuspended)
}
