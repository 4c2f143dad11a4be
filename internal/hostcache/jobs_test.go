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

package hostcache

import (
	"testing"
	"time"
)

// TestJobRests: what takes long is done less often, within bounds.
func TestJobRests(t *testing.T) {
	j := &job{spacing: swarmSpacing, restFactor: swarmRest}
	for took, want := range map[time.Duration]time.Duration{
		0:                      swarmSpacing,
		5 * time.Millisecond:   swarmSpacing,
		60 * time.Millisecond:  240 * time.Millisecond,
		300 * time.Millisecond: maxRest,
		time.Hour:              maxRest,
	} {
		if got := j.rest(took); got != want {
			t.Errorf("after %v it rests for %v, want %v", took, got, want)
		}
	}
	if got := (&job{spacing: time.Second}).rest(time.Hour); got != time.Second {
		t.Errorf("without a factor it rests for %v", got)
	}
}
