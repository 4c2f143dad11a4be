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
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/metrics"
)

// question is one SubjectAccessReview.
type question struct {
	who   user.Info
	host  Host
	right access.Right
}

// key is the same for equal questions and different for others.
func (q question) key() string {
	h := sha256.New()
	add := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	list := func(all []string) {
		add(fmt.Sprint(len(all)))
		for _, s := range all {
			add(s)
		}
	}
	add(q.who.GetName())
	add(q.who.GetUID())
	list(q.who.GetGroups())
	extra := q.who.GetExtra()
	names := make([]string, 0, len(extra))
	for name := range extra {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		add(name)
		list(extra[name])
	}
	add(q.host.Namespace)
	add(q.host.Name)
	add(string(q.right.Subresource))
	add(string(q.right.Verb))
	return string(h.Sum(nil))
}

type decision struct {
	allowed bool
	until   time.Time
}

// allowed answers from what is kept, or asks.
func (a *Authorizer) allowed(ctx context.Context, q question) (bool, error) {
	key := q.key()
	if d, ok := a.recall(key); ok {
		metrics.CacheHit()
		return d.allowed, nil
	}
	return a.ask(ctx, key, q)
}

func (a *Authorizer) recall(key string) (decision, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, ok := a.kept.Get(key)
	if !ok {
		return decision{}, false
	}
	d := v.(decision)
	return d, time.Now().Before(d.until)
}

// ask reviews, together with all who ask the same since the last change of grants. It
// gives up with ctx; the review itself goes on for the others.
func (a *Authorizer) ask(ctx context.Context, key string, q question) (bool, error) {
	a.mu.Lock()
	epoch := a.epoch
	a.mu.Unlock()
	flight := a.flight.DoChan(fmt.Sprintf("%d %s", epoch, key), func() (any, error) {
		allowed, err := a.review(context.WithoutCancel(ctx), q)
		if err == nil {
			a.keep(key, allowed, epoch)
		}
		return allowed, err
	})
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case result := <-flight:
		if result.Err != nil {
			return false, result.Err
		}
		return result.Val.(bool), nil
	}
}

func (a *Authorizer) keep(key string, allowed bool, epoch uint64) {
	ttl := deniedTTL
	if allowed {
		ttl = allowedTTL
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.epoch != epoch || now.Sub(a.changedAt) < unsettled {
		return
	}
	a.kept.Add(key, decision{allowed: allowed, until: now.Add(ttl)})
}

// review asks the kube-apiserver about a right on a host.
func (a *Authorizer) review(ctx context.Context, q question) (bool, error) {
	return a.send(ctx, q.who, authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: access.Group, Version: "v1alpha1", Resource: access.Resource, Subresource: string(q.right.Subresource),
			Namespace: q.host.Namespace, Name: q.host.Name, Verb: string(q.right.Verb),
		},
	})
}

// send asks the kube-apiserver what who may do.
func (a *Authorizer) send(ctx context.Context, who user.Info, spec authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	if err := a.reviews.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer a.reviews.Release(1)
	spec.User, spec.UID, spec.Groups, spec.Extra = who.GetName(), who.GetUID(), who.GetGroups(), map[string]authorizationv1.ExtraValue{}
	for name, values := range who.GetExtra() {
		spec.Extra[name] = values
	}
	review, err := a.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	allowed := err == nil && review.Status.Allowed && !review.Status.Denied
	metrics.Reviewed(allowed, err)
	if err != nil {
		a.log.V(1).Info("A SubjectAccessReview failed", "error", err.Error())
		return false, err
	}
	return allowed, nil
}

// AllowedPath says whether somebody may do something with a non-resource URL. It asks each
// time: such requests are rare. The error is a 503.
func (a *Authorizer) AllowedPath(ctx context.Context, who user.Info, path, verb string) (bool, error) {
	allowed, err := a.send(ctx, who, authorizationv1.SubjectAccessReviewSpec{
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: path, Verb: verb},
	})
	if err != nil {
		return false, unavailable(err)
	}
	return allowed, nil
}
