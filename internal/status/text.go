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

package status

import (
	"unicode"
	"unicode/utf8"
)

// CleanText makes text from outside fit for a status. Each run of white space, of
// characters that steer a terminal or the direction of text, and of bytes that are
// not UTF-8 becomes one space; what is longer than limit runes is cut, and ends in
// an ellipsis. It looks no further into a long text than it must. limit is at
// least 1.
func CleanText(s string, limit int) string {
	var out []rune
	gap := false
	for _, r := range s {
		if r == utf8.RuneError || unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) {
			gap = len(out) > 0
			continue
		}
		if gap {
			out = append(out, ' ')
			gap = false
		}
		if out = append(out, r); len(out) > limit {
			out = append(out[:limit-1], '…')
			break
		}
	}
	return string(out)
}
