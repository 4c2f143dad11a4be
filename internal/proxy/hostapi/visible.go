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

package hostapi

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

var errNoMasker = errors.New("there is nothing to mask with")

// visible returns what the caller may see of an object, until the next call, and whether
// the selector matches that: what is masked must not be found out by selecting. An object
// that does not match is not masked first.
func (e *encoder) visible(from origin, o *engine.Object) (docker []byte, matches bool, err error) {
	if !from.masked {
		return o.Raw, e.labels.Matches(o.Labels), nil
	}
	if e.masker == nil {
		return nil, false, errNoMasker
	}
	if len(e.labels) > 0 {
		seen, err := e.seenLabels(o)
		if err != nil || !e.labels.Matches(seen) {
			return nil, false, err
		}
	}
	if e.masked, err = e.masker.AppendMasked(e.masked[:0], e.kind.kind, o.Raw); err != nil {
		return nil, false, err
	}
	return e.masked, true, nil
}

// seenLabels returns those labels that the selector asks for, masked. They are masked in an
// item that holds nothing else: to mask and to decode whole items took 50 us each.
func (e *encoder) seenLabels(o *engine.Object) (map[string]string, error) {
	before, after := `{"Labels":{`, `}}`
	if e.kind.kind == engine.Services || e.kind.kind == engine.Nodes {
		before, after = `{"Spec":{"Labels":{`, `}}}`
	}
	item := append(e.part[:0], before...)
	empty := len(item)
	for _, key := range e.labels.Keys() {
		value, has := o.Labels[key]
		if !has {
			continue
		}
		if len(item) > empty {
			item = append(item, ',')
		}
		item = append(appendString(item, key), ':')
		item = appendString(item, value)
	}
	e.part = item
	if len(item) == empty {
		return nil, nil
	}
	item = append(item, after...)
	e.part = item
	if bytes.Equal(item, e.seenOf) { // one project's containers have the same
		return e.seen, nil
	}
	var err error
	if e.masked, err = e.masker.AppendMasked(e.masked[:0], e.kind.kind, item); err != nil {
		return nil, err
	}
	var seen struct {
		Labels map[string]string
		Spec   struct{ Labels map[string]string }
	}
	if err := json.Unmarshal(e.masked, &seen); err != nil {
		return nil, err
	}
	if seen.Labels == nil {
		seen.Labels = seen.Spec.Labels
	}
	e.seenOf, e.seen = append(e.seenOf[:0], item...), seen.Labels
	return seen.Labels, nil
}
