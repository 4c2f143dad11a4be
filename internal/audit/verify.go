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
)

// maxProblems is how many problems Verify describes before it gives up.
const maxProblems = 100

// Summary says what Verify read.
type Summary struct {
	// Records is the number of records whose MAC is right.
	Records int
	Chains  []ChainSummary
}

// ChainSummary is one chain: one process from its start on.
type ChainSummary struct {
	// First is the number of its first record here. More than 1 means that older
	// files of the trail are not here: rotation removed them, or somebody did.
	First uint64
	// Head is its last line here.
	Head Head
}

// Verify reads the lines of a trail, the oldest file first, and checks every MAC
// and every link. The error joins a sentence for each problem: records that were
// edited, removed, put in twice or reordered, lines that are no records, and, where
// heads are given that were kept elsewhere, records cut off the end. The summary
// stands beside an error too.
//
// keys are those the trail was written with, in any order. Lines of several
// replicas may be mixed, as a log collector leaves them, if the first line of each
// replica's chain is there.
func Verify(r io.Reader, keys [][]byte, heads ...Head) (Summary, error) {
	v := &verifier{chains: map[string]*chainState{}, heads: heads, reached: make([]bool, len(heads))}
	for _, key := range keys {
		k, err := chainKey(key)
		if err != nil {
			return Summary{}, err
		}
		v.keys = append(v.keys, k)
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	for lines.Scan() && len(v.problems) < maxProblems {
		v.number++
		v.line(lines.Bytes())
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		v.number++
		v.report("longer than a line of an audit trail; what follows was not read")
	} else if err != nil {
		return v.summary(), fmt.Errorf("reading the audit trail: %w", err)
	}
	if len(v.problems) >= maxProblems {
		v.problems = append(v.problems, fmt.Errorf("more than %d problems; what follows was not read", maxProblems))
	} else {
		v.ends()
	}
	return v.summary(), errors.Join(v.problems...)
}

type verifier struct {
	keys     [][]byte
	heads    []Head
	reached  []bool // by index of heads
	number   int    // of the line, from 1
	records  int
	chains   map[string]*chainState
	order    []*chainState
	older    string // the chain that the first one followed, in files that are not here
	problems []error
}

type chainState struct {
	ChainSummary
	key []byte
}

func (v *verifier) report(format string, args ...any) {
	v.problems = append(v.problems, fmt.Errorf("line %d: "+format, append([]any{v.number}, args...)...))
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
		chain = &chainState{key: key, ChainSummary: ChainSummary{First: max(l.Seq, 1), Head: is}}
		v.begins(l)
		v.chains[l.Chain] = chain
		v.order = append(v.order, chain)
	} else {
		v.follows(chain.Head, l)
		if l.Seq <= chain.Head.Seq {
			return // reported; the chain goes on from the furthest
		}
		chain.Head = is
	}
	for i, h := range v.heads {
		if h == is {
			v.reached[i] = true
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
		if len(v.order) > 0 || v.number > 1 {
			v.report("chain %s begins with record %d: those before it were removed or reordered", l.Chain, l.Seq)
		}
	case l.Start.Follows != nil:
		f := *l.Start.Follows
		before := v.chains[f.Chain]
		switch {
		case before == nil && (len(v.order) > 0 || v.number > 1):
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

func (v *verifier) summary() Summary {
	s := Summary{Records: v.records}
	for _, c := range v.order {
		s.Chains = append(s.Chains, c.ChainSummary)
	}
	return s
}
