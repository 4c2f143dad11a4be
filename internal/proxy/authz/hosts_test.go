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
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
)

// rule is one of a Role's.
func rule(group, resource, verb string, names ...string) authorizationv1.ResourceRule {
	return authorizationv1.ResourceRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}, ResourceNames: names}
}

func TestHosts(t *testing.T) {
	one, two := hostsOf("one", 3), hostsOf("two", 20)
	mixed := slices.Concat(two[10:], one, two[:10]) // in no order
	odd := func(h Host) bool { return h.Name[3]%2 == 1 }
	var names []string
	for _, h := range two {
		if odd(h) {
			names = append(names, h.Name)
		}
	}
	oddOf := func(namespaces ...string) []Host {
		return slices.DeleteFunc(slices.Clone(mixed), func(h Host) bool { return !slices.Contains(namespaces, h.Namespace) || !odd(h) })
	}
	token, certificate := callerNamed("ada"), &caller.Caller{User: named("ada"), Means: caller.Certificate}
	byName := func(a *authorizationv1.ResourceAttributes) bool {
		return a.Name != "" && odd(Host{Name: a.Name})
	}
	viewer := rule(access.Group, "dockerhosts/containers", "get", names...)
	for name, tc := range map[string]struct {
		who     *caller.Caller
		decide  func(*authorizationv1.ResourceAttributes) bool
		rules   *authorizationv1.SubjectRulesReviewStatus
		want    []Host
		reviews int
		asks    int // for rules
	}{
		"of the cluster":  {token, func(a *authorizationv1.ResourceAttributes) bool { return a.Namespace == "" }, nil, mixed, 1, 0},
		"of a namespace":  {token, func(a *authorizationv1.ResourceAttributes) bool { return a.Namespace == "two" && a.Name == "" }, nil, oneNamespace(mixed, "two"), 3 + 3, 0},
		"of nothing":      {token, func(*authorizationv1.ResourceAttributes) bool { return false }, &authorizationv1.SubjectRulesReviewStatus{}, nil, 3 + 3, 1},
		"by rules":        {token, byName, &authorizationv1.SubjectRulesReviewStatus{ResourceRules: []authorizationv1.ResourceRule{viewer}}, oddOf("one", "two"), 3 + 3, 1},
		"rules are final": {token, func(*authorizationv1.ResourceAttributes) bool { return false }, &authorizationv1.SubjectRulesReviewStatus{ResourceRules: []authorizationv1.ResourceRule{viewer}}, oddOf("two"), 3 + 3, 1},
		// Another authorizer may refuse what the rules of one grant, or grant what they do not.
		"by incomplete rules":  {token, byName, &authorizationv1.SubjectRulesReviewStatus{Incomplete: true, ResourceRules: []authorizationv1.ResourceRule{rule("*", "*", "*")}}, oddOf("one", "two"), 3 + 23, 1},
		"without rules":        {token, byName, nil, oddOf("one", "two"), 3 + 23, 1},
		"without a token":      {certificate, byName, &authorizationv1.SubjectRulesReviewStatus{ResourceRules: []authorizationv1.ResourceRule{rule("*", "*", "*")}}, oddOf("one", "two"), 3 + 23, 0},
		"nobody may see a lot": {certificate, func(*authorizationv1.ResourceAttributes) bool { return false }, nil, nil, 3 + 23, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bed) {
				b.decide = func(s authorizationv1.SubjectAccessReviewSpec) bool { return tc.decide(s.ResourceAttributes) }
				b.rules = tc.rules
				given := slices.Clone(mixed)
				got, err := b.Hosts(b.Context(), tc.who, containers, given)
				if err != nil || !slices.Equal(got, tc.want) {
					b.Errorf("got %v, %v; want %v", got, err, tc.want)
				}
				if !slices.Equal(given, mixed) {
					b.Error("the caller's list was changed")
				}
				if n := b.asked(); n != tc.reviews || len(b.tokens) != tc.asks {
					b.Errorf("%d reviews and %d for rules, want %d and %d", n, len(b.tokens), tc.reviews, tc.asks)
				}
				for _, sent := range b.tokens {
					if sent != "Bearer of-ada" {
						b.Errorf("the rules were asked for with %q", sent)
					}
				}
				// Soon after, all but the rules are known.
				again, err := b.Hosts(b.Context(), tc.who, containers, given)
				if n := b.asked(); err != nil || !slices.Equal(again, tc.want) || n != 0 {
					b.Errorf("again: %v, %v and %d reviews", again, err, n)
				}
			})
		})
	}
}

