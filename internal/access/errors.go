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

import "fmt"

// RequestError refuses a request that has no single reading, or none that the engine would serve. It is the
// client's mistake: HTTP 400.
type RequestError struct {
	// Part of the request that is at fault: "method", "path", "query", "header" or "body".
	Part string
	// Message says what is wrong and what to send instead. It holds no value of a query or a body.
	Message string
}

// Error implements error.
func (e *RequestError) Error() string {
	return fmt.Sprintf("invalid %s: %s", e.Part, e.Message)
}

func refuse(part, format string, args ...any) error {
	return &RequestError{Part: part, Message: fmt.Sprintf(format, args...)}
}
