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
	"net/http"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/transport"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

const (
	// maxHostReviews at once for one merged list.
	maxHostReviews = 16
	// fewHosts is up to how many hosts of a namespace are asked for one by one before the
	// caller's rules are read, which is one question, but a dearer one.
	fewHosts = 4
)

// Hosts returns those of hosts on which the caller holds the right, in their order. It
// asks for the cluster, else a namespace at a time, else for the caller's own rules, else
// for each host. The error is a 503, and then there are no hosts.
func (a *Authorizer) Hosts(ctx context.Context, c *caller.Caller, right access.Right, hosts []Host) ([]Host, error) {
	if len(hosts) == 0 {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err // else it were chance whether an answer is still found
	}
	everywhere, err := a.Allowed(ctx, c.User, Host{}, right)
	if err != nil {
		return nil, err
	}
	if everywhere {
		return slices.Clone(hosts), nil
	}
	byNamespace := map[string][]Host{}
	for _, host := range hosts {
		byNamespace[host.Namespace] = append(byNamespace[host.Namespace], host)
	}
	l := &list{a: a, caller: c, right: right, allowed: map[Host]bool{}}
	// Hosts after namespaces, for maxHostReviews to bound both.
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(maxHostReviews)
	for namespace, some := range byNamespace {
		group.Go(func() error { return l.namespace(groupCtx, namespace, some) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	group, groupCtx = errgroup.WithContext(ctx)
	group.SetLimit(maxHostReviews)
	for _, host := range l.open {
		group.Go(func() error { return l.host(groupCtx, host) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(hosts), func(h Host) bool { return !l.allowed[h] }), nil
}

// list is what is known of the hosts of one merged list.
type list struct {
	a      *Authorizer
	caller *caller.Caller
	right  access.Right

	mu      sync.Mutex
	allowed map[Host]bool
	open    []Host // to be asked for one by one
}

// namespace decides over the hosts of one namespace, or leaves them open.
func (l *list) namespace(ctx context.Context, namespace string, hosts []Host) error {
	all, err := l.a.Allowed(ctx, l.caller.User, Host{Namespace: namespace}, l.right)
	if err != nil {
		return err
	}
	granting := func(Host) bool { return all }
	decided := all
	if !all && len(hosts) > fewHosts && l.caller.BearerToken != "" {
		// A list that is not complete counts for nothing: an authorizer that can only say
		// yes or no may refuse what another's rules grant.
		if rules, err := l.a.rules(ctx, l.caller.BearerToken, namespace); err == nil && !rules.Incomplete {
			granting = func(h Host) bool { return granted(rules.ResourceRules, l.right, h.Name) }
			decided = true
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !decided {
		l.open = append(l.open, hosts...)
		return nil
	}
	for _, host := range hosts {
		if granting(host) {
			l.allowed[host] = true
		}
	}
	return nil
}

// host asks for one host.
func (l *list) host(ctx context.Context, host Host) error {
	allowed, err := l.a.Allowed(ctx, l.caller.User, host, l.right)
	if err != nil || !allowed {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.allowed[host] = true
	return nil
}

// rules asks with the caller's own token what they may do in a namespace.
func (a *Authorizer) rules(ctx context.Context, token, namespace string) (*authorizationv1.SubjectRulesReviewStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	if err := a.reviews.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer a.reviews.Release(1)
	client, err := kubernetes.NewForConfigAndClient(a.own, &http.Client{
		Transport: transport.NewBearerAuthRoundTripper(token, a.transport),
		// A redirect would carry the caller's token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
	if err != nil {
		return nil, err
	}
	review, err := client.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return &review.Status, nil
}

// granted says whether a rule gives the right on the host.
func granted(rules []authorizationv1.ResourceRule, right access.Right, host string) bool {
	has := func(list []string, names ...string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return s == "*" || slices.Contains(names, s) })
	}
	resource := access.Resource + "/" + string(right.Subresource)
	return slices.ContainsFunc(rules, func(r authorizationv1.ResourceRule) bool {
		return has(r.Verbs, string(right.Verb)) && has(r.APIGroups, access.Group) &&
			has(r.Resources, resource, "*/"+string(right.Subresource)) &&
			(len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, host))
	})
}
