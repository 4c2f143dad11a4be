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

package moby

import (
	"errors"
	"io"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// TestRegistryErrors: what a registry said stands in an engine's words.
func TestRegistryErrors(t *testing.T) {
	tests := []struct {
		class   engine.Class
		message string
		want    engine.Class
		cause   engine.Cause
	}{
		{engine.ClassServer, "the engine says: unauthorized: authentication required", engine.ClassAuth, engine.CauseRegistryDenied},
		{engine.ClassNotFound, "the engine says: pull access denied for x, repository does not exist or may require 'docker login'", engine.ClassAuth, engine.CauseRegistryDenied},
		{engine.ClassServer, "the engine says: no basic auth credentials", engine.ClassAuth, engine.CauseRegistryDenied},
		{engine.ClassServer, "the engine says: manifest unknown: manifest unknown", engine.ClassNotFound, ""},
		{engine.ClassNotFound, "the engine says: manifest for x:1 not found: manifest unknown", engine.ClassNotFound, ""},
		{engine.ClassServer, "the engine says: dial tcp: connection refused", engine.ClassServer, engine.CauseEngineError},
		{engine.ClassUnreachable, "connection denied", engine.ClassUnreachable, engine.CauseEngineError},
	}
	for _, tt := range tests {
		err := registryError(fail(tt.class, engine.CauseEngineError, nil, "%s", tt.message))
		cause := engine.CauseOf(err)
		if tt.want == engine.ClassNotFound && tt.class == tt.want {
			cause = "" // it was so before
		}
		if engine.ClassOf(err) != tt.want || cause != tt.cause || err.Error() != tt.message {
			t.Errorf("%q of class %s is %s, %s", tt.message, tt.class, engine.ClassOf(err), engine.CauseOf(err))
		}
	}
	if err := registryError(io.EOF); !errors.Is(err, io.EOF) {
		t.Errorf("the end of a pull is %v", err)
	}
}
