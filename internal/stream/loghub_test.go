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
	"testing"
	"time"
)

// Waking many viewers must not take a core, nor keep lines from them for long.
func TestLinesAreShownLessOftenToMany(t *testing.T) {
	for _, c := range []struct {
		viewers int
		want    time.Duration
	}{
		{0, 20 * time.Millisecond},
		{1, 20*time.Millisecond + 100*time.Microsecond},
		{200, 40 * time.Millisecond},
		{800, 100 * time.Millisecond},
		{5000, 100 * time.Millisecond},
	} {
		h := &logHub{viewers: map[*LogViewer]struct{}{}}
		for range c.viewers {
			h.viewers[&LogViewer{}] = struct{}{}
		}
		if got := h.every(); got != c.want {
			t.Errorf("%d viewers: shown every %v, want %v", c.viewers, got, c.want)
		}
	}
}
