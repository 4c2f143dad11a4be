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

package moby

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// errTooLarge is one JSON value beyond its bound.
var errTooLarge = errors.New("a JSON value is too large")

// valueReader reads JSON values one at a time, none longer than limit bytes.
type valueReader struct {
	dec   *json.Decoder
	in    *meteredReader
	limit int64
}

func newValueReader(r io.Reader, limit int64) *valueReader {
	in := &meteredReader{r: r, end: limit}
	return &valueReader{dec: json.NewDecoder(in), in: in, limit: limit}
}

// next returns a copy of the next value.
func (v *valueReader) next() (json.RawMessage, error) {
	v.in.end = v.dec.InputOffset() + v.limit
	var raw json.RawMessage
	err := v.dec.Decode(&raw)
	return raw, err
}

func (v *valueReader) token() (json.Token, error) {
	v.in.end = v.dec.InputOffset() + v.limit
	return v.dec.Token()
}

// array calls item before each element; item reads it. null is an empty array.
func (v *valueReader) array(item func() error) error {
	open, err := v.token()
	if err != nil || open == nil {
		return err
	}
	if open != json.Delim('[') {
		return fmt.Errorf("a JSON array begins with %v", open)
	}
	for v.dec.More() {
		if err := item(); err != nil {
			return err
		}
	}
	_, err = v.token()
	return err
}

// object calls member with each key; member reads the value. null has no members.
func (v *valueReader) object(member func(key string) error) error {
	open, err := v.token()
	if err != nil || open == nil {
		return err
	}
	if open != json.Delim('{') {
		return fmt.Errorf("a JSON object begins with %v", open)
	}
	for v.dec.More() {
		key, err := v.token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if err := member(name); err != nil {
			return err
		}
	}
	_, err = v.token()
	return err
}

// meteredReader reads up to the offset end.
type meteredReader struct {
	r      io.Reader
	n, end int64
}

// Read implements io.Reader.
func (m *meteredReader) Read(p []byte) (int, error) {
	if m.n >= m.end {
		return 0, errTooLarge
	}
	if int64(len(p)) > m.end-m.n {
		p = p[:m.end-m.n]
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	return n, err
}
