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

package jobs

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/audit/audittest"
	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/proxy/authz"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var prod = types.NamespacedName{Namespace: "team", Name: "prod"}

// start runs a registry until the test, or stop, ends.
func start(t *testing.T, opts Options) (*Registry, func()) {
	t.Helper()
	opts.Replica, opts.Log = "manager-0", logr.Discard()
	r, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Submit(Spec{}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("before Start a job is answered with %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Start(ctx) }()
	stop := func() { cancel(); <-done }
	t.Cleanup(stop)
	synctest.Wait()
	return r, stop
}

// held is a job that ends when release is closed, or its context ends.
func held(owner string, release chan struct{}) Spec {
	return Spec{Type: "Test", Host: prod, User: owner, Run: func(ctx context.Context, p *Progress) (any, error) {
		p.Set(map[string]int{"step": 1})
		select {
		case <-release:
			return "done", nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
}

func submit(t *testing.T, r *Registry, spec Spec) *Job {
	t.Helper()
	j, err := r.Submit(spec)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := start(t, Options{RunningPerUser: 2, Running: 3})
		release := make(chan struct{})
		first := submit(t, r, held("ann", release))
		submit(t, r, held("ann", release))
		if _, err := r.Submit(held("ann", release)); !apierrors.IsTooManyRequests(err) || !strings.Contains(err.Error(), "2 jobs") {
			t.Errorf("a third job of one user: %v", err)
		}
		submit(t, r, held("bob", release))
		if _, err := r.Submit(held("cid", release)); !apierrors.IsTooManyRequests(err) {
			t.Errorf("a fourth job: %v", err)
		}
		first.Cancel()
		<-first.Done()
		if v, _ := first.View(); v.State != Canceled || v.Error == nil || string(v.Progress) != `{"step":1}` {
			t.Errorf("a canceled job is %+v", v)
		}
		last := submit(t, r, held("ann", release))
		close(release)
		<-last.Done()
		if v, _ := last.View(); v.State != Succeeded || string(v.Result) != `"done"` || v.FinishedAt.IsZero() {
			t.Errorf("a job that is done is %+v", v)
		}
	})
}

func TestKeeping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := start(t, Options{Finished: 2})
		done := make(chan struct{})
		close(done)
		var ids []string
		for range 3 {
			j := submit(t, r, held("ann", done))
			<-j.Done()
			ids = append(ids, j.ID())
			time.Sleep(time.Second)
		}
		if _, err := r.get(prod, ids[0]); !errors.Is(err, errUnknownJob) {
			t.Errorf("the oldest of three is %v; two are kept", err)
		}
		if all := r.list(prod); len(all) != 2 || all[0].ID() != ids[2] {
			t.Errorf("kept are %d jobs, the first %v", len(all), all[0].ID())
		}
		if _, err := r.get(types.NamespacedName{Namespace: "team", Name: "other"}, ids[2]); !errors.Is(err, errUnknownJob) {
			t.Errorf("by another host's path the job is %v", err)
		}
		time.Sleep(DefaultKeep + time.Second)
		if _, err := r.get(prod, ids[2]); !errors.Is(err, errUnknownJob) {
			t.Errorf("after an hour the job is %v", err)
		}
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, stop := start(t, Options{ShutdownTimeout: 10 * time.Second, CleanupTimeout: 20 * time.Second})
		quick := submit(t, r, Spec{Type: "Quick", User: "ann", Run: func(ctx context.Context, _ *Progress) (any, error) {
			select {
			case <-time.After(5 * time.Second):
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}})
		var cleaned time.Duration
		begun := time.Now()
		long := submit(t, r, Spec{Type: "Long", User: "ann", Run: func(ctx context.Context, p *Progress) (any, error) {
			<-ctx.Done()
			cleanup, cancel := p.Cleanup(ctx)
			defer cancel()
			select {
			case <-time.After(15 * time.Second):
				cleaned = time.Since(begun)
			case <-cleanup.Done():
			}
			return nil, ctx.Err()
		}})
		stuck := submit(t, r, Spec{Type: "Stuck", User: "ann", Run: func(ctx context.Context, p *Progress) (any, error) {
			<-ctx.Done()
			cleanup, cancel := p.Cleanup(ctx)
			defer cancel()
			<-cleanup.Done()
			return nil, cleanup.Err()
		}})
		stop()
		if took := time.Since(begun); took != 30*time.Second {
			t.Errorf("the shutdown took %v; want 10 s and 20 s for the one that is stuck", took)
		}
		if v, _ := quick.View(); v.State != Succeeded {
			t.Errorf("a job that can be done in time is %+v", v)
		}
		if v, _ := long.View(); v.State != Canceled || v.Error.Code != 503 || cleaned != 25*time.Second {
			t.Errorf("a job that puts something back is %+v, after %v", v, cleaned)
		}
		if v, _ := stuck.View(); v.State != Canceled {
			t.Errorf("a job that cannot put back is %+v", v)
		}
		if _, err := r.Submit(held("ann", nil)); !apierrors.IsServiceUnavailable(err) {
			t.Errorf("after the shutdown a job is answered with %v", err)
		}
	})
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := start(t, Options{})
		for name, tt := range map[string]struct {
			run  func() (any, error)
			code int32
			says string
		}{
			"engine": {func() (any, error) { return nil, engine.Errorf(engine.ClassNotFound, "", "no such thing") }, 404, "no such thing"},
			"other":  {func() (any, error) { return nil, errors.New("canary") }, 500, "internal error"},
			"panic":  {func() (any, error) { panic("canary") }, 500, "broke off"},
		} {
			j := submit(t, r, Spec{Run: func(context.Context, *Progress) (any, error) { return tt.run() }})
			<-j.Done()
			if v, _ := j.View(); v.State != Failed || v.Error.Code != tt.code || !strings.Contains(v.Error.Message, tt.says) || strings.Contains(v.Error.Message, "canary") {
				t.Errorf("%s: the job is %+v, %+v", name, v, v.Error)
			}
		}
		j := submit(t, r, Spec{Run: func(context.Context, *Progress) (any, error) { return strings.Repeat("x", maxValue), nil }})
		<-j.Done()
		if v, _ := j.View(); !strings.Contains(string(v.Result), "too large") {
			t.Errorf("a result beyond its bound is %.100s", v.Result)
		}
	})
}

