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
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestCleanText(t *testing.T) {
	long := strings.Repeat("ä", maxMessageRunes)
	for name, tc := range map[string]struct{ in, want string }{
		"empty":                    {"", ""},
		"plain":                    {"The engine answers.", "The engine answers."},
		"other scripts":            {"エンジン ✓", "エンジン ✓"},
		"lines":                    {"one\r\n\ttwo\n", "one two"},
		"terminal escape":          {"\x1b[31mred\x1b[0m", "[31mred [0m"},
		"right-to-left override":   {"name\u202egpj.exe", "name gpj.exe"},
		"C1 control and delete":    {"a\u009b2Jb\x7fc", "a 2Jb c"},
		"not UTF-8":                {"a\xff\xfeb", "a b"},
		"only what is taken out":   {"\x00\n\u200b", ""},
		"as long as may be":        {long, long},
		"longer":                   {long + "x", long[:2*(maxMessageRunes-1)] + "…"},
		"longer by a space":        {long + " \n", long},
		"10 MB of junk, only read": {strings.Repeat("\x00", 10<<20), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, CleanText(tc.in, maxMessageRunes)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzCleanText(f *testing.F) {
	f.Add("The engine answers.")
	f.Add("\x1b]0;title\x07 \xff" + strings.Repeat("long ", 500))
	f.Fuzz(func(t *testing.T, s string) {
		got := CleanText(s, maxMessageRunes)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxMessageRunes || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q became %q", s, got)
		}
		if again := CleanText(got, maxMessageRunes); again != got {
			t.Errorf("cleaning twice gives %q, once %q", again, got)
		}
	})
}
