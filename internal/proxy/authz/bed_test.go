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

package authz

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

var (
	prod       = Host{Namespace: "team", Name: "prod"}
	containers = access.Right{Subresource: access.Containers, Verb: access.Get}
	logs       = access.Right{Subresource: access.Log, Verb: access.Get}
)

// bed is an Authorizer and its kube-apiserver, in a bubble whose clock stands still while
// anybody works: connections are pipes.
type bed struct {
	*testing.T
	*Authorizer
	stop func() // ends Start, and waits for it

	mu sync.Mutex
	// decide says what is allowed; nil: everything.
	decide func(authorizationv1.SubjectAccessReviewSpec) bool
	// rules are what each caller's rules reviews answer; nil: they fail.
	rules  *authorizationv1.SubjectRulesReviewStatus
	denied bool          // reviews say so beside
	down   bool          // everything is answered with 500
	takes  time.Duration // for a review
	held   chan struct{} // reviews wait until it is closed; nil: they do not
	specs  []authorizationv1.SubjectAccessReviewSpec
	tokens []string // of the rules reviews
	now    int      // reviews under way
	most   int      // at once
}

// inBubble runs f with an Authorizer that reviews guards.
func inBubble(t *testing.T, f func(*bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bed{T: t}
		pipes := &listener{conns: make(chan net.Conn), done: make(chan struct{})}
		mux := http.NewServeMux()
		mux.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", b.serveReview)
		mux.HandleFunc("POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews", b.serveRules)
		server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Hour}
		served := make(chan struct{})
		go func() { defer close(served); _ = server.Serve(pipes) }()
		var err error
		b.Authorizer, err = New(&rest.Config{
			Host: "http://kube-apiserver", Dial: pipes.dial, BearerToken: "the-managers", ContentConfig: rest.ContentConfig{ContentType: "application/json"},
		}, logr.Discard())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Start(ctx) }()
		b.stop = sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Start returned %v", err)
			}
		})
		t.Cleanup(func() {
			b.stop()
			_ = server.Close()
			<-served
			time.Sleep(time.Second) // which wakes those that sleep in serveReview
		})
		f(b)
	})
}

func (b *bed) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// asked is how many reviews were sent since the last call.
func (b *bed) asked() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.specs)
	b.specs = nil
	return n
}

// atOnce is how many reviews there were at the same time, at most.
func (b *bed) atOnce() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most
}

// hold makes reviews wait.
func (b *bed) hold() (release func()) {
	held := make(chan struct{})
	b.set(func() { b.held = held })
	return func() {
		b.set(func() { b.held = nil })
		close(held)
	}
}

// under is how many reviews are under way, once nothing moves any more.
func (b *bed) under() int {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bed) serveReview(w http.ResponseWriter, r *http.Request) {
	var review authorizationv1.SubjectAccessReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || r.Header.Get("Authorization") != "Bearer the-managers" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	b.specs = append(b.specs, review.Spec)
	b.now++
	b.most = max(b.most, b.now)
	// A review is judged by what holds when it comes in.
	review.Status.Allowed = b.decide == nil || b.decide(review.Spec)
	down, held, takes := b.down, b.held, b.takes
	review.Status.Denied = b.denied
	b.mu.Unlock()
	defer b.set(func() { b.now-- })
	if held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
		}
	}
	time.Sleep(takes)
	reply(w, down, review)
}

func (b *bed) serveRules(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = append(b.tokens, r.Header.Get("Authorization"))
	var review authorizationv1.SelfSubjectRulesReview
	if b.rules != nil {
		review.Status = *b.rules
	}
	reply(w, b.down || b.rules == nil, review)
}

func reply(w http.ResponseWriter, down bool, body any) {
	w.Header().Set("Content-Type", "application/json")
	if down {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(body)
}

// guard opens a guard that ends with the test.
func (b *bed) guard(c *caller.Caller, rights ...Right) context.Context {
	ctx, stop := b.Guard(b.Context(), c, rights...)
	b.Cleanup(stop)
	return ctx
}

// ends wants a context to end for a reason, after some time and no sooner.
func (b *bed) ends(ctx context.Context, cause error, after time.Duration) {
	b.Helper()
	began := time.Now()
	select {
	case <-ctx.Done():
	case <-time.After(time.Hour):
		b.Fatalf("nothing ended within an hour")
	}
	if took := time.Since(began); !errors.Is(context.Cause(ctx), cause) || took != after {
		b.Errorf("ended after %s because of %v; want %s and %v", took, context.Cause(ctx), after, cause)
	}
}

// lasts wants contexts to be still open after some time.
func (b *bed) lasts(after time.Duration, contexts ...context.Context) {
	b.Helper()
	time.Sleep(after)
	synctest.Wait()
	for _, ctx := range contexts {
		if ctx.Err() != nil {
			b.Fatalf("ended: %v", context.Cause(ctx))
		}
	}
}

func named(name string) user.Info { return &user.DefaultInfo{Name: name} }

func callerNamed(name string) *caller.Caller {
	return &caller.Caller{User: named(name), Means: caller.Token, BearerToken: "of-" + name}
}

func hostsOf(namespace string, n int) (hosts []Host) {
	for i := range n {
		hosts = append(hosts, Host{Namespace: namespace, Name: fmt.Sprintf("h%03d", i)})
	}
	return hosts
}

// listener accepts pipes.
type listener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }
