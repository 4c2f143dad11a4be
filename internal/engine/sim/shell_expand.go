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

package sim

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// outputLimit bounds what $(...) collects.
const outputLimit = 1 << 20

// lookup is a variable's value.
func (s *shell) lookup(v string) string {
	switch v {
	case "?":
		return strconv.Itoa(s.status)
	case "$":
		if s.p.first {
			return "1"
		}
		return strconv.Itoa(s.p.pid)
	case "#":
		return strconv.Itoa(max(0, len(s.args)-1))
	case "@", "*":
		return strings.Join(s.args[min(1, len(s.args)):], " ")
	}
	if n, err := strconv.Atoi(v); err == nil {
		if n < len(s.args) {
			return s.args[n]
		}
		return ""
	}
	return s.vars[v]
}

// capture runs a list and returns what it writes, without the last line ends.
func (s *shell) capture(l list) string {
	var buf bytes.Buffer
	c := s.fork(s.ctx)
	c.out = &limitWriter{&buf, outputLimit}
	c.list(l)
	s.status = c.status
	return strings.TrimRight(buf.String(), "\n")
}

type limitWriter struct {
	w    io.Writer
	left int
}

func (w *limitWriter) Write(b []byte) (int, error) {
	if len(b) > w.left {
		return 0, io.ErrShortWrite
	}
	w.left -= len(b)
	return w.w.Write(b)
}

// expand is a part's text.
func (s *shell) expand(pt *part) (string, bool) {
	switch pt.kind {
	case variable:
		v := s.lookup(pt.text)
		if v == "" && pt.fallback != nil {
			v = *pt.fallback
		}
		return v, true
	case substitution:
		return s.capture(pt.script), s.ctx.Err() == nil
	case arithmetic:
		n, err := evaluate(pt.text, s.lookup)
		if err != nil {
			fmt.Fprintf(s.err, "sh: %v\n", err)
			s.status, s.exiting = 2, true
		}
		return strconv.Itoa(n), err == nil
	}
	return pt.text, true
}

// text expands a word without splitting it.
func (s *shell) text(w word) (string, bool) {
	var b strings.Builder
	for i := range w {
		t, ok := s.expand(&w[i])
		if !ok {
			return "", false
		}
		b.WriteString(t)
	}
	return b.String(), true
}

// fields expands words and splits them.
func (s *shell) fields(words []word) ([]string, bool) {
	var out []string
	for _, w := range words {
		cur, open := "", false
		for i := range w {
			pt := &w[i]
			if pt.quoted && pt.kind == variable && pt.text == "@" {
				out = append(out, s.args[min(1, len(s.args)):]...)
				continue
			}
			t, ok := s.expand(pt)
			if !ok {
				return nil, false
			}
			if pt.quoted || pt.kind == literal {
				cur, open = cur+t, true
				continue
			}
			for j, f := range splitFields(t) {
				if j > 0 {
					if open {
						out = append(out, cur)
					}
					cur, open = "", false
				}
				if f != "" {
					cur, open = cur+f, true
				}
			}
		}
		if open {
			out = append(out, cur)
		}
	}
	return out, true
}

// splitFields splits at white space; white space at an end leaves an empty field
// there, so that what stands beside it is apart.
func splitFields(s string) []string {
	f := strings.Fields(s)
	if len(f) == 0 {
		if s != "" {
			return []string{"", ""}
		}
		return nil
	}
	if strings.TrimLeft(s, " \t\n") != s {
		f = append([]string{""}, f...)
	}
	if strings.TrimRight(s, " \t\n") != s {
		f = append(f, "")
	}
	return f
}
