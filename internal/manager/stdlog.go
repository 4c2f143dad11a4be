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

package manager

import (
	"log"
	"strings"

	"github.com/go-logr/logr"
)

// maxStandardLine bounds a line of the standard logger: net/http prints there, up
// to 4 KiB of it, what a server sent that nobody asked for.
const maxStandardLine = 200

// RouteStandardLog sends what libraries print through package log to a logger, at
// its debug level, quoted and cut. It is for a main: the standard logger is the
// process's.
func RouteStandardLog(logger logr.Logger) {
	log.SetFlags(0)
	log.SetOutput(standardLog{logger.V(1)})
}

type standardLog struct{ logger logr.Logger }

func (s standardLog) Write(p []byte) (int, error) {
	line := strings.ToValidUTF8(strings.TrimSpace(string(p[:min(len(p), maxStandardLine)])), "?")
	s.logger.Info("From a library", "line", line)
	return len(p), nil
}
