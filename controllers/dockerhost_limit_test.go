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
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

func TestCountLimiter(t *testing.T) {
	l := newCountLimiter()
	now := testNow
	key := hostcache.Key{Namespace: "n", Name: "a"}
	for i := range countBurst {
		if wait := l.take(key, now); wait != 0 {
			t.Fatalf("write %d had to wait %s", i, wait)
		}
	}
	wait := l.take(key, now)
	if wait <= 0 || wait > countInterval {
		t.Fatalf("the write after the burst waits %s, want up to %s", wait, countInterval)
	}
	if again := l.take(key, now); again != wait {
		t.Errorf("asking again cost something: %s, then %s", wait, again)
	}
	if wait := l.take(key, now.Add(wait)); wait != 0 {
		t.Errorf("after waiting it still waits %s", wait)
	}
}

func TestCountLimiterOfTheWholeManager(t *testing.T) {
	l := newCountLimiter()
	written := 0
	for i := range 1000 {
		if l.take(hostcache.Key{Name: fmt.Sprint(i)}, testNow) == 0 {
			written++
		}
	}
	if written != countsPerSecond {
		t.Errorf("%d hosts wrote at one moment, want %d", written, countsPerSecond)
	}
	held := hostcache.Key{Name: "999"}
	if wait := l.take(held, testNow.Add(time.Second)); wait != 0 {
		t.Errorf("a second later a host that was held back still waits %s: its own burst was spent in vain", wait)
	}
	for i := range 1000 {
		l.forget(hostcache.Key{Name: fmt.Sprint(i)})
	}
	if len(l.hosts) != 0 {
		t.Errorf("%d limiters left of deleted hosts", len(l.hosts))
	}
}
