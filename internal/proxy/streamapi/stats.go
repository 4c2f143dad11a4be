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
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/proxy/target"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

var statsRight = access.Right{Subresource: access.Stats, Verb: access.Get}

const (
	// maxBacklog is what the hub keeps.
	maxBacklog = 10 * time.Minute
	// snapshotPatience is how long a request for one item waits for a whole one: an engine
	// needs two samples for a CPU's share, and a host's 200 containers are taken in within
	// 10 s.
	snapshotPatience = 15 * time.Second
)

// statsQuery is what somebody wants of statistics.
type statsQuery struct {
	// container is empty for the host's sum.
	container string
	follow    bool
	backlog   time.Duration
}

// serveStats serves a container's statistics, or the sum of a host's.
func (h *Handler) serveStats(c *call) error {
	p := parseParameters(c.r.URL.RawQuery)
	q := statsQuery{container: c.at.Object, follow: p.boolean("follow", true)}
	if n, ok := p.number("backlogSeconds", 0, int(maxBacklog/time.Second)); ok {
		q.backlog = time.Duration(n) * time.Second
	}
	if err := p.done(); err != nil {
		return err
	}
	rights := []authz.Right{{Host: c.at.Key(), Right: statsRight}}
	return c.serveFeed(formatJSON, metrics.Stats, rights, func(ctx context.Context) (feed, error) {
		return openStats(ctx, c, c.at.Key(), q)
	})
}

// openStatsTopic opens a subscription.
func openStatsTopic(ctx context.Context, c *call, r request) (feed, error) {
	q := statsQuery{follow: r.Follow == nil || *r.Follow, backlog: time.Duration(r.BacklogSeconds) * time.Second}
	switch {
	case len(r.Containers) > 1:
		return nil, apistatus.BadRequest("statistics are of one container, or of the host: subscribe once for each")
	case r.BacklogSeconds < 0 || r.BacklogSeconds > int(maxBacklog/time.Second):
		return nil, apistatus.BadRequest("backlogSeconds is a number from 0 to %d", int(maxBacklog/time.Second))
	case len(r.Containers) == 1:
		if q.container = r.Containers[0]; q.container == "" {
			return nil, apistatus.BadRequest("the name of a container is empty")
		}
	}
	return openStats(ctx, c, c.at.Key(), q)
}

// openStats opens the feed of a query.
func openStats(ctx context.Context, c *call, host hostcache.Key, q statsQuery) (feed, error) {
	if !q.follow {
		q.backlog = 0
	}
	if q.container == "" {
		return openHostStats(ctx, c, host, q)
	}
	found, err := c.h.container(ctx, host, q.container)
	if err != nil {
		return nil, err
	}
	viewer, err := c.h.stats.Watch(ctx, host, found.id, q.backlog)
	if err != nil {
		return nil, err
	}
	source := stream.LogSource{Host: host, Container: found.id}
	f := &statsFeed{ctx: ctx, viewer: viewer, what: appendSource([]byte{'{'}, source, found.name)}
	if q.follow {
		return f, nil
	}
	return &statsSnapshot{feed: f, ctx: ctx, read: f.whole}, nil
}

// statsFeed is a container's statistics. Every line says whose it is, so that a line is
// good by itself.
type statsFeed struct {
	ctx    context.Context
	viewer *stream.StatsViewer
	what   []byte
	buf    []byte
}

func (f *statsFeed) close() { f.viewer.Close() }

func (f *statsFeed) next() (frame, error) {
	item, err := f.viewer.Next(f.ctx)
	if err != nil {
		return frame{}, err
	}
	text, err := item.JSON()
	f.buf = appendStats(f.buf[:0], f.what, item.Dropped, text)
	return frame{kind: frameJSON, body: f.buf}, err
}

