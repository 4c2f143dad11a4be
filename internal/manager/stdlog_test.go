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
	"os"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
)

func TestRouteStandardLog(t *testing.T) {
	var got []string
	logger := funcr.New(func(_, args string) { got = append(got, args) }, funcr.Options{Verbosity: 1})
	RouteStandardLog(logger)
	t.Cleanup(func() { log.SetOutput(os.Stderr); log.SetFlags(log.LstdFlags) })
	log.Print("Unsolicited response: \x1b[2J" + strings.Repeat("junk ", 2000))
	if len(got) != 1 || !strings.Contains(got[0], "Unsolicited response") || len(got[0]) > 400 || strings.Contains(got[0], "\x1b") {
		t.Errorf("logged %q", got)
	}
}
