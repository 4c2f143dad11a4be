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
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestVerifyFindsTampering does to a trail of two chains (a start and five records
// each) what somebody who hides something may do.
func TestVerifyFindsTampering(t *testing.T) {
	path := testPath(t)
	var heads []Head
	for range 2 {
		trail := openTrail(t, path)
		write(t, trail, 5)
		heads = append(heads, trail.Head())
		if err := trail.Close(); err != nil {
			t.Fatal(err)
		}
	}
	whole := strings.SplitAfter(strings.TrimSuffix(string(content(t, path)), "\n"), "\n")
	whole[len(whole)-1] += "\n"
	if len(whole) != 12 {
		t.Fatalf("got %d lines", len(whole))
	}
	verify(t, strings.NewReader(strings.Join(whole, "")), heads...)

	otherPath := testPath(t)
	other := openTrail(t, otherPath, func(o *TrailOptions) { o.Key = bytes.Repeat([]byte("x"), minKey) })
	write(t, other, 1)
	forged := strings.SplitAfter(string(content(t, otherPath)), "\n")[1]

	edit := func(i int, old, edited string) func([]string) []string {
		return func(l []string) []string {
			if !strings.Contains(l[i], old) {
				t.Fatalf("line %d has no %q: %s", i, old, l[i])
			}
			l[i] = strings.Replace(l[i], old, edited, 1)
			return l
		}
	}
	remove := func(from, to int) func([]string) []string {
		return func(l []string) []string { return slices.Delete(l, from, to) }
	}
	move := func(from, to int) func([]string) []string {
		return func(l []string) []string {
			line := l[from]
			return slices.Insert(slices.Delete(l, from, from+1), to, line)
		}
	}
	insert := func(at int, line string) func([]string) []string {
		return func(l []string) []string { return slices.Insert(l, at, line) }
	}
	for name, tc := range map[string]struct {
		tamper func([]string) []string
		want   []string // a part of each problem
	}{
		"another user":           {edit(3, "alice", "mallory"), []string{"line 4: record 3", "line 5: record 3 of"}},
		"another outcome":        {edit(5, "succeeded", "denied"), []string{"line 6: record 5", "line 7: chain"}},
		"another replica":        {edit(0, `"replica":"replica"`, `"replica":"other"`), []string{"line 1: record 0", "begins with record 1"}},
		"another number":         {edit(2, `"seq":2`, `"seq":9`), []string{"line 3: record 9", "record 2 of"}},
		"a field after the MAC":  {edit(2, `"}`+"\n", `","x":"y"}`+"\n"), []string{"line 3: not a line", "record 2 of"}},
		"a field put in":         {edit(2, `"verb"`, `"reason":"X","verb"`), []string{"line 3: record 2", "record 2 of"}},
		"a MAC taken off":        {edit(2, `,"mac":"`, `,"nac":"`), []string{"line 3: not a line", "record 2 of"}},
		"white space":            {edit(2, `{"seq"`, `{ "seq"`), []string{"line 3: record 2", "record 2 of"}},
		"one removed":            {remove(2, 3), []string{"line 3: record 2 of"}},
		"several removed":        {remove(2, 5), []string{"line 3: records 2 to 4 of"}},
		"a start removed":        {remove(6, 7), []string{"line 7: chain", "begins with record 1"}},
		"a chain removed":        {remove(0, 6), []string{"is not here, and had 5 records"}},
		"its tail removed":       {remove(4, 6), []string{"followed record 5", "ends with record 3, and had 5"}},
		"the last cut":           {remove(11, 12), []string{"ends with record 4, and had 5"}},
		"the last chain cut":     {remove(6, 12), []string{"is not here, and had 5 records"}},
		"the last cut in half":   {edit(11, `"outcome"`, "\n"), []string{"line 12: not a line", "line 13: not a line", "ends with record 4"}},
		"two swapped":            {move(2, 3), []string{"line 3: record 2 of", "line 4: record 2 of", "stands after record 3"}},
		"one moved to the end":   {move(2, 11), []string{"record 2 of", "stands after record 5"}},
		"chains swapped":         {func(l []string) []string { return append(slices.Clone(l[6:]), l[:6]...) }, []string{"line 7: chain", "stands after the chain that followed it"}},
		"one twice":              {func(l []string) []string { return insert(3, l[2])(l) }, []string{"line 4: record 2", "put in twice"}},
		"one of another key":     {insert(3, forged), []string{"line 4: record 1"}},
		"junk put in":            {insert(3, "hello\n"), []string{"line 4: not a line"}},
		"an empty line":          {insert(3, "\n"), []string{"line 4: not a line"}},
		"a line without end":     {insert(3, strings.Repeat("x", 2*maxLine)+"\n"), []string{"line 4: longer than a line", "ends with record 2", "is not here"}},
		"everything removed":     {remove(0, 12), []string{"is not here", "is not here"}},
		"from a thousand places": {func([]string) []string { return slices.Repeat([]string{"x\n"}, 1000) }, append(slices.Repeat([]string{"not a line"}, maxProblems), "more than 100 problems")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Verify(strings.NewReader(strings.Join(tc.tamper(slices.Clone(whole)), "")), [][]byte{testKey}, heads...)
			if err == nil {
				t.Fatal("nothing was found")
			}
			got := err.Error()
			for _, want := range tc.want {
				_, rest, found := strings.Cut(got, want)
				if !found {
					t.Errorf("missing %q in what is left of:\n%v", want, err)
					continue
				}
				got = rest
			}
			if problems := strings.Count(err.Error(), "\n") + 1; problems > maxProblems+1 {
				t.Errorf("%d problems were described", problems)
			}
		})
	}
}

