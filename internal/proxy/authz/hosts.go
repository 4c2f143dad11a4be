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
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

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
// for each host. The error is a 503.
func (a *Authorizer) Hosts(ctx context.Context, c *caller.Caller, right access.Right, hosts []Host) ([]Host, error) {
	if len(hosts) == 0 {
		return nil, nil
	}
	everywhere, err := a.Allowed(ctx, c.User, Host{}, right)
	if err != nil || everywhere {
		return hosts[:len(hosts):len(hosts)], err
	}
	byNamespace := map[string][]Host{}
	for _, host := range hosts {
		byNamespace[host.Namespace] = append(byNamespace[host.Namespace], host)
	}
	allowed := make(map[Host]*atomic.Bool, len(hosts))
	for _, host := range hosts {
		allowed[host] = &atomic.Bool{}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(maxHostReviews)
	for namespace, all := range byNamespace {
		group.Go(func() error {
			return a.hostsOf(groupCtx, c, right, namespace, all, func(h Host) { allowed[h].Store(true) })
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(hosts), func(h Host) bool { return !allowed[h].Load() }), nil
}

// hostsOf decides over the hosts of one namespace.
func (a *Authorizer) hostsOf(ctx context.Context, c *caller.Caller, right access.Right, namespace string, hosts []Host, allow func(Host)) error {
	all, err := a.Allowed(ctx, c.User, Host{Namespace: namespace}, right)
	if err != nil {
		return err
	}
	rest := hosts
	if all {
		rest = nil
		for _, host := range hosts {
			allow(host)
		}
	} else if len(hosts) > fewHosts && c.BearerToken != "" {
		if rules, err := a.rules(ctx, c.BearerToken, namespace); err == nil {
			// What the rules do not list is asked for where the list is not complete: other
			// authorizers than RBAC say only yes or no.
			rest = nil
			for _, host := range hosts {
				switch {
				case granted(rules.ResourceRules, right, host.Name):
					allow(host)
				case rules.Incomplete:
					rest = append(rest, host)
				}
			}
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxHostReviews)
	for _, host := range rest {
		group.Go(func() error {
			ok, err := a.Allowed(ctx, c.User, host, right)
			if ok {
				allow(host)
			}
			return err
		})
	}
	return group.Wait()
}

// rules asks with the caller's own token what they may do in a namespace.
func (a *Authorizer) rules(ctx context.Context, token, namespace string) (*authorizationv1.SubjectRulesReviewStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	config := rest.CopyConfig(a.config)
	config.BearerToken = token
	// A redirect would carry the caller's token elsewhere.
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	clientset, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	review, err := clientset.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, &authorizationv1.SelfSubjectRulesReview{
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
