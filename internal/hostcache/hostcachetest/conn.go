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

package hostcachetest

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// conn is one connection to a fake engine.
type conn struct {
	engine.Engine // nil: calls that the fake does not have

	e      *Engine
	ctx    context.Context
	cancel context.CancelFunc
	// streams is guarded by e.mu.
	streams map[*stream]struct{}
}

// both returns a context that ends with ctx and with the connection.
func (c *conn) both(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

func (c *conn) call(ctx context.Context, name string) error {
	ctx, done := c.both(ctx)
	defer done()
	if c.ctx.Err() != nil {
		return engine.Errorf(engine.ClassUnreachable, "", "the connection is closed")
	}
	return c.e.call(ctx, name)
}

// Ping answers with the state of the swarm, as engines from API 1.43 do.
func (c *conn) Ping(ctx context.Context) (engine.Ping, error) {
	began := time.Now()
	err := c.call(ctx, Ping)
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	swarm := c.e.info.Swarm
	return engine.Ping{
		APIVersion: c.e.version.APIVersion, SwarmState: swarm.LocalNodeState,
		ControlAvailable: swarm.ControlAvailable, Latency: time.Since(began),
	}, err
}

// Version returns what SetVersion made it.
func (c *conn) Version(ctx context.Context) (engine.Version, error) {
	err := c.call(ctx, Version)
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.e.version, err
}

// Info returns what SetInfo made it, and the time.
func (c *conn) Info(ctx context.Context) (engine.Info, error) {
	err := c.call(ctx, Info)
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	info := c.e.info
	info.SystemTime = time.Now().Format(time.RFC3339Nano)
	return info, err
}

// List returns the objects that are there, in no order.
func (c *conn) List(ctx context.Context, kind engine.Kind, opts engine.ListOptions) ([]engine.Object, error) {
	if err := c.call(ctx, List(kind)); err != nil {
		return nil, err
	}
	return c.e.list(kind, opts.IDs), nil
}

// Events opens a stream of what Emit and Send send.
func (c *conn) Events(ctx context.Context, opts engine.EventsOptions) (engine.EventStream, error) {
	if err := c.call(ctx, Events); err != nil {
		return nil, err
	}
	s := newStream()
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if !opts.Since.IsZero() {
		for _, ev := range c.e.past {
			if !ev.At().Before(opts.Since) {
				s.put(ev)
			}
		}
	}
	c.streams[s] = struct{}{}
	context.AfterFunc(ctx, func() { s.end(canceled(ctx, Events)) })
	return s, nil
}

// Close ends the streams and every call.
func (c *conn) Close() error {
	c.cancel()
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	for s := range c.streams {
		s.end(engine.Errorf(engine.ClassUnreachable, "", "the connection is closed"))
	}
	delete(c.e.conns, c)
	return nil
}

// stream is a fake event stream without a bound.
type stream struct {
	mu     sync.Mutex
	cond   *sync.Cond
	events []engine.Event
	err    error
}

func newStream() *stream {
	s := &stream{}
	s.cond = sync.NewCond(&s.mu)
	return s
}

func (s *stream) put(ev engine.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, ev)
	s.cond.Signal()
}

func (s *stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.cond.Broadcast()
}

// Next implements engine.EventStream.
func (s *stream) Next() (engine.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.events) == 0 && s.err == nil {
		s.cond.Wait()
	}
	if len(s.events) == 0 {
		return engine.Event{}, s.err
	}
	ev := s.events[0]
	s.events = s.events[1:]
	return ev, nil
}

// Close implements engine.EventStream.
func (s *stream) Close() error {
	s.end(io.ErrClosedPipe)
	return nil
}
