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

// Package audittest has the Recorder for tests of what records.
package audittest

import (
	"context"
	"slices"
	"sync"

	"github.com/dockercontrol/dockercontrol/internal/audit"
)

// Recorder keeps what it is told. The zero value is ready to use.
type Recorder struct {
	mu      sync.Mutex
	err     error
	records []audit.Record
}

var _ audit.Recorder = &Recorder{}

// Record keeps r, or returns the error that Fail set.
func (m *Recorder) Record(_ context.Context, r audit.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.records = append(m.records, r)
	return nil
}

// Fail makes Record fail with err from now on; nil ends it.
func (m *Recorder) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// Records returns what was recorded so far.
func (m *Recorder) Records() []audit.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.records)
}
