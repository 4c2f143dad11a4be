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

	"github.com/dockercontrol/dockercontrol/internal/hostcache"
)

// connectingSince remembers since when hosts have been at their first attempt to
// connect, so that only one that lasts is reported. A status from before, of a
// manager that was restarted, stands meanwhile.
type connectingSince struct {
	mu    sync.Mutex
	since map[hostcache.Key]attempt
}

type attempt struct {
	generation int64
	started    time.Time
}

func newConnectingSince() *connectingSince {
	return &connectingSince{since: map[hostcache.Key]attempt{}}
}

// hold returns how long to wait before the state should be reported; 0 for now.
func (c *connectingSince) hold(st hostcache.State, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.Phase != hostcache.PhaseConnecting || st.Err != nil {
		delete(c.since, st.Key)
		return 0
	}
	a, ok := c.since[st.Key]
	if !ok || a.generation != st.Generation {
		a = attempt{st.Generation, now}
		c.since[st.Key] = a
	}
	return max(0, connectingGrace-now.Sub(a.started))
}

func (c *connectingSince) forget(key hostcache.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.since, key)
}
