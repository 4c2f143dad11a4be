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

package hostcache

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// panicLogs bounds how often stacks are logged: a host that breaks its client does
// so at each attempt.
var panicLogs = rate.NewLimiter(rate.Every(time.Minute), 10)

func panicked(log logr.Logger, r any) *engine.Error {
	if panicLogs.Allow() {
		log.Error(fmt.Errorf("panic: %v", r), "An answer of the engine broke its client", "stack", string(debug.Stack()))
	}
	return &engine.Error{
		Class: engine.ClassServer, Cause: engine.CauseEngineError,
		Message: "an answer of the engine could not be handled; the manager's log has the details",
		Err:     fmt.Errorf("panic: %v", r),
	}
}

// toError makes an *engine.Error of any error. Engines return nothing else; what
// the cache's own contexts end is the exception.
func toError(err error) *engine.Error {
	var e *engine.Error
	if errors.As(err, &e) {
		return e
	}
	class := engine.ClassOf(err)
	switch class {
	case engine.ClassTimeout:
		return &engine.Error{Class: class, Cause: engine.CauseTimeout, Message: "the engine did not answer in time", Err: err}
	case engine.ClassCanceled:
		return &engine.Error{Class: class, Message: "the call was canceled", Err: err}
	}
	return &engine.Error{Class: class, Cause: engine.CauseEngineError, Message: "the engine failed", Err: err}
}
