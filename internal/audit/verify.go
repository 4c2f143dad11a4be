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
	"bufio"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// maxProblems is how many problems Verify describes before it gives up.
const maxProblems = 100

// Summary says what was read.
type Summary struct {
	// Records is the number of records whose MAC is right.
	Records int
	Chains  []ChainSummary
	// Older are published heads of chains that ended before these files begin, of the
	// same replicas: rotation removed them, or somebody did.
	Older []SignedHead
	// Others are published heads of replicas that these files are not of.
	Others []SignedHead
}

// ChainSummary is one chain: one process from its start on.
type ChainSummary struct {
	// First is the number of its first record here. More than 1 means that older
	// files of the trail are not here: rotation removed them, or somebody did.
	First uint64
	// Head is its last line here.
	Head Head
	// From and To are about when its first and its last line here were written.
	From, To time.Time
	// Published is the head that it was judged by, nil where there is none.
	Published *SignedHead
}

// Replica is the name of the process that wrote the chain.
func (c ChainSummary) Replica() string { return replicaOf(c.Head.Chain) }

// Source is a part of a trail, such as one file.
type Source struct {
	// Name tells where a problem is; it may be empty.
	Name   string
	Reader io.Reader
}

// Check is what a trail is judged by.
type Check struct {
	// Keys are those the trail was written with, in any order.
	Keys [][]byte
	// Heads were kept elsewhere: each of them must be there.
	Heads []Head
	// Published are heads whose signature the caller has checked. They count where
	// the trail is of the same replica, and not for what is older than the trail.
	Published []SignedHead
}

// Verify reads the lines of a trail, the oldest file first: see Check.Run.
func Verify(r io.Reader, keys [][]byte, heads ...Head) (Summary, error) {
	return Check{Keys: keys, Heads: heads}.Run(Source{Reader: r})
}

// Run reads the lines of a trail, the oldest file first, and checks every MAC and
// every link. The error joins a sentence for each problem: records that were edited,
// removed, put in twice or reordered, lines that are no records, and, by the heads
// that were kept elsewhere, records cut off the end. The summary stands beside an
// error too.
//
// Lines of several replicas may be mixed, as a log collector leaves them, if the
// first line of each replica's chain is there.
func (c Check) Run(sources ...Source) (Summary, error) {
	v := &verifier{
		keys: c.Keys, chains: map[string]*chainState{},
		heads: c.Heads, reached: make([]bool, len(c.Heads)),
		published: c.Published, met: make([]bool, len(c.Published)),
	}
	for _, key := range c.Keys {
		if err := checkKey(key); err != nil {
			return Summary{}, err
		}
	}
	for _, source := range sources {
		if err := v.read(source); err != nil {
			return v.summary(), err
		}
	}
	if len(v.problems) >= maxProblems {
		v.problems = append(v.problems, fmt.Errorf("more than %d problems; what follows was not read", maxProblems))
	} else {
		v.ends()
		v.judge()
	}
	return v.summary(), errors.Join(v.problems...)
}

type verifier struct {
	keys      [][]byte
	heads     []Head
	reached   []bool // by index of heads
	published []SignedHead
	met       []bool // by index of published
	source    string
	number    int // of the line in its source, from 1
	lines     int // of all sources
	records   int
	chains    map[string]*chainState
	order     []*chainState
	older     string // the chain that the first one followed, in files that are not here
	past      []SignedHead
	others    []SignedHead
	problems  []error
}

type chainState struct {
	ChainSummary
	key []byte
}

func (v *verifier) read(source Source) error {
	v.source, v.number = source.Name, 0
	lines := bufio.NewScanner(source.Reader)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	for len(v.problems) < maxProblems && lines.Scan() {
		v.number++
		v.lines++
		v.line(lines.Bytes())
	}
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		v.number++
		v.report("longer than a line of an audit trail; what follows in it was not read")
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the audit trail: %w", err)
	}
	return nil
}

func (v *verifier) report(format string, args ...any) {
	where := strings.TrimSpace(fmt.Sprintf("%s line %d", v.source, v.number))
	v.problems = append(v.problems, fmt.Errorf("%s: "+format, append([]any{where}, args...)...))
}

