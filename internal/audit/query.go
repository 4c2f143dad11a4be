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

package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// DefaultLimit is how many records a page has where the caller does not say.
	DefaultLimit = 100
	// MaxLimit is how many it has at most.
	MaxLimit = 1000
	// queryBytes and queryTime bound what one page costs: half a file of the default
	// size, from the page cache some tenths of a second.
	queryBytes = 64 << 20
	queryTime  = 2 * time.Second
	// queryWait is how many queries read at once in this process; more wait.
	queryWait = 2
	// lateBy is how much later a line may be written than its record's time and
	// duration say: a Collapser's minute, and a disk that is slow.
	lateBy = 10 * time.Minute
)

var (
	// ErrNoQuery says that the trail is nowhere where it can be read.
	ErrNoQuery = errors.New("this replica's audit trail is not in a file, so it cannot be searched here: ask whoever collects its output")
	// ErrContinue says that a Filter's Continue is none of ours, or that the place it
	// names was removed by rotation. Begin anew without it.
	ErrContinue = errors.New("the continue token is not valid, or what it leads to was rotated away: begin without it")
)

// Filter says which records are wanted. An empty field takes all.
type Filter struct {
	// Since and Until bound the record's time: Since is in, Until is out.
	Since, Until time.Time
	// User is the actor's name, exactly.
	User string
	// Namespace and Host are the DockerHost's.
	Namespace, Host string
	Verb            string
	Outcome         Outcome
	RequestID       string
	// ObjectKind is the object's kind; Object its name or its ID.
	ObjectKind, Object string
	// Limit is how many records a page has at most; 0 is DefaultLimit, and MaxLimit the
	// most.
	Limit int
	// Continue is the Page's before, to go on after it.
	Continue string
}

// Entry is a record and its place in the trail.
type Entry struct {
	Chain string `json:"chain"`
	Seq   uint64 `json:"seq"`
	Record
	DurationSeconds float64 `json:"durationSeconds,omitempty"`
}

// Page is a part of the answer.
type Page struct {
	// Items are the records found, the one written last first.
	Items []Entry `json:"items"`
	// Continue leads to the next page. It may be set though Items is short or empty:
	// a page ends as well when enough was read, or time is over. Empty is the end.
	Continue string `json:"continue,omitempty"`
}

// reading bounds how many queries read at once.
var reading = make(chan struct{}, queryWait)

// Query searches the files of the trail at path, the newest record first. It reads
// beside a writer without holding it up. MACs are not checked: that is Check's.
//
// It answers for one trail: each replica has its own, and a question about all has to
// be asked of all of them.
func Query(ctx context.Context, path string, f Filter) (Page, error) {
	if path == "" || path == "-" {
		return Page{}, ErrNoQuery
	}
	if f.Limit == 0 {
		f.Limit = DefaultLimit
	}
	if f.Limit < 0 || f.Limit > MaxLimit {
		return Page{}, fmt.Errorf("a limit of %d is out of range: 1 to %d", f.Limit, MaxLimit)
	}
	select {
	case reading <- struct{}{}:
		defer func() { <-reading }()
	case <-ctx.Done():
		return Page{}, ctx.Err()
	}
	b, err := openBackward(path)
	if err != nil {
		return Page{}, err
	}
	defer b.close()
	if f.Continue != "" {
		if err := b.seek(f.Continue); err != nil {
			return Page{}, err
		}
	}
	return search(ctx, b, f)
}

func search(ctx context.Context, b *backward, f Filter) (Page, error) {
	page := Page{Items: []Entry{}}
	needles := f.needles()
	end := time.Now().Add(queryTime)
	for n := 0; ; n++ {
		if len(page.Items) == f.Limit || b.read > queryBytes || n%256 == 255 && time.Now().After(end) {
			var err error
			page.Continue, err = b.place()
			return page, err
		}
		if err := ctx.Err(); err != nil {
			return Page{}, err
		}
		text, err := b.line()
		if err != nil || text == nil {
			return page, err
		}
		// Since a line's fields are written in one way, what a line does not contain
		// need not be decoded. Those without any needle are, for the end by time.
		if !containsAll(text, needles) && n%256 != 0 {
			continue
		}
		l, _, _, err := decode(text)
		if err != nil || l.Record == nil {
			continue // a start, or something for Check to find
		}
		if !f.Since.IsZero() && l.written().Add(lateBy).Before(f.Since) {
			return page, nil // and so are all before it
		}
		if f.matches(*l.Record) {
			page.Items = append(page.Items, Entry{Chain: l.Chain, Seq: l.Seq, Record: *l.Record, DurationSeconds: l.DurationSeconds})
		}
	}
}

func (f Filter) matches(r Record) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return (f.Since.IsZero() || !r.Time.Before(f.Since)) && (f.Until.IsZero() || r.Time.Before(f.Until)) &&
		is(f.User, r.Actor.User) && is(f.Namespace, r.Host.Namespace) && is(f.Host, r.Host.Name) &&
		is(f.Verb, r.Verb) && is(string(f.Outcome), string(r.Outcome)) && is(f.RequestID, r.RequestID) &&
		is(f.ObjectKind, r.Object.Kind) && (is(f.Object, r.Object.Name) || is(f.Object, r.Object.ID))
}

// needles are what each line that matches contains, as it is written there.
func (f Filter) needles() [][]byte {
	var needles [][]byte
	for _, s := range []string{f.User, f.Namespace, f.Host, f.Verb, string(f.Outcome), f.RequestID, f.ObjectKind, f.Object} {
		if s == "" {
			continue
		}
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false) // as encode does
		if enc.Encode(s) == nil {
			needles = append(needles, []byte(strings.TrimSuffix(b.String(), "\n")))
		}
	}
	return needles
}

func containsAll(text []byte, needles [][]byte) bool {
	for _, n := range needles {
		if !bytes.Contains(text, n) {
			return false
		}
	}
	return true
}
