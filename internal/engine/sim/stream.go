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
	"net/http"
	"strings"
)

// stream writes an answer piece by piece, each flushed at once.
type stream struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// newStream sends the headers.
func newStream(w http.ResponseWriter, contentType string) *stream {
	if contentType != "" {
		w.Header().Set("Content-Type", contentType)
	}
	s := &stream{w: w, c: http.NewResponseController(w)}
	w.WriteHeader(http.StatusOK)
	_ = s.c.Flush()
	return s
}

func (s *stream) write(p []byte) error {
	if _, err := s.w.Write(p); err != nil {
		return err
	}
	return s.c.Flush()
}

func cut(s, sep string) (before, after string, found bool) { return strings.Cut(s, sep) }
