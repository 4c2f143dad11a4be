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
	"context"
	"io"
	"sync"
)

// statsRing shares the last items of one source between viewers, each of whom reads
// at a place of its own. So a viewer costs nothing but its place, and one that is slow
// holds up nobody: what left the ring before it was read is counted.
type statsRing[T any] struct {
	size int

	mu    sync.Mutex
	items []T
	first uint64 // number of the first item
	ended bool
	more  chan struct{} // closed and renewed with each item
}

func newStatsRing[T any](size int) *statsRing[T] {
	return &statsRing[T]{size: size, more: make(chan struct{})}
}

func (r *statsRing[T]) add(item T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	r.items = append(r.items, item)
	if len(r.items) > r.size {
		var none T
		r.items[0] = none
		r.items = r.items[1:]
		r.first++
	}
	renew(&r.more)
}

// end lets viewers read what is there, and then gives them io.EOF.
func (r *statsRing[T]) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.ended = true
		renew(&r.more)
	}
}

// seek is the number of the first of the newest items that all satisfy keep.
func (r *statsRing[T]) seek(keep func(T) bool) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.items)
	for n > 0 && keep(r.items[n-1]) {
		n--
	}
	return r.first + uint64(n)
}

// newest is the number of the last item, or of the one to come where there is none.
func (r *statsRing[T]) newest() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first + uint64(max(len(r.items)-1, 0))
}

func (r *statsRing[T]) last() (item T, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.items) == 0 {
		return item, false
	}
	return r.items[len(r.items)-1], true
}

// next waits for the item at pos and moves it on; dropped is how many were missed
// before it.
func (r *statsRing[T]) next(ctx context.Context, pos *uint64) (item T, dropped uint64, err error) {
	for {
		r.mu.Lock()
		if *pos < r.first {
			dropped += r.first - *pos
			*pos = r.first
		}
		if i := *pos - r.first; i < uint64(len(r.items)) {
			item = r.items[i]
			r.mu.Unlock()
			*pos++
			return item, dropped, nil
		}
		ended, more := r.ended, r.more
		r.mu.Unlock()
		if ended {
			return item, dropped, io.EOF
		}
		select {
		case <-more:
		case <-ctx.Done():
			return item, dropped, ctx.Err()
		}
	}
}
