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
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/access"
)

func codeOf(err error) int32 {
	var status *apierrors.StatusError
	if !errors.As(err, &status) {
		return 0
	}
	return status.ErrStatus.Code
}

func TestNewNeedsACluster(t *testing.T) {
	if _, err := New(nil, logr.Discard()); err == nil {
		t.Error("an Authorizer that asks nobody was made")
	}
}

func TestAuthorize(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.decide = func(s authorizationv1.SubjectAccessReviewSpec) bool { return s.User == "ada" }
		ada := &user.DefaultInfo{Name: "ada", UID: "u1", Groups: []string{"dev", "ops"}, Extra: map[string][]string{"scope": {"a", "b"}}}
		if err := b.Authorize(b.Context(), ada, prod, containers); err != nil {
			b.Errorf("ada is refused: %v", err)
		}
		want := authorizationv1.SubjectAccessReviewSpec{
			User: "ada", UID: "u1", Groups: []string{"dev", "ops"}, Extra: map[string]authorizationv1.ExtraValue{"scope": {"a", "b"}},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: "team", Name: "prod", Verb: "get", Group: "dockercontrol.dev", Version: "v1alpha1", Resource: "dockerhosts", Subresource: "containers",
			},
		}
		if !reflect.DeepEqual(b.specs, []authorizationv1.SubjectAccessReviewSpec{want}) {
			b.Errorf("asked %+v, want %+v", b.specs, want)
		}
		err := b.Authorize(b.Context(), named("bob"), prod, containers)
		if codeOf(err) != http.StatusForbidden || !strings.Contains(err.Error(), "the role Viewer") {
			b.Errorf("bob gets %v", err)
		}
		if allowed, err := b.Allowed(b.Context(), named("bob"), prod, containers); allowed || err != nil {
			b.Errorf("bob is allowed: %v, %v", allowed, err)
		}
		b.set(func() { b.down = true })
		if err := b.Authorize(b.Context(), named("carl"), prod, containers); codeOf(err) != http.StatusServiceUnavailable || strings.Contains(err.Error(), "kube-apiserver:") {
			b.Errorf("with nobody to ask: %v", err)
		}
		if allowed, err := b.Allowed(b.Context(), named("carl"), prod, containers); allowed || codeOf(err) != http.StatusServiceUnavailable {
			b.Errorf("with nobody to ask: %v, %v", allowed, err)
		}
		if allowed, err := b.AllowedPath(b.Context(), ada, "/audit", "get"); allowed || codeOf(err) != http.StatusServiceUnavailable {
			b.Errorf("a path, with nobody to ask: %v, %v", allowed, err)
		}
		b.set(func() { b.down = false })
		if err := b.Authorize(b.Context(), named("carl"), prod, containers); codeOf(err) != http.StatusForbidden {
			b.Errorf("a failure was kept: %v", err)
		}
	})
}

func TestAllowedPath(t *testing.T) {
	inBubble(t, func(b *bed) {
		for range 2 { // it is asked each time
			if allowed, err := b.AllowedPath(b.Context(), named("ada"), "/audit", "get"); !allowed || err != nil {
				b.Errorf("a path: %v, %v", allowed, err)
			}
		}
		want := &authorizationv1.NonResourceAttributes{Path: "/audit", Verb: "get"}
		if got := b.specs[1]; !reflect.DeepEqual(got.NonResourceAttributes, want) || got.ResourceAttributes != nil {
			b.Errorf("asked %+v", got)
		}
	})
}

// A review that says both is a refusal.
func TestDeniedIsStronger(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.denied = true
		if err := b.Authorize(b.Context(), named("ada"), prod, containers); codeOf(err) != http.StatusForbidden {
			b.Errorf("got %v", err)
		}
	})
}

func TestKept(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.decide = func(s authorizationv1.SubjectAccessReviewSpec) bool { return s.User == "ada" }
		for name, ttl := range map[string]time.Duration{"ada": 10 * time.Second, "bob": 2 * time.Second} {
			for _, step := range []struct {
				after time.Duration
				asked int
			}{{0, 1}, {0, 0}, {ttl - 1, 0}, {1, 1}, {ttl / 2, 0}, {ttl / 2, 1}} {
				time.Sleep(step.after)
				allowed, err := b.Allowed(b.Context(), named(name), prod, containers)
				if n := b.asked(); allowed != (name == "ada") || err != nil || n != step.asked {
					b.Errorf("%s, after %s: %v, %v and %d reviews, want %d", name, step.after, allowed, err, n, step.asked)
				}
			}
		}
	})
}

