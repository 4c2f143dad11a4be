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

package controllers

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestDigests: who asks at once, or a moment later, gets one answer; later it is asked anew.
func TestDigests(t *testing.T) {
	var d digests
	var asked atomic.Int32
	ask := func() (string, error) { return fmt.Sprintf("answer %d", asked.Add(1)), nil }
	now := time.Now()
	of := func(image string, at time.Time, want string) {
		t.Helper()
		if got, err := d.of(digestKey{image: image}, at, ask); got != want || err != nil {
			t.Errorf("the digest of %s is %q (%v), want %q", image, got, err, want)
		}
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { of("a:1", now, "answer 1") })
	}
	group.Wait()
	of("a:1", now.Add(digestAge-1), "answer 1")
	of("b:1", now, "answer 2")
	of("a:1", now.Add(digestAge), "answer 3")
	if len(d.all) != 1 {
		t.Errorf("%d answers are kept, want the last one only", len(d.all))
	}
}
