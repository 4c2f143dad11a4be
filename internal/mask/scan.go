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
	"unicode/utf8"
)

// recordSeparator begins each value in application/json-seq (RFC 7464), which newer engines send events in on request.
const recordSeparator = 0x1e

// separators copies what stands between two values. It is false at the end of the answer.
func (r *rewriter) separators() (bool, error) {
	for {
		for r.pos < len(r.buf) {
			c := r.buf[r.pos]
			if !isSpace(c) && c != recordSeparator {
				return true, nil
			}
			r.put(c)
			r.pos++
		}
		if ok, err := r.fill(r.pos); !ok {
			return false, err
		}
	}
}

// next skips white space and returns the byte after it, which is not read yet. It is false at the end of the answer.
func (r *rewriter) next() (byte, bool, error) {
	for {
		for r.pos < len(r.buf) {
			if c := r.buf[r.pos]; !isSpace(c) {
				return c, true, nil
			}
			r.pos++
		}
		if ok, err := r.fill(r.pos); !ok {
			return 0, false, err
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// scalar reads the string, number or literal that begins with c and returns it, valid until the next read.
func (r *rewriter) scalar(c byte) ([]byte, error) {
	if c == '"' {
		return r.text()
	}
	end := r.pos
	for {
		for end < len(r.buf) && isBare(r.buf[end]) {
			end++
		}
		if end < len(r.buf) {
			break
		}
		ok, err := r.extend(&end)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
	}
	token := r.buf[r.pos:end]
	if !isNumber(token) {
		switch string(token) {
		case "true", "false", "null":
		default:
			return nil, r.malformed("there is something that is no value")
		}
	}
	r.pos = end
	return token, nil
}

// text reads a string.
func (r *rewriter) text() ([]byte, error) {
	end := r.pos + 1
	for {
		for end < len(r.buf) {
			switch c := r.buf[end]; {
			case c == '"':
				token := r.buf[r.pos : end+1]
				r.pos = end + 1
				return token, nil
			case c == '\\':
				n, err := r.escape(&end)
				if err != nil {
					return nil, err
				}
				end += n
			case c < ' ':
				return nil, r.malformed("a string holds a control character")
			default:
				end++
			}
		}
		ok, err := r.extend(&end)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, r.cutOff()
		}
	}
}

// escape returns the length of the escape at *end.
func (r *rewriter) escape(end *int) (int, error) {
	length := 2
	for {
		rest := r.buf[*end:]
		if len(rest) > 1 && rest[1] == 'u' {
			length = 6
		}
		if len(rest) >= length {
			if !isEscape(rest[:length]) {
				return 0, r.malformed("a string holds an unknown escape")
			}
			return length, nil
		}
		at := len(r.buf)
		back := at - *end
		ok, err := r.extend(&at)
		if err != nil {
			return 0, err
		}
		if !ok {
			return 0, r.cutOff()
		}
		*end = at - back
	}
}

func isEscape(text []byte) bool {
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for _, c := range text[2:] {
			if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f') {
				return false
			}
		}
		return true
	}
	return false
}

// isBare tells the bytes that numbers and literals are made of.
func isBare(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '-' || c == '+' || c == '.'
}

// isNumber follows the grammar of RFC 8259.
func isNumber(text []byte) bool {
	digits := func() bool {
		n := 0
		for n < len(text) && '0' <= text[n] && text[n] <= '9' {
			n++
		}
		text = text[n:]
		return n > 0
	}
	if len(text) > 0 && text[0] == '-' {
		text = text[1:]
	}
	if len(text) > 0 && text[0] == '0' {
		text = text[1:]
	} else if !digits() {
		return false
	}
	if len(text) > 0 && text[0] == '.' {
		if text = text[1:]; !digits() {
			return false
		}
	}
	if len(text) > 0 && text[0]|0x20 == 'e' {
		if text = text[1:]; len(text) > 0 && (text[0] == '+' || text[0] == '-') {
			text = text[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(text) == 0
}

// extend reads more of a token that begins at pos and goes on to *end, which moves with it.
func (r *rewriter) extend(end *int) (bool, error) {
	if *end-r.pos >= maxToken {
		return false, r.malformed("a string or a number is too long")
	}
	pos := r.pos
	ok, err := r.fill(pos)
	*end -= pos - r.pos
	return ok, err
}

// fill reads more, keeping buf from there on. It is false at the end of the answer.
func (r *rewriter) fill(from int) (bool, error) {
	if r.ended {
		return false, nil
	}
	if r.depth == 0 || len(r.out) >= bufferSize {
		if err := r.flush(); err != nil {
			return false, err
		}
	}
	if from > 0 {
		r.buf = r.buf[:copy(r.buf, r.buf[from:])]
		r.gone += int64(from)
		r.pos -= from
	}
	if len(r.buf) == cap(r.buf) {
		bigger := make([]byte, len(r.buf), 2*cap(r.buf))
		copy(bigger, r.buf)
		r.buf = bigger
	}
	for range maxEmptyReads {
		n, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			r.ended = true
			return n > 0, nil
		case err != nil:
			return false, fmt.Errorf("read the engine's answer: %w", err)
		case n > 0:
			return true, nil
		}
	}
	return false, fmt.Errorf("read the engine's answer: %w", io.ErrNoProgress)
}

// appendText appends a string as it came. What is not UTF-8 is replaced, lest clients read it in different ways.
func appendText(out, token []byte) []byte {
	if utf8.Valid(token) {
		return append(out, token...)
	}
	for len(token) > 0 {
		c, size := utf8.DecodeRune(token)
		out = utf8.AppendRune(out, c)
		token = token[size:]
	}
	return out
}
