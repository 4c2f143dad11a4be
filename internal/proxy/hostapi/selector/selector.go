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

package selector

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// maxSelector bounds a selector in bytes: URLs are longer only by mistake.
	maxSelector = 4 << 10
	// maxRequirements bounds what is looked at for each of 50,000 items.
	maxRequirements = 32
)

// operator is how a requirement compares.
type operator string

const (
	exists    operator = "exists"
	absent    operator = "!"
	oneOf     operator = "in"
	noneOf    operator = "notin"
	equals    operator = "="
	notEquals operator = "!="
)

// requirement is one condition on labels.
type requirement struct {
	key    string
	op     operator
	values []string
}

// Selector is a label selector for the labels of engines, which have no syntax: a key or a
// value may hold anything. It is written as a Kubernetes selector is (key, !key, key=value,
// key!=value, key in (a,b), key notin (a,b), joined by commas); what would be taken for
// syntax stands in double quotes, with a backslash before a quote or a backslash. The zero
// Selector matches everything.
type Selector []requirement

// Parse reads a selector.
func Parse(text string) (Selector, error) {
	if len(text) > maxSelector {
		return nil, fmt.Errorf("it is longer than %d bytes", maxSelector)
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	p := &selectorParser{rest: text}
	var s Selector
	for {
		r, err := p.requirement()
		if err != nil {
			return nil, err
		}
		if s = append(s, r); len(s) > maxRequirements {
			return nil, fmt.Errorf("it has more than %d requirements", maxRequirements)
		}
		if p.rest == "" {
			return s, nil
		}
		if !p.take(",") {
			return nil, fmt.Errorf("a comma is missing before %.40q", p.rest)
		}
	}
}

// Matches says whether labels meet every requirement.
func (s Selector) Matches(labels map[string]string) bool {
	for i := range s {
		if !s[i].matches(labels) {
			return false
		}
	}
	return true
}

// Keys returns the keys that are asked for, each once.
func (s Selector) Keys() []string {
	keys := make([]string, 0, len(s))
	for i := range s {
		if !slices.Contains(keys, s[i].key) {
			keys = append(keys, s[i].key)
		}
	}
	return keys
}

// matches takes a label that is not there for one that differs, as Kubernetes does.
func (r *requirement) matches(labels map[string]string) bool {
	value, has := labels[r.key]
	switch r.op {
	case exists:
		return has
	case absent:
		return !has
	case equals, oneOf:
		return has && slices.Contains(r.values, value)
	}
	return !has || !slices.Contains(r.values, value)
}

// String returns a text that Parse reads as s.
func (s Selector) String() string {
	parts := make([]string, len(s))
	for i, r := range s {
		key := quote(r.key)
		values := make([]string, len(r.values))
		for j, v := range r.values {
			values[j] = quote(v)
		}
		switch r.op {
		case exists:
			parts[i] = key
		case absent:
			parts[i] = "!" + key
		case equals, notEquals:
			parts[i] = key + string(r.op) + values[0]
		default:
			parts[i] = key + " " + string(r.op) + " (" + strings.Join(values, ",") + ")"
		}
	}
	return strings.Join(parts, ",")
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// selectorParser reads from the front of rest.
type selectorParser struct{ rest string }

func (p *selectorParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// take removes a token, and the space before and after it, if it comes next.
func (p *selectorParser) take(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = rest
		p.space()
	}
	return ok
}

// takeSet removes "in (" or "notin (" if it comes next.
func (p *selectorParser) takeSet() (operator, bool) {
	for _, op := range []operator{oneOf, noneOf} {
		before := p.rest
		if p.take(string(op)) && p.take("(") {
			return op, true
		}
		p.rest = before
	}
	return "", false
}

func (p *selectorParser) requirement() (requirement, error) {
	r := requirement{op: exists}
	if p.take("!") {
		r.op = absent
	}
	var err error
	if r.key, err = p.key(); err != nil {
		return r, err
	}
	if r.op == absent || p.rest == "" || strings.HasPrefix(p.rest, ",") {
		return r, nil
	}
	switch {
	case p.take("!="):
		r.op = notEquals
	case p.take("=="), p.take("="):
		r.op = equals
	default:
		op, ok := p.takeSet()
		if !ok {
			return r, fmt.Errorf("after the key %.80q comes =, ==, !=, in (...) or notin (...); put a key that looks like syntax in double quotes", r.key)
		}
		r.op = op
		r.values, err = p.set()
		return r, err
	}
	value, err := p.word(",")
	r.values = []string{value}
	return r, err
}

// key reads up to an operator or a comma. A key may hold spaces: " in (" and " notin (" end it.
func (p *selectorParser) key() (string, error) {
	if strings.HasPrefix(p.rest, `"`) {
		return p.quoted()
	}
	end := 0
	for ; end < len(p.rest); end++ {
		c := p.rest[end]
		if c == ',' || c == '=' || c == '!' && strings.HasPrefix(p.rest[end:], "!=") {
			break
		}
		if c == ' ' || c == '\t' {
			after := selectorParser{rest: p.rest[end:]}
			if _, set := after.takeSet(); set {
				break
			}
		}
	}
	key := strings.TrimSpace(p.rest[:end])
	p.rest = p.rest[end:]
	p.space()
	if key == "" {
		return "", errors.New("a key is empty")
	}
	return key, nil
}

func (p *selectorParser) set() ([]string, error) {
	var values []string
	for {
		value, err := p.word(",)")
		if err != nil {
			return nil, err
		}
		values = append(values, value)
		switch {
		case p.take(")"):
			return values, nil
		case !p.take(","):
			return nil, errors.New("a list of values has no closing parenthesis")
		}
	}
}

// word reads a value up to one of the characters in end.
func (p *selectorParser) word(end string) (string, error) {
	p.space()
	if strings.HasPrefix(p.rest, `"`) {
		return p.quoted()
	}
	i := strings.IndexAny(p.rest, end)
	if i < 0 {
		i = len(p.rest)
	}
	value := strings.TrimSpace(p.rest[:i])
	p.rest = p.rest[i:]
	return value, nil
}

func (p *selectorParser) quoted() (string, error) {
	var text strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			p.space()
			return text.String(), nil
		case c == '\\' && i+1 < len(p.rest):
			i++
			text.WriteByte(p.rest[i])
		default:
			text.WriteByte(c)
		}
	}
	return "", errors.New("a double quote is not closed")
}
