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
	"strings"
	"testing"
	"time"
)

func TestSignedHeadAsText(t *testing.T) {
	other := bytes.Repeat([]byte("o"), minKey)
	h := Head{Chain: "my manager-0123456789abcdef", Seq: 7, MAC: strings.Repeat("ab", 32)}
	signed := SignHead(testKey, h, time.Now())
	text := signed.String()
	got, err := ParseSignedHead(text)
	if err != nil || got != signed || !got.SignedBy([][]byte{other, testKey}) || got.Replica() != "my manager" {
		t.Errorf("got %+v, %v; want %+v", got, err, signed)
	}
	if got.SignedBy([][]byte{other}) || got.SignedBy(nil) {
		t.Error("another key's signature was taken")
	}
	for name, forged := range map[string]string{
		"an older record": strings.Replace(text, ":7:", ":6:", 1),
		"another MAC":     strings.Replace(text, "abab", "abac", 1),
		"another time":    strings.Replace(text, "T", "T0", 1),
		"another chain":   "x" + text,
		"no signature":    text[:strings.LastIndex(text, " ")+1],
	} {
		if got, err := ParseSignedHead(forged); err == nil && got.SignedBy([][]byte{testKey}) {
			t.Errorf("%s was taken", name)
		}
	}
	for _, bad := range []string{"", " ", h.String(), text + strings.Repeat("0", 1000)} {
		if got, err := ParseSignedHead(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}

// TestPublishedHeads judges a trail of two starts by heads of itself, of what is older
// and of others.
func TestPublishedHeads(t *testing.T) {
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
	whole := strings.SplitAfter(string(content(t, path)), "\n")
	second := strings.Join(whole[6:], "")
	published := []SignedHead{
		SignHead(testKey, heads[0], time.Now().Add(-time.Hour)), SignHead(testKey, heads[1], time.Now()),
		SignHead(testKey, Head{Chain: "replica-00", Seq: 9, MAC: heads[0].MAC}, time.Now().Add(-time.Hour)),
		SignHead(testKey, Head{Chain: "other-00", Seq: 9, MAC: heads[0].MAC}, time.Now()),
	}
	check := func(trail string) (Summary, error) {
		return Check{Keys: [][]byte{testKey}, Published: published}.Run(Source{Name: "file", Reader: strings.NewReader(trail)})
	}
	s, err := check(strings.Join(whole, ""))
	if err != nil || len(s.Older) != 1 || len(s.Others) != 1 || s.Chains[0].Published == nil || s.Chains[1].Published == nil {
		t.Errorf("got %+v, %v", s, err)
	}
	if s, err := check(second); err != nil || len(s.Older) != 2 {
		t.Errorf("the oldest chain rotated away: got %+v, %v", s, err)
	}
	for name, tc := range map[string]struct{ trail, want string }{
		"its end cut off":   {strings.Join(whole[:11], ""), "ends with record 4, and had 5"},
		"its last start":    {strings.Join(whole[:6], ""), "is not here, and had 5 records"},
		"a record replaced": {strings.Join(whole[:6], "") + strings.Replace(second, "alice", "mallory", 5), "file line 8: record 1"},
	} {
		if _, err := check(tc.trail); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
