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

package bootstrap

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestReadManifests(t *testing.T) {
	objects, err := readManifests(fstest.MapFS{
		"b.yaml":             {Data: []byte("# only a comment\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: second}\n---\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: third}\n")},
		"a/x.yaml":           {Data: []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: first}\n")},
		"kustomization.yaml": {Data: []byte("resources: [b.yaml]")},
		"README.md":          {Data: []byte("none")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, object := range objects {
		names = append(names, object.GetName())
	}
	if want := []string{"first", "second", "third"}; !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
}

func TestReadManifestsErrors(t *testing.T) {
	for name, text := range map[string]string{
		"no kind":       "apiVersion: v1\nmetadata: {name: x}\n",
		"no name":       "apiVersion: v1\nkind: Namespace\n",
		"no object":     "- a\n- list\n",
		"not even YAML": "a: b: c\n",
	} {
		_, err := readManifests(fstest.MapFS{"dir/bad.yaml": {Data: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), "dir/bad.yaml") {
			t.Errorf("%s: %v, want an error that names the file", name, err)
		}
	}
}

func TestOwnManifests(t *testing.T) {
	objects, err := readManifests(manifests)
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) == 0 || objects[0].GetKind() != "Namespace" || objects[0].GetName() != Namespace {
		t.Errorf("the first object is not the namespace that the others are in: %v", objects)
	}
}
