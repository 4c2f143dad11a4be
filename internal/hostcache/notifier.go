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
	"maps"
	"slices"
	"sync"
)

// notifier tells news to whoever asked for them.
type notifier[T any] struct {
	mu   sync.RWMutex
	next int
	fns  map[int]func(T)
}

// add has fn called with all that is sent, until cancel is called.
func (n *notifier[T]) add(fn func(T)) (cancel func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fns == nil {
		n.fns = map[int]func(T){}
	}
	id := n.next
	n.next++
	n.fns[id] = fn
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.fns, id)
	}
}

func (n *notifier[T]) listeners() []func(T) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Collect(maps.Values(n.fns))
}

// send calls the listeners without holding the lock, so that they may cancel.
func (n *notifier[T]) send(news T) {
	for _, fn := range n.listeners() {
		fn(news)
	}
}
