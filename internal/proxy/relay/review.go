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
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

const (
	// reviewInterval is how long a watch lives on after its right or its token is gone.
	reviewInterval = 10 * time.Second
	// reviewTimeout bounds one review.
	reviewTimeout = 5 * time.Second
	// reviewOutage is how long a watch lasts while nobody can be asked.
	reviewOutage = 30 * time.Second

	reviewPath = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
	// maxReview bounds the answer to a review, which has some 500 bytes.
	maxReview = 64 << 10
)

var (
	errRevoked    = errors.New("the right to this watch, or the token, was revoked")
	errUnverified = errors.New("the kube-apiserver cannot be asked whether this watch is still allowed")
)

// review ends a watch when the caller may not any more. It returns when ctx ends.
func (r *Relay) review(ctx context.Context, c *caller.Caller, q *Request, end context.CancelCauseFunc) {
	tick := time.NewTicker(r.interval)
	defer tick.Stop()
	verified := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch err := r.reviewOnce(ctx, c, q); {
		case err == nil:
			verified = time.Now()
		case errors.Is(err, errRevoked):
			end(err)
		case time.Since(verified) > r.outage:
			end(fmt.Errorf("%w: %w", errUnverified, err))
		}
	}
}

// reviewOnce asks with the caller's own token, so a token that is refused counts too.
func (r *Relay) reviewOnce(ctx context.Context, c *caller.Caller, q *Request) error {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	attributes := &authorizationv1.ResourceAttributes{
		Namespace: q.Namespace, Verb: q.Verb, Group: q.Group, Version: q.Version, Resource: q.Resource, Name: q.Name,
	}
	if selector := q.values.Get("fieldSelector"); selector != "" {
		attributes.FieldSelector = &authorizationv1.FieldSelectorAttributes{RawSelector: selector}
	}
	if selector := q.values.Get("labelSelector"); selector != "" {
		attributes.LabelSelector = &authorizationv1.LabelSelectorAttributes{RawSelector: selector}
	}
	body, err := json.Marshal(&authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
		Spec:     authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes},
	})
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	anonymous := &caller.Caller{BearerToken: c.BearerToken} // a request of its own, so without the watch's id
	resp, err := r.forward(ctx, header, anonymous, &Request{Method: http.MethodPost, Path: reviewPath}, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return errRevoked // who may not even ask shall not watch
	case resp.StatusCode != http.StatusCreated:
		return fmt.Errorf("the review was answered with %d", resp.StatusCode)
	}
	var answer authorizationv1.SelfSubjectAccessReview
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReview)).Decode(&answer); err != nil {
		return err
	}
	if !answer.Status.Allowed {
		return errRevoked
	}
	return nil
}
