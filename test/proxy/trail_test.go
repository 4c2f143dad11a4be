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

package proxy

import (
	"slices"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/audit"
)

// records returns what the audit trail of the first manager has, the oldest first.
func (b *bed) records(t *testing.T, filter audit.Filter) []audit.Entry {
	t.Helper()
	filter.Limit = audit.MaxLimit
	var all []audit.Entry
	for {
		page, err := audit.Query(t.Context(), b.trails[0], filter)
		if err != nil {
			t.Fatalf("searching the audit trail: %v", err)
		}
		all = append(all, page.Items...)
		if filter.Continue = page.Continue; filter.Continue == "" {
			slices.Reverse(all)
			return all
		}
	}
}
