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
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// kept is a Recorder that keeps what it is told, and fails from record failFrom on
// (1 is the first; 0 is never).
type kept struct {
	records  []Record
	failFrom int
}

var errSink = errors.New("no space left on device")

func (k *kept) Record(ctx context.Context, r Record) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if k.failFrom > 0 && len(k.records)+1 >= k.failFrom {
		return errSink
	}
	k.records = append(k.records, r)
	return nil
}

func (k *kept) outcomes() []string {
	var out []string
	for _, r := range k.records {
		out = append(out, strings.TrimSpace(string(r.Outcome)+" "+r.Reason))
	}
	return out
}

func TestDo(t *testing.T) {
	conflict := engine.Errorf(engine.ClassConflict, "", "container %s is running", "web")
	for name, tc := range map[string]struct {
		failFrom int
		act      error
		want     []string
		is       []error // what the error holds; none means no error
		acted    bool
	}{
		"succeeds":                    {want: []string{"allowed", "succeeded"}, acted: true},
		"fails":                       {act: conflict, want: []string{"allowed", "failed Conflict"}, is: []error{conflict}, acted: true},
		"fails without a class":       {act: errors.New("x"), want: []string{"allowed", "failed EngineError"}, acted: true},
		"fails by a cause":            {act: engine.Errorf(engine.ClassAuth, engine.CauseHostKeyMismatch, "x"), want: []string{"allowed", "failed HostKeyMismatch"}, acted: true},
		"fails with a Status":         {act: apierrors.NewForbidden(schema.GroupResource{}, "web", nil), want: []string{"allowed", "failed Forbidden"}, acted: true},
		"is canceled":                 {act: context.Canceled, want: []string{"allowed", "failed Canceled"}, is: []error{context.Canceled}, acted: true},
		"intention not recorded":      {failFrom: 1, want: nil, is: []error{ErrRefused, errSink}},
		"outcome not recorded":        {failFrom: 2, want: []string{"allowed"}, is: []error{ErrOutcomeNotRecorded, errSink}, acted: true},
		"neither done nor recordable": {failFrom: 2, act: conflict, want: []string{"allowed"}, is: []error{conflict, ErrOutcomeNotRecorded}, acted: true},
	} {
		t.Run(name, func(t *testing.T) {
			rec := &kept{failFrom: tc.failFrom}
			acted := false
			err := Do(t.Context(), rec, testRecord(1), func(context.Context) error {
				acted = true
				return tc.act
			})
			if diff := cmp.Diff(tc.want, rec.outcomes()); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if acted != tc.acted {
				t.Errorf("acted: got %v, want %v", acted, tc.acted)
			}
			if wantErr := tc.act != nil || tc.failFrom != 0; (err != nil) != wantErr {
				t.Errorf("got error %v", err)
			}
			for _, target := range tc.is {
				if !errors.Is(err, target) {
					t.Errorf("got %v, want something that holds %v", err, target)
				}
			}
			if errors.Is(err, ErrRefused) && acted {
				t.Error("acted, and said that it did not")
			}
		})
	}
}

func TestDoRecordsTheOutcomeOfACallerThatLeft(t *testing.T) {
	rec := &kept{}
	ctx, cancel := context.WithCancel(t.Context())
	err := Do(ctx, rec, testRecord(1), func(ctx context.Context) error {
		cancel()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"allowed", "failed Canceled"}, rec.outcomes()); diff != "" {
		t.Error(diff)
	}
}

func TestDoRecordsAPanic(t *testing.T) {
	rec := &kept{}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = Do(t.Context(), rec, testRecord(1), func(context.Context) error { panic("a bug") })
	}()
	if diff := cmp.Diff([]string{"allowed", "failed Panicked"}, rec.outcomes()); diff != "" {
		t.Error(diff)
	}
}

func TestDoTakesTheTime(t *testing.T) {
	rec := &kept{}
	if err := Do(t.Context(), rec, testRecord(1), func(context.Context) error { time.Sleep(time.Millisecond); return nil }); err != nil {
		t.Fatal(err)
	}
	intent, outcome := rec.records[0], rec.records[1]
	if intent.Duration != 0 || outcome.Duration < time.Millisecond {
		t.Errorf("got durations %v and %v", intent.Duration, outcome.Duration)
	}
	if intent.Time.IsZero() || !intent.Time.Equal(outcome.Time) || intent.RequestID != outcome.RequestID {
		t.Errorf("the two records do not belong together: %+v, %+v", intent, outcome)
	}
}

