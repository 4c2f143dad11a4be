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
	"reflect"
	"testing"
	"time"
)

func TestParseObject(t *testing.T) {
	tests := map[string]struct {
		kind Kind
		raw  string
		want Object
	}{
		"container": {
			Containers, `{"Id":"c1","Names":["/other/alias","/web"],"Created":1700000000,"State":"running","Labels":{"a":"b"}}`,
			Object{ID: "c1", Name: "web", Labels: map[string]string{"a": "b"}, Created: time.Unix(1700000000, 0).UTC(), State: "running"},
		},
		"container without a name": {Containers, `{"Id":"c1","Names":null}`, Object{ID: "c1"}},
		"image":                    {Images, `{"Id":"sha256:1","RepoTags":["a:1","b:2"],"Created":-1}`, Object{ID: "sha256:1", Name: "a:1"}},
		"dangling image":           {Images, `{"Id":"sha256:1","RepoTags":["<none>:<none>"]}`, Object{ID: "sha256:1"}},
		"volume":                   {Volumes, `{"Name":"data","CreatedAt":"sometime"}`, Object{ID: "data", Name: "data"}},
		"network": {
			Networks, `{"Id":"n1","Name":"bridge","Created":"2026-01-02T03:04:05.000000006+01:00"}`,
			Object{ID: "n1", Name: "bridge", Created: time.Date(2026, 1, 2, 2, 4, 5, 6, time.UTC)},
		},
		"service": {
			Services, `{"ID":"s1","Version":{"Index":18446744073709551615},"Spec":{"Name":"web","Labels":{"x":"y"}}}`,
			Object{ID: "s1", Name: "web", Labels: map[string]string{"x": "y"}, Version: 1<<64 - 1},
		},
		"task": {
			Tasks, `{"ID":"t1","Version":{"Index":3},"ServiceID":"s1","NodeID":"n1","Status":{"State":"running"}}`,
			Object{ID: "t1", Version: 3, ServiceID: "s1", NodeID: "n1", State: "running"},
		},
		"node": {
			Nodes, `{"ID":"n1","Description":{"Hostname":"edge"},"Status":{"State":"ready"}}`,
			Object{ID: "n1", Name: "edge", NodeID: "n1", State: "ready"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseObject(tt.kind, json.RawMessage(tt.raw))
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Kind, tt.want.Raw = tt.kind, json.RawMessage(tt.raw)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func FuzzParseObject(f *testing.F) {
	f.Add("containers", `{"Id":"c1","Names":["/web"]}`)
	f.Add("tasks", `{"ID":"t1","Status":{"State":"running"}}`)
	f.Add("nonsense", `[]`)
	f.Fuzz(func(t *testing.T, kind, raw string) {
		o, err := ParseObject(Kind(kind), json.RawMessage(raw))
		if err == nil && o.ID == "" {
			t.Errorf("an object without an id was let through: %s", raw)
		}
	})
}
