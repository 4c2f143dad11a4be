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

package stream

import (
	"bytes"
	"fmt"
	"regexp"
)

// maxPattern bounds a filter's pattern. RE2 takes time linear in the line and in this.
const maxPattern = 1024

// Filter chooses lines by their text.
type Filter struct {
	literal []byte
	pattern *regexp.Regexp
	invert  bool
}

// NewFilter returns a filter for lines that contain text, or match it as a regular
// expression (RE2). With invert it is for all others.
func NewFilter(text string, isPattern, invert bool) (*Filter, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("the filter has %d bytes: use %d at most", len(text), maxPattern)
	}
	f := &Filter{invert: invert}
	if !isPattern {
		f.literal = []byte(text)
		return f, nil
	}
	var err error
	if f.pattern, err = regexp.Compile(text); err != nil {
		return nil, fmt.Errorf("the filter is no regular expression of RE2's syntax: %w", err)
	}
	return f, nil
}

func (f *Filter) match(text []byte) bool {
	if f.pattern != nil {
		return f.pattern.Match(text) != f.invert
	}
	return bytes.Contains(text, f.literal) != f.invert
}
