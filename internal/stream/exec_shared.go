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

package stream

// Stream is the stream of a container that wrote something. A terminal has only Stdout.
type Stream uint8

// The streams, as the engine numbers them.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// String is "stdout" or "stderr".
func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// LimitError says that there are too many viewers.
type LimitError struct{ message string }

// Error implements error.
func (e *LimitError) Error() string { return e.message }
