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

package audit

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
)

const (
	// collapseWindow is how long the denials of a source are counted together.
	collapseWindow = time.Minute
	// maxSources is how many sources a window tells apart. With one bucket for all others
	// it bounds what strangers can have written: about 100 KB a minute, and so some
	// days' records of a full trail.
	maxSources = 256
	// manySources stands for the sources beyond it.
	manySources = "many"
)

// Collapser is the Recorder for requests that nobody authenticated, which cost a
// stranger nothing to send. Of each source it records one denial a minute, with the
// count; Record only counts, never waits and never fails. Of the record it takes the
// source, the verb and the reason; who and what such a request says it is about is
// nobody's word. IPv6 sources are told apart by their /64, which is what one machine
// has.
//
// A crash loses the minute under way. Where the trail cannot be written the counts are
// kept for the next minute.
type Collapser struct {
	rec   Recorder
	log   logr.Logger
	clock clock.WithTicker

	stop chan struct{}
	once sync.Once
	done chan struct{}

	mu      sync.Mutex // never held across a write
	sources map[string]*denials
}

type denials struct {
	record      Record // as it will be written
	first, last time.Time
}

// NewCollapser returns a Collapser that writes to rec. Its owner closes it, after what
// serves requests and before the trail.
func NewCollapser(rec Recorder, log logr.Logger) *Collapser {
	return newCollapser(rec, log, clock.RealClock{})
}

func newCollapser(rec Recorder, log logr.Logger, c clock.WithTicker) *Collapser {
	col := &Collapser{
		rec: rec, log: log, clock: c, sources: map[string]*denials{},
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go col.run()
	return col
}

// Record counts the denial r. The error is always nil.
func (c *Collapser) Record(_ context.Context, r Record) error {
	now := c.clock.Now()
	c.add(denials{record: Record{Source: sourceOf(r.Source), Verb: r.Verb, Reason: r.Reason, Count: max(r.Count, 1)}, first: now, last: now})
	return nil
}

func (c *Collapser) add(d denials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := d.record.Source
	if c.sources[key] == nil && len(c.sources) >= maxSources {
		key = manySources
	}
	known := c.sources[key]
	if known == nil {
		d.record.Source = key
		c.sources[key] = &d
		return
	}
	known.record.Count += d.record.Count
	if d.first.Before(known.first) {
		known.first = d.first
	}
	if d.last.After(known.last) {
		known.last = d.last
	}
}

// sourceOf names who an address belongs to.
func sourceOf(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return cleanText(address, maxWord)
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
}

// Close writes what was counted, and ends the Collapser.
func (c *Collapser) Close() error {
	c.once.Do(func() { close(c.stop) })
	<-c.done
	return c.flush()
}

func (c *Collapser) run() {
	defer close(c.done)
	ticker := c.clock.NewTicker(collapseWindow)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
			if err := c.flush(); err != nil {
				c.log.Error(err, "Requests without authentication could not be recorded; their count is kept")
			}
		case <-c.stop:
			return
		}
	}
}

// flush writes a record for each source. After the first failure the rest is kept: each
// would wait for the same disk.
func (c *Collapser) flush() error {
	c.mu.Lock()
	sources := c.sources
	c.sources = map[string]*denials{}
	c.mu.Unlock()
	var err error
	for _, d := range sources {
		r := d.record
		r.Time, r.Outcome, r.Duration = d.first, Denied, d.last.Sub(d.first)
		if err == nil {
			err = c.rec.Record(context.Background(), r)
			if err == nil {
				continue
			}
			err = errors.Join(errors.New("writing the denials of a minute"), err)
		}
		c.add(*d)
	}
	return err
}
