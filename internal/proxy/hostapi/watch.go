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

package hostapi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
)

const (
	// pingInterval between bookmarks is below the 30 s and 60 s after which common load
	// balancers take a connection for dead.
	pingInterval = 25 * time.Second
	// reviewInterval is how often a watch over many hosts looks anew which those are and
	// what the caller may read. Reviews are cached by the authorizer. A change of grants
	// brings it forward.
	reviewInterval = 2 * time.Second
	// reviewSpacing bounds how often changes of hosts and grants bring that forward.
	reviewSpacing = 250 * time.Millisecond
	// reviewOutage is how long a watch lasts while nobody can be asked.
	reviewOutage = 30 * time.Second
	// firstSync is how long the bookmark that ends the initial items waits for hosts that
	// have a listing: it takes that long only where a host is lost in between.
	firstSync = 10 * time.Second
	// maxPending events wait for the client, whatever the number of hosts. Behind them
	// waits each host's own queue in hostcache, which is bounded too.
	maxPending = 64
)

// watch streams changes until the client leaves, the right is lost or there is an end by
// the query.
func (rq *request) watch(w http.ResponseWriter, r *http.Request) error {
	f, err := rq.fleet(r.Context())
	if err != nil {
		return err
	}
	var rights []authz.Right
	if rq.at.Host != "" {
		if _, err := rq.listing(f.sources[0]); err != nil {
			return err
		}
		rights = append(rights, authz.Right{Host: rq.at.Key(), Right: rq.kind.right})
		if !f.sources[0].masked {
			rights = append(rights, authz.Right{Host: rq.at.Key(), Right: inspect})
		}
	}
	// Over many hosts the guard watches the caller's proof alone: a right that is lost
	// takes a host away and not the stream, and follow sees to that.
	ctx, stop := rq.h.options.Authorizer.Guard(r.Context(), rq.who, rights...)
	defer stop()
	defer metrics.Open(ctx, metrics.Watch)()
	ctx, cancel := context.WithCancelCause(ctx)
	wt := &watch{
		request: rq, ctx: ctx, out: newLines(w), events: make(chan feedEvent, maxPending), fleets: make(chan fleetResult), nudge: make(chan struct{}, 1),
		feeds: map[sourceKey]*feed{},
		enc:   encoder{kind: rq.kind, masker: rq.h.options.Masker, labels: rq.query.labels},
	}
	defer wt.running.Wait()
	defer cancel(nil)
	wt.run(f)
	return nil
}

// watch is one stream. Its goroutines are the caller's, which alone writes and owns the
// fields; one that looks which hosts there are; and one for each feed.
type watch struct {
	*request
	ctx     context.Context
	enc     encoder
	out     *lines
	running sync.WaitGroup

	events chan feedEvent
	fleets chan fleetResult
	nudge  chan struct{} // has room for one: look at the hosts now

	feeds    map[sourceKey]*feed
	failed   []failedHost // as the last bookmark had them
	unlisted []failedHost // of the fleet
	synced   bool         // the initial items were sent
}

// errDone ends a watch without a word: the client sees the end and begins anew.
var errDone = errors.New("the watch is over")

func (wt *watch) run(first fleet) {
	look := func() {
		select {
		case wt.nudge <- struct{}{}:
		default:
		}
	}
	defer wt.h.options.Authorizer.OnGrantsChanged(look)()
	defer wt.h.options.Inventory.Notify(func(ch hostcache.Change) {
		if ch.Condition {
			look()
		}
	})()
	wt.out.begin()
	wt.awaitListed(wt.apply(first))
	wt.running.Go(wt.follow)
	err := errDone
	if wt.at.Host == "" || wt.following() {
		err = wt.loop()
	}
	if !errors.Is(err, errDone) {
		wt.out.drop()
	}
	switch {
	case errors.Is(err, errDone):
	case errors.Is(err, authz.ErrRevoked):
		wt.out.fail(apistatus.New(http.StatusForbidden, metav1.StatusReasonForbidden, "%s", authz.ErrRevoked))
	case errors.Is(err, authz.ErrExpired):
		wt.out.fail(apistatus.Unauthorized(authz.ErrExpired.Error()))
	case errors.Is(err, authz.ErrUnverified):
		wt.out.fail(apistatus.Unavailable("%s", authz.ErrUnverified))
	}
	_ = wt.out.flush()
}

// loop writes until something ends the watch, and returns what.
func (wt *watch) loop() error {
	ping := time.NewTicker(pingInterval)
	defer ping.Stop()
	first := time.NewTimer(firstSync)
	defer first.Stop()
	var timeout <-chan time.Time
	if wt.query.timeout > 0 {
		timer := time.NewTimer(wt.query.timeout)
		defer timer.Stop()
		timeout = timer.C
	}
	for {
		// Once the right is lost nothing more is written, whatever waits.
		if wt.ctx.Err() != nil {
			return context.Cause(wt.ctx)
		}
		var err error
		select {
		case <-wt.ctx.Done():
			continue
		case <-wt.h.options.Stopping:
			return errDone
		case <-timeout:
			return errDone
		case e := <-wt.events:
			err = wt.take(e)
		case f := <-wt.fleets:
			err = wt.takeFleet(f)
		case <-first.C:
			wt.sync(true)
		case <-ping.C:
			wt.bookmark(false)
		}
		if err != nil {
			return err
		}
		// What is there is written at once; what comes while it is written goes together.
		if len(wt.events) == 0 || wt.out.full() {
			if err := wt.out.flush(); err != nil {
				return errDone
			}
		}
	}
}

// sync sends the bookmark that ends the initial items, when all that are awaited are sent.
func (wt *watch) sync(late bool) {
	if wt.synced {
		return
	}
	for _, f := range wt.feeds {
		if f.awaited && !late {
			return
		}
	}
	wt.synced = true
	wt.bookmark(true)
}

// bookmark writes a BOOKMARK with the hosts that failed.
func (wt *watch) bookmark(initial bool) {
	wt.failed = wt.failures()
	wt.out.bookmark(wt.kind, wt.failed, initial)
}

// fleetResult is what follow found.
type fleetResult struct {
	fleet fleet
	err   error
}

// follow looks which hosts there are and what the caller may read, until the watch ends.
func (wt *watch) follow() {
	verified := time.Now()
	timer := time.NewTimer(wt.h.interval)
	defer timer.Stop()
	for {
		select {
		case <-wt.ctx.Done():
			return
		case <-timer.C:
		case <-wt.nudge:
		}
		result := wt.look()
		if !errors.Is(result.err, authz.ErrUnverified) {
			verified = time.Now()
		}
		// What was allowed lasts a little longer than who can be asked.
		if result.err == nil || time.Since(verified) >= reviewOutage {
			select {
			case <-wt.ctx.Done():
				return
			case wt.fleets <- result:
			}
		}
		// Changes in quick succession are looked at once.
		timer.Reset(reviewSpacing)
		select {
		case <-wt.ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(wt.h.interval)
	}
}

// look asks for the fleet as it is now. A watch of one host has no other: the guard ends it
// with the right, and the feed's end with the host.
func (wt *watch) look() fleetResult {
	if wt.at.Host == "" {
		f, err := wt.request.fleet(wt.ctx)
		if err != nil {
			err = errors.Join(authz.ErrUnverified, err)
		}
		return fleetResult{f, err}
	}
	return fleetResult{}
}
