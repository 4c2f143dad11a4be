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
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// kubectlAccepts is what kubectl get sends.
const kubectlAccepts = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"

func TestWantsTable(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": false, kubectlAccepts: true,
		"application/json,application/json;as=Table;v=v1;g=meta.k8s.io":                     false,
		"application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json":  false,
		"application/json;as=Table;v=v1beta1;g=meta.k8s.io":                                 false,
		"application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json": false,
		"text/html;;;,application/json; as=Table; v=v1; g=meta.k8s.io":                      true,
	} {
		if wantsTable(accept) != want {
			t.Errorf("%q: %t, want %t", accept, !want, want)
		}
	}
}

func TestTable(t *testing.T) {
	b := newBed(t)
	raw := []byte(fmt.Sprintf(`{"Id":"a1","Names":["/one"],"Image":"nginx:1","State":"running","Created":%d}`, time.Now().Add(-3*time.Hour).Unix()))
	o, err := engine.ParseObject(engine.Containers, raw)
	if err != nil {
		t.Fatal(err)
	}
	b.host(web, o, container("b2", "two"))
	b.grants.grant("viewer", web, viewing...)
	got := b.get("viewer", "/containers?limit=1&includeObject=Metadata", "Accept", kubectlAccepts)
	var table metav1.Table
	if err := json.Unmarshal(got.body, &table); err != nil {
		t.Fatalf("%v: %s", err, got.body)
	}
	names := []string{}
	for _, c := range table.ColumnDefinitions {
		names = append(names, c.Name)
	}
	if table.Kind != "Table" || fmt.Sprint(names) != "[Name Host State Image Age]" || len(table.Rows) != 1 || table.Continue == "" {
		t.Fatalf("table: %s", got.body)
	}
	if cells := fmt.Sprint(table.Rows[0].Cells); cells != "[one web running nginx:1 3h]" {
		t.Errorf("cells: %s", cells)
	}
	var object metav1.PartialObjectMetadata
	if err := json.Unmarshal(table.Rows[0].Object.Raw, &object); err != nil || object.Name != "one" || object.Namespace != "shop" || object.UID != "a1" {
		t.Errorf("object: %s, %v", table.Rows[0].Object.Raw, err)
	}
}
