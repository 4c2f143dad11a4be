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
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// recording writes a session's output as asciicast v2: a header line, then one JSON
// array an event. A nil recording takes everything and writes nothing. A file that
// cannot be written to any more ends the recording, not the session.
type recording struct {
	begin time.Time
	limit int64
	base  string
	all   *recordings

	mu      sync.Mutex
	file    *os.File
	written int64
	part    []byte // the begin of a character whose rest has not come
	err     error
}

var errRecordingFull = errors.New("the recording reached its limit of bytes, or those of all sessions that run did")

// defaultSize is what a recording says of a terminal that has no size yet.
var defaultSize = engine.TTYSize{Height: 24, Width: 80}

// begin makes a file that nobody else may read. Its name has the time, so that names
// are in the order of times, and something to tell two apart.
func (r *recordings) begin(info ExecInfo, size engine.TTYSize) (*recording, error) {
	if r == nil {
		return nil, nil
	}
	if err := r.scan(); err != nil {
		return nil, noRecording(err)
	}
	name := fmt.Sprintf("%s-%s%s", info.Started.UTC().Format("20060102T150405.000000000Z"), newID()[:8], recordingSuffix)
	file, err := os.OpenFile(filepath.Join(r.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, noRecording(err)
	}
	if size == (engine.TTYSize{}) {
		size = defaultSize
	}
	rec := &recording{begin: info.Started, limit: r.each, base: name, all: r, file: file}
	rec.line(map[string]any{
		"version": 2, "width": size.Width, "height": size.Height, "timestamp": info.Started.Unix(),
		"title": fmt.Sprintf("%s container %s by %s", info.Host, info.Container, info.Owner),
	})
	return rec, nil
}

func noRecording(err error) error {
	return engine.Errorf(engine.ClassServer, "", "sessions have to be recorded, and the recording cannot be begun: look at the directory of recordings: %w", err)
}

// output records what the process wrote. A character that came in two parts is put
// together; bytes that are none become U+FFFD, as the format is JSON.
func (r *recording) output(data []byte) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	text := append(r.part, data...)
	whole := len(text) - partial(text)
	r.part = append([]byte(nil), text[whole:]...)
	if whole > 0 {
		r.event("o", string(text[:whole]))
	}
}

// partial is how many bytes at the end are the begin of a character.
func partial(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

func (r *recording) resize(size engine.TTYSize) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.event("r", fmt.Sprintf("%dx%d", size.Width, size.Height))
}

func (r *recording) event(kind, text string) {
	r.line([]any{time.Since(r.begin).Seconds(), kind, text})
}

func (r *recording) line(v any) {
	if r.err != nil || r.file == nil {
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		r.err = err
		return
	}
	b = append(b, '\n')
	if r.written+int64(len(b)) > r.limit || !r.all.reserve(int64(len(b))) {
		r.err = errRecordingFull
		return
	}
	n, err := r.file.Write(b)
	r.written += int64(n)
	r.err = err
}

// name is the file's, without its directory.
func (r *recording) name() string {
	if r == nil {
		return ""
	}
	return r.base
}

// close ends the file and says what is missing from it.
func (r *recording) close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return r.err
	}
	if len(r.part) > 0 {
		r.event("o", string(r.part))
	}
	r.err = errors.Join(r.err, r.file.Close())
	r.file = nil
	r.all.finish(r.base, r.written)
	return r.err
}

// discard deletes the recording of a session that did not begin.
func (r *recording) discard() {
	if r == nil {
		return
	}
	_ = r.close()
	r.all.remove(r.base)
}
