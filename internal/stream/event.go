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

package stream

import (
	"context"
	"iter"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Feeds has the events of the declared hosts, one upstream a host for all who want
// them.
type Feeds interface {
	// Events follows a host's events from now on, until ctx ends or the host is no
	// longer declared. The uid tells the host from another that had its name before.
	// The error is an *engine.Error.
	Events(ctx context.Context, host Key) (uid types.UID, items iter.Seq[FeedItem], err error)
}

// FeedItem is one event, or a gap: Dropped events are missing, 0 if nobody knows how
// many.
type FeedItem struct {
	Event   engine.Event
	Gap     bool
	Dropped uint64
}

// EventOptions bound the events.
type EventOptions struct {
	Limits
	// Grace is how long a host's events are kept after its last viewer, so that one
	// whose connection broke resumes where it was.
	Grace time.Duration
}

const (
	defaultEventGrace = time.Minute
	// eventsKept and eventBytesKept bound what is kept of one host.
	eventsKept     = 10_000
	eventBytesKept = 16 << 20
)

// Events gives any number of viewers the events of any hosts.
type Events struct {
	feeds Feeds
	opts  EventOptions
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu      sync.Mutex
	sources map[Key]*eventSource
	closed  bool
}

// NewEvents makes a hub. Close ends it.
func NewEvents(feeds Feeds, opts EventOptions) *Events {
	opts.Limits = opts.withDefaults()
	if opts.Grace <= 0 {
		opts.Grace = defaultEventGrace
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Events{feeds: feeds, opts: opts, ctx: ctx, stop: stop, sources: map[Key]*eventSource{}}
}

// Close ends all following; viewers read io.EOF.
func (h *Events) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.stop()
	h.wg.Wait()
}

// source returns a host's source, with one more viewer.
func (h *Events) source(host Key) (*eventSource, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosing()
	}
	s := h.sources[host]
	if s == nil {
		ctx, cancel := context.WithCancel(h.ctx)
		uid, items, err := h.feeds.Events(ctx, host) // does not wait for the host
		if err != nil {
			cancel()
			return nil, err
		}
		s = &eventSource{hub: h, host: host, cancel: cancel, uid: uid, viewers: map[*EventViewer]struct{}{}}
		h.sources[host] = s
		h.wg.Go(func() {
			defer cancel()
			defer h.opts.upstream()()
			s.run(ctx, items)
		})
	}
	if s.users >= h.opts.Viewers {
		return nil, tooMany("viewers of this host's events", h.opts.Viewers)
	}
	s.users++
	if s.linger != nil {
		s.linger.Stop()
	}
	return s, nil
}

// release takes a viewer away. The source ends a while after its last one.
func (h *Events) release(s *eventSource) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.users--; s.users > 0 || h.closed {
		return
	}
	s.linger = time.AfterFunc(h.opts.Grace, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if s.users == 0 && h.sources[s.host] == s {
			delete(h.sources, s.host)
			s.cancel()
		}
	})
}
