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
	"bytes"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/moby/moby/api/types/container"
)

const (
	// logPart is how long a line may be before it is stored in parts.
	logPart = 16 << 10
	// logLimit bounds a container's log where its options do not: older entries
	// go, as by a rotation.
	logLimit = 16 << 20
	// entryCost is what an entry takes beside its text.
	entryCost = 64
)

// logEntry is one stored line, or a part of one.
type logEntry struct {
	nano   int64
	stream byte
	eol    bool // the line ends here
	text   []byte
}

// logStore is a container's log. It survives restarts.
type logStore struct {
	mu      sync.Mutex
	entries []logEntry
	dropped int // entries gone from the front
	size    int
	limit   int
	open    bool // the container runs
	changed chan struct{}
	// Unfinished lines, by stream, and the time of their first part.
	rest     [3][]byte
	restNano [3]int64
}

// logBound is the bytes a log may take by its options max-size and max-file.
func logBound(c container.LogConfig) int {
	text := strings.ToLower(c.Config["max-size"])
	unit := 1
	for suffix, n := range map[string]int{"k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = number, n
			break
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 || n > logLimit/unit {
		return logLimit
	}
	files, err := strconv.Atoi(c.Config["max-file"])
	if err != nil || files < 1 {
		files = 1
	}
	return min(n*unit*files, logLimit)
}

// wake tells followers. Callers hold l.mu.
func (l *logStore) wake() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// write takes output of a process and stores the lines that are whole.
func (l *logStore) write(now func() int64, stream byte, p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	buf := append(l.rest[stream], p...)
	for {
		end := bytes.IndexByte(buf, '\n')
		switch {
		case end >= 0 && end <= logPart:
			l.add(now, stream, buf[:end], true)
			buf = buf[end+1:]
			continue
		case len(buf) >= logPart:
			l.add(now, stream, buf[:logPart], false)
			buf = buf[logPart:]
			continue
		}
		break
	}
	l.rest[stream] = bytes.Clone(buf)
	if len(buf) == 0 {
		l.rest[stream] = nil
	}
	l.wake()
}

// add stores an entry. The parts of one line share the first one's time.
func (l *logStore) add(now func() int64, stream byte, text []byte, eol bool) {
	nano := l.restNano[stream]
	if nano == 0 {
		nano = now()
	}
	l.restNano[stream] = nano
	if eol {
		l.restNano[stream] = 0
	}
	l.entries = append(l.entries, logEntry{nano: nano, stream: stream, eol: eol, text: validText(text)})
	l.size += len(text) + entryCost
	gone := 0
	for l.size > l.limit && gone < len(l.entries)-1 {
		l.size -= len(l.entries[gone].text) + entryCost
		gone++
	}
	l.entries, l.dropped = l.entries[gone:], l.dropped+gone
}

// validText copies text, with the mark for what is no UTF-8 in the place of each
// byte that is none: the json-file driver keeps text.
func validText(text []byte) []byte {
	if utf8.Valid(text) {
		return bytes.Clone(text)
	}
	return []byte(string([]rune(string(text))))
}

// begin and end mark a run of the container; end stores what has no line end.
func (l *logStore) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = true
}

func (l *logStore) end(now func() int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for stream := range l.rest {
		if len(l.rest[stream]) > 0 {
			l.add(now, byte(stream), l.rest[stream], false)
		}
		l.rest[stream], l.restNano[stream] = nil, 0
	}
	l.open = false
	l.wake()
}

// from returns the entries from number n on, the next number, whether more may
// come, and what tells when they have.
func (l *logStore) from(n int) (entries []logEntry, next int, open bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	at := min(max(0, n-l.dropped), len(l.entries))
	return l.entries[at:len(l.entries):len(l.entries)], l.dropped + len(l.entries), l.open, l.changed
}

// tail is the number of the n-th entry from the end; negative is the first.
func (l *logStore) tail(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 || n > len(l.entries) {
		return l.dropped
	}
	return l.dropped + len(l.entries) - n
}
