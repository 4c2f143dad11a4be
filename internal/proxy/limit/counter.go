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

package limit

import "sync"

// Counter bounds how many things each key has open at once.
type Counter struct {
	most int

	mu   sync.Mutex
	open map[string]int
}

// NewCounter returns a Counter that lets each key have so many open.
func NewCounter(most int) *Counter { return &Counter{most: most, open: map[string]int{}} }

// Most is how many a key may have open.
func (c *Counter) Most() int { return c.most }

// Acquire opens one more for the key, until release is called; further calls of
// release do nothing. False: the key has all that it may.
func (c *Counter) Acquire(key string) (release func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[key] >= c.most {
		return func() {}, false
	}
	c.open[key]++
	return sync.OnceFunc(func() { c.release(key) }), true
}

func (c *Counter) release(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[key]--; c.open[key] == 0 {
		delete(c.open, key)
	}
}
