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

package streamapi

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// topic is what can be subscribed to.
type topic struct {
	stream metrics.Stream
	right  access.Right
	// fleet says that there is one over many hosts.
	fleet bool
	open  func(ctx context.Context, c *call, q request) (feed, error)
}

var topics map[string]topic

func init() { // the functions lead back here
	topics = map[string]topic{
		"log":    {metrics.Log, segments["log"].right, true, openLogTopic},
		"stats":  {metrics.Stats, segments["stats"].right, false, openStatsTopic},
		"events": {metrics.Events, segments["events"].right, true, openEventsTopic},
	}
}

// errUnsubscribed ends a subscription that the client wants no more.
var errUnsubscribed = errors.New("unsubscribed")

// subscription is one feed of a connection.
type subscription struct {
	x       *connection
	request request
	kind    metrics.Stream
	ctx     context.Context
	cancel  context.CancelCauseFunc

	mu     sync.Mutex
	acked  uint64
	opened chan struct{} // closed by the next acknowledgement
	sent   uint64        // run's alone
}

func newSubscription(x *connection, q request, kind metrics.Stream) *subscription {
	s := &subscription{x: x, request: q, kind: kind, opened: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(x.ctx)
	return s
}

// open authorizes a subscription and opens its feed, in a context that ends with the right.
func (s *subscription) open(ctx context.Context, t topic) (feed, error) {
	q := s.request
	c := *s.x.call
	c.verb, c.at = q.Topic, route.Route{Namespace: q.Namespace, Host: q.Host, Segment: q.Topic}
	if len(q.Containers) == 1 {
		c.at.Object = q.Containers[0]
	}
	if q.Host == "" {
		if !t.fleet {
			return nil, apistatus.BadRequest("%s are a host's: name it (namespace, host)", q.Topic)
		}
		return t.open(ctx, &c, q)
	}
	if err := c.authorize(ctx, c.at.Key(), t.right); err != nil {
		return nil, err
	}
	guarded, stop := c.guard(ctx, authz.Right{Host: c.at.Key(), Right: t.right})
	fd, err := t.open(guarded, &c, q)
	if err != nil {
		err = cause(guarded, err)
		stop()
		return nil, err
	}
	return &guardedFeed{feed: fd, ctx: guarded, stop: stop}, nil
}

// guardedFeed ends with a right.
type guardedFeed struct {
	feed
	ctx  context.Context
	stop func()
}

func (g *guardedFeed) next() (frame, error) {
	f, err := g.feed.next()
	if g.ctx.Err() != nil {
		return frame{}, context.Cause(g.ctx)
	}
	return f, err
}

func (g *guardedFeed) close() {
	g.feed.close()
	g.stop()
}

// run carries the feed to the client, and says how it ended.
func (s *subscription) run(open opener) {
	defer metrics.Open(s.ctx, s.kind)()
	err := s.carry(open)
	s.x.remove(s)
	s.cancel(nil)
	switch {
	case s.x.ctx.Err() != nil: // the whole connection ends
		return
	case errors.Is(err, errUnsubscribed):
		err = nil
	}
	_ = s.x.tell(reply{Type: "ended", ID: s.request.ID, Status: statusPointer(err)})
}

func (s *subscription) carry(open opener) error {
	fd, err := open(s.ctx)
	if err != nil {
		return cause(s.ctx, err)
	}
	defer fd.close()
	ctx := s.ctx
	if g, ok := fd.(*guardedFeed); ok {
		ctx = g.ctx // no frame waits for its turn longer than the right lasts
	}
	if err := s.x.tell(reply{Type: "subscribed", ID: s.request.ID}); err != nil {
		s.x.cancel(errClient)
		return err
	}
	for {
		if err := s.await(ctx); err != nil {
			return err
		}
		f, err := fd.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return cause(s.ctx, err)
		}
		n, err := s.x.send(ctx, s.request.ID, f)
		if err != nil {
			if ctx.Err() == nil {
				s.x.cancel(errClient) // it took nothing for too long, or has gone
			}
			return cause(ctx, err)
		}
		s.sent += uint64(n)
		metrics.Sent(s.kind, n)
	}
}

// await waits until the client has taken enough of what was sent. What it is late for
// becomes a gap.
func (s *subscription) await(ctx context.Context) error {
	for {
		s.mu.Lock()
		behind, opened := s.sent-min(s.acked, s.sent), s.opened
		s.mu.Unlock()
		if s.request.Window == 0 || behind < s.request.Window {
			return nil
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *subscription) acknowledge(bytes uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes > s.acked {
		s.acked = bytes
	}
	close(s.opened)
	s.opened = make(chan struct{})
}
