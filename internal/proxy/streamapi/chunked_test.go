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

package streamapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
	"github.com/dockercontrol/dockercontrol/internal/stream"
)

// deadlines is an answer that notes the deadlines it is given.
type deadlines struct {
	*httptest.ResponseRecorder
	writing, reading []time.Time
}

func (w *deadlines) SetWriteDeadline(t time.Time) error {
	w.writing = append(w.writing, t)
	return nil
}

func (w *deadlines) SetReadDeadline(t time.Time) error {
	w.reading = append(w.reading, t)
	return nil
}

func newDeadlines(ctx context.Context) (*lines, *deadlines) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	return &lines{w: w, control: http.NewResponseController(w), ctx: ctx, kind: metrics.Log}, w
}

// scriptedFeed is a feed of what it has.
type scriptedFeed []func() (frame, error)

func (f *scriptedFeed) next() (frame, error) {
	if len(*f) == 0 {
		return frame{}, io.EOF
	}
	next := (*f)[0]
	*f = (*f)[1:]
	return next()
}

func (*scriptedFeed) close() {}

// TestNothingAfterLoss: once the right is lost, what a feed has ready is not shown, and its
// end is none.
func TestNothingAfterLoss(t *testing.T) {
	for name, then := range map[string]func() (frame, error){
		"a line": func() (frame, error) { return frame{body: []byte("late\n")}, nil },
		"an end": func() (frame, error) { return frame{}, io.EOF },
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		out, w := newDeadlines(ctx)
		err := out.run(&scriptedFeed{
			func() (frame, error) { return frame{body: []byte("line\n")}, nil },
			func() (frame, error) { cancel(authz.ErrRevoked); return then() },
		})
		if !errors.Is(err, authz.ErrRevoked) || w.Body.String() != "line\n" {
			t.Errorf("%s: got %q, %v", name, w.Body, err)
		}
	}
}

// TestQuietStreams: neither a deadline for writes, over HTTP/2, nor one for reads, over
// HTTP/1.1, waits for a stream that has nothing to say.
func TestQuietStreams(t *testing.T) {
	out, w := newDeadlines(t.Context())
	quiet := func(when string) {
		t.Helper()
		if n := len(w.writing); n < 2 || w.writing[n-2].IsZero() || !w.writing[n-1].IsZero() || len(w.reading) > 0 {
			t.Errorf("%s the deadlines were %v, %v; want one and then none", when, w.writing, w.reading)
		}
	}
	out.begin(formatJSON)
	quiet("at the begin")
	err := out.run(&scriptedFeed{
		func() (frame, error) { return frame{body: []byte("line\n")}, nil },
		func() (frame, error) { quiet("after a line"); return frame{}, io.EOF },
	})
	if err != nil {
		t.Error(err)
	}
}

// failedSources cannot be read any more.
type failedSources struct{ namedSources }

func (failedSources) failed() error { return authz.ErrRevoked }

// TestNothingAfterIntroduction: a right may be lost between the name of a source and its lines.
func TestNothingAfterIntroduction(t *testing.T) {
	f := &mergedFeed{sources: failedSources{}, as: formatText, pending: []stream.Line{{Text: []byte("late")}}, known: []string{"web"}}
	if got, err := f.next(); !errors.Is(err, authz.ErrRevoked) || len(got.body) > 0 {
		t.Errorf("got %q, %v", got.body, err)
	}
}
