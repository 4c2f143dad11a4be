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

import "time"

const (
	// maxHeld bounds what is held back while a place is looked for.
	maxHeld = 8 << 20
	// settleAfter is how long a log that is read again may pause before what is held back
	// is shown: its place is not there any more.
	settleAfter = 5 * time.Second
)

// replay finds, in a log that is read again from a little before, what is new. Records
// come in the order of the file, so all old ones come before the first new one. What comes
// before the first old one is either older than what was read the first time, or new, with
// the old ones rotated away; it is held back until that is known.
type replay struct {
	again map[int64]uint32 // how many records of a time came, this time
	found bool             // an old one came
	held  []record
	bytes int
	floor int64 // records before this time are older than what was read the first time
	// expect is set while the record is to come that the first reading began with. Parts of
	// one line before it and behind it have one time, and counting begins with it.
	expect bool
	first  Cursor
	until  int64 // behind this time no old record can be
}

// newReplay continues a reading that began with first and stopped at last. It returns where
// to read from, which is since or a little earlier.
func newReplay(first, last Cursor, since time.Time) (*replay, time.Time) {
	p := &replay{again: map[int64]uint32{}, first: first, floor: first.Time - displaced, until: last.Time + int64(before)}
	if !whole(first.Time) && since.UnixNano() <= first.Time+displaced {
		p.expect = true
		since = time.Unix(0, max(p.floor, 1))
	}
	return p, since
}

// verdict is what becomes of a record.
type verdict uint8

const (
	isOld verdict = iota
	isHeld
	isNew  // and so is all behind it
	isLost // it and what is held are new, and the place in the log is lost
)

func (p *replay) judge(r record, sum uint32, t *tally) verdict {
	if p.expect {
		if r.time != p.first.Time || sum != p.first.Sum {
			return p.older(r)
		}
		p.expect = false
	}
	k := p.again[r.time]
	p.again[r.time] = k + 1
	switch {
	case k < t.of(r.time).count:
		p.found, p.held, p.bytes = true, nil, 0
		return isOld
	case p.found:
		return isNew
	}
	return p.older(r)
}

// older holds back what is not known to be older than the first reading.
func (p *replay) older(r record) verdict {
	switch {
	case r.time < p.floor:
		return isOld
	case r.time > p.until || p.bytes > maxHeld:
		return isLost
	}
	r.text = append([]byte(nil), r.text...)
	p.held = append(p.held, r)
	p.bytes += len(r.text) + lineSize
	return isHeld
}
