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

package sim

import (
	"sync/atomic"
	"time"
)

// clock is an engine's idea of the time: the machine's, plus a skew that may be
// set while it runs.
type clock struct {
	skew atomic.Int64
	last atomic.Int64
}

func (c *clock) now() time.Time {
	return time.Now().Add(time.Duration(c.skew.Load())).UTC()
}

// tick is now in nanoseconds since 1970, always later than the tick before: an
// engine never gives two events or two log lines the same time, and a cursor may
// rely on that. A skew set backwards steps back once.
func (c *clock) tick() int64 {
	for {
		now := c.now().UnixNano()
		last := c.last.Load()
		// Times less than a second apart are one clock's own; more is a skew.
		if now <= last && last-now < int64(time.Second) {
			now = last + 1
		}
		if c.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

func (c *clock) setSkew(d time.Duration) { c.skew.Store(int64(d)) }

// at spells a time as the engine does, year 1 where there is none.
func at(nano int64) string {
	if nano == 0 {
		return time.Time{}.Format(time.RFC3339Nano)
	}
	return time.Unix(0, nano).UTC().Format(time.RFC3339Nano)
}
