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
	"encoding/json"
	"mime"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// wantsTable says whether kubectl asks for a Table, to print it, before it takes JSON.
func wantsTable(accept string) bool {
	for clause := range strings.SplitSeq(accept, ",") {
		mediaType, params, err := mime.ParseMediaType(clause)
		if err != nil || mediaType != "application/json" && mediaType != "*/*" {
			continue
		}
		switch {
		case params["as"] == "":
			return false
		case params["as"] == "Table" && params["g"] == metav1.GroupName && params["v"] == "v1":
			return true
		}
	}
	return false
}

// column is one column of a Table.
type column struct {
	metav1.TableColumnDefinition
	// cell takes what the caller may see of an object; host is where it is.
	cell func(o *engine.Object, host string, docker []byte) string
}

// columns of a kind, those of "kubectl get" in this order.
func columns(kind engine.Kind) []column {
	text := func(name, description string, cell func(*engine.Object, string, []byte) string) column {
		return column{metav1.TableColumnDefinition{Name: name, Type: "string", Description: description}, cell}
	}
	all := []column{text("Name", "The object's name, or its id.", func(o *engine.Object, _ string, _ []byte) string { return displayName(o) })}
	all[0].Format = "name"
	all = append(all, text("Host", "The DockerHost it is on, or through which its swarm is read.", func(_ *engine.Object, host string, _ []byte) string { return host }))
	switch kind {
	case engine.Containers, engine.Tasks, engine.Nodes:
		all = append(all, text("State", "Its state, as the engine spells it.", func(o *engine.Object, _ string, _ []byte) string { return o.State }))
	case engine.Images, engine.Volumes, engine.Networks, engine.Services:
	}
	if kind == engine.Containers {
		all = append(all, text("Image", "The image it was made from.", func(_ *engine.Object, _ string, docker []byte) string {
			var seen struct{ Image string }
			if json.Unmarshal(docker, &seen) != nil {
				return ""
			}
			return seen.Image
		}))
	}
	return append(all, text("Age", "How long ago it was made, where the engine says.", func(o *engine.Object, _ string, _ []byte) string {
		if o.Created.IsZero() {
			return "<unknown>"
		}
		return duration.HumanDuration(time.Since(o.Created))
	}))
}

// appendRow appends a row of a Table.
func (e *encoder) appendRow(dst []byte, from origin, o *engine.Object, docker []byte) []byte {
	dst = append(dst, `{"cells":[`...)
	for i, c := range e.columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, c.cell(o, from.host.Name, docker))
	}
	dst = append(dst, `],"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1"`...)
	dst = appendMetadata(dst, from, o)
	return append(dst, "}}"...)
}

// tableHead is what comes before a Table's rows.
func (e *encoder) tableHead() (string, error) {
	definitions := make([]metav1.TableColumnDefinition, len(e.columns))
	for i, c := range e.columns {
		definitions[i] = c.TableColumnDefinition
	}
	text, err := json.Marshal(definitions)
	return `{"kind":"Table","apiVersion":"meta.k8s.io/v1","columnDefinitions":` + string(text) + `,"rows":[`, err
}
