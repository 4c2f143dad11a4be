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
	"time"
)

// feed is one source of a merged stream. Its goroutine (run) hands over one batch after the
// other, each when the one before is used up; the rest belongs to the MergedViewer.
type feed struct {
	merged *MergedViewer
	source LogSource
	index  uint32
	ctx    context.Context
	cancel context.CancelFunc
	more   chan struct{}

	lines   []Line
	cursor  Cursor // behind lines
	arrived time.Time
	begun   time.Time
	quiet   bool // nothing came yet
	left    bool
	revoked bool
	ended   bool
	leaving *time.Timer
}

// delivery is what a feed hands over.
type delivery struct {
	feed   *feed
	lines  []Line
	cursor Cursor
	ended  bool
}

func newFeed(m *MergedViewer, s LogSource, index uint32) *feed {
	f := &feed{merged: m, source: s, index: index, more: make(chan struct{}, 1), begun: time.Now(), quiet: true}
	f.ctx, f.cancel = context.WithCancel(m.ctx)
	return f
}

// leave ends the feed in a while, if its source does not end before.
func (f *feed) leave() {
	if !f.left {
		f.left = true
		f.leaving = time.AfterFunc(leaveGrace, f.cancel)
	}
}

// stay undoes leave, if it is not too late.
func (f *feed) stay() {
	if f.left && f.leaving.Stop() {
		f.left = false
	}
}

// revoke ends the feed at once, without what was not given yet.
func (f *feed) revoke() {
	f.leave()
	f.revoked = true
	f.lines, f.cursor = nil, Cursor{}
	if f.leaving.Stop() {
		f.cancel()
	}
}

// run reads the source to its end, again and again where it breaks.
func (f *feed) run(q LogQuery) {
	defer f.cancel()
	pause, told := retryFirst, ""
	for {
		err := f.read(&q, &pause, &told)
		if settled(err) || f.ctx.Err() != nil {
			f.send(delivery{feed: f, ended: true})
			return
		}
		if text := err.Error(); text != told {
			told = text
			f.say(LineInterrupted, text, q.Resume)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-f.ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, retryMost)
	}
}

// read reads with one viewer, and moves q to where it stopped.
func (f *feed) read(q *LogQuery, pause *time.Duration, told *string) error {
	v, err := f.merged.logs.Open(f.ctx, f.source, *q)
	if err != nil {
		return err
	}
	defer v.Close()
	if *told != "" {
		*told = ""
		f.say(LineResumed, "", q.Resume)
	}
	for {
		b, err := v.Next()
		if err != nil {
			return err
		}
		*pause = retryFirst
		if !f.send(delivery{feed: f, lines: b.Lines, cursor: b.Cursor}) || !f.used() {
			return f.ctx.Err()
		}
		q.Resume = b.Cursor
	}
}

// say hands over a line about the source.
func (f *feed) say(kind LineKind, text string, at Cursor) {
	l := Line{Kind: kind, Text: []byte(text), Time: at.Time, Cursor: at}
	if f.send(delivery{feed: f, lines: []Line{l}, cursor: at}) {
		f.used()
	}
}

// send hands over; false if nobody takes it any more.
func (f *feed) send(d delivery) bool {
	select {
	case f.merged.inbox <- d:
		return true
	case <-f.merged.ctx.Done():
		return false
	}
}

// used waits until the lines handed over are given.
func (f *feed) used() bool {
	select {
	case <-f.more:
		return true
	case <-f.ctx.Done():
		return false
	}
}
