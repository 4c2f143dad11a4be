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
	"slices"
	"time"
)

const (
	// tallySpan is how much of a log one half of a tally covers: twice what is read again.
	tallySpan = int64(2 * before)
	// tallyTimes bounds it, at some 40 bytes each. A log that is faster than 50,000 lines a
	// second is read again from a later place.
	tallyTimes = 200_000
	// displaced is how much too late, by its time, a record may stand in a log.
	displaced = int64(250 * time.Millisecond)
	// maxSums bounds what is known of one time: a line of 1 MiB has 64 parts.
	maxSums = 64
)

// tally knows how many records a source had of each time of the last seconds. It keeps
// two halves, and forgets the older one when the newer is full.
type tally struct {
	halves [2]map[int64]times // the current one first
	sums   [2]map[int64][]uint32
	start  [2]int64 // the first time put into each
}

type times struct{ count, sum uint32 }

// add counts a record and returns how many there were of its time.
func (t *tally) add(at int64, sum uint32) uint32 {
	if t.halves[0] == nil || at-t.start[0] > tallySpan || len(t.halves[0]) >= tallyTimes {
		t.turn(at)
	}
	e := t.of(at)
	if e.count > 0 && !whole(at) {
		t.more(at, e, sum)
	}
	n := e.count
	e.count, e.sum = e.count+1, sum
	t.halves[0][at] = e
	return n
}

// more keeps the checksums of a time that has several records.
func (t *tally) more(at int64, e times, sum uint32) {
	known := t.known(at)
	if known == nil {
		known = []uint32{e.sum}
	}
	if t.sums[0] == nil {
		t.sums[0] = map[int64][]uint32{}
	}
	if len(known) < maxSums && len(t.sums[0]) < tallyTimes {
		t.sums[0][at] = append(known, sum)
	}
}

func (t *tally) turn(at int64) {
	t.halves[0], t.halves[1] = t.halves[1], t.halves[0]
	t.sums[0], t.sums[1] = t.sums[1], t.sums[0]
	t.start[0], t.start[1] = at, t.start[0]
	if t.halves[0] == nil {
		t.halves[0] = map[int64]times{}
	}
	clear(t.halves[0])
	clear(t.sums[0])
}

func (t *tally) of(at int64) times {
	if e, ok := t.halves[0][at]; ok {
		return e
	}
	return t.halves[1][at]
}

func (t *tally) known(at int64) []uint32 {
	if s, ok := t.sums[0][at]; ok {
		return s
	}
	return t.sums[1][at]
}

// has reports whether a record of this time and checksum was counted.
func (t *tally) has(at int64, sum uint32) bool {
	e := t.of(at)
	return e.count > 0 && (e.sum == sum || slices.Contains(t.known(at), sum))
}

// since is where to read a log again that was read up to last.
func (t *tally) since(last int64) time.Time {
	at := last - int64(before)
	if from := t.start[1] + displaced; t.halves[1] != nil && from > at && from < last {
		at = from
	}
	return time.Unix(0, max(at, 1))
}
