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
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// filters are a call's conditions: for each key, any of the values will do.
type filters map[string][]string

// parseFilters reads the query value of that name in either form that clients
// send, {"key": ["value"]} or {"key": {"value": true}}.
func parseFilters(r *request) (filters, error) {
	text := r.query.Get("filters")
	if text == "" {
		return nil, nil
	}
	maps := map[string]map[string]bool{}
	err := json.Unmarshal([]byte(text), &maps)
	if err == nil {
		f := filters{}
		for key, values := range maps {
			for v, set := range values {
				if set {
					f[key] = append(f[key], v)
				}
			}
			slices.Sort(f[key])
		}
		return f, nil
	}
	lists := filters{}
	if json.Unmarshal([]byte(text), &lists) != nil {
		return nil, err
	}
	return lists, nil
}

// allow refuses a key that the call does not know.
func (f filters) allow(keys ...string) error {
	for k := range f {
		if !slices.Contains(keys, k) {
			return errorf(http.StatusBadRequest, "Invalid filter '%s'", k)
		}
	}
	return nil
}

func (f filters) has(key string) bool { return len(f[key]) > 0 }

// exact reports whether one of the key's values is s, or there is none.
func (f filters) exact(key, s string) bool {
	return !f.has(key) || slices.Contains(f[key], s)
}

// prefix reports whether s begins with one of the key's values, or there is none.
func (f filters) prefix(key, s string) bool {
	return !f.has(key) || slices.ContainsFunc(f[key], func(v string) bool { return strings.HasPrefix(s, v) })
}

// match reports whether one of the key's values, taken as a regular expression
// or a prefix, is found in s, or there is none.
func (f filters) match(key, s string) bool {
	return !f.has(key) || slices.ContainsFunc(f[key], func(v string) bool {
		re, err := regexp.Compile(v)
		return err == nil && re.MatchString(s) || err != nil && strings.HasPrefix(s, v)
	})
}

// labels reports whether every value of the key, "name" or "name=value", holds.
func (f filters) labels(key string, labels map[string]string) bool {
	for _, want := range f[key] {
		name, value, valued := strings.Cut(want, "=")
		have, ok := labels[name]
		if !ok || valued && have != value {
			return false
		}
	}
	return true
}

// contains reports whether s has one of the key's values in it, or there is none.
func (f filters) contains(key, s string) bool {
	return !f.has(key) || slices.ContainsFunc(f[key], func(v string) bool { return strings.Contains(s, v) })
}
