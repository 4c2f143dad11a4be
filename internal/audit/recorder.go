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
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

var (
	// ErrRefused is in Do's error when the intention could not be recorded: nothing
	// was done. Over HTTP it is a 503, Service Unavailable, for it passes by itself
	// once the trail can be written again.
	ErrRefused = errors.New("refused, because the audit trail cannot be written")
	// ErrOutcomeNotRecorded is in Do's error when the action was done or tried, and
	// its outcome could not be recorded.
	ErrOutcomeNotRecorded = errors.New("the outcome could not be written to the audit trail")
)

// Recorder puts a record where it belongs. An error means that it is not there,
// and that the action it speaks of must not be done. It is safe for concurrent use.
type Recorder interface {
	Record(ctx context.Context, r Record) error
}

// Multi tells several recorders, in order, and counts the record in the metrics. The
// first that fails ends it: put the evidence before the notifications.
func Multi(recorders ...Recorder) Recorder { return multi(recorders) }

type multi []Recorder

// Record tells each recorder.
func (m multi) Record(ctx context.Context, r Record) (err error) {
	defer func() { count(r.Outcome, err) }()
	if r.Time.IsZero() {
		r.Time = time.Now() // the same one for all
	}
	for _, rec := range m {
		if err := rec.Record(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// Do records that r is about to be done, does it, and records how it went. Outcome,
// Reason and Duration are Do's to fill in.
//
// Where the intention cannot be recorded, act is not called and the error holds
// ErrRefused. Else the error is act's; where the outcome could not be recorded, it
// holds ErrOutcomeNotRecorded too.
func Do(ctx context.Context, rec Recorder, r Record, act func(context.Context) error) error {
	return DoSession(ctx, rec, r, func(ctx context.Context, _ *Detail) error { return act(ctx) })
}

// DoSession is Do for what has numbers at its end: act fills in the detail, which
// begins as r's, before it returns.
func DoSession(ctx context.Context, rec Recorder, r Record, act func(context.Context, *Detail) error) (err error) {
	s, err := Begin(ctx, rec, r)
	if err != nil {
		return err
	}
	reason, outcome := "Panicked", Failed // unless act returns
	defer func() {
		// The caller may be gone by now; the outcome is true all the same.
		if recErr := s.End(context.WithoutCancel(ctx), outcome, reason); recErr != nil {
			err = errors.Join(err, recErr)
		}
	}()
	err = act(ctx, &s.Detail)
	outcome, reason = Succeeded, ""
	if err != nil {
		outcome, reason = Failed, ReasonOf(err)
	}
	return err
}

// Session is on record as begun; its end is to follow.
type Session struct {
	// Detail is what its end is recorded with.
	Detail Detail

	rec    Recorder
	record Record
	begun  time.Time
}

// Begin records that r is about to be done. It is for what does not end within one call;
// DoSession is for what does. The error holds ErrRefused: then it must not be done.
func Begin(ctx context.Context, rec Recorder, r Record) (*Session, error) {
	s := &Session{rec: rec, begun: time.Now()}
	if r.Time.IsZero() {
		r.Time = s.begun
	}
	r = r.clean() // it is in errors too
	r.Outcome, r.Reason, r.Duration = Allowed, "", 0
	if err := rec.Record(ctx, r); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %w", r.Verb, r.Object.describe(), ErrRefused, err)
	}
	if r.Detail != nil {
		s.Detail = *r.Detail
	}
	s.record = r
	return s, nil
}

// End records how it went. The error holds ErrOutcomeNotRecorded.
func (s *Session) End(ctx context.Context, outcome Outcome, reason string) error {
	r := s.record
	if r.Detail = &s.Detail; s.Detail.empty() {
		r.Detail = nil
	}
	r.Outcome, r.Reason, r.Duration = outcome, reason, time.Since(s.begun)
	if err := s.rec.Record(ctx, r); err != nil {
		return fmt.Errorf("%s %s: %w: %w", r.Verb, r.Object.describe(), ErrOutcomeNotRecorded, err)
	}
	return nil
}

// reasonConflict is ReasonOf's word for a write that met another one.
const reasonConflict = "Conflict"

// ReasonOf returns the word for an error. Its text stays out: an engine's error may
// repeat what it was sent, and a kube-apiserver's Status too.
func ReasonOf(err error) string {
	if cause := engine.CauseOf(err); cause != "" {
		return string(cause)
	}
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		return string(reason)
	}
	switch engine.ClassOf(err) {
	case engine.ClassUnreachable:
		return "Unreachable"
	case engine.ClassTimeout:
		return "Timeout"
	case engine.ClassAuth:
		return "AuthenticationFailed"
	case engine.ClassForbidden:
		return "Forbidden"
	case engine.ClassNotFound:
		return "NotFound"
	case engine.ClassConflict:
		return reasonConflict
	case engine.ClassInvalid:
		return "Invalid"
	case engine.ClassCanceled:
		return "Canceled"
	case engine.ClassServer:
		return "EngineError"
	}
	return unspecified
}

// describe names the object for people: its kind, and its name or else its id.
func (o Object) describe() string {
	name := o.Name
	if name == "" {
		name = o.ID
	}
	switch {
	case o.Kind == "":
		return name
	case name == "":
		return o.Kind
	}
	return o.Kind + " " + name
}
