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
	"errors"
	"fmt"
	"net/http"
)

// apiError is an error that carries its HTTP status, as the engine's errors do.
type apiError struct {
	status  int
	message string
}

func (e *apiError) Error() string { return e.message }

func errorf(status int, format string, args ...any) error {
	return &apiError{status: status, message: fmt.Sprintf(format, args...)}
}

func notFound(kind, name string) error {
	return errorf(http.StatusNotFound, "No such %s: %s", kind, name)
}

// errNotModified answers 304 with no body: the object is in that state already.
var errNotModified = &apiError{status: http.StatusNotModified}

var errNotManager = &apiError{
	status:  http.StatusServiceUnavailable,
	message: `This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.`,
}

func statusOf(err error) int {
	var e *apiError
	if errors.As(err, &e) {
		return e.status
	}
	return http.StatusInternalServerError
}

// writeError answers with the engine's error JSON, or plain text where the
// request named an API version before 1.24, which is when errors became JSON.
func writeError(w http.ResponseWriter, version string, err error) {
	status := statusOf(err)
	if status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	if version != "" && compareVersions(version, "1.24") < 0 {
		http.Error(w, err.Error(), status)
		return
	}
	writeJSON(w, status, struct {
		Message string `json:"message"`
	}{err.Error()})
}

// writeJSON answers with v. An error here is the client's going away.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}
