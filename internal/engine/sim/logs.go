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
	"net/http"
	"strconv"
	"time"
)

// logQuery is what a logs call asks for.
type logQuery struct {
	span
	stdout, stderr, follow, timestamps, details bool
	tail                                        int
	tty                                         bool
}

// fixedNano is RFC 3339 with always nine digits, the timestamps' form.
const fixedNano = "2006-01-02T15:04:05.000000000Z07:00"

// logBatch is how much of a log goes out in one write.
const logBatch = 32 << 10

func parseLogQuery(r *request) (logQuery, error) {
	q := logQuery{
		stdout: r.flag("stdout"), stderr: r.flag("stderr"), follow: r.flag("follow"),
		timestamps: r.flag("timestamps"), details: r.flag("details"), tail: -1,
	}
	if !q.stdout && !q.stderr {
		return q, errorf(http.StatusBadRequest, "Bad parameters: you must choose at least one stream")
	}
	if n, err := strconv.Atoi(r.query.Get("tail")); err == nil && n >= 0 {
		q.tail = n
	}
	var err error
	if q.since, err = timestamp(r.query.Get("since")); err != nil {
		return q, err
	}
	if q.until, err = timestamp(r.query.Get("until")); err != nil {
		return q, err
	}
	return q, nil
}

func (e *Engine) serveLogs(w http.ResponseWriter, r *request) error {
	e.mu.Lock()
	c, err := e.containers.get(r.name)
	if err != nil {
		e.mu.Unlock()
		return err
	}
	q, err := parseLogQuery(r)
	if err != nil {
		e.mu.Unlock()
		return err
	}
	q.tty = c.config.Tty
	q.follow = q.follow && c.running()
	store := c.log()
	e.mu.Unlock()
	contentType := ""
	if !r.before("1.42") {
		contentType = streamType(r, q.tty)
	}
	// Before the headers go: what is written once the client has them is new.
	from := store.tail(q.tail)
	out := newStream(w, contentType)
	e.copyLog(r, store, q, from, out.write)
	return nil
}

// copyLog sends the entries from number next on that q asks for, and with follow
// the later ones until the container stops.
func (e *Engine) copyLog(r *request, store *logStore, q logQuery, next int, send func([]byte) error) {
	// The first entry at or after since ends the looking at it, as json-file does.
	begun := q.since == 0
	for {
		entries, after, open, changed := store.from(next)
		next = after
		var batch []byte
		for _, en := range entries {
			if begun = begun || en.nano >= q.since; !begun {
				continue
			}
			if q.until != 0 && en.nano > q.until {
				_ = send(batch)
				return
			}
			if q.wants(en.stream) {
				batch = append(batch, q.spell(en)...)
			}
			if len(batch) >= logBatch {
				if send(batch) != nil {
					return
				}
				batch = batch[:0]
			}
		}
		if len(batch) > 0 && send(batch) != nil || !q.follow || !open {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-e.ctx.Done():
			return
		}
	}
}

func (q *logQuery) wants(stream byte) bool {
	return stream == stdoutStream && q.stdout || stream == stderrStream && q.stderr
}

func (q *logQuery) spell(en logEntry) []byte {
	var line []byte
	if q.timestamps {
		line = append(time.Unix(0, en.nano).UTC().AppendFormat(line, fixedNano), ' ')
	}
	if q.details {
		line = append(line, ' ')
	}
	line = append(line, en.text...)
	if en.eol {
		line = append(line, '\n')
	}
	if q.tty {
		return line
	}
	return frame(en.stream, line)
}