// What differs in anything is another question.
func TestQuestionsDiffer(t *testing.T) {
	questions := []question{
		{&user.DefaultInfo{Name: "ada"}, prod, containers},
		{&user.DefaultInfo{Name: "bob"}, prod, containers},
		{&user.DefaultInfo{Name: "ada", UID: "1"}, prod, containers},
		{&user.DefaultInfo{Name: "ada1"}, prod, containers},
		{&user.DefaultInfo{Name: "ada", Groups: []string{"a", "b"}}, prod, containers},
		{&user.DefaultInfo{Name: "ada", Groups: []string{"ab"}}, prod, containers},
		{&user.DefaultInfo{Name: "ada", Groups: []string{"a"}, Extra: map[string][]string{"b": nil}}, prod, containers},
		{&user.DefaultInfo{Name: "ada", Groups: []string{"a"}, Extra: map[string][]string{"b": {"c"}}}, prod, containers},
		{&user.DefaultInfo{Name: "ada", Groups: []string{"a"}, Extra: map[string][]string{"b": {}, "c": {}}}, prod, containers},
		{&user.DefaultInfo{Name: "ada", Extra: map[string][]string{"a": {"b", "c"}}}, prod, containers},
		{&user.DefaultInfo{Name: "ada", Extra: map[string][]string{"a": {"b"}, "c": nil}}, prod, containers},
		{&user.DefaultInfo{Name: "ada"}, Host{Namespace: "team"}, containers},
		{&user.DefaultInfo{Name: "ada"}, Host{}, containers},
		{&user.DefaultInfo{Name: "ada"}, Host{Name: "team"}, containers},
		{&user.DefaultInfo{Name: "ada"}, Host{Namespace: "teamp", Name: "rod"}, containers},
		{&user.DefaultInfo{Name: "ada"}, prod, logs},
		{&user.DefaultInfo{Name: "ada"}, prod, access.Right{Subresource: access.Containers, Verb: access.Update}},
	}
	keys := map[string]int{}
	for i, q := range questions {
		if before, ok := keys[q.key()]; ok {
			t.Errorf("questions %d and %d are one", before, i)
		}
		keys[q.key()] = i
	}
	two := func() user.Info {
		return &user.DefaultInfo{Extra: map[string][]string{"a": {"1"}, "b": {"2"}, "c": nil}}
	}
	for range 20 { // maps have no order
		if a, b := (question{two(), prod, logs}), (question{two(), prod, logs}); a.key() != b.key() {
			t.Fatal("equal questions are two")
		}
	}
}

func TestNothingIsKeptAfterAChange(t *testing.T) {
	inBubble(t, func(b *bed) {
		ask := func(want bool, reviews int) {
			b.Helper()
			allowed, err := b.Allowed(b.Context(), named("ada"), prod, containers)
			if n := b.asked(); allowed != want || err != nil || n != reviews {
				b.Errorf("got %v, %v and %d reviews; want %v and %d", allowed, err, n, want, reviews)
			}
		}
		ask(true, 1)
		ask(true, 0)
		b.set(func() { b.decide = func(authorizationv1.SubjectAccessReviewSpec) bool { return false } })
		ask(true, 0)
		b.GrantsChanged()
		ask(false, 1)
		ask(false, 1)
		time.Sleep(5*time.Second - 1)
		ask(false, 1)
		time.Sleep(time.Nanosecond)
		ask(false, 1)
		ask(false, 0)
	})
}

// An answer from before a change is nobody's who asks after it, late as it may come.
func TestAnswersFromBeforeAChange(t *testing.T) {
	inBubble(t, func(b *bed) {
		release := b.hold()
		before := make(chan bool, 1)
		go func() {
			allowed, err := b.Allowed(b.Context(), named("ada"), prod, containers)
			before <- allowed && err == nil
		}()
		b.under()
		b.set(func() {
			b.held, b.decide = nil, func(authorizationv1.SubjectAccessReviewSpec) bool { return false }
		})
		b.GrantsChanged()
		if allowed, err := b.Allowed(b.Context(), named("ada"), prod, containers); allowed || err != nil {
			b.Errorf("after the change: %v, %v", allowed, err)
		}
		time.Sleep(reviewTimeout - 1)
		release()
		if !<-before {
			b.Error("who asked before did not get the answer of then")
		}
		time.Sleep(unsettled)
		if allowed, err := b.Allowed(b.Context(), named("ada"), prod, containers); allowed || err != nil || b.asked() != 3 {
			b.Errorf("long after the change: %v, %v", allowed, err)
		}
	})
}

func TestOneReviewForMany(t *testing.T) {
	inBubble(t, func(b *bed) {
		release := b.hold()
		leaving, leave := context.WithCancel(b.Context())
		left := make(chan error, 1)
		go func() { left <- b.Authorize(leaving, named("ada"), prod, containers) }()
		b.under()
		others := make(chan error, 50)
		for range cap(others) {
			go func() { others <- b.Authorize(b.Context(), named("ada"), prod, containers) }()
		}
		if n := b.under(); n != 1 {
			b.Errorf("%d reviews for one question", n)
		}
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			b.Errorf("who leaves gets %v", err)
		}
		if n := b.under(); n != 1 {
			b.Errorf("the first to ask left, and %d reviews go on", n)
		}
		release()
		for range cap(others) {
			if err := <-others; err != nil {
				b.Errorf("another one got %v", err)
			}
		}
		if n := b.asked(); n != 1 {
			b.Errorf("%d reviews for one question", n)
		}
	})
}

func TestReviewsAreBounded(t *testing.T) {
	inBubble(t, func(b *bed) {
		release := b.hold()
		var group sync.WaitGroup
		errs := make(chan error, 200)
		ask := func() {
			for i := range cap(errs) {
				group.Go(func() { errs <- b.Authorize(b.Context(), named(fmt.Sprint(i)), prod, containers) })
			}
		}
		ask()
		if n := b.under(); n != maxReviews {
			b.Errorf("%d reviews at once, want %d", n, maxReviews)
		}
		release()
		group.Wait()
		for range cap(errs) {
			if err := <-errs; err != nil {
				b.Errorf("got %v", err)
			}
		}
		// Nobody waits for ever for a turn.
		b.GrantsChanged()
		release = b.hold()
		began := time.Now()
		ask()
		group.Wait()
		if took := time.Since(began); took != reviewTimeout {
			b.Errorf("a kube-apiserver that hangs held up for %s, want %s", took, reviewTimeout)
		}
		for range cap(errs) {
			if err := <-errs; codeOf(err) != http.StatusServiceUnavailable {
				b.Errorf("got %v", err)
			}
		}
		if n := b.atOnce(); n != maxReviews {
			b.Errorf("%d reviews at once, want %d", n, maxReviews)
		}
		release()
		synctest.Wait()
	})
}
