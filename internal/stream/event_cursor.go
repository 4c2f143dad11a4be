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

import (
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// EventCursor is a place in one host's events: after the one of this time, of which
// N came before with the same time.
type EventCursor struct {
	UID      types.UID
	TimeNano int64
	N        int
}

// maxCursor bounds the text of a cursor: a UID is 36 bytes, and two numbers.
const maxCursor = 128

// MarshalText writes a cursor as uid:time:n. It is text, as a JavaScript number does
// not hold the time.
func (c EventCursor) MarshalText() ([]byte, error) {
	return []byte(string(c.UID) + ":" + strconv.FormatInt(c.TimeNano, 10) + ":" + strconv.Itoa(c.N)), nil
}

// UnmarshalText reads what MarshalText writes.
func (c *EventCursor) UnmarshalText(text []byte) error {
	bad := func() error {
		return engine.Errorf(engine.ClassInvalid, "", "the cursor of events is not one that was given out: begin without a cursor")
	}
	if len(text) > maxCursor {
		return bad()
	}
	parts := strings.Split(string(text), ":")
	if len(parts) != 3 {
		return bad()
	}
	nano, err := strconv.ParseInt(parts[1], 10, 64)
	n, err2 := strconv.Atoi(parts[2])
	if err != nil || err2 != nil || nano < 0 || n < 0 {
		return bad()
	}
	*c = EventCursor{UID: types.UID(parts[0]), TimeNano: nano, N: n}
	return nil
}
