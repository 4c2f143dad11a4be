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
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"
)

// collapsed returns what was written, sorted: source, count, seconds.
func collapsed(k *kept) []string {
	var out []string
	for _, r := range k.records {
		out = append(out, fmt.Sprint(r.Source, " ", r.Count, " ", r.Duration.Seconds(), " ", r.Outcome, " ", r.Reason))
	}
	slices.Sort(out)
	return out
}

func deny(t *testing.T, c *Collapser, source string) {
	t.Helper()
	r := testRecord(1)
	r.Source, r.Outcome, r.Reason = source, Denied, "Unauthorized"
	if err := c.Record(t.Context(), r); err != nil {
		t.Error(err)
	}
}

func TestCollapserCountsBySourceAndMinute(t *testing.T) {
	rec := &kept{}
	clock := clocktesting.NewFakeClock(time.Now())
	c := newCollapser(rec, logr.Discard(), clock)
	for i := range 5 {
		deny(t, c, "192.0.2.7")
		deny(t, c, "::ffff:192.0.2.7")
		deny(t, c, fmt.Sprintf("2001:db8:0:1::%x", i+1))
		if i == 0 {
			clock.SetTime(clock.Now().Add(30 * time.Second))
		}
	}
	deny(t, c, "2001:db8:0:2::1")
	deny(t, c, "no address\x1b")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"192.0.2.7 10 30 denied Unauthorized", "2001:db8:0:1::/64 5 30 denied Unauthorized",
		"2001:db8:0:2::/64 1 0 denied Unauthorized", "no address? 1 0 denied Unauthorized",
	}, collapsed(rec)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if r := rec.records[0]; r.Actor.User != "" || r.Host != (Host{}) || r.Object != (Object{}) || r.Verb != "start" {
		t.Errorf("the record repeats what a stranger said: %+v", r)
	}
}

// TestCollapserIsBounded has more sources than it tells apart.
func TestCollapserIsBounded(t *testing.T) {
	rec := &kept{}
	c := NewCollapser(rec, logr.Discard())
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2500 {
				deny(t, c, fmt.Sprintf("10.%d.%d.%d", g, i/250, i%250))
			}
		})
	}
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, r := range rec.records {
		total += r.Count
	}
	if len(rec.records) != maxSources+1 || total != 10_000 {
		t.Errorf("got %d records of %d denials, want %d of 10000", len(rec.records), total, maxSources+1)
	}
	if !slices.ContainsFunc(rec.records, func(r Record) bool { return r.Source == manySources && r.Count == 10_000-maxSources }) {
		t.Error("the rest is not counted together")
	}
}

func TestCollapserKeepsCountsThatCannotBeWritten(t *testing.T) {
	rec := &kept{failFrom: 1}
	c := NewCollapser(rec, logr.Discard())
	deny(t, c, "192.0.2.1")
	deny(t, c, "192.0.2.2")
	if err := c.flush(); err == nil {
		t.Error("a failure was not told")
	}
	rec.failFrom = 0
	deny(t, c, "192.0.2.1")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(collapsed(rec), "\n"); !strings.Contains(got, "192.0.2.1 2 ") || !strings.Contains(got, "192.0.2.2 1 ") {
		t.Errorf("got\n%s", got)
	}
}

// TestCollapserWritesEachMinute waits for the ticker to be taken.
func TestCollapserWritesEachMinute(t *testing.T) {
	path := testPath(t)
	trail := openTrail(t, path)
	clock := clocktesting.NewFakeClock(time.Now())
	c := newCollapser(trail, logr.Discard(), clock)
	deny(t, c, "192.0.2.1")
	deadline := time.Now().Add(30 * time.Second)
	for trail.Head().Seq == 0 {
		if time.Now().After(deadline) {
			t.Fatal("nothing was written after a minute")
		}
		clock.Step(collapseWindow) // the goroutine's ticker may not be there yet
		time.Sleep(5 * time.Millisecond)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if n := trail.Head().Seq; n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}
