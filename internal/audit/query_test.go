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

package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var queryBegan = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)

// queryRecord is the i-th record, a minute after the one before.
func queryRecord(i int) Record {
	r := testRecord(i)
	r.Time = queryBegan.Add(time.Duration(i) * time.Minute)
	r.Actor.User = fmt.Sprint("user-", i%3)
	r.Host.Name = fmt.Sprint("host-", i%5)
	return r
}

// queryTrail writes n records in several files.
func queryTrail(t *testing.T, n int, change ...func(*TrailOptions)) (string, *Trail) {
	t.Helper()
	path := testPath(t)
	trail := openTrail(t, path, append(change, func(o *TrailOptions) { o.MaxSize = maxLine })...)
	for i := range n {
		if err := trail.Record(t.Context(), queryRecord(i)); err != nil {
			t.Fatal(err)
		}
	}
	return path, trail
}

// all follows the pages of a query, and returns the request IDs.
func all(t *testing.T, path string, f Filter) (ids []string, pages int) {
	t.Helper()
	for {
		page, err := Query(t.Context(), path, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Items {
			ids = append(ids, e.RequestID)
		}
		if pages++; page.Continue == "" {
			return ids, pages
		}
		f.Continue = page.Continue
	}
}

func newestFirst(n int, want func(i int) bool) (ids []string) {
	for i := n - 1; i >= 0; i-- {
		if want(i) {
			ids = append(ids, fmt.Sprint("r-", i))
		}
	}
	return ids
}

func TestQueryFilters(t *testing.T) {
	const n = 600
	path, trail := queryTrail(t, n)
	if names, err := Files(path); err != nil || len(names) < 3 {
		t.Fatalf("got files %q, %v; want several", names, err)
	}
	odd := queryRecord(n)
	odd.Verb, odd.Outcome, odd.Actor.User, odd.Object = "exec", Denied, `a "b" <c>`, Object{Kind: "Exec", ID: "id-1", Name: "name-1"}
	odd.Time = queryBegan // it began long before it was written
	odd.Duration = n * time.Minute
	if err := trail.Record(t.Context(), odd); err != nil {
		t.Fatal(err)
	}
	last := []string{fmt.Sprint("r-", n)}
	minute := func(i int) time.Time { return queryBegan.Add(time.Duration(i) * time.Minute) }
	for name, tc := range map[string]struct {
		filter Filter
		want   []string
	}{
		"all":              {Filter{}, append(last, newestFirst(n, func(int) bool { return true })...)},
		"in pages":         {Filter{Limit: 7}, append(last, newestFirst(n, func(int) bool { return true })...)},
		"by user":          {Filter{User: "user-1"}, newestFirst(n, func(i int) bool { return i%3 == 1 })},
		"by another user":  {Filter{User: `a "b" <c>`}, last},
		"by a part":        {Filter{User: "user"}, nil},
		"by host":          {Filter{Namespace: "default", Host: "host-4"}, newestFirst(n, func(i int) bool { return i%5 == 4 })},
		"by namespace":     {Filter{Namespace: "other"}, nil},
		"by both":          {Filter{User: "user-1", Host: "host-4", Limit: 3}, newestFirst(n, func(i int) bool { return i%3 == 1 && i%5 == 4 })},
		"by request":       {Filter{RequestID: "r-17"}, []string{"r-17"}},
		"by verb":          {Filter{Verb: "exec"}, last},
		"by outcome":       {Filter{Outcome: Denied}, last},
		"by object's name": {Filter{ObjectKind: "Exec", Object: "name-1"}, last},
		"by object's id":   {Filter{Object: "id-1"}, last},
		"by kind":          {Filter{ObjectKind: "Volume"}, nil},
		"since":            {Filter{Since: minute(n - 3)}, newestFirst(n, func(i int) bool { return i >= n-3 })},
		"until":            {Filter{Until: minute(3)}, append(last, newestFirst(n, func(i int) bool { return i < 3 })...)},
		"between":          {Filter{Since: minute(100), Until: minute(102), User: "user-1"}, []string{"r-100"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, pages := all(t, path, tc.filter)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if limit := tc.filter.Limit; limit > 0 && pages < len(tc.want)/limit {
				t.Errorf("%d pages of %d for %d records", pages, limit, len(tc.want))
			}
		})
	}
}

func TestQueryGivesTheRecord(t *testing.T) {
	path := testPath(t)
	trail := openTrail(t, path)
	want := testRecord(1)
	want.Time, want.Duration, want.Count = queryBegan, 1500*time.Millisecond, 3
	want.Detail = &Detail{Command: []string{"sh"}}
	want.Regarding = Regarding{Kind: "SwarmService", Namespace: "default", Name: "web", UID: "s-1"}
	if err := trail.Record(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	page, err := Query(t.Context(), path, Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Page{Items: []Entry{{Chain: trail.Head().Chain, Seq: 1, Record: want, DurationSeconds: 1.5}}}, page); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	b, err := json.Marshal(page)
	if err != nil || !strings.Contains(string(b), `"durationSeconds":1.5`) || !strings.Contains(string(b), `"seq":1`) {
		t.Errorf("as JSON: %s, %v", b, err)
	}
}

// TestQueryWhileWritten follows pages while a writer appends and rotates: of what was
// there at the first page nothing is missing and nothing comes twice.
func TestQueryWhileWritten(t *testing.T) {
	const n = 400
	path, trail := queryTrail(t, n, func(o *TrailOptions) { o.MaxFiles = 1000 })
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() {
		for i := n; !stop.Load() && i < 20*n; i++ {
			if err := trail.Record(context.Background(), queryRecord(0)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	f := Filter{User: "user-1", Limit: 50}
	ids, pages := all(t, path, f)
	stop.Store(true)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := newestFirst(n, func(i int) bool { return i%3 == 1 }); !cmp.Equal(want, ids) || pages < 2 {
		t.Errorf("in %d pages (-want +got):\n%s", pages, cmp.Diff(want, ids))
	}
}

func TestQueryRefuses(t *testing.T) {
	path, trail := queryTrail(t, 300)
	page, err := Query(t.Context(), path, Filter{Limit: 200}) // ends in an older file
	if err != nil || page.Continue == "" {
		t.Fatal(err)
	}
	inOlder := page.Continue
	for name, tc := range map[string]struct {
		path   string
		filter Filter
		want   error
	}{
		"no trail":        {"", Filter{}, ErrNoQuery},
		"standard output": {"-", Filter{}, ErrNoQuery},
		"no file":         {path + ".none", Filter{}, fs.ErrNotExist},
		"no token":        {path, Filter{Continue: "x"}, ErrContinue},
		"half a token":    {path, Filter{Continue: inOlder[:20]}, ErrContinue},
		"another file":    {testFileLike(t), Filter{Continue: inOlder}, ErrContinue},
		"a long token":    {path, Filter{Continue: strings.Repeat("A", 10_000)}, ErrContinue},
	} {
		if _, err := Query(t.Context(), tc.path, tc.filter); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	for _, limit := range []int{-1, MaxLimit + 1} {
		if _, err := Query(t.Context(), path, Filter{Limit: limit}); err == nil {
			t.Errorf("a limit of %d was taken", limit)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Query(canceled, path, Filter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v", err)
	}
	write(t, trail, 3000) // rotates the file away
	if _, err := Query(t.Context(), path, Filter{Continue: inOlder}); !errors.Is(err, ErrContinue) {
		t.Errorf("rotated away: got %v", err)
	}
}

// testFileLike makes another trail.
func testFileLike(t *testing.T) string {
	path := testPath(t)
	write(t, openTrail(t, path), 1)
	return path
}

// TestQueryOfWhatIsNoTrail passes over junk.
func TestQueryOfWhatIsNoTrail(t *testing.T) {
	path, trail := queryTrail(t, 3)
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	whole := content(t, path)
	junk := bytes.Join([][]byte{[]byte("junk\n"), whole, bytes.Repeat([]byte("x"), 3*maxLine), []byte("\n\n"), whole[:50]}, nil)
	if err := os.WriteFile(path, junk, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _ := all(t, path, Filter{}); !cmp.Equal([]string{"r-2", "r-1", "r-0"}, got) {
		t.Errorf("got %q", got)
	}
}
