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

package web

import (
	"io/fs"
	"strings"
	"testing"
)

// TestFilesHaveAnIndex checks that a binary always has a page to serve, built console or not.
func TestFilesHaveAnIndex(t *testing.T) {
	page, err := fs.ReadFile(Files(), "index.html")
	if err != nil {
		t.Fatalf("no page to serve at /: %v", err)
	}
	if !strings.Contains(string(page), "Docker Control Platform") {
		t.Errorf("index.html does not name the product:\n%s", page)
	}
}
