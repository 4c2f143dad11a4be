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
	"io"
	"mime"
	"net/http"
)

// bodyLimit bounds the JSON bodies the engine takes.
const bodyLimit = 4 << 20

// decode reads a call's JSON body into v. Its errors are the engine's: a wrong
// content type is the caller's fault, bad JSON was a 500 before API 1.42.
func decode(r *request, v any) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return errorf(http.StatusBadRequest, "Content-Type specified (%s) must be 'application/json'", r.Header.Get("Content-Type"))
	}
	status := http.StatusInternalServerError
	if !r.before("1.42") {
		status = http.StatusBadRequest
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, bodyLimit)).Decode(v); err != nil {
		return errorf(status, "%v", err)
	}
	return nil
}
