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
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// Cursor is a place in a container's log: behind the line whose last record the engine
// stamped with Time, N records of that time before it. Records are counted as the engine
// keeps them, of stdout and stderr together, before long lines are joined and anything is
// filtered; so all replicas, and all reads of the log, count alike.
type Cursor struct {
	// Time is the engine's, in nanoseconds since 1970.
	Time int64
	N    uint32
	// Sum is a checksum of the record. N may be too small where a read of the log began
	// in the middle of a time's records, which whole-second engines have many of; Sum
	// then finds the record among its neighbours.
	Sum uint32
}

// IsZero reports whether the cursor is no place at all.
func (c Cursor) IsZero() bool { return c == Cursor{} }

// String is the form that ParseCursor reads.
func (c Cursor) String() string {
	if c.IsZero() {
		return ""
	}
	b := make([]byte, 0, 40)
	b = strconv.AppendInt(b, c.Time, 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(c.N), 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(c.Sum), 16)
	return string(b)
}

// ParseCursor reads what String wrote; "" is the zero Cursor.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	var c Cursor
	parts := strings.Split(s, ".")
	if len(s) > 64 || len(parts) != 3 {
		return Cursor{}, errCursor
	}
	var err error
	if c.Time, err = strconv.ParseInt(parts[0], 10, 64); err != nil || c.Time <= 0 {
		return Cursor{}, errCursor
	}
	n, err := strconv.ParseUint(parts[1], 10, 32)
	if err != nil {
		return Cursor{}, errCursor
	}
	sum, err := strconv.ParseUint(parts[2], 16, 32)
	if err != nil {
		return Cursor{}, errCursor
	}
	c.N, c.Sum = uint32(n), uint32(sum)
	return c, nil
}

var errCursor = fmt.Errorf("the cursor is not one that this server gave: use the cursor of a line as it came, or start with tailLines or sinceTime")

// before is how much earlier than a cursor a log is read to find it again. An engine
// orders each of stdout and stderr by time, but writes them one among the other: lines
// came up to 2,000 places too late, 0.2 s at 10,000 lines/s. Old engines drop every line
// before "since", wherever it stands.
const before = 2 * time.Second

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum tells records of one time apart.
func (r record) checksum() uint32 {
	return crc32.Checksum(r.text, castagnoli) ^ uint32(r.stream)*0x9e3779b1
}

// whole reports whether a time is good to the second only.
func whole(t int64) bool { return t%int64(time.Second) == 0 }
