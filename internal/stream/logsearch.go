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
	"errors"
	"io"
	"slices"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// LogSearch asks for lines of the past.
type LogSearch struct {
	Stdout, Stderr bool // neither means both
	Filter         *Filter
	// Before is where to look back from; the zero Cursor is the log's end.
	Before Cursor
	// Limit is how many lines are wanted, MaxSearchLines at most.
	Limit int
}

// LogFound is what a search found.
type LogFound struct {
	// Lines are the newest that match, the oldest of them first.
	Lines []Line
	// Next is where to look back from for more, where there may be more.
	Next Cursor
	// Done is set when the log has nothing older.
	Done bool
	// Cut is set when the search came to its bounds of time or bytes, and older lines were
	// not looked at.
	Cut bool
}

// The bounds of a search. One that comes to them returns what it has, and Next.
const (
	MaxSearchLines = 1000
	maxSearchBytes = 256 << 20
	maxSearchTime  = 10 * time.Second
	// firstWindow and windowGrowth say how many records from the log's end are read at first,
	// and how many more each time: an engine cannot be asked for what is before a place, only
	// for the end. All that is read is a third more than the last window.
	searchWindow = 4000
	windowGrowth = 4
)

// Search looks back through a container's log.
func (l *Logs) Search(ctx context.Context, source LogSource, query LogSearch) (LogFound, error) {
	if err := l.reserve(source); err != nil {
		return LogFound{}, err
	}
	defer l.release(source)
	e, err := l.hosts.Engine(source.Host)
	if err != nil {
		return LogFound{}, err
	}
	if !query.Stdout && !query.Stderr {
		query.Stdout, query.Stderr = true, true
	}
	if query.Limit <= 0 || query.Limit > MaxSearchLines {
		query.Limit = MaxSearchLines
	}
	ctx, cancel := context.WithTimeout(ctx, maxSearchTime)
	defer cancel()
	w := &searchWindowReader{query: query, budget: maxSearchBytes}
	for records := searchWindow; ; records *= windowGrowth {
		former := w.found
		err := w.read(ctx, e, source.Container, records)
		if w.exhausted() || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			former.Cut = true
			return former, nil
		}
		if err != nil {
			return LogFound{}, err
		}
		if len(w.found.Lines) >= query.Limit || w.found.Done {
			return w.found, nil
		}
	}
}

// searchWindowReader reads the end of a log.
type searchWindowReader struct {
	query    LogSearch
	budget   int
	sequence sequence
	first    Cursor // the record that the window began with
	past     bool   // the place was reached
	found    LogFound
}

func (w *searchWindowReader) exhausted() bool { return w.budget <= 0 }

// read searches the last records of the log.
func (w *searchWindowReader) read(ctx context.Context, e engine.Engine, container string, count int) error {
	former := w.first
	w.sequence, w.first, w.past, w.found = sequence{}, Cursor{}, false, LogFound{}
	s, err := e.Logs(ctx, container, engine.LogsOptions{Stdout: true, Stderr: true, Timestamps: true, Tail: count})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	had := 0
	for records := newRecords(s); !w.past && !w.exhausted(); had++ {
		r, err := records.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		w.take(r)
	}
	if !w.past {
		w.sequence.finishAll(w)
	}
	w.found.Done = !w.past && had < count || w.first == former && !former.IsZero()
	w.finish()
	return nil
}

func (w *searchWindowReader) take(r record) {
	w.budget -= len(r.text) + lineSize
	sum, to := r.checksum(), w.query.Before
	if w.first.IsZero() {
		w.first = Cursor{Time: r.time, Sum: sum}
	}
	if !to.IsZero() && (r.time == to.Time && sum == to.Sum || r.time > to.Time+int64(before)) {
		w.past = true
		return
	}
	w.sequence.add(r, sum, w)
}

// finish keeps the newest lines, and says where to go on.
func (w *searchWindowReader) finish() {
	f := &w.found
	if more := len(f.Lines) - w.query.Limit; more >= 0 && len(f.Lines) > 0 {
		f.Lines = slices.Clone(f.Lines[more:])
		f.Next, f.Done = f.Lines[0].Cursor, false
	}
}

// putLine implements lineSink.
func (w *searchWindowReader) putLine(l Line, _ uint64) {
	wanted := l.Stream == Stdout && w.query.Stdout || l.Stream == Stderr && w.query.Stderr
	if !wanted || w.query.Filter != nil && !w.query.Filter.match(l.Text) {
		return
	}
	l.Text = slices.Clone(l.Text)
	if w.found.Lines = append(w.found.Lines, l); len(w.found.Lines) >= 2*w.query.Limit {
		w.found.Lines = slices.Delete(w.found.Lines, 0, w.query.Limit)
	}
}
