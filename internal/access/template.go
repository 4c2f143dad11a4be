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

package access

import "strings"

// template is a compiled path of the table: literals around at most two variables. "{name}" takes one segment, "{name...}"
// takes at least one character and slashes too, and is the last variable of its template.
type template struct {
	literals  []string // one more than there are variables
	eatsSlash bool     // the last variable
}

func compile(path string) template {
	var t template
	for {
		literal, rest, found := strings.Cut(path, "{")
		t.literals = append(t.literals, literal)
		if !found {
			return t
		}
		variable, after, _ := strings.Cut(rest, "}")
		t.eatsSlash = strings.HasSuffix(variable, "...")
		path = after
	}
}

// match returns what the first variable stands for and what the first two literals leave of path: the
// object and where it starts.
func (t template) match(path string) (object string, start int, ok bool) {
	last := len(t.literals) - 1
	if last == 0 {
		return "", 0, path == t.literals[0]
	}
	rest, ok := strings.CutPrefix(path, t.literals[0])
	if !ok {
		return "", 0, false
	}
	start = len(t.literals[0])
	for i := 1; i <= last; i++ {
		var value string
		if i < last {
			if value, rest, ok = strings.Cut(rest, t.literals[i]); !ok {
				return "", 0, false
			}
		} else if value, ok = strings.CutSuffix(rest, t.literals[i]); !ok {
			return "", 0, false
		}
		if value == "" || strings.Contains(value, "/") && (i < last || !t.eatsSlash) {
			return "", 0, false
		}
		if i == 1 {
			object = value
		}
	}
	return object, start, true
}
