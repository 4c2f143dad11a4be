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

package audit

import (
	"fmt"
	"io"

	"github.com/go-logr/logr"
)

// sink takes the lines of a Trail. One goroutine calls it.
type sink interface {
	// append adds a line, or fails and leaves no part of it.
	append(line []byte) error
	// sync brings what was appended to the disk.
	sync() error
	close() error
}

// stream is a sink that can only be written to, such as standard output. What a
// failed write left behind stays; the next line then begins on a line of its own,
// and Verify reports the rest.
type stream struct {
	w    io.Writer
	torn bool
}

func (s *stream) append(line []byte) error {
	if s.torn {
		line = append([]byte("\n"), line...)
	}
	n, err := s.w.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err != nil {
		s.torn = s.torn || n > 0
		return fmt.Errorf("writing an audit record: %w", err)
	}
	s.torn = false
	return nil
}

func (s *stream) sync() error  { return nil }
func (s *stream) close() error { return nil }

// tee is a sink whose lines are copied to a second one.
type tee struct {
	sink
	copy   *stream
	log    logr.Logger
	failed bool // the copy, at the line before
}

func (t *tee) append(line []byte) error {
	if err := t.sink.append(line); err != nil {
		return err
	}
	err := t.copy.append(line)
	if err != nil && !t.failed {
		t.log.Error(err, "The copy of the audit trail cannot be written; the file has all of it")
	}
	t.failed = err != nil
	return nil
}
