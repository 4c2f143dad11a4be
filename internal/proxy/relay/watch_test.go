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

package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// watched is an upstream that serves watches, of a line each time next gets one, and
// answers reviews with a code.
type watched struct {
	next   chan string
	code   atomic.Int32
	denied atomic.Bool
	asked  chan authorizationv1.SelfSubjectAccessReview // has room for one
	ended  chan struct{}                                // closed when the first watch has
	once   sync.Once
}

func newWatched() *watched {
	u := &watched{next: make(chan string), asked: make(chan authorizationv1.SelfSubjectAccessReview, 1), ended: make(chan struct{})}
	u.code.Store(http.StatusCreated)
	return u
}

func (u *watched) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, reviewPath) {
		var review authorizationv1.SelfSubjectAccessReview
		_ = json.NewDecoder(r.Body).Decode(&review)
		select {
		case u.asked <- review:
		default:
		}
		review.Status.Allowed = !u.denied.Load() && r.Header.Get("Authorization") == "Bearer adas-token"
		w.WriteHeader(int(u.code.Load()))
		_ = json.NewEncoder(w).Encode(review)
		return
	}
	defer u.once.Do(func() { close(u.ended) })
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	for {
		select {
		case line, more := <-u.next:
			if !more {
				return
			}
			_, _ = fmt.Fprintln(w, line)
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// watch opens a watch through the bed.
func (b *bed) watch(t *testing.T) (*bufio.Reader, func()) {
	t.Helper()
	resp, err := b.send(t, "GET "+hosts+"?watch=true&fieldSelector=metadata.name%3Dprod", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	closeBody := func() { _ = resp.Body.Close() }
	if resp.StatusCode != http.StatusOK {
		closeBody()
		t.Fatalf("got %s", resp.Status)
	}
	return bufio.NewReader(resp.Body), closeBody
}

// TestWatchOutlivesTheServersDeadlines waits, as the deadlines are what is tested.
func TestWatchOutlivesTheServersDeadlines(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newWatched()
			const deadline = 5 * time.Second // which a handshake has, too
			b := newImpatientBed(t, u.ServeHTTP, deadline)
			b.client.Transport.(*http.Transport).ForceAttemptHTTP2 = h2
			lines, closeBody := b.watch(t)
			defer closeBody()
			for i, pause := range []time.Duration{0, deadline + time.Second, 0} {
				<-time.After(pause)
				u.next <- fmt.Sprint(i)
				if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintln(i) {
					t.Fatalf("line %d: %q, %v", i, line, err)
				}
			}
			close(u.next)
			if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
				t.Errorf("the kube-apiserver's end arrived as %q, %v", rest, err)
			}
		})
	}
}

func TestWatchEnds(t *testing.T) {
	for name, end := range map[string]func(*bed, *watched){
		"when the right is gone":       func(_ *bed, u *watched) { u.denied.Store(true) },
		"when the token is refused":    func(_ *bed, u *watched) { u.code.Store(http.StatusUnauthorized) },
		"when nobody can be asked":     func(_ *bed, u *watched) { u.code.Store(http.StatusInternalServerError) },
		"when the credentials ran out": func(b *bed, _ *watched) { b.as.Expires = time.Now().Add(15 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newWatched()
			b := newBed(t, u.ServeHTTP)
			b.interval, b.outage = 500*time.Millisecond, time.Second
			end(b, u)
			lines, closeBody := b.watch(t)
			defer closeBody()
			if _, err := lines.ReadString('\n'); err == nil || err == io.EOF {
				t.Errorf("ended with %v, which looks like an end of the kube-apiserver's", err)
			}
			select {
			case <-u.ended:
			case <-time.After(30 * time.Second):
				t.Error("the kube-apiserver's watch goes on")
			}
		})
	}
}

// TestNothingAfterLoss: what has come already is not handed on once a watch has ended here,
// and an end that came with it is none.
func TestNothingAfterLoss(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errRevoked)
	seen := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		seen <- stream(ctx, w, &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("late"))})
	}))
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	if err := <-seen; !errors.Is(err, errRevoked) {
		t.Errorf("ended with %v", err)
	}
}

// TestWatchWithoutAnAnswer: who is told that there is none is told why.
func TestWatchWithoutAnAnswer(t *testing.T) {
	b := newBed(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	b.as.Expires = time.Now().Add(500 * time.Millisecond)
	if _, body := b.ask(t, "GET "+hosts+"?watch=true", "", nil); code(t, body) != http.StatusUnauthorized {
		t.Errorf("whose credentials have ended is answered with %s", body)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errSlow)
	var status *apierrors.StatusError
	if err := b.unreachable(ctx, context.Canceled); !errors.As(err, &status) || status.ErrStatus.Code != http.StatusGatewayTimeout {
		t.Errorf("a kube-apiserver that is slow is told of as %v", err)
	}
}

// TestStalledClientsAreLetGo: a client that reads nothing is not waited for, and neither
// keeps the kube-apiserver's watch.
func TestStalledClientsAreLetGo(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newWatched()
			b := newBed(t, u.ServeHTTP)
			b.client.Transport.(*http.Transport).ForceAttemptHTTP2 = h2
			_, closeBody := b.watch(t)
			defer closeBody()
			line, deadline := strings.Repeat("x", 1<<20), time.After(takeTimeout+30*time.Second)
			for {
				select {
				case u.next <- line:
				case <-u.ended:
					return
				case <-deadline:
					t.Fatal("the watch goes on")
				}
			}
		})
	}
}

func TestWatchIsReviewedWithItsOwnQuestion(t *testing.T) {
	u := newWatched()
	b := newBed(t, u.ServeHTTP)
	b.interval = 20 * time.Millisecond
	lines, closeBody := b.watch(t)
	first := <-u.asked
	got := first.Spec.ResourceAttributes
	if got == nil || got.Verb != "watch" || got.Group != "dockercontrol.dev" || got.Resource != "dockerhosts" || got.Namespace != "web" ||
		got.Name != "prod" || got.FieldSelector == nil || got.FieldSelector.RawSelector != "metadata.name=prod" {
		t.Errorf("reviewed %+v", got)
	}
	u.next <- "on" // and goes on while it is allowed
	if line, err := lines.ReadString('\n'); err != nil || line != "on\n" {
		t.Errorf("got %q, %v", line, err)
	}
	closeBody()
	select { // a client that leaves ends the kube-apiserver's watch
	case <-u.ended:
	case <-time.After(30 * time.Second):
		t.Error("the kube-apiserver's watch goes on")
	}
}

func TestWatchesHaveALimit(t *testing.T) {
	var w watches
	for range maxWatches {
		if !w.enter("ada") {
			t.Fatal("refused too early")
		}
	}
	if w.enter("ada") || !w.enter("bob") {
		t.Error("the limit is not one a user")
	}
	w.leave("ada")
	if !w.enter("ada") {
		t.Error("a place that was left is not free")
	}

	b := newBed(t, newWatched().ServeHTTP)
	b.watches.count = map[string]int{"ada": maxWatches}
	if _, body := b.ask(t, "GET "+hosts+"?watch=true", "", nil); code(t, body) != 429 {
		t.Errorf("got %s", body)
	}
}