func (v *verifier) line(b []byte) {
	l, signed, mac, err := decode(b)
	if err != nil {
		v.report("not a line of an audit trail: edited, cut or put in")
		return
	}
	chain := v.chains[l.Chain]
	key := v.keyOf(chain, signed, mac)
	if key == nil {
		v.report("record %d of chain %s was edited, or was written with another key", l.Seq, l.Chain)
		// The bytes are not to be trusted, but where they stand is: what follows is
		// then judged against the numbers around it.
		return
	}
	if l.Record != nil {
		v.records++
	}
	is := Head{Chain: l.Chain, Seq: l.Seq, MAC: mac}
	if chain == nil {
		chain = &chainState{key: key, ChainSummary: ChainSummary{First: max(l.Seq, 1), Head: is, From: l.written(), To: l.written()}}
		v.begins(l)
		v.chains[l.Chain] = chain
		v.order = append(v.order, chain)
	} else {
		v.follows(chain.Head, l)
		if l.Seq <= chain.Head.Seq {
			return // reported; the chain goes on from the furthest
		}
		chain.Head, chain.To = is, l.written()
	}
	for i, h := range v.heads {
		if h == is {
			v.reached[i] = true
		}
	}
	for i, p := range v.published {
		if p.Head == is {
			v.met[i], chain.Published = true, &v.published[i]
		}
	}
}

// keyOf returns the key that the MAC was made with, or nil. A chain keeps its key.
func (v *verifier) keyOf(chain *chainState, signed []byte, mac string) []byte {
	keys := v.keys
	if chain != nil {
		keys = [][]byte{chain.key}
	}
	for _, k := range keys {
		if hmac.Equal([]byte(macOf(k, signed)), []byte(mac)) {
			return k
		}
	}
	return nil
}

// begins judges the first line of a chain.
func (v *verifier) begins(l line) {
	switch {
	case l.Chain == v.older:
		v.report("chain %s stands after the chain that followed it: reordered", l.Chain)
	case l.Start == nil:
		if len(v.order) > 0 || v.lines > 1 {
			v.report("chain %s begins with record %d: those before it were removed or reordered", l.Chain, l.Seq)
		}
	case l.Start.Follows != nil:
		f := *l.Start.Follows
		before := v.chains[f.Chain]
		switch {
		case before == nil && (len(v.order) > 0 || v.lines > 1):
			v.report("chain %s followed record %d of chain %s, which was removed or reordered", l.Chain, f.Seq, f.Chain)
		case before == nil:
			v.older = f.Chain
		case before.Head != f:
			v.report("chain %s followed record %d of chain %s, which ends with record %d here: records were removed or reordered", l.Chain, f.Seq, f.Chain, before.Head.Seq)
		}
	}
}

// follows judges a line by the one before it in its chain.
func (v *verifier) follows(last Head, l line) {
	switch {
	case l.Seq == last.Seq+1 && l.Prev == last.MAC:
	case l.Seq == last.Seq+1:
		v.report("record %d of chain %s does not follow the record %d before it", l.Seq, l.Chain, last.Seq)
	case l.Seq == last.Seq+2:
		v.report("record %d of chain %s is missing before it: removed, edited or reordered", last.Seq+1, l.Chain)
	case l.Seq > last.Seq:
		v.report("records %d to %d of chain %s are missing before it: removed, edited or reordered", last.Seq+1, l.Seq-1, l.Chain)
	default:
		v.report("record %d of chain %s stands after record %d: reordered or put in twice", l.Seq, l.Chain, last.Seq)
	}
}

// ends judges what is there by the heads that were kept elsewhere.
func (v *verifier) ends() {
	for i, h := range v.heads {
		if v.reached[i] {
			continue
		}
		chain := v.chains[h.Chain]
		var err error
		switch {
		case chain == nil:
			err = fmt.Errorf("chain %s is not here, and had %d records: they were cut off or removed", h.Chain, h.Seq)
		case chain.Head.Seq < h.Seq:
			err = fmt.Errorf("chain %s ends with record %d, and had %d: the last were cut off", h.Chain, chain.Head.Seq, h.Seq)
		default:
			err = fmt.Errorf("record %d of chain %s is not the one its head names: removed or replaced", h.Seq, h.Chain)
		}
		v.problems = append(v.problems, err)
	}
}

// judge judges what is there by the heads that replicas published.
func (v *verifier) judge() {
	replicas := map[string]bool{}
	for _, c := range v.order {
		replicas[c.Replica()] = true
	}
	for i, p := range v.published {
		chain := v.chains[p.Chain]
		switch {
		case v.met[i]:
		case chain == nil && !replicas[p.Replica()]:
			v.others = append(v.others, p)
		case chain == nil && p.Time.Before(v.order[0].From), chain != nil && p.Seq < chain.First:
			v.past = append(v.past, p)
		default:
			v.heads, v.reached = []Head{p.Head}, []bool{false}
			v.ends()
		}
	}
}

func (v *verifier) summary() Summary {
	s := Summary{Records: v.records, Older: v.past, Others: v.others}
	for _, c := range v.order {
		s.Chains = append(s.Chains, c.ChainSummary)
	}
	return s
}