// holders is an Authorizer by a table of user and right.
type holders map[string]access.Verb

func (h holders) Allowed(_ context.Context, who user.Info, _ authz.Host, right access.Right) (bool, error) {
	if who.GetName() == "broken" {
		return false, errors.New("nobody can be asked")
	}
	return h[who.GetName()] == right.Verb, nil
}

func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forwarded := ""
		r, _ := start(t, Options{Forward: func(w http.ResponseWriter, _ *http.Request, replica string) bool {
			forwarded = replica
			w.WriteHeader(http.StatusTeapot)
			return replica == "manager-1"
		}})
		recorder := &audittest.Recorder{}
		h := &Handler{Registry: r, Authorizer: holders{"bob": access.Create, "eve": access.Get}, Recorder: recorder}
		release := make(chan struct{})
		spec := held("ann", release)
		spec.Rights = []access.Right{{Subresource: access.Images, Verb: access.Create}}
		j := submit(t, r, spec)
		ask := func(who, method, path string) *httptest.ResponseRecorder {
			rt, _, err := route.Parse(route.Prefix + "/namespaces/team/dockerhosts/prod/" + path)
			if err != nil {
				t.Fatal(err)
			}
			query := ""
			if before, after, ok := strings.Cut(rt.Object, "?"); ok {
				rt.Object, query = before, "?"+after
			}
			req := httptest.NewRequest(method, "/"+query, nil)
			w := httptest.NewRecorder()
			ctx := caller.With(route.With(req.Context(), rt), &caller.Caller{User: &user.DefaultInfo{Name: who}})
			h.ServeHTTP(w, req.WithContext(ctx))
			return w
		}
		one := "jobs/" + j.ID()
		for _, tt := range []struct {
			who, method, path string
			code              int
		}{
			{"ann", "GET", one, 200}, {"bob", "GET", one, 200}, {"eve", "GET", one, 404}, {"eve", "DELETE", one, 404},
			{"broken", "GET", one, 500}, {"ann", "POST", one, 405}, {"ann", "POST", "jobs", 405},
			{"ann", "GET", "jobs/manager-1." + strings.Repeat("0", 32), http.StatusTeapot},
		} {
			if w := ask(tt.who, tt.method, tt.path); w.Code != tt.code {
				t.Errorf("%s %s as %s: %d %s; want %d", tt.method, tt.path, tt.who, w.Code, w.Body, tt.code)
			}
		}
		if forwarded != "manager-1" {
			t.Errorf("another replica's job was forwarded to %q", forwarded)
		}
		for who, want := range map[string]int{"ann": 1, "bob": 1, "eve": 0} {
			var list List
			if err := json.Unmarshal(ask(who, "GET", "jobs").Body.Bytes(), &list); err != nil || len(list.Items) != want || list.Kind != "JobList" {
				t.Errorf("%s sees %+v, %v; want %d jobs", who, list, err, want)
			}
		}
		if w := ask("ann", "DELETE", one); w.Code != http.StatusAccepted {
			t.Errorf("a cancellation is %d %s", w.Code, w.Body)
		}
		<-j.Done()
		if records := recorder.Records(); len(records) != 2 || records[0].Verb != "cancel" || records[0].Actor.User != "ann" || records[0].Object.ID != j.ID() {
			t.Errorf("of the cancellation on record is %+v", records)
		}
	})
}

