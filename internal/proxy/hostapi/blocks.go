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

package hostapi

import (
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Masking a list takes longer than sending it, so blocks of items are made ready side by
// side, a few ahead of the one that is written. Their order is the list's.

// maxAhead bounds how many blocks a list has under way, whatever the number of cores.
const maxAhead = 16

// block is a run of one source's items, of about a chunk.
type block struct {
	// rest are the sources from this one on.
	rest   []source
	origin origin
	at     string
	items  []engine.Object
	// listErr is why the inventory is not current; last marks the source's last block.
	listErr error
	last    bool

	// Of the items, once ready is closed: what is written, with a separator before each
	// but the first, and how much of it each item ends; or left, or unseen.
	out   *[]byte
	ends  []int
	ready chan struct{}
	// panicked is what making it ready ended with, and where: it ends the request, as it
	// would have without goroutines, and not the process.
	panicked string
}

const (
	left   = -1 // it cannot be masked
	unseen = -2 // it does not match
)

// separator stands between two items.
const separator = ",\n"

// blocks cuts the sources' items, those after begin, into blocks.
func (l *lister) blocks(sources []source, begin position) iter.Seq[*block] {
	return func(yield func(*block) bool) {
		for n, src := range sources {
			from := ""
			if src.key == begin.sourceKey {
				from = begin.ID
			}
			listing, err := l.h.options.Inventory.List(src.host, l.kind.kind)
			whole := block{rest: sources[n:], origin: origin{source: src}, at: observed(listing.ObservedAt), listErr: err}
			if l.kind.swarm {
				whole.origin.servedBy = listing.ServedBy.Name
			}
			if err == nil || l.query.stale {
				whole.items = after(listing.Items, from)
			}
			for items := whole.items; ; {
				b := whole
				b.items, items = cut(items)
				b.last = len(items) == 0
				if !yield(&b) {
					return
				}
				if b.last {
					break
				}
			}
		}
	}
}

// cut takes about a chunk off the items.
func cut(items []engine.Object) (first, rest []engine.Object) {
	size := 0
	for i := range items {
		if size += len(items[i].Raw); size >= chunk {
			return items[:i+1], items[i+1:]
		}
	}
	return items, nil
}

// prepared yields the blocks in their order, each when it is ready. What is under way when
// the loop ends is waited for.
func (l *lister) prepared(all iter.Seq[*block]) iter.Seq[*block] {
	ahead := min(2*runtime.GOMAXPROCS(0), maxAhead)
	if l.query.limit > 0 {
		ahead = 1 // a page's rest is not wanted
	}
	return func(yield func(*block) bool) {
		var queue []*block
		defer func() {
			for _, b := range queue {
				<-b.ready
				b.free()
			}
		}()
		deliver := func() bool {
			b := queue[0]
			<-b.ready
			if b.panicked != "" {
				panic(b.panicked)
			}
			more := yield(b)
			queue = queue[1:]
			b.free()
			return more
		}
		for b := range all {
			b.ready = make(chan struct{})
			queue = append(queue, b)
			go l.prepare(b)
			if len(queue) >= ahead && !deliver() {
				return
			}
		}
		for len(queue) > 0 {
			if !deliver() {
				return
			}
		}
	}
}

// prepare makes a block's items ready to be written.
func (l *lister) prepare(b *block) {
	defer close(b.ready)
	defer func() {
		if r := recover(); r != nil {
			b.panicked = fmt.Sprintf("%v\n%s", r, debug.Stack())
		}
	}()
	b.out = chunks.Get().(*[]byte)
	out, ends := (*b.out)[:0], make([]int, len(b.items))
	enc := encoder{kind: l.enc.kind, masker: l.enc.masker, labels: l.enc.labels, columns: l.enc.columns}
	for i := range b.items {
		o := &b.items[i]
		docker, matches, err := enc.visible(b.origin, o)
		switch {
		case err != nil:
			ends[i] = left
			continue
		case !matches:
			ends[i] = unseen
			continue
		}
		if len(out) > 0 {
			out = append(out, separator...)
		}
		if enc.columns != nil {
			out = enc.appendRow(out, b.origin, o, docker)
		} else {
			out = enc.appendItem(out, b.origin, b.at, o, docker)
		}
		ends[i] = len(out)
	}
	*b.out, b.ends = out, ends
}

// free gives back what the block held.
func (b *block) free() {
	if b.out != nil && cap(*b.out) <= 4*chunk { // an engine's item may be large
		chunks.Put(b.out)
	}
	b.out = nil
}
