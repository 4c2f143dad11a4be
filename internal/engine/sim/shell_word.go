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
	"fmt"
	"strings"
)

// word reads one word, or nil where none comes next.
func (p *parser) word() (word, error) {
	p.blank()
	return p.value()
}

// value reads a word that begins right here; it may be empty.
func (p *parser) value() (word, error) {
	var w word
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; c {
		case ' ', '\t', '\n', ';', '&', '|', '(', ')', '<', '>':
			return w, nil
		case '\'':
			end := strings.IndexByte(p.src[p.pos+1:], '\'')
			if end < 0 {
				return nil, fmt.Errorf("syntax error: unterminated quoted string")
			}
			w = append(w, part{text: p.src[p.pos+1 : p.pos+1+end], quoted: true})
			p.pos += end + 2
		case '"':
			parts, err := p.doubleQuoted()
			if err != nil {
				return nil, err
			}
			w = append(w, parts...)
		case '\\':
			if p.pos++; p.pos < len(p.src) {
				w = append(w, part{text: p.src[p.pos : p.pos+1], quoted: true})
				p.pos++
			}
		case '$':
			pt, err := p.dollar(false)
			if err != nil {
				return nil, err
			}
			w = append(w, pt)
		case '`':
			return nil, unsupported{"backquotes; write $(...)"}
		default:
			end := strings.IndexAny(p.src[p.pos:], " \t\n;&|()<>'\"\\$`")
			if end < 0 {
				end = len(p.src) - p.pos
			}
			w = append(w, part{text: p.src[p.pos : p.pos+end]})
			p.pos += end
		}
	}
	return w, nil
}

func (p *parser) doubleQuoted() (word, error) {
	p.pos++
	w := word{{quoted: true}} // "" is a word too
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; c {
		case '"':
			p.pos++
			return w, nil
		case '$':
			pt, err := p.dollar(true)
			if err != nil {
				return nil, err
			}
			w = append(w, pt)
		case '`':
			return nil, unsupported{"backquotes; write $(...)"}
		case '\\':
			if p.pos+1 < len(p.src) && strings.IndexByte("\"\\$`\n", p.src[p.pos+1]) >= 0 {
				p.pos++
				if p.src[p.pos] != '\n' {
					w = append(w, part{text: p.src[p.pos : p.pos+1], quoted: true})
				}
				p.pos++
				continue
			}
			fallthrough
		default:
			end := strings.IndexAny(p.src[p.pos+1:], "\"$\\`")
			if end < 0 {
				end = len(p.src) - p.pos - 1
			}
			w = append(w, part{text: p.src[p.pos : p.pos+1+end], quoted: true})
			p.pos += end + 1
		}
	}
	return nil, fmt.Errorf("syntax error: unterminated quoted string")
}

// dollar reads $name, ${name}, ${name:-word}, $(list) or $((expression)).
func (p *parser) dollar(quoted bool) (part, error) {
	p.pos++
	rest := p.src[p.pos:]
	switch {
	case strings.HasPrefix(rest, "(("):
		end := closing(rest)
		if end < 2 || rest[end-1] != ')' {
			return part{}, fmt.Errorf("syntax error: missing '))'")
		}
		p.pos += end + 1
		return part{kind: arithmetic, text: rest[2 : end-1], quoted: quoted}, nil
	case strings.HasPrefix(rest, "("):
		p.pos++
		l, err := p.list()
		if err == nil && !p.take(")") {
			err = fmt.Errorf("syntax error: expected %q", ")")
		}
		return part{kind: substitution, script: l, quoted: quoted}, err
	case strings.HasPrefix(rest, "{"):
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return part{}, fmt.Errorf("syntax error: missing '}'")
		}
		p.pos += end + 1
		v, fallback, has := strings.Cut(rest[1:end], ":-")
		pt := part{kind: variable, text: v, quoted: quoted}
		if has {
			pt.fallback = &fallback
		}
		if name(v) != v && len(v) != 1 || strings.ContainsRune(fallback, '$') {
			return pt, unsupported{"${" + rest[1:end] + "}"}
		}
		return pt, nil
	case rest != "" && strings.IndexByte("?$#@*0123456789!", rest[0]) >= 0:
		p.pos++
		return part{kind: variable, text: rest[:1], quoted: quoted}, nil
	}
	v := name(rest)
	if v == "" {
		return part{text: "$", quoted: quoted}, nil
	}
	p.pos += len(v)
	return part{kind: variable, text: v, quoted: quoted}, nil
}

// closing is where the parenthesis that s begins with is closed, or -1.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