// whole returns the first item that says all it can, or what there was when ctx ended.
func (f *statsFeed) whole(ctx context.Context) ([]byte, error) {
	var last stream.StatsItem
	for samples := 0; ; {
		item, err := f.viewer.Next(ctx)
		if err != nil {
			if last.State == "" {
				return nil, err
			}
			item = last
		}
		last = item
		if item.State == stream.StatsRunning {
			samples++
		}
		missing := item.State == stream.StatsRunning && samples < 2 && (item.Sample.CPUPercent == nil || item.Sample.NetworkRxRate == nil) ||
			item.State == stream.StatsStale && item.Sample == nil
		if missing && err == nil {
			continue
		}
		text, err := item.JSON()
		return appendStats(nil, f.what, 0, text), err
	}
}

// appendStats puts what a line is of before the members of a JSON object.
func appendStats(dst, what []byte, dropped uint64, object []byte) []byte {
	dst = append(dst, what...)
	if dropped > 0 {
		dst = strconv.AppendUint(append(dst, `"dropped":`...), dropped, 10)
		dst = append(dst, ',')
	}
	if len(object) > 0 {
		dst = append(dst, object[1:]...) // there is always a member: the state, or the time
	}
	return append(dst, '\n')
}

// openHostStats opens the sum of a host's containers.
func openHostStats(ctx context.Context, c *call, host hostcache.Key, q statsQuery) (feed, error) {
	if _, _, err := target.Find(c.h.options.Hosts, host); err != nil {
		return nil, err
	}
	viewer, err := c.h.stats.WatchHost(host, q.backlog)
	if err != nil {
		return nil, err
	}
	f := &hostStatsFeed{ctx: ctx, viewer: viewer, what: appendHost([]byte{'{'}, host)}
	if q.follow {
		return f, nil
	}
	return &statsSnapshot{feed: f, ctx: ctx, read: f.whole}, nil
}

// appendHost spells the members that name a host in JSON.
func appendHost(dst []byte, host hostcache.Key) []byte {
	dst = appendString(append(dst, `"namespace":`...), host.Namespace)
	dst = appendString(append(dst, `,"host":`...), host.Name)
	return append(dst, ',')
}

// hostStatsFeed is the sum of a host's containers.
type hostStatsFeed struct {
	ctx    context.Context
	viewer *stream.HostStatsViewer
	what   []byte
	buf    []byte
}

func (f *hostStatsFeed) close() { f.viewer.Close() }

func (f *hostStatsFeed) next() (frame, error) {
	item, err := f.viewer.Next(f.ctx)
	if err != nil {
		return frame{}, err
	}
	text, err := json.Marshal(item)
	f.buf = appendStats(f.buf[:0], f.what, 0, text)
	return frame{kind: frameJSON, body: f.buf}, err
}

// whole returns the first sum in which no containers are new, for a container's second
// sample is the first with its share of the CPU, or what there was when ctx ended.
func (f *hostStatsFeed) whole(ctx context.Context) ([]byte, error) {
	var last stream.HostStats
	for {
		item, err := f.viewer.Next(ctx)
		if err != nil {
			if last.Time.IsZero() {
				return nil, err
			}
			item = last
		}
		grows := item.Running > 0 && (item.Sampled == 0 || item.Sampled > last.Sampled)
		if last = item; grows && err == nil && item.Error == "" {
			continue
		}
		item.Dropped = 0
		text, err := json.Marshal(item)
		return appendStats(nil, f.what, 0, text), err
	}
}

// statsSnapshot is a feed of one item.
type statsSnapshot struct {
	feed
	ctx   context.Context
	read  func(ctx context.Context) ([]byte, error)
	given bool
}

func (f *statsSnapshot) next() (frame, error) {
	if f.given {
		return frame{}, io.EOF
	}
	f.given = true
	ctx, cancel := context.WithTimeout(f.ctx, snapshotPatience)
	defer cancel()
	line, err := f.read(ctx)
	switch {
	case f.ctx.Err() != nil:
		err = context.Cause(f.ctx)
	case err != nil && ctx.Err() != nil:
		err = engine.Errorf(engine.ClassTimeout, engine.CauseTimeout, "the engine sent no statistics within %s; try again", snapshotPatience)
	}
	return frame{kind: frameJSON, body: line}, err
}
