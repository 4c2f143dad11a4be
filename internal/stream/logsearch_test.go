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

package stream

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func TestLogSearch(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		all := numbers(1, 30_000)
		b.say(all...)
		filter, err := NewFilter("7", false, false)
		if err != nil {
			b.Fatal(err)
		}
		var want, got []string
		for _, l := range all {
			if strings.Contains(l, "7") {
				want = append(want, l)
			}
		}
		q := LogSearch{Filter: filter, Limit: 700}
		for pages := 0; ; pages++ {
			found, err := b.logs.Search(b.Context(), testSource, q)
			if err != nil || found.Cut || pages > 20 {
				b.Fatalf("page %d: %v, cut %t", pages, err, found.Cut)
			}
			var page []string
			for _, l := range found.Lines {
				page = append(page, spell(l))
			}
			got = append(page, got...)
			if found.Done {
				break
			}
			q.Before = found.Next
		}
		if !slices.Equal(got, want) {
			b.Errorf("%d lines were found; want %d", len(got), len(want))
		}
	})
}

func TestLogSearchBounds(t *testing.T) {
	inLogBed(t, func(b *logBed) {
		long := strings.Repeat("x", 100_000)
		for range 3000 {
			b.say(long)
		}
		filter, err := NewFilter("none", false, false)
		if err != nil {
			b.Fatal(err)
		}
		found, err := b.logs.Search(b.Context(), testSource, LogSearch{Filter: filter})
		if err != nil || !found.Cut || found.Done || len(found.Lines) > 0 {
			b.Errorf("the search of too much found %+v, %v", found, err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		if _, err := b.logs.Search(ctx, testSource, LogSearch{}); err == nil {
			b.Error("a search that was given up has no error")
		}
		b.log.setDown(engine.Errorf(engine.ClassUnreachable, "", "away"))
		var away *engine.Error
		if _, err := b.logs.Search(b.Context(), testSource, LogSearch{}); !errors.As(err, &away) {
			b.Errorf("the search of a host that is away: %v", err)
		}
	})
}
