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

package masking

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/mask"
	"github.com/dockercontrol/dockercontrol/test/canary"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is an engine with canaries.
type bed struct{ *canary.Bed }

func TestMasking(t *testing.T) {
	for name, modern := range map[string]bool{"debian": false, "modern": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bed{canary.Start(t, modern)}
			t.Run("no canary", func(t *testing.T) { b.testNoCanary(t) })
			t.Run("items of lists", func(t *testing.T) { b.testItems(t) })
			t.Run("what is not masked holds none", func(t *testing.T) { b.testNotMasked(t) })
			t.Run("docker CLI", func(t *testing.T) { b.testCLI(t) })
		})
	}
}

// testNoCanary asks for everything that is masked.
func (b *bed) testNoCanary(t *testing.T) {
	asked := []string{"GET /plugins", "GET /plugins/{name}/json"} // there are none without a registry
	for _, q := range b.Questions() {
		asked = append(asked, q.Operation)
		t.Run(q.Path, func(t *testing.T) { b.ask(t, q) })
	}
	for _, operation := range access.MaskedOperations() {
		if !slices.Contains(asked, operation) {
			t.Errorf("%s was not asked for", operation)
		}
	}
}

func (b *bed) ask(t *testing.T, q canary.Question) {
	answer := b.Stream(t, http.MethodGet, q.Path, nil)
	found := b.Found(answer)
	for _, place := range q.Holds {
		if !slices.Contains(found, place) {
			t.Errorf("the engine's answer does not hold the canary of %q: %s", place, answer)
		}
	}
	request := classify(t, q.Path)
	if request.Operation != q.Operation {
		t.Errorf("it is %s, want %s", request.Operation, q.Operation)
	}
	p, ok := mask.For(request.Operation)
	if !ok {
		t.Fatalf("there is no policy for %s", q.Path)
	}
	var masked bytes.Buffer
	if err := p.Copy(&masked, bytes.NewReader(answer)); err != nil {
		t.Fatal(err)
	}
	if left := b.Found(masked.Bytes()); len(left) > 0 {
		t.Errorf("the masked answer holds the canaries of %q: %s", left, masked.Bytes())
	}
	if err := q.Into(masked.Bytes()); err != nil && q.Into(answer) == nil {
		t.Errorf("the SDK can read the engine's answer, and not the masked one: %v: %s", err, masked.Bytes())
	}
}

func classify(t *testing.T, path string) access.Request {
	t.Helper()
	path, query, _ := strings.Cut(path, "?")
	request, err := access.Classify(http.MethodGet, path, query, access.Headers{})
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// testItems masks lists as a merged list does, item by item.
func (b *bed) testItems(t *testing.T) {
	paths := map[engine.Kind]string{
		engine.Containers: "/containers/json?all=1", engine.Images: "/images/json", engine.Volumes: "/volumes",
		engine.Networks: "/networks", engine.Services: "/services", engine.Tasks: "/tasks", engine.Nodes: "/nodes",
	}
	for _, kind := range slices.Concat(engine.LocalKinds, engine.SwarmKinds) {
		answer := b.Call(t, http.MethodGet, paths[kind], nil)
		var items []json.RawMessage
		if kind == engine.Volumes {
			var list struct{ Volumes []json.RawMessage }
			if err := json.Unmarshal(answer, &list); err != nil {
				t.Fatal(err)
			}
			items = list.Volumes
		} else if err := json.Unmarshal(answer, &items); err != nil {
			t.Fatal(err)
		}
		if len(items) == 0 || len(b.Found(answer)) == 0 {
			t.Errorf("the list of %s has %d items, and the canaries of %q", kind, len(items), b.Found(answer))
		}
		p, ok := mask.ForItem(kind)
		if !ok {
			t.Fatalf("there is no policy for %s", kind)
		}
		for _, item := range items {
			before, err := engine.ParseObject(kind, item)
			if err != nil {
				t.Fatal(err)
			}
			masked, err := p.Append(nil, item)
			if err != nil {
				t.Fatal(err)
			}
			if left := b.Found(masked); len(left) > 0 {
				t.Errorf("an item of %s holds the canaries of %q: %s", kind, left, masked)
			}
			after, err := engine.ParseObject(kind, masked)
			if err != nil || after.ID != before.ID || after.Name != before.Name || after.State != before.State || !after.Created.Equal(before.Created) {
				t.Errorf("an item of %s became %+v, %v; before %+v", kind, after, err, before)
			}
		}
	}
}

// testNotMasked: a Viewer gets these as they are.
func (b *bed) testNotMasked(t *testing.T) {
	for _, path := range []string{"/version", "/_ping", "/containers/web/stats?stream=0", "/containers/web/stats?stream=0&one-shot=1"} {
		if request := classify(t, path); request.Masked || !access.Grants(access.Viewer, request.Right) {
			t.Errorf("%s is masked or not a Viewer's", path)
		}
		if left := b.Found(b.Stream(t, http.MethodGet, path, nil)); len(left) > 0 {
			t.Errorf("%s holds the canaries of %q", path, left)
		}
	}
}
