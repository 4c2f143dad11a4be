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

package streamapi

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/hostcache"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// eventsOperation is what internal/access and internal/mask call the engine's events.
const eventsOperation = "GET /events"

// appendWord spells a line about a host.
func appendWord(dst []byte, kind string, host hostcache.Key) []byte {
	dst = append(append(append(dst, `{"type":"`...), kind...), `",`...)
	dst = appendHost(dst, host)
	return append(dst[:len(dst)-1], "}\n"...)
}

// render spells the items of a frame.
func (f *eventFeed) render(dst []byte) []byte {
	masked := f.mask()
	for i := range f.items {
		item := &f.items[i]
		docker := item.Event.Raw
		if raw, is := masked[i]; is {
			docker = raw
		}
		dst = appendEvent(dst, item, docker)
	}
	return dst
}

// appendEvent spells an item. docker is the event as the caller may see it; nil where that
// cannot be told, for then the event is missing.
func appendEvent(dst []byte, item *stream.EventItem, docker []byte) []byte {
	gap, lost := item.Gap, item.Dropped
	if !item.Start && !gap && !item.Gone && docker == nil {
		gap, lost = true, 1
	}
	dst = append(dst, '{')
	switch {
	case gap:
		dst = append(dst, `"type":"gap",`...)
	case item.Start:
		dst = append(dst, `"type":"start",`...)
	case item.Gone:
		dst = append(dst, `"type":"gone",`...)
	}
	dst = appendHost(dst, item.Host)
	isEvent := !gap && !item.Start && !item.Gone
	if isEvent {
		dst = item.Event.At().UTC().AppendFormat(append(dst, `"time":"`...), time.RFC3339Nano)
		dst = append(dst, `",`...)
	}
	if item.Cursor != (stream.EventCursor{}) && !item.Gone {
		text, _ := item.Cursor.MarshalText() // it always marshals
		dst = append(appendString(append(dst, `"cursor":`...), string(text)), ',')
	}
	switch {
	case isEvent:
		dst = append(append(append(dst, `"docker":`...), oneLine(docker)...), ',')
	case gap:
		dst = append(strconv.AppendUint(append(dst, `"lost":`...), lost, 10), ',')
	}
	dst[len(dst)-1] = '}'
	return append(dst, '\n')
}

// mask returns, by their index, the events of a frame that the caller sees masked only; nil
// for one that cannot be masked. They are masked together: to mask takes buffers of 100 KiB,
// whatever the size.
func (f *eventFeed) mask() map[int][]byte {
	var indexes []int
	var together []byte
	for i := range f.items {
		if item := &f.items[i]; item.Event.Raw != nil && f.watched[item.Host].masked {
			indexes = append(indexes, i)
			together = append(append(together, item.Event.Raw...), '\n')
		}
	}
	if len(indexes) == 0 {
		return nil
	}
	masked := make(map[int][]byte, len(indexes))
	if all, err := f.maskOf(together, len(indexes)); err == nil {
		for n, i := range indexes {
			masked[i] = all[n]
		}
		return masked
	}
	for _, i := range indexes { // one of them is none
		masked[i] = nil
		if one, err := f.maskOf(f.items[i].Event.Raw, 1); err == nil {
			masked[i] = one[0]
		}
	}
	return masked
}

// maskOf masks a sequence of n events.
func (f *eventFeed) maskOf(events []byte, n int) ([][]byte, error) {
	text, err := f.c.h.options.Masker.Mask(eventsOperation, events)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	masked := make([][]byte, n)
	for i := range masked {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		masked[i] = raw
	}
	return masked, nil
}

// oneLine returns JSON without line breaks.
func oneLine(raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return raw
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil { // the engine's event was read as JSON
		return []byte("null")
	}
	return compact.Bytes()
}
