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
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

// list streams a list. Items come first and metadata last: what there is to continue with,
// and which hosts failed, is known when they are written.
func (rq *request) list(w http.ResponseWriter, r *http.Request) error {
	f, err := rq.fleet(r.Context())
	if err != nil {
		return err
	}
	if rq.at.Host != "" {
		if _, err := rq.listing(f.sources[0]); err != nil {
			return err
		}
	}
	l := &lister{
		request: rq, ctx: r.Context(), fleet: f, out: newAnswer(w, r),
		enc: encoder{kind: rq.kind, masker: rq.h.options.Masker, labels: rq.query.labels},
	}
	defer l.out.close()
	if wantsTable(r.Header.Get("Accept")) {
		l.enc.columns = columns(rq.kind.kind)
	}
	w.Header().Add("Vary", "Accept")
	if err := l.run(); err != nil {
		// The client left, or takes nothing: what it has must not look complete.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// listing reads the inventory of a request for one host: without one that may be served
// the answer is an error.
func (rq *request) listing(src source) (hostcache.Listing, error) {
	listing, err := rq.h.options.Inventory.List(src.host, rq.kind.kind)
	switch {
	case err == nil, rq.query.stale && !listing.ObservedAt.IsZero():
		return listing, nil
	case engine.ClassOf(err) == engine.ClassConflict, engine.ClassOf(err) == engine.ClassInvalid:
		return listing, apistatus.FromEngine(err)
	case engine.ClassOf(err) == engine.ClassNotFound:
		return listing, apistatus.HostNotFound(src.host)
	}
	state, _ := rq.h.options.Inventory.State(src.host)
	f := failureOf(src.host, state, err)
	return listing, apistatus.HostUnavailable(src.host, f.Reason, f.Message)
}

// lister writes one list.
type lister struct {
	*request
	enc    encoder
	ctx    context.Context
	fleet  fleet
	out    *answer
	failed []failedHost

	written int64
	last    position
	begun   bool // an item was written
	left    int  // of the source under way: could not be masked
}

func (l *lister) run() error {
	head := `{"kind":"` + l.kind.name + `List","apiVersion":"` + apiVersion + `","items":[`
	if l.enc.columns != nil {
		var err error
		if head, err = l.enc.tableHead(); err != nil {
			return err
		}
	}
	l.puts(head)
	// A page goes on after the last item of the one before; no snapshot is kept.
	begin := l.query.after
	first, _ := slices.BinarySearchFunc(l.fleet.sources, begin.sourceKey, func(s source, k sourceKey) int { return s.key.compare(k) })
	var rest []source // of a full page
	for b := range l.prepared(l.blocks(l.fleet.sources[first:], begin)) {
		if err := l.ctx.Err(); err != nil {
			return err
		}
		full, err := l.block(b)
		if err != nil {
			return err
		}
		if full {
			rest = b.rest
			break
		}
	}
	if err := l.tail(rest != nil, rest); err != nil {
		return err
	}
	return l.out.finish()
}

// block writes a block. It is full where the limit leaves some for the next page.
func (l *lister) block(b *block) (full bool, err error) {
	written := 0
	for i, end := range b.ends {
		if l.query.limit > 0 && l.written == l.query.limit {
			full = true
			break
		}
		switch end {
		case left:
			l.left++
			continue
		case unseen:
			continue
		}
		l.written++
		l.last, written = position{sourceKey: b.origin.key, ID: b.items[i].ID}, end
	}
	if written > 0 {
		if l.begun {
			l.puts(separator)
		}
		l.begun = true
		*l.out.buf = append(*l.out.buf, (*b.out)[:written]...)
		if err := l.out.flush(); err != nil {
			return false, err
		}
	}
	if full || b.last {
		l.failures(b)
	}
	return full, nil
}

// failures tells at the end of a source what is wrong with it.
func (l *lister) failures(b *block) {
	host := b.origin.host
	if b.listErr != nil && !isGone(b.listErr) {
		state, _ := l.h.options.Inventory.State(host)
		failure := failureOf(host, state, b.listErr)
		if len(b.items) > 0 {
			failure.ObservedAt = b.at
		}
		l.failed = append(l.failed, failure)
	}
	if l.left > 0 {
		l.failed = append(l.failed, maskingFailure(host, l.left))
	}
	l.left = 0
}

// isGone says that an inventory is not there, and not that it is not current: its host was
// deleted or left its swarm a moment ago.
func isGone(err error) bool {
	class := engine.ClassOf(err)
	return class == engine.ClassNotFound || class == engine.ClassConflict
}

// after returns the items behind an id; they are sorted.
func after(items []engine.Object, id string) []engine.Object {
	if id == "" {
		return items
	}
	i, found := slices.BinarySearchFunc(items, id, func(o engine.Object, id string) int { return strings.Compare(o.ID, id) })
	if found {
		i++
	}
	return items[i:]
}

func (l *lister) puts(s string) { *l.out.buf = append(*l.out.buf, s...) }

// tail writes what follows the items. A full page leaves rest to the next ones.
func (l *lister) tail(full bool, rest []source) error {
	var end struct {
		Metadata struct {
			ResourceVersion    string `json:"resourceVersion"`
			Continue           string `json:"continue"`
			RemainingItemCount *int64 `json:"remainingItemCount,omitempty"`
		} `json:"metadata"`
		FailedHosts []failedHost `json:"failedHosts,omitempty"`
	}
	if full {
		end.Metadata.Continue = l.h.sealToken(l.last, l.query.scope)
		if len(l.query.labels) == 0 {
			remaining := l.remaining(rest)
			end.Metadata.RemainingItemCount = &remaining
		}
	}
	end.FailedHosts = sortFailed(append(l.failed, l.fleet.failed...))
	text, err := json.Marshal(end)
	if err != nil {
		return err
	}
	l.puts("],")
	l.puts(string(text[1:])) // without its opening brace
	l.puts("\n")
	return nil
}

// remaining counts what the next pages have.
func (l *lister) remaining(rest []source) int64 {
	n := int64(0)
	for i, src := range rest {
		listing, err := l.h.options.Inventory.List(src.host, l.kind.kind)
		if err != nil && !l.query.stale {
			continue
		}
		if i == 0 && src.key == l.last.sourceKey {
			listing.Items = after(listing.Items, l.last.ID)
		}
		n += int64(len(listing.Items))
	}
	return n
}