func oneNamespace(hosts []Host, namespace string) []Host {
	return slices.DeleteFunc(slices.Clone(hosts), func(h Host) bool { return h.Namespace != namespace })
}

func TestNoHosts(t *testing.T) {
	inBubble(t, func(b *bed) {
		if got, err := b.Hosts(b.Context(), callerNamed("ada"), containers, nil); got != nil || err != nil || b.asked() != 0 {
			b.Errorf("got %v, %v", got, err)
		}
	})
}

// A list of which anything is not known is none.
func TestHostsOfAnOutage(t *testing.T) {
	for name, fails := range map[string]func(*authorizationv1.ResourceAttributes) bool{
		"of the cluster": func(a *authorizationv1.ResourceAttributes) bool { return a.Namespace == "" },
		"of a namespace": func(a *authorizationv1.ResourceAttributes) bool { return a.Namespace != "" && a.Name == "" },
		"of a host":      func(a *authorizationv1.ResourceAttributes) bool { return a.Name == "h013" },
	} {
		inBubble(t, func(b *bed) {
			b.decide = func(s authorizationv1.SubjectAccessReviewSpec) bool {
				b.down = fails(s.ResourceAttributes) // with the lock held, for this review
				return s.ResourceAttributes.Name != ""
			}
			c := &caller.Caller{User: named("ada"), Means: caller.Certificate}
			if got, err := b.Hosts(b.Context(), c, containers, hostsOf("team", 20)); len(got) > 0 || codeOf(err) != http.StatusServiceUnavailable {
				b.Errorf("%s: got %v, %v", name, got, err)
			}
		})
	}
	inBubble(t, func(b *bed) {
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		if got, err := b.Hosts(ctx, callerNamed("ada"), containers, hostsOf("team", 20)); len(got) > 0 || err == nil {
			b.Errorf("for one who left: got %v, %v", got, err)
		}
	})
}

func TestHostsAreBounded(t *testing.T) {
	inBubble(t, func(b *bed) {
		b.decide = func(s authorizationv1.SubjectAccessReviewSpec) bool { return s.ResourceAttributes.Name != "" }
		var hosts []Host
		for _, namespace := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
			hosts = append(hosts, hostsOf(namespace, 20)...)
		}
		b.takes = 1 // a nanosecond is enough for all to be there at once
		c := &caller.Caller{User: named("ada"), Means: caller.Certificate}
		got, err := b.Hosts(b.Context(), c, containers, hosts)
		if err != nil || !slices.Equal(got, hosts) {
			b.Errorf("got %d hosts of %d, %v", len(got), len(hosts), err)
		}
		if n := b.atOnce(); n != maxHostReviews {
			b.Errorf("%d reviews at once, want %d", n, maxHostReviews)
		}
	})
}

func TestGranted(t *testing.T) {
	for name, tc := range map[string]struct {
		rule authorizationv1.ResourceRule
		want bool
	}{
		"every host":              {rule(access.Group, "dockerhosts/containers", "get"), true},
		"everything":              {rule("*", "*", "*"), true},
		"this subresource of all": {rule("*", "*/containers", "get"), true},
		"this host":               {rule(access.Group, "dockerhosts/containers", "get", "other", "prod"), true},
		"another host":            {rule(access.Group, "dockerhosts/containers", "get", "other"), false},
		"a star is no name":       {rule(access.Group, "dockerhosts/containers", "get", "*"), false},
		"another verb":            {rule(access.Group, "dockerhosts/containers", "update"), false},
		"another subresource":     {rule(access.Group, "dockerhosts/log", "get"), false},
		"the host itself":         {rule(access.Group, "dockerhosts", "get"), false},
		"all of its subresources": {rule(access.Group, "dockerhosts/*", "get"), false}, // RBAC has no such rule
		"the door":                {rule(access.EngineGroup, "dockerhosts/containers", "get"), false},
		"the core group":          {rule("", "dockerhosts/containers", "get"), false},
		"nothing":                 {authorizationv1.ResourceRule{}, false},
	} {
		if got := granted([]authorizationv1.ResourceRule{tc.rule}, containers, "prod"); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	if granted(nil, containers, "prod") {
		t.Error("no rule grants")
	}
	// Two halves are no whole.
	if granted([]authorizationv1.ResourceRule{rule(access.Group, "dockerhosts/containers", "update"), rule(access.Group, "dockerhosts/log", "get")}, containers, "prod") {
		t.Error("two rules were taken for one")
	}
}
