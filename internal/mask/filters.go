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
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrFilters says that filters cannot be read, so that it is not known what they compare with.
var ErrFilters = errors.New(`filters is not what the Docker Engine API has: a JSON object of lists, as {"label":["a"]}`)

// HiddenFilterError says that a filter compares with what is masked: with one guess after the other it would tell.
type HiddenFilterError struct {
	// Filter is its name.
	Filter string
	// Key is that of a label, "" for other filters.
	Key string
}

// Error implements error. A value that was guessed is not in it.
func (e *HiddenFilterError) Error() string {
	if e.Key != "" {
		return fmt.Sprintf("the filter %.80q asks for a value of %.200q, which only who may inspect sees: filter by the key alone", e.Filter, e.Key)
	}
	return fmt.Sprintf("the filter %.80q compares with what only who may inspect sees: leave it out", e.Filter)
}

// CheckFilters judges the parameter "filters" of an engine's lists and events for a caller whose answer is masked. The
// engine compares with the real values, so only filters on what is seen may reach it: those named here, labels by
// their key, and by their value where everybody sees that. The error is ErrFilters or a *HiddenFilterError.
func CheckFilters(filters string) error {
	if filters == "" { // which is none
		return nil
	}
	// Token by token: of several members of one name an engine may take any.
	d := json.NewDecoder(strings.NewReader(filters))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return ErrFilters
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return ErrFilters
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return ErrFilters
		}
		values, err := filterValues(raw)
		if err != nil {
			return err
		}
		for _, value := range values {
			if err := checkFilter(name.(string), value); err != nil {
				return err
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return ErrFilters
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return ErrFilters
	}
	return nil
}

// filterValues reads both forms, ["a"] and {"a":true}, which is what clients of before API 1.22 send and newer ones
// still do.
func filterValues(raw json.RawMessage) (values []string, err error) {
	if json.Unmarshal(raw, &values) == nil {
		return values, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, ErrFilters
	}
	for d.More() {
		value, err := d.Token()
		if err != nil {
			return nil, ErrFilters
		}
		var on bool
		if err := d.Decode(&on); err != nil {
			return nil, ErrFilters
		}
		values = append(values, value.(string)) // a member's name
	}
	return values, nil
}

// seenFilters compare with names, ids, states, times, ports and numbers, which everybody sees. Not among them: a
// container's annotation and, of Podman, its command; "label!" is of prunes.
var seenFilters = map[string]bool{
	"ancestor": true, "before": true, "capability": true, "config": true, "container": true, "daemon": true, "dangling": true,
	"desired-state": true, "driver": true, "enabled": true, "exited": true, "expose": true, "health": true, "id": true, "image": true,
	"is-task": true, "isolation": true, "membership": true, "mode": true, "name": true, "names": true, "network": true, "node": true,
	"plugin": true, "publish": true, "reference": true, "role": true, "runtime": true, "scope": true, "secret": true, "service": true,
	"since": true, "status": true, "type": true, "until": true, "_up-to-date": true,
}

func checkFilter(name, value string) error {
	switch name {
	case "label", "label!", "node.label":
		if key, _, valued := strings.Cut(value, "="); valued && labels[key] == nil {
			return &HiddenFilterError{Filter: name, Key: key}
		}
		return nil
	case "event":
		// "exec_create: sh -c ..." names a command, of which the engine compares the beginning.
		if plainAction.MatchString(`"` + value + `"`) {
			return nil
		}
	case "volume":
		// A path may be one of the host's.
		if !strings.ContainsAny(value, `/\`) {
			return nil
		}
	default:
		if seenFilters[name] {
			return nil
		}
	}
	return &HiddenFilterError{Filter: name}
}
