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

package mask

import (
	"errors"
	"fmt"
	"io"
)

const (
	// maxToken bounds a string or a number, quotes included. The longest that an engine sends is the Data of a swarm's
	// config or secret: 1,000 KiB at most, a third more in base64.
	maxToken = 4 << 20
	// maxDepth bounds how deep objects and arrays nest. The deepest of an engine's answers have 12 levels.
	maxDepth = 64
	// bufferSize is what is read at once, and how much is collected before it is written within a value.
	bufferSize = 32 << 10
	// maxEmptyReads is how often a reader may return nothing in a row, as in bufio.
	maxEmptyReads = 100
)

// ErrMalformed is in the chain of every error about the answer itself: it is no JSON, or beyond the bounds. Its
// connection must be cut, so that the caller does not take the part for the whole.
var ErrMalformed = errors.New("the engine's answer cannot be masked")

// Copy writes the answer in src to dst, masked, until src ends. src holds one JSON value or a sequence of them; before
// it waits for more of src between two values, all that was read is written, so that followed events come at once.
// After an error nothing more is written; what was written is masked.
func (p *Policy) Copy(dst io.Writer, src io.Reader) error {
	r := &rewriter{src: src, dst: dst, buf: make([]byte, 0, bufferSize), out: make([]byte, 0, 2*bufferSize)}
	for {
		found, err := r.separators()
		if err != nil {
			return err
		}
		if !found {
			return r.flush()
		}
		if err := r.value(p.root); err != nil {
			return err
		}
	}
}

// Append appends the one JSON value in item to dst, masked. After an error dst is as it was.
func (p *Policy) Append(dst, item []byte) ([]byte, error) {
	r := rewriter{buf: item, out: dst, ended: true}
	err := r.value(p.root)
	if err == nil {
		if _, more, _ := r.next(); more {
			err = r.malformed("there is more than one value")
		}
	}
	if err != nil {
		return dst, err
	}
	return r.out, nil
}

// rewriter reads JSON from buf, filled from src, and puts it into out, emptied into dst. A value goes out as it is
// read, judged by the node that its path leads to.
type rewriter struct {
	src   io.Reader
	ended bool   // there is no more in src
	buf   []byte // what was read
	pos   int    // how much of buf is done with
	gone  int64  // how much was read before buf

	dst io.Writer
	out []byte

	depth int
	quiet bool // within something masked: read on, put nothing
}

// value reads one value and puts what n, nil for nothing at all, lets through of it.
func (r *rewriter) value(n *node) error {
	c, ok, err := r.next()
	if err != nil {
		return err
	}
	if !ok {
		return r.cutOff()
	}
	if c == '{' || c == '[' {
		return r.nested(n, c)
	}
	token, err := r.scalar(c)
	if err != nil || r.quiet {
		return err
	}
	if n != nil && n.action != nil {
		r.out = n.action(r.out, token)
	} else {
		r.out = zero(r.out, token)
	}
	return nil
}

// nested reads an object or an array. One that n says nothing about stays, empty.
func (r *rewriter) nested(n *node, opening byte) error {
	if r.depth++; r.depth > maxDepth {
		return r.malformed("it nests too deep")
	}
	r.pos++
	r.put(opening)
	quiet := r.quiet
	r.quiet = quiet || n == nil || n.each == nil && (n.fields == nil || opening == '[')
	var err error
	if opening == '{' {
		err = r.members(n)
	} else {
		err = r.elements(n)
	}
	if err != nil {
		return err
	}
	r.quiet = quiet
	r.put(opening + 2) // in ASCII the brackets that close are two after those that open
	r.depth--
	return nil
}

// members reads an object from behind its opening bracket to behind the closing one.
func (r *rewriter) members(n *node) error {
	for first := true; ; first = false {
		c, err := r.separator(first, '}')
		if err != nil || c == '}' {
			return err
		}
		if c != '"' {
			return r.malformed("a key is no string")
		}
		key, err := r.scalar(c)
		if err != nil {
			return err
		}
		if !r.quiet {
			r.out = keep(r.out, key)
		}
		child := n.member(key[1 : len(key)-1]) // now: reading on may move what key points to
		if c, _, err = r.next(); err != nil {
			return err
		}
		if c != ':' {
			return r.malformed("there is no colon after a key")
		}
		r.pos++
		r.put(':')
		if err := r.value(child); err != nil {
			return err
		}
	}
}

// elements reads an array from behind its opening bracket to behind the closing one.
func (r *rewriter) elements(n *node) error {
	for first := true; ; first = false {
		c, err := r.separator(first, ']')
		if err != nil || c == ']' {
			return err
		}
		if err := r.value(n.element()); err != nil {
			return err
		}
	}
}

// separator reads the comma before what is not the first, or the closing bracket. It returns that bracket, or the
// first byte of what comes, which is not read yet.
func (r *rewriter) separator(first bool, closing byte) (byte, error) {
	c, ok, err := r.next()
	if err != nil {
		return 0, err
	}
	switch {
	case !ok:
		return 0, r.cutOff()
	case c == closing:
		r.pos++
		return c, nil
	case first:
		return c, nil
	case c != ',':
		return 0, r.malformed("there is no comma where one belongs")
	}
	r.pos++
	r.put(',')
	c, ok, err = r.next()
	if err == nil && !ok {
		err = r.cutOff()
	}
	if err == nil && c == closing {
		err = r.malformed("a comma is followed by nothing")
	}
	return c, err
}

func (r *rewriter) put(c byte) {
	if !r.quiet {
		r.out = append(r.out, c)
	}
}

// flush writes what is in out.
func (r *rewriter) flush() error {
	if len(r.out) == 0 {
		return nil
	}
	_, err := r.dst.Write(r.out)
	r.out = r.out[:0]
	if err != nil {
		return fmt.Errorf("write a masked answer: %w", err)
	}
	return nil
}

func (r *rewriter) malformed(reason string) error {
	return fmt.Errorf("%w: at byte %d %s", ErrMalformed, r.gone+int64(r.pos), reason)
}

func (r *rewriter) cutOff() error { return r.malformed("it ends within a value") }
