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

// records returns what the audit trails of all managers have, in the order of their times
// and those of one manager as they were written.
func (b *bed) records(t *testing.T, filter audit.Filter) []audit.Entry {
	t.Helper()
	var all []audit.Entry
	for _, trail := range b.trails {
		all = append(all, recordsOf(t, trail, filter)...)
	}
	if len(b.trails) > 1 {
		slices.SortStableFunc(all, func(a, b audit.Entry) int { return a.Time.Compare(b.Time) })
	}
	return all
}

// recordsOf returns what one trail has, the oldest first.
func recordsOf(t *testing.T, trail string, filter audit.Filter) []audit.Entry {
	t.Helper()
	filter.Limit = audit.MaxLimit
	var all []audit.Entry
	for {
		page, err := audit.Query(t.Context(), trail, filter)
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
