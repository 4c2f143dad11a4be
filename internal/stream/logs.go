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
	"fmt"
	"sync"
	"time"
)

// LogSource is a container's log. Container is the full ID: a name may be another
// container's tomorrow.
type LogSource struct {
	Host      Key
	Container string
}

// LogQuery says what a viewer wants of a log. Tail, Since and Streams are as the engine has
// them; Resume rules out Tail.
type LogQuery struct {
	// Follow goes on with what is written later.
	Follow bool
	// Stdout and Stderr choose the streams; neither means both.
	Stdout, Stderr bool
	// Tail is how many of the last lines to begin with; negative means all.
	Tail int
	// Since leaves out older lines.
	Since time.Time
	// Resume begins behind a line that was seen before.
	Resume Cursor
	// Filter leaves out lines that do not match. Tail counts before it.
	Filter *Filter
}

// Logs shares the logs of containers among their viewers.
type Logs struct {
	hosts  Hosts
	limits Limits
	ctx    context.Context
	cancel context.CancelFunc
	unsub  func()

	mu      sync.Mutex
	closed  bool
	hubs    map[LogSource]*logHub
	viewers map[LogSource]int
	running sync.WaitGroup
}

// NewLogs returns Logs without viewers. Close ends it.
func NewLogs(hosts Hosts, limits Limits) *Logs {
	l := &Logs{hosts: hosts, limits: limits.withDefaults(), hubs: map[LogSource]*logHub{}, viewers: map[LogSource]int{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.unsub = hosts.Notify(l.nudge)
	return l
}

// Close ends all upstreams and viewers, and waits for the former.
func (l *Logs) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.unsub()
	l.cancel()
	l.running.Wait()
}

// nudge wakes the hubs of a host whose connection changed.
func (l *Logs) nudge(host Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for source, h := range l.hubs {
		if source.Host != host {
			continue
		}
		select {
		case h.nudged <- struct{}{}:
		default:
		}
	}
}

// LimitError says that there are too many viewers.
type LimitError struct{ message string }

// Error implements error.
func (e *LimitError) Error() string { return e.message }

// Open returns a viewer of a container's log, which lives until ctx ends or it is closed.
// It waits for the engine, and returns the engine's error where the log cannot be read.
func (l *Logs) Open(ctx context.Context, source LogSource, query LogQuery) (*LogViewer, error) {
	if err := l.reserve(source); err != nil {
		return nil, err
	}
	v := newLogViewer(ctx, l, source, query)
	var err error
	if query.Follow {
		err = v.follow()
	} else {
		err = v.startBackfill()
	}
	if err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

func (l *Logs) reserve(source LogSource) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.viewers[source] >= l.limits.Viewers {
		return &LimitError{fmt.Sprintf("container %.12s has %d viewers of its log already: close one and try again", source.Container, l.limits.Viewers)}
	}
	l.viewers[source]++
	return nil
}

func (l *Logs) release(source LogSource) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.viewers[source]--; l.viewers[source] <= 0 {
		delete(l.viewers, source)
	}
}

// attach adds a viewer to the hub of its source, which is started where there is none.
func (l *Logs) attach(v *LogViewer) (*logHub, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, context.Canceled
	}
	if h := l.hubs[v.source]; h != nil && h.join(v) {
		return h, nil
	}
	h := newLogHub(l, v.source)
	h.join(v)
	l.hubs[v.source] = h
	l.running.Go(func() {
		defer l.forget(h)
		defer h.cancel()
		defer l.limits.upstream()()
		h.run()
	})
	return h, nil
}

func (l *Logs) forget(h *logHub) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hubs[h.source] == h {
		delete(l.hubs, h.source)
	}
}

// Upstreams is how many logs are being read at present.
func (l *Logs) Upstreams() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.hubs)
}
