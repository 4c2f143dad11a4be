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
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// Masker hides what somebody without the right to inspect may not see.
type Masker interface {
	// AppendMasked appends one item of an engine's list of kind to dst, masked. It judges a
	// value by where in the item it stands and by nothing else, so that a part of an item is
	// masked as in the whole.
	AppendMasked(dst []byte, kind engine.Kind, item []byte) ([]byte, error)
}

// Masked is a selector that looks at labels as they are masked: what is hidden must not be
// found out by selecting. It is for one goroutine.
type Masked struct {
	Selector Selector
	Masker   Masker
	Kind     engine.Kind

	item, masked []byte
	// seen are the labels last masked, seenOf what they were masked from.
	seen   map[string]string
	seenOf []byte
}

// Matches compares the selector with the labels of an object.
func (m *Masked) Matches(labels map[string]string) (bool, error) {
	if len(m.Selector) == 0 {
		return true, nil
	}
	seen, err := m.labels(labels)
	return err == nil && m.Selector.Matches(seen), err
}

// labels returns those that the selector asks for, masked. They are masked in an item that
// holds nothing else: to mask and to decode whole items took 50 us each.
func (m *Masked) labels(labels map[string]string) (map[string]string, error) {
	before, after := `{"Labels":{`, `}}`
	if m.Kind == engine.Services || m.Kind == engine.Nodes {
		before, after = `{"Spec":{"Labels":{`, `}}}`
	}
	item := append(m.item[:0], before...)
	empty := len(item)
	for _, key := range m.Selector.Keys() {
		value, has := labels[key]
		if !has {
			continue
		}
		if len(item) > empty {
			item = append(item, ',')
		}
		item = appendString(append(appendString(item, key), ':'), value)
	}
	m.item = item
	if len(item) == empty {
		return nil, nil
	}
	item = append(item, after...)
	m.item = item
	if bytes.Equal(item, m.seenOf) { // one project's containers have the same
		return m.seen, nil
	}
	var err error
	if m.masked, err = m.Masker.AppendMasked(m.masked[:0], m.Kind, item); err != nil {
		return nil, err
	}
	var seen struct {
		Labels map[string]string
		Spec   struct{ Labels map[string]string }
	}
	if err := json.Unmarshal(m.masked, &seen); err != nil {
		return nil, err
	}
	if seen.Labels == nil {
		seen.Labels = seen.Spec.Labels
	}
	m.seenOf, m.seen = append(m.seenOf[:0], item...), seen.Labels
	return seen.Labels, nil
}

// appendString appends s as JSON, quickly where it holds nothing unusual.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			text, err := json.Marshal(s)
			if err != nil { // strings always encode
				text = []byte(`""`)
			}
			return append(dst, text...)
		}
	}
	return strconv.AppendQuote(dst, s)
}
