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

package hostcache

import (
	"context"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// swarmTurn is one manager's turn to serve a swarm.
type swarmTurn struct {
	v     *swarmView
	host  Key
	eng   engine.Engine
	jobs  *jobs
	kinds map[engine.Kind]*job
	// worked is called when a list succeeded.
	worked   func()
	listed   time.Time // when tasks were listed last
	stirred  time.Time // when the last event of a node came
	tasksAt  time.Time
	relistAt time.Time
	// touched is set once everything was listed.
	touched bool
}

// serve lists the swarm through one manager. It returns nil when that manager is
// no longer the one to ask, and an error when it fails.
func (v *swarmView) serve(ctx context.Context, host Key, eng engine.Engine, worked func()) error {
	ctx, cancel := context.WithCancel(ctx)
	t := &swarmTurn{
		v: v, host: host, eng: eng, worked: worked, kinds: map[engine.Kind]*job{},
		jobs: &jobs{ctx: ctx, log: v.log, timeout: defaultCallTimeout, maxRetry: tasksIdle, results: make(chan func() error)},
	}
	defer t.jobs.wg.Wait()
	defer cancel()
	lanes := map[engine.Kind]*lane{engine.Tasks: {}}
	lanes[engine.Services] = &lane{}
	lanes[engine.Nodes] = lanes[engine.Services]
	for _, kind := range engine.SwarmKinds {
		j := &job{lane: lanes[kind], spacing: swarmSpacing, restFactor: swarmRest, maxFailures: maxManagerFailures}
		j.begin = func() work { return t.begin(kind, j) }
		t.kinds[kind] = j
		t.jobs.list = append(t.jobs.list, j)
		j.ask(time.Time{}, 0)
	}
	t.relistAt = time.Now().Add(firstRelist(v.cache.opts.RelistInterval))
	return t.loop(ctx)
}

func (t *swarmTurn) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if !t.current() {
			return nil
		}
		t.events()
		now := time.Now()
		if !now.Before(t.relistAt) {
			t.relistAt = now.Add(jitter(t.v.cache.opts.RelistInterval))
			t.kinds[engine.Services].ask(time.Time{}, 0)
			t.kinds[engine.Nodes].ask(time.Time{}, 0)
		}
		if !t.tasksAt.IsZero() && !now.Before(t.tasksAt) {
			t.tasksAt = time.Time{}
			t.kinds[engine.Tasks].ask(time.Time{}, 0)
		}
		next := earliest(earliest(t.relistAt, t.tasksAt), t.jobs.startDue(now))
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-t.v.wake:
		case fn := <-t.jobs.results:
			if err := fn(); err != nil {
				return err
			}
		}
	}
}

// current reports whether the manager is still the one to ask: a member, and
// connected as it was when the turn began.
func (t *swarmTurn) current() bool {
	t.v.mu.Lock()
	member := t.v.members[t.host]
	t.v.mu.Unlock()
	eng, err := t.v.cache.Engine(t.host)
	return member && err == nil && eng == t.eng
}

// events asks for what events have come for; each of them may mean new tasks.
func (t *swarmTurn) events() {
	t.v.mu.Lock()
	defer t.v.mu.Unlock()
	for kind, since := range t.v.asked {
		t.kinds[kind].ask(since, 0)
		t.kinds[engine.Tasks].ask(time.Time{}, 0)
		t.v.inv.setStale(kind, t.kinds[kind].staleSince())
		if kind == engine.Nodes {
			t.stirred = time.Now()
		}
	}
	clear(t.v.asked)
	pause := tasksIdle
	if t.v.followed || time.Since(t.stirred) < stirTime {
		pause = tasksFollowed
	}
	if !t.listed.IsZero() {
		t.tasksAt = t.listed.Add(pause)
	}
}

func (t *swarmTurn) begin(kind engine.Kind, j *job) work {
	began := time.Now()
	var objects []engine.Object
	return work{
		do: func(ctx context.Context) (err error) {
			objects, err = t.eng.List(ctx, kind, engine.ListOptions{})
			return err
		},
		then: func() error {
			before := t.v.inv.view(kind)
			if err := t.v.inv.replace(kind, objects, nil); err != nil {
				return err
			}
			stale := j.staleSince()
			if kind == engine.Tasks {
				// No event keeps tasks current: they are as old as their listing.
				stale, t.listed = began, time.Now()
			}
			t.v.inv.setStale(kind, stale)
			t.done(kind, before.items)
			return nil
		},
		failed: func(*engine.Error) { t.v.inv.setStale(kind, earliest(began, j.staleSince())) },
	}
}

// done notes that the manager works; once it has listed everything, the swarm is
// in touch. before is what was known of the kind that has just been listed.
func (t *swarmTurn) done(kind engine.Kind, before []engine.Object) {
	t.worked()
	cache := t.v.cache
	if t.complete() {
		t.v.inv.uncut()
		t.v.setErr(nil)
		if !t.touched {
			t.touched = true
			cache.swarmNotes.send(SwarmChange{Key: t.v.key, All: true})
			return
		}
	}
	if t.touched {
		cache.notifySwarms(t.v.key, kind, before, t.v.inv.view(kind).items)
	}
}

// complete reports whether the last list of each kind succeeded.
func (t *swarmTurn) complete() bool {
	for _, j := range t.kinds {
		if j.runs == 0 || j.failures > 0 {
			return false
		}
	}
	return true
}
