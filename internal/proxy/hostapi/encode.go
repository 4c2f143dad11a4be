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

package hostapi

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/hostapi/selector"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// apiVersion is that of every object.
const apiVersion = "engine.dockercontrol.dev/" + route.Version

// origin is what the items of one source have in common.
type origin struct {
	source
	servedBy string // of a swarm's items: the manager that listed them
}

// encoder turns objects into items. Its buffers are used again for each.
type encoder struct {
	kind   kindInfo
	masker Masker
	labels selector.Selector
	// columns are set where a Table is asked for.
	columns []column

	masked    []byte
	selecting selector.Masked // labels, for who sees masked ones
}

// displayName is an object's name; its id where it has none.
func displayName(o *engine.Object) string {
	if o.Name != "" {
		return o.Name
	}
	return o.ID
}

// appendItem appends an item of a list. docker goes in as it is.
func (e *encoder) appendItem(dst []byte, from origin, at string, o *engine.Object, docker []byte) []byte {
	dst = append(dst, `{"kind":"`...)
	dst = append(dst, e.kind.name...)
	dst = append(dst, '"')
	return appendRest(dst, from, at, o, docker)
}

// appendObject appends an item that stands alone: it says its apiVersion too.
func (e *encoder) appendObject(dst []byte, from origin, at string, o *engine.Object, docker []byte) []byte {
	dst = append(dst, `{"kind":"`...)
	dst = append(dst, e.kind.name...)
	dst = append(dst, `","apiVersion":"`+apiVersion+`"`...)
	return appendRest(dst, from, at, o, docker)
}

func appendMetadata(dst []byte, from origin, o *engine.Object) []byte {
	dst = append(dst, `,"metadata":{"name":`...)
	dst = appendString(dst, displayName(o))
	dst = append(dst, `,"namespace":`...)
	dst = appendString(dst, from.key.Namespace)
	dst = append(dst, `,"uid":`...)
	dst = appendString(dst, o.ID)
	if !o.Created.IsZero() {
		dst = append(dst, `,"creationTimestamp":"`...)
		dst = o.Created.UTC().AppendFormat(dst, time.RFC3339)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

func appendRest(dst []byte, from origin, at string, o *engine.Object, docker []byte) []byte {
	dst = appendMetadata(dst, from, o)
	dst = append(dst, `,"host":`...)
	dst = appendString(dst, from.host.Name)
	if from.servedBy != "" {
		dst = append(dst, `,"servedBy":`...)
		dst = appendString(dst, from.servedBy)
	}
	if at != "" {
		dst = append(dst, `,"observedAt":"`...)
		dst = append(dst, at...)
		dst = append(dst, '"')
	}
	if docker != nil {
		dst = append(dst, `,"docker":`...)
		dst = append(dst, docker...)
	}
	return append(dst, '}')
}

// appendString appends a JSON string. Names are plain ASCII as a rule.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, err := json.Marshal(s)
			if err != nil { // strings always encode
				text = []byte(`""`)
			}
			return append(dst, text...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// oneLine returns raw without line breaks: watches are a line an event.
func oneLine(raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return raw
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil { // the engine's list was read as JSON
		return []byte("null")
	}
	return compact.Bytes()
}
