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

package engine

import (
	"encoding/json"
	"time"

	"github.com/moby/moby/api/types/events"
)

// Event is one line of an engine's event stream.
type Event struct {
	events.Message
	// Raw is the event as the engine sent it.
	Raw json.RawMessage
}

// ParseEvent decodes one event. raw is kept, not copied.
func ParseEvent(raw json.RawMessage) (Event, error) {
	e := Event{Raw: raw}
	err := json.Unmarshal(raw, &e.Message)
	return e, err
}

// At is the engine's time of the event; whole seconds where it says no more.
func (e Event) At() time.Time {
	if e.TimeNano != 0 {
		return time.Unix(0, e.TimeNano).UTC()
	}
	return time.Unix(e.Time, 0).UTC()
}
