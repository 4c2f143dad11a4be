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

package sim

import (
	"maps"
	"sync"
)

// calls counts what an engine was asked for.
type calls struct {
	mu sync.Mutex
	by map[string]int64
}

func (c *calls) count(pattern string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string]int64{}
	}
	c.by[pattern]++
}

// Calls is how often each part of the API was asked for since the engine began, by
// method and path: "GET /services/{name}". What a fault answered, or kept from being
// answered, is not in it.
func (e *Engine) Calls() map[string]int64 {
	e.calls.mu.Lock()
	defer e.calls.mu.Unlock()
	return maps.Clone(e.calls.by)
}