// TestWatch follows a job over a real connection.
func TestWatch(t *testing.T) {
	r, err := New(Options{Replica: "manager-0", Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Start(ctx) }()
	defer func() { cancel(); <-done }()
	steps, seen := make(chan int), make(chan struct{})
	spec := Spec{Type: "Test", Run: func(_ context.Context, p *Progress) (any, error) {
		for n := range steps {
			p.Set(n)
			seen <- struct{}{}
		}
		return "end", nil
	}}
	var j *Job
	for j == nil { // until Start has begun
		j, _ = r.Submit(spec)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { watch(req.Context(), w, j) }))
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	next := func() (v View) {
		if !lines.Scan() {
			t.Fatal("the stream ended:", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	next()
	for n := range 3 {
		steps <- n
		<-seen
		if v := next(); string(v.Progress) != fmt.Sprint(n) || v.State != Running {
			t.Fatalf("after step %d the line is %+v", n, v)
		}
	}
	close(steps)
	if v := next(); v.State != Succeeded || string(v.Result) != `"end"` {
		t.Errorf("the last line is %+v", v)
	}
	if lines.Scan() {
		t.Errorf("after the end there is %q", lines.Text())
	}
}

// silent is an answer that notes its last deadline.
type silent struct {
	*httptest.ResponseRecorder
	deadline time.Time
}

func (w *silent) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

// TestWatchAtRest: no deadline waits for a job that says nothing, which would be its
// watch's end over HTTP/2; and who may look no more sees nothing more.
func TestWatchAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := start(t, Options{})
		release := make(chan struct{})
		defer close(release)
		j := submit(t, r, held("ann", release))
		ctx, cancel := context.WithCancel(t.Context())
		w := &silent{ResponseRecorder: httptest.NewRecorder()}
		go watch(ctx, w, j)
		synctest.Wait()
		if !strings.Contains(w.Body.String(), `"Running"`) || !w.deadline.IsZero() {
			t.Errorf("at rest the deadline is in %s after %q", time.Until(w.deadline), w.Body)
		}
		cancel()
		synctest.Wait()
		late := &silent{ResponseRecorder: httptest.NewRecorder()}
		watch(ctx, late, j)
		if late.Body.Len() > 0 {
			t.Errorf("after the end comes %q", late.Body)
		}
	})
}

func TestReplicaName(t *testing.T) {
	for _, name := range []string{"", "a/b", "a b", "a%2f"} {
		if _, err := New(Options{Replica: name}); err == nil {
			t.Errorf("%q is taken for a replica's name", name)
		}
	}
}
