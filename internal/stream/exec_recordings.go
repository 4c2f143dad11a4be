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
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// recordingSuffix is what the names of recordings end with.
const recordingSuffix = ".cast"

// recordings are the files of a directory, which is this replica's alone. Together they
// are bounded: as with the files of a log, the oldest go first. Those of sessions that run
// stay; where they are all there is, they are recorded no further.
type recordings struct {
	dir         string
	each, total int64

	mu       sync.Mutex
	scanned  bool
	used     int64
	finished []finishedRecording // the oldest first
}

type finishedRecording struct {
	name  string
	bytes int64
}

// newRecordings is nil where none are taken.
func newRecordings(o ExecOptions) *recordings {
	if o.RecordDir == "" {
		return nil
	}
	return &recordings{dir: o.RecordDir, each: o.RecordBytes, total: o.RecordTotal}
}

// scan counts, once, what an earlier process has left.
func (r *recordings) scan() error {
	r.mu.Lock()
	scanned := r.scanned
	r.mu.Unlock()
	if scanned {
		return nil
	}
	found, err := list(r.dir)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.scanned { // by another session
		return nil
	}
	r.scanned, r.finished = true, found
	for _, f := range found {
		r.used += f.bytes
	}
	return nil
}

// list finds recordings by their names, in the order of which they were made.
func list(dir string) ([]finishedRecording, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	var found []finishedRecording
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !strings.HasSuffix(entry.Name(), recordingSuffix) {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, finishedRecording{entry.Name(), info.Size()})
	}
	return found, nil
}

// reserve makes room for n more bytes. False: there is none to be had.
func (r *recordings) reserve(n int64) bool {
	r.mu.Lock()
	var old []finishedRecording
	for r.used+n > r.total && len(r.finished) > 0 {
		old = append(old, r.finished[0])
		r.used -= r.finished[0].bytes
		r.finished = r.finished[1:]
	}
	fits := r.used+n <= r.total
	if fits {
		r.used += n
	}
	r.mu.Unlock()
	for _, f := range old {
		_ = os.Remove(filepath.Join(r.dir, f.name)) // gone already, or counted by the next scan
	}
	return fits
}

// finish makes a recording one that may be deleted.
func (r *recordings) finish(name string, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished = append(r.finished, finishedRecording{name, bytes})
}

// remove deletes a finished recording.
func (r *recordings) remove(name string) {
	r.mu.Lock()
	i := slices.IndexFunc(r.finished, func(f finishedRecording) bool { return f.name == name })
	if i >= 0 {
		r.used -= r.finished[i].bytes
		r.finished = slices.Delete(r.finished, i, i+1)
	}
	r.mu.Unlock()
	if i >= 0 {
		_ = os.Remove(filepath.Join(r.dir, name))
	}
}
