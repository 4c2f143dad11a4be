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

// maxNesting bounds how deep a script's commands may nest.
const maxNesting = 50

// parser reads a script. Its first error ends it.
type parser struct {
	src   string
	pos   int
	depth int
}

// unsupported is a script that is not in the subset the simulator knows.
type unsupported struct{ what string }

func (e unsupported) Error() string { return "not simulated: " + e.what }

// parseScript parses a whole script.
func parseScript(src string) (list, error) {
	p := &parser{src: src}
	l, err := p.list()
	if err != nil {
		return nil, err
	}
	if p.skip(); p.pos < len(p.src) {
		return nil, fmt.Errorf("syntax error: unexpected %q", p.src[p.pos:p.pos+1])
	}
	return l, nil
}

// blank skips spaces, comments and escaped line ends.
func (p *parser) blank() {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == ' ' || c == '\t':
			p.pos++
		case strings.HasPrefix(p.src[p.pos:], "\\\n"):
			p.pos += 2
		case c == '#':
			if end := strings.IndexByte(p.src[p.pos:], '\n'); end >= 0 {
				p.pos += end
			} else {
				p.pos = len(p.src)
			}
		default:
			return
		}
	}
}

// skip skips blanks and line ends.
func (p *parser) skip() {
	for p.blank(); p.pos < len(p.src) && p.src[p.pos] == '\n'; p.blank() {
		p.pos++
	}
}

