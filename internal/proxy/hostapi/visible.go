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
	e.selecting.Selector, e.selecting.Masker, e.selecting.Kind = e.labels, e.masker, e.kind.kind
	if matches, err := e.selecting.Matches(o.Labels); err != nil || !matches {
		return nil, false, err
	}
	if e.masked, err = e.masker.AppendMasked(e.masked[:0], e.kind.kind, o.Raw); err != nil {
		return nil, false, err
	}
	return e.masked, true, nil
}
