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

package testbed

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// fatal is a test that records how it was failed.
type fatal struct {
	testing.TB
	message string
}

func (f *fatal) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *fatal) Skip(...any) { f.TB.Error("a missing program skips a test") }

// TestMissingProgram expects a failure, not a skip, that names the package.
func TestMissingProgram(t *testing.T) {
	f := &fatal{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		require(f, "no-such-program", "no-such-package")
	}()
	<-done
	for _, part := range []string{"no-such-program", "Debian's package no-such-package", "hack/install-deps.sh"} {
		if !strings.Contains(f.message, part) {
			t.Errorf("the failure %q lacks %q", f.message, part)
		}
	}
}
