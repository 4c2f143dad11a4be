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
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

// manyBlocks is a fleet of more blocks than are made ready at once: hosts of none, of a
// few and of many containers. It returns the ids in the order of the list.
func manyBlocks(b *bed) (ids []string) {
	b.Helper()
	padding := strings.Repeat("x", chunk/10)
	for host := range 3 + 2*maxAhead {
		at := key("fleet", fmt.Sprintf("h%02d", host))
		var objects []engine.Object
		for i := range []int{0, 3, 35}[host%3] {
			id := fmt.Sprintf("h%02dc%02d", host, i)
			objects = append(objects, container(id, id, "padding", padding, "even", fmt.Sprint(i%2 == 0)))
			ids = append(ids, at.String()+" "+id)
		}
		b.host(at, objects...)
		b.grants.grant("admin", at, all...)
		b.grants.grant("viewer", at, viewing...)
	}
	return ids
}

// TestBlocks: whatever the blocks and the pages, a list has every item once, in order.
func TestBlocks(t *testing.T) {
	b := newBed(t)
	want := manyBlocks(b)
	for _, who := range []string{"admin", "viewer"} {
		if got := b.list(who, "/containers").ids(); !slices.Equal(got, want) {
			t.Errorf("%s got %d items, want %d: %q", who, len(got), len(want), got)
		}
		for _, limit := range []int{1000, 35, 11} {
			var got []string
			for next, more := "", true; more; more = next != "" {
				l := b.list(who, fmt.Sprintf("/containers?limit=%d&continue=%s", limit, next))
				got = append(got, l.ids()...)
				if next = l.Metadata.Continue; next != "" && (len(l.Items) != limit || int(*l.Metadata.RemainingItemCount) != len(want)-len(got)) {
					t.Fatalf("%s, pages of %d: one has %d items and says %d remain after %d", who, limit, len(l.Items), *l.Metadata.RemainingItemCount, len(got))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, pages of %d: got %d items, want %d", who, limit, len(got), len(want))
			}
		}
	}
	even := b.list("admin", "/containers?labelSelector=even%3Dtrue").ids()
	if half := slices.DeleteFunc(slices.Clone(want), func(id string) bool { return (id[len(id)-1]-'0')%2 == 1 }); !slices.Equal(even, half) {
		t.Errorf("selected: got %d items, want %d", len(even), len(half))
	}
}

// stumbling is a Masker that does not survive one container.
type stumbling struct{}

func (stumbling) AppendMasked(dst []byte, kind engine.Kind, item []byte) ([]byte, error) {
	if bytes.Contains(item, []byte(`"h05c07"`)) {
		panic("stumbled")
	}
	return hider{}.AppendMasked(dst, kind, item)
}

// TestBlocksPanic: what goes wrong with a block ends its list, which does not look whole,
// and nothing else.
func TestBlocksPanic(t *testing.T) {
	b := newBed(t, func(o *Options) { o.Masker = stumbling{} })
	want := manyBlocks(b)
	if err := b.try("viewer", "/containers"); err == nil {
		t.Error("the list looks whole")
	}
	if got := b.list("admin", "/containers").ids(); !slices.Equal(got, want) {
		t.Errorf("the next list has %d items, want %d", len(got), len(want))
	}
}

// try returns why a list was not read whole; nil: it was.
func (b *bed) try(who, path string) error {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, b.server.URL+route.Prefix+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("X-User", who)
	response, err := b.server.Client().Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var body bytes.Buffer
	_, err = body.ReadFrom(response.Body)
	return err
}