// TestNoSecretEnters hands in everything that may hold a secret, and looks for it
// in every byte that leaves.
func TestNoSecretEnters(t *testing.T) {
	const secret = "hunter2-s3cr3t"
	for name, err := range map[string]error{
		"an engine's message":   engine.Errorf(engine.ClassInvalid, "", "invalid value PASSWORD=%s", secret),
		"a wrapped raw error":   &engine.Error{Class: engine.ClassServer, Err: fmt.Errorf("POST /create {\"Env\":[\"PASSWORD=%s\"]}", secret)},
		"another error":         errors.New(secret),
		"a class that is none":  &engine.Error{Class: engine.Class(secret)},
		"a cause that is none":  &engine.Error{Class: engine.ClassServer, Cause: engine.Cause("password is " + secret)},
		"joined with a timeout": errors.Join(context.DeadlineExceeded, errors.New(secret)),
	} {
		t.Run(name, func(t *testing.T) {
			trail, lines := bufferTrail(t)
			events := &eventList{}
			rec := Multi(trail, NewNotifier(events))
			if got := Do(t.Context(), rec, testRecord(1), func(context.Context) error { return err }); !errors.Is(got, err) {
				t.Errorf("got %v, want %v", got, err)
			}
			r := testRecord(2)
			r.Outcome, r.Reason = Denied, err.Error()
			if err := rec.Record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if err := trail.Close(); err != nil {
				t.Fatal(err)
			}
			if s := verify(t, strings.NewReader(lines.String())); s.Records != 3 {
				t.Errorf("got %d records, want 3", s.Records)
			}
			if out := lines.String() + fmt.Sprint(events.all()); strings.Contains(out, secret) {
				t.Errorf("the secret is in\n%s", out)
			}
		})
	}
}

func TestCleanBoundsARecord(t *testing.T) {
	hostile := strings.Repeat("\"\\\x1b\u202e\xff\u2028é", 10_000)
	groups := make([]string, 10_000)
	for i := range groups {
		groups[i] = hostile
	}
	r := Record{
		Actor: Actor{User: hostile, UID: hostile, Groups: groups}, Source: hostile, Verb: hostile,
		Host:   Host{Namespace: hostile, Name: hostile, UID: hostile},
		Object: Object{Kind: hostile, ID: hostile, Name: hostile}, Outcome: Outcome(hostile), Reason: hostile, RequestID: hostile,
		Regarding: Regarding{Kind: hostile, Namespace: hostile, Name: hostile, UID: hostile},
		Detail:    &Detail{Command: groups, EnvNames: groups, BytesIn: math.MaxInt64, BytesOut: math.MaxInt64, Recording: hostile},
		Count:     math.MaxInt,
	}
	trail, lines := bufferTrail(t)
	if err := trail.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	verify(t, strings.NewReader(lines.String()), trail.Head())
	if i := strings.IndexFunc(lines.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("a character that steers a terminal is at %d", i)
	}
	c := r.clean()
	if len(c.Actor.Groups) != maxGroups || c.Actor.Groups[maxGroups-1] != manyMoreMark {
		t.Errorf("got %d groups, the last is %q", len(c.Actor.Groups), c.Actor.Groups[len(c.Actor.Groups)-1])
	}
	if c.Reason != unspecified {
		t.Errorf("got reason %q", c.Reason)
	}
	if diff := cmp.Diff(c, c.clean()); diff != "" {
		t.Errorf("cleaning twice is not cleaning once:\n%s", diff)
	}
}

func TestCleanText(t *testing.T) {
	for in, want := range map[string]string{
		"":            "",
		"web":         "web",
		"名前":          "名前",
		"a b":         "a b",
		"a\tb\x00":    "a?b?",
		"a\xffb":      "a?b",
		"1234567890":  "1234567890",
		"12345678901": "1234567…", // 10 bytes with the mark
		"123456名名":    "123456…",  // a character is not cut in two
	} {
		if got := cleanText(in, 10); got != want || !utf8.ValidString(got) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestMultiStopsAtTheFirstFailure(t *testing.T) {
	first, second := &kept{}, &kept{}
	rec := Multi(first, second)
	ok, failed := recordsTotal.WithLabelValues(string(Denied)), writeErrorsTotal
	okBefore, failedBefore := valueOf(t, ok), valueOf(t, failed)
	r := testRecord(1)
	r.Outcome = Denied
	if err := rec.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	first.failFrom = 2
	if err := rec.Record(t.Context(), r); !errors.Is(err, errSink) {
		t.Errorf("got %v", err)
	}
	if len(first.records) != 1 || len(second.records) != 1 || !first.records[0].Time.Equal(second.records[0].Time) {
		t.Errorf("got %+v and %+v, want one and the same record", first.records, second.records)
	}
	if got := valueOf(t, ok) - okBefore; got != 1 {
		t.Errorf("%v records were counted, want 1", got)
	}
	if got := valueOf(t, failed) - failedBefore; got != 1 {
		t.Errorf("%v failures were counted, want 1", got)
	}
}

func valueOf(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
