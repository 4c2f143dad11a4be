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

package mask

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdkcontainer "github.com/moby/moby/api/types/container"
	sdkevents "github.com/moby/moby/api/types/events"
	sdkimage "github.com/moby/moby/api/types/image"
	sdknetwork "github.com/moby/moby/api/types/network"
	sdkplugin "github.com/moby/moby/api/types/plugin"
	sdkswarm "github.com/moby/moby/api/types/swarm"
	sdksystem "github.com/moby/moby/api/types/system"
	sdkvolume "github.com/moby/moby/api/types/volume"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
)

var update = flag.Bool("update", false, "write testdata/seen.txt anew")

// answers are the SDK's types of the answers, which are those that its newest engine sends.
var answers = map[string]reflect.Type{
	"GET /containers/json":        reflect.TypeFor[[]sdkcontainer.Summary](),
	"GET /containers/{name}/json": reflect.TypeFor[sdkcontainer.InspectResponse](),
	"GET /images/json":            reflect.TypeFor[[]sdkimage.Summary](),
	"GET /images/{name}/json":     reflect.TypeFor[sdkimage.InspectResponse](),
	"GET /images/{name}/history":  reflect.TypeFor[[]sdkimage.HistoryResponseItem](),
	"GET /volumes":                reflect.TypeFor[sdkvolume.ListResponse](),
	"GET /volumes/{name}":         reflect.TypeFor[sdkvolume.Volume](),
	"GET /networks":               reflect.TypeFor[[]sdknetwork.Summary](),
	"GET /networks/":              reflect.TypeFor[[]sdknetwork.Summary](),
	"GET /networks/{id}":          reflect.TypeFor[sdknetwork.Inspect](),
	"GET /events":                 reflect.TypeFor[sdkevents.Message](),
	"GET /info":                   reflect.TypeFor[sdksystem.Info](),
	"GET /system/df":              reflect.TypeFor[sdksystem.DiskUsage](),
	"GET /swarm":                  reflect.TypeFor[sdkswarm.Swarm](),
	"GET /services":               reflect.TypeFor[[]sdkswarm.Service](),
	"GET /services/{id}":          reflect.TypeFor[sdkswarm.Service](),
	"GET /tasks":                  reflect.TypeFor[[]sdkswarm.Task](),
	"GET /tasks/{id}":             reflect.TypeFor[sdkswarm.Task](),
	"GET /nodes":                  reflect.TypeFor[[]sdkswarm.Node](),
	"GET /nodes/{id}":             reflect.TypeFor[sdkswarm.Node](),
	"GET /secrets":                reflect.TypeFor[[]sdkswarm.Secret](),
	"GET /secrets/{id}":           reflect.TypeFor[sdkswarm.Secret](),
	"GET /configs":                reflect.TypeFor[[]sdkswarm.Config](),
	"GET /configs/{id}":           reflect.TypeFor[sdkswarm.Config](),
	"GET /plugins":                reflect.TypeFor[[]sdkplugin.Plugin](),
	"GET /plugins/{name}/json":    reflect.TypeFor[sdkplugin.Plugin](),
}

// TestEveryMaskedOperationHasAPolicy walks the table of internal/access, and back.
func TestEveryMaskedOperationHasAPolicy(t *testing.T) {
	want := access.MaskedOperations()
	slices.Sort(want)
	if diff := cmp.Diff(want, Operations()); diff != "" {
		t.Errorf("masked operations and policies differ (-masked +policies):\n%s", diff)
	}
	for _, operation := range want {
		if _, ok := answers[operation]; !ok {
			t.Errorf("%s is in no test: answers lacks its type", operation)
		}
	}
}

func TestEveryKindHasAPolicy(t *testing.T) {
	for _, kind := range slices.Concat(engine.LocalKinds, engine.SwarmKinds) {
		if p, ok := ForItem(kind); !ok || p == nil {
			t.Errorf("there is no policy for an item of %s", kind)
		}
	}
	if _, ok := ForItem("secrets"); ok {
		t.Error("there is a policy for what an engine does not list")
	}
	if _, ok := For("GET /version"); ok {
		t.Error("there is a policy for what is not masked")
	}
}

// TestSeen fills every field that the SDK knows of every answer, masks the answer, and compares what is left with
// testdata/seen.txt, field by field. A field of a newer SDK is masked, and not in that file.
func TestSeen(t *testing.T) {
	left := map[string][]string{}
	for operation := range answers {
		left[operation] = maskFilled(t, operation)
	}
	var got bytes.Buffer
	for _, operation := range Operations() {
		fmt.Fprintf(&got, "%s\n", operation)
		if one := each(left, operation); one != "" {
			fmt.Fprintf(&got, "    * as %s\n", one)
			continue
		}
		for _, line := range left[operation] {
			fmt.Fprintf(&got, "    %s\n", line)
		}
	}
	if *update {
		if err := os.WriteFile("testdata/seen.txt", got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/seen.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("what is seen has changed; read it, then run with -update (-want +got):\n%s", diff)
	}
}

// maskFilled returns what is left of a filled answer.
func maskFilled(t *testing.T, operation string) []string {
	t.Helper()
	v := reflect.New(answers[operation]).Elem()
	fill(t, v, "")
	answer, err := json.Marshal(v.Interface())
	if err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	p, _ := For(operation)
	masked, err := p.Append(nil, answer)
	if err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	if err := json.Unmarshal(masked, reflect.New(answers[operation]).Interface()); err != nil {
		t.Errorf("%s: a client cannot read the masked answer: %v", operation, err)
	}
	var left any
	if err := json.Unmarshal(masked, &left); err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	return seen(nil, "", left)
}

// each returns the operation whose answer is as an element of the given one's, "" for none.
func each(left map[string][]string, operation string) string {
	for _, one := range Operations() {
		elements := make([]string, 0, len(left[one]))
		for _, line := range left[one] {
			elements = append(elements, "*."+line)
		}
		if slices.Equal(elements, left[operation]) {
			return one
		}
	}
	return ""
}

// seen lists the paths of what is left of an answer.
func seen(lines []string, path string, v any) []string {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			lines = seen(lines, strings.TrimPrefix(path+"."+key, "."), v[key])
		}
	case []any:
		for _, element := range v {
			lines = seen(lines, strings.TrimPrefix(path+".*", "."), element)
		}
	case string:
		if v != "" {
			if before, _, marked := strings.Cut(v, Mark); marked {
				path += " = " + before + Mark
			}
			lines = append(lines, path)
		}
	default:
		if v != false && v != 0.0 && v != nil {
			lines = append(lines, path)
		}
	}
	return lines
}

// TestNothingIsSeenByDefault: with an empty list, no text is left of any answer, as it is or in base64.
func TestNothingIsSeenByDefault(t *testing.T) {
	p := compile(fields{"*": fields{}})
	for operation, typ := range answers {
		v := reflect.New(typ).Elem()
		fill(t, v, "")
		answer, err := json.Marshal(v.Interface())
		if err != nil {
			t.Fatal(err)
		}
		masked, err := p.Append(nil, answer)
		if err != nil {
			t.Fatal(err)
		}
		var left any
		if err := json.Unmarshal(masked, &left); err != nil {
			t.Fatal(err)
		}
		if lines := seen(nil, "", left); len(lines) > 0 {
			t.Errorf("%s: an empty list lets through %q", operation, lines)
		}
	}
}
