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
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// jobs runs what one owner asks of engines. The owner is a single goroutine: it
// starts the jobs that are due, and what they bring comes back to it through
// results. Calls run in goroutines of their own, one a lane, so that none that
// hangs holds up the owner.
type jobs struct {
	ctx     context.Context
	log     logr.Logger
	timeout time.Duration
	// maxRetry bounds the pause before a job that failed is tried again.
	maxRetry time.Duration
	list     []*job
	results  chan func() error
	wg       sync.WaitGroup
}

// lane is a line of jobs of which one runs at a time, so that they share a
// connection.
type lane struct{ busy bool }

// job is a call that is made when it is asked for, and again if it was asked for
// while it ran: any number of reasons within spacing make one call.
type job struct {
	lane    *lane
	spacing time.Duration
	// restFactor, where it is not 0, makes the pause that many times as long as the run
	// took, at least spacing and at most maxRest: what is big is not listed all the time.
	restFactor int
	// maxRetry bounds the pause after a failure; 0: what jobs says.
	maxRetry time.Duration
	// maxFailures in a row are the owner's failure; 0: the job is tried for ever.
	maxFailures int
	// begin runs in the owner's goroutine and returns what to do outside of it.
	begin func() work

	pending   bool
	notBefore time.Time
	failures  int
	// since is when the oldest event came that made the job pending, runSince the
	// same of the run under way; zero where no event did.
	since, runSince time.Time
	began           time.Time
	runs            int
}

// rest is the pause after a run that took so long.
func (j *job) rest(took time.Duration) time.Duration {
	return max(j.spacing, min(time.Duration(j.restFactor)*took, maxRest))
}

// work is one run of a job. then and failed run in the owner's goroutine.
type work struct {
	do     func(ctx context.Context) error
	then   func() error
	failed func(err *engine.Error)
}

// ask makes a job pending, at the earliest after delay. since is when the event
// came that wants it, zero if none does.
func (j *job) ask(since time.Time, delay time.Duration) {
	if !j.pending {
		j.notBefore = latest(j.notBefore, time.Now().Add(delay))
	}
	j.pending = true
	j.since = earliest(j.since, since)
}

// staleSince is when the oldest event came that the job has not brought in yet.
func (j *job) staleSince() time.Time { return earliest(j.since, j.runSince) }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// startDue starts every job that is due and returns when the next one will be;
// zero if none is pending or a running one has to end first.
func (js *jobs) startDue(now time.Time) (next time.Time) {
	for _, j := range js.list {
		switch {
		case !j.pending || j.lane.busy:
		case now.Before(j.notBefore):
			next = earliest(next, j.notBefore)
		default:
			js.start(j)
		}
	}
	return next
}

func (js *jobs) start(j *job) {
	j.pending, j.lane.busy = false, true
	j.since, j.runSince = time.Time{}, j.since
	j.began = time.Now()
	w := j.begin()
	js.goDo(js.timeout, w.do, func(err error) error { return js.finished(j, w, err) })
}

// goDo calls do in a goroutine, for at most timeout, and has then called with its
// error by the owner.
func (js *jobs) goDo(timeout time.Duration, do func(context.Context) error, then func(error) error) {
	js.wg.Go(func() {
		err := js.do(timeout, do)
		js.post(func() error { return then(err) })
	})
}

func (js *jobs) do(timeout time.Duration, do func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = panicked(js.log, r)
		}
	}()
	ctx, cancel := context.WithTimeout(js.ctx, timeout)
	defer cancel()
	return do(ctx)
}

// post hands fn to the owner, unless the owner has gone.
func (js *jobs) post(fn func() error) {
	select {
	case js.results <- fn:
	case <-js.ctx.Done():
	}
}

// finished runs in the owner's goroutine. Its error ends the owner.
func (js *jobs) finished(j *job, w work, err error) error {
	j.lane.busy = false
	if js.ctx.Err() != nil {
		return nil //nolint:nilerr // the owner is ending, and the call with it
	}
	j.runs++
	now := time.Now()
	if err == nil {
		j.failures, j.runSince = 0, time.Time{}
		j.notBefore = now.Add(j.rest(now.Sub(j.began)))
		return w.then()
	}
	var other *identityError
	if errors.As(err, &other) {
		return err
	}
	j.failures++
	j.since, j.runSince = earliest(j.since, j.runSince), time.Time{}
	j.pending = true
	j.notBefore = now.Add(jitter(min(minBackoff<<min(j.failures-1, 10), cmp.Or(j.maxRetry, js.maxRetry))))
	if w.failed != nil {
		w.failed(toError(err))
	}
	if j.maxFailures > 0 && j.failures >= j.maxFailures {
		return err
	}
	return nil
}