// TestVerifyNeedsAHeadForACutTail shows what the heads are for.
func TestVerifyNeedsAHeadForACutTail(t *testing.T) {
	path := testPath(t)
	trail := openTrail(t, path)
	write(t, trail, 5)
	early := trail.Head()
	write(t, trail, 5)
	lines := strings.SplitAfter(string(content(t, path)), "\n")
	cut := strings.Join(lines[:7], "")
	verify(t, strings.NewReader(cut))
	verify(t, strings.NewReader(cut), early)
	if _, err := Verify(strings.NewReader(cut), [][]byte{testKey}, trail.Head()); err == nil {
		t.Error("the cut tail was not found by its head")
	}
	replaced := early
	replaced.MAC = strings.Repeat("0", macLen)
	if _, err := Verify(strings.NewReader(cut), [][]byte{testKey}, replaced); err == nil || !strings.Contains(err.Error(), "record 5") {
		t.Errorf("got %v, want that record 5 is another one", err)
	}
}

func TestVerifyTakesSeveralKeysAndMixedReplicas(t *testing.T) {
	var keys [][]byte
	var trails []*Trail
	var parts [][]string
	for i := range 3 {
		key := bytes.Repeat([]byte{byte('a' + i)}, minKey)
		keys = append(keys, key)
		path := testPath(t)
		trail := openTrail(t, path, func(o *TrailOptions) { o.Key, o.Replica = key, fmt.Sprint("replica-", i) })
		write(t, trail, 10)
		trails = append(trails, trail)
		parts = append(parts, strings.SplitAfter(string(content(t, path)), "\n"))
	}
	var mixed strings.Builder
	for i := range parts[0] {
		for _, p := range parts {
			mixed.WriteString(p[i])
		}
	}
	s, err := Verify(strings.NewReader(mixed.String()), keys, trails[0].Head(), trails[1].Head(), trails[2].Head())
	if err != nil || s.Records != 30 || len(s.Chains) != 3 {
		t.Errorf("got %+v, %v; want 30 records of 3 chains", s, err)
	}
	if _, err := Verify(strings.NewReader(mixed.String()), keys[:2]); err == nil {
		t.Error("records of an unknown key were taken")
	}
	if _, err := Verify(strings.NewReader(mixed.String()), nil); err == nil {
		t.Error("records were taken without any key")
	}
}

// FuzzVerify changes one byte of a trail, or puts junk into it: no panic, and no
// change goes unseen but those of a line's end.
func FuzzVerify(f *testing.F) {
	trail, sink := bufferTrail(f)
	for i := range 5 {
		if err := trail.Record(f.Context(), testRecord(i)); err != nil {
			f.Fatal(err)
		}
	}
	head := trail.Head()
	if err := trail.Close(); err != nil {
		f.Fatal(err)
	}
	whole := sink.String()
	f.Add(10, []byte("x"))
	f.Add(len(whole)-3, []byte("\n"))
	f.Add(0, []byte(`{"seq":0,"chain":"x","start":{},"mac":"`+strings.Repeat("0", macLen)+"\"}\n"))
	f.Fuzz(func(t *testing.T, at int, junk []byte) {
		at = max(0, min(at, len(whole)))
		end := min(len(whole), at+len(junk))
		changed := whole[:at] + string(junk) + whole[end:]
		_, err := Verify(strings.NewReader(changed), [][]byte{testKey}, head)
		same := strings.TrimSuffix(strings.ReplaceAll(changed, "\r\n", "\n"), "\n") == strings.TrimSuffix(whole, "\n")
		if (err == nil) != same {
			t.Errorf("%q at %d: got %v, changed %v", junk, at, err, !same)
		}
	})
}

func bufferTrail(tb testing.TB) (*Trail, *bytes.Buffer) {
	tb.Helper()
	var b bytes.Buffer
	trail, err := newTrail(TrailOptions{Key: testKey, Replica: "replica"}, &stream{w: &b}, Head{}, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return trail, &b
}