// take consumes s if it comes next.
func (p *parser) take(s string) bool {
	p.blank()
	if !strings.HasPrefix(p.src[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

// keyword looks at a reserved word that comes next, on its own.
func (p *parser) keyword(w string) bool {
	p.blank()
	rest, ok := strings.CutPrefix(p.src[p.pos:], w)
	return ok && (rest == "" || strings.ContainsRune(" \t\n;&|()<>", rune(rest[0])))
}

func (p *parser) takeKeyword(w string) bool {
	if !p.keyword(w) {
		return false
	}
	p.pos += len(w)
	return true
}

func (p *parser) need(w string) error {
	if p.skip(); !p.takeKeyword(w) {
		return fmt.Errorf("syntax error: expected %q", w)
	}
	return nil
}

// closers end a list.
func (p *parser) closed() bool {
	p.skip()
	if p.pos >= len(p.src) || p.src[p.pos] == ')' {
		return true
	}
	for _, w := range []string{"}", "do", "done", "then", "elif", "else", "fi"} {
		if p.keyword(w) {
			return true
		}
	}
	return false
}

func (p *parser) list() (list, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, unsupported{"commands nested that deep"}
	}
	defer func() { p.depth-- }()
	var l list
	for !p.closed() {
		s, err := p.statement()
		if err != nil {
			return nil, err
		}
		if p.blank(); strings.HasPrefix(p.src[p.pos:], ";;") {
			return nil, unsupported{"case"}
		}
		switch {
		case p.take(";"):
		case p.take("&"):
			s.background = true
		}
		l = append(l, s)
		if p.blank(); p.pos < len(p.src) && p.src[p.pos] == ';' {
			return nil, fmt.Errorf("syntax error: unexpected %q", ";")
		}
	}
	return l, nil
}

func (p *parser) statement() (statement, error) {
	var s statement
	var err error
	if s.first, err = p.pipeline(); err != nil {
		return s, err
	}
	for {
		and := p.take("&&")
		if !and && !p.take("||") {
			return s, nil
		}
		p.skip()
		next, err := p.pipeline()
		if err != nil {
			return s, err
		}
		s.rest = append(s.rest, joined{and: and, next: next})
	}
}

func (p *parser) pipeline() (pipeline, error) {
	l := pipeline{negate: p.takeKeyword("!")}
	for {
		c, err := p.command()
		if err != nil {
			return l, err
		}
		l.commands = append(l.commands, c)
		if p.blank(); strings.HasPrefix(p.src[p.pos:], "||") || !p.take("|") {
			return l, nil
		}
		p.skip()
	}
}

func (p *parser) command() (command, error) {
	c, err := p.compound()
	if err != nil {
		return c, err
	}
	if c.compound == nil {
		return p.simple()
	}
	for {
		r, ok, err := p.redirect()
		if err != nil || !ok {
			return c, err
		}
		c.redirects = append(c.redirects, r)
	}
}

func (p *parser) compound() (c command, err error) {
	switch {
	case p.takeKeyword("while"):
		c.compound, err = p.loop(false)
	case p.takeKeyword("until"):
		c.compound, err = p.loop(true)
	case p.takeKeyword("for"):
		c.compound, err = p.forLoop()
	case p.takeKeyword("if"):
		c.compound, err = p.ifElse()
	case p.takeKeyword("{"):
		g := group{}
		if g.body, err = p.list(); err == nil {
			err = p.need("}")
		}
		c.compound = g
	case p.take("("):
		g := group{subshell: true}
		if g.body, err = p.list(); err == nil && !p.take(")") {
			err = fmt.Errorf("syntax error: expected %q", ")")
		}
		c.compound = g
	case p.keyword("case"), p.keyword("function"):
		err = unsupported{"case and function"}
	}
	return c, err
}

func (p *parser) loop(until bool) (compound, error) {
	w := whileLoop{until: until}
	var err error
	if w.cond, err = p.list(); err != nil {
		return nil, err
	}
	w.body, err = p.doDone()
	return w, err
}

func (p *parser) doDone() (list, error) {
	if err := p.need("do"); err != nil {
		return nil, err
	}
	l, err := p.list()
	if err != nil {
		return nil, err
	}
	return l, p.need("done")
}

func (p *parser) forLoop() (compound, error) {
	p.blank()
	f := forLoop{name: name(p.src[p.pos:])}
	if f.name == "" {
		return nil, fmt.Errorf("syntax error: bad for loop variable")
	}
	p.pos += len(f.name)
	if err := p.need("in"); err != nil {
		return nil, err
	}
	for {
		w, err := p.word()
		if err != nil {
			return nil, err
		}
		if w == nil {
			break
		}
		f.items = append(f.items, w)
	}
	p.take(";")
	var err error
	f.body, err = p.doDone()
	return f, err
}

func (p *parser) ifElse() (compound, error) {
	var f ifElse
	for {
		cond, err := p.list()
		if err != nil {
			return nil, err
		}
		if err := p.need("then"); err != nil {
			return nil, err
		}
		body, err := p.list()
		if err != nil {
			return nil, err
		}
		f.branches = append(f.branches, branch{cond, body})
		if p.skip(); p.takeKeyword("elif") {
			continue
		}
		if p.takeKeyword("else") {
			body, err := p.list()
			if err != nil {
				return nil, err
			}
			f.branches = append(f.branches, branch{body: body})
		}
		return f, p.need("fi")
	}
}

func (p *parser) simple() (command, error) {
	var c command
	for {
		r, ok, err := p.redirect()
		if err != nil {
			return c, err
		}
		if ok {
			c.redirects = append(c.redirects, r)
			continue
		}
		if v := name(p.src[p.pos:]); v != "" && len(c.words) == 0 && strings.HasPrefix(p.src[p.pos+len(v):], "=") {
			p.pos += len(v) + 1
			value, err := p.value()
			if err != nil {
				return c, err
			}
			c.assigns = append(c.assigns, assign{v, value})
			continue
		}
		w, err := p.word()
		if err != nil {
			return c, err
		}
		if w == nil {
			break
		}
		c.words = append(c.words, w)
		if len(c.words) == 1 && p.take("(") {
			return c, unsupported{"functions"}
		}
	}
	if len(c.words) == 0 && len(c.assigns) == 0 && len(c.redirects) == 0 {
		if p.pos >= len(p.src) {
			return c, fmt.Errorf("syntax error: unexpected end of file")
		}
		return c, fmt.Errorf("syntax error: unexpected %q", p.src[p.pos:p.pos+1])
	}
	return c, nil
}

// redirect reads [n]>file, [n]>&m, <file and the like.
func (p *parser) redirect() (r redirect, ok bool, err error) {
	p.blank()
	at := p.pos
	if at < len(p.src) && p.src[at] >= '0' && p.src[at] <= '9' {
		at++
	}
	if at >= len(p.src) || p.src[at] != '>' && p.src[at] != '<' {
		return r, false, nil
	}
	r = redirect{fd: 1, dup: -1, input: p.src[at] == '<'}
	if r.input {
		r.fd = 0
	}
	if at > p.pos {
		r.fd = int(p.src[p.pos] - '0')
	}
	p.pos = at + 1
	switch {
	case r.input && p.take("<"):
		return r, false, unsupported{"here-documents"}
	case p.pos < len(p.src) && p.src[p.pos] == '&':
		p.pos++
		if p.pos >= len(p.src) || p.src[p.pos] < '0' || p.src[p.pos] > '2' {
			return r, false, unsupported{"that redirection"}
		}
		r.dup = int(p.src[p.pos] - '0')
		p.pos++
		return r, true, nil
	}
	p.take(">")
	r.file, err = p.word()
	if err == nil && r.file == nil {
		err = fmt.Errorf("syntax error: redirection without a file")
	}
	return r, err == nil, err
}

// name is the variable name that s begins with.
func name(s string) string {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return s[:i]
		}
	}
	return s
}
