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

package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// MaxExecCreateBody is how long the body of an exec's creation may be, in bytes: a command line and an environment
// have at most some 128 KiB a string on Linux.
const MaxExecCreateBody = 1 << 20

// ExecCreateNeedsAdmin looks into the body of POST /containers/{name}/exec and says whether it asks for
// the privileges of the host (the right PrivilegedExec). The engine takes names in any letter case and the last of
// several; here any "Privileged" that is neither false nor null counts. The error, a *RequestError, is for
// what the engine would not take either: no single JSON object, or too long a one.
func ExecCreateNeedsAdmin(body []byte) (bool, error) {
	if len(body) > MaxExecCreateBody {
		return false, refuse("body", "it is longer than %d bytes", MaxExecCreateBody)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	token, err := decoder.Token()
	if err != nil || token != json.Delim('{') {
		return false, refuse("body", "it is not a JSON object")
	}
	privileged := false
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return false, refuse("body", "it is not a JSON object")
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return false, refuse("body", "it is not a JSON object")
		}
		if name, _ := key.(string); strings.EqualFold(name, "Privileged") {
			text := string(value)
			privileged = privileged || text != "false" && text != "null"
		}
	}
	if _, err := decoder.Token(); err != nil {
		return false, refuse("body", "it is not a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return false, refuse("body", "something follows its JSON object")
	}
	return privileged, nil
}
