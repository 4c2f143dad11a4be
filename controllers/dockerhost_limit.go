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
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// How often counts alone may be written: a host's first three changes at once,
// then one a 5 s; all hosts together 20 a second, which an API server hardly
// notices. Conditions are never held back.
const (
	countBurst      = 3
	countInterval   = 5 * time.Second
	countsPerSecond = 20
)

// countLimiter paces status writes that change counts only.
type countLimiter struct {
	mu     sync.Mutex
	hosts  map[hostcache.Key]*rate.Limiter
	global *rate.Limiter
}

func newCountLimiter() *countLimiter {
	return &countLimiter{
		hosts:  map[hostcache.Key]*rate.Limiter{},
		global: rate.NewLimiter(countsPerSecond, countsPerSecond),
	}
}

// take asks to write now. It returns 0 and counts the write, or how long to wait
// before asking again, and counts nothing.
func (l *countLimiter) take(key hostcache.Key, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	host := l.hosts[key]
	if host == nil {
		host = rate.NewLimiter(rate.Every(countInterval), countBurst)
		l.hosts[key] = host
	}
	h := host.ReserveN(now, 1)
	if wait := h.DelayFrom(now); wait > 0 {
		h.CancelAt(now)
		return wait
	}
	g := l.global.ReserveN(now, 1)
	if wait := g.DelayFrom(now); wait > 0 {
		g.CancelAt(now)
		h.CancelAt(now)
		return wait
	}
	return 0
}

func (l *countLimiter) forget(key hostcache.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.hosts, key)
}
