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

package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
)

// permissionRBAC is what a HostPermission has in RBAC: either is nil where it does
// not exist, or is not the permission's own. conflict names the one that is
// somebody else's.
type permissionRBAC struct {
	role     *rbacv1.Role
	binding  *rbacv1.RoleBinding
	conflict string
}

// grant is what a HostPermission comes to: the rules and the subjects that shall
// be in force, and the Ready condition that says so.
type grant struct {
	ready           bool
	reason, message string
	// hosts are those that the spec matches, sorted.
	hosts []string
	rules []rbacv1.PolicyRule
	// subjects is empty where nothing is granted.
	subjects []rbacv1.Subject
}

func (g *grant) holds() bool { return len(g.subjects) > 0 }

// decideGrant says what a HostPermission comes to. hosts are the DockerHosts of its
// namespace; policyFault says why the admission policy is not in force, or is "".
func decideGrant(perm *dcv1.HostPermission, hosts []dcv1.DockerHost, current permissionRBAC, policyFault string, now time.Time) grant {
	if isExpired(perm, now) {
		return grant{reason: dcv1.ReasonExpired, message: fmt.Sprintf("The permission ended on %s: delete it, or set spec.expiresAt to a later time.",
			perm.Spec.ExpiresAt.UTC().Format(time.RFC3339))}
	}
	matched, err := matchHosts(&perm.Spec, hosts)
	if err != nil {
		return grant{reason: dcv1.ReasonSelectorInvalid, message: fmt.Sprintf("spec.hostSelector cannot be used: %v.", err)}
	}
	if current.conflict != "" {
		return grant{hosts: matched, reason: dcv1.ReasonRoleConflict, message: fmt.Sprintf(
			"%s exists and is not this permission's, so it is left alone and nothing is granted: delete it, or give the permission another name.", current.conflict)}
	}
	g := grant{hosts: matched, subjects: subjectsOf(perm)}
	if g.rules, err = access.RulesFor(accessRole(perm), matched); err != nil {
		// The CRD's enum keeps it out, unless the CRD is newer than the manager.
		return grant{hosts: matched, reason: dcv1.ReasonGrantFailed, message: fmt.Sprintf("spec.role cannot be granted: %v.", err)}
	}
	if policyFault != "" {
		return limitGrant(g, accessRole(perm), current, policyFault)
	}
	g.ready, g.reason = true, dcv1.ReasonGranted
	g.message = fmt.Sprintf("%s on %s is granted to %s.", perm.Spec.Role, number(len(matched), "host"), number(len(g.subjects), "subject"))
	if len(matched) == 0 {
		g.reason, g.message = dcv1.ReasonNoHostsMatched, "No DockerHost of the namespace matches; one that comes and matches will be covered."
	}
	return g
}

// limitGrant keeps of g what is in force already. While nobody checks who writes
// HostPermissions, a spec proves nothing; but to cut everybody off because a policy
// is being replaced would harm more than it helps. So grants can only shrink.
func limitGrant(g grant, role access.Role, current permissionRBAC, fault string) grant {
	limited := grant{hosts: g.hosts, reason: dcv1.ReasonAdmissionPolicyMissing, message: fmt.Sprintf(
		"%s Nothing is granted beyond what was before: apply config/admission of this version.", fault)}
	if current.role == nil || current.binding == nil || current.binding.RoleRef != roleRef(current.role.Name) {
		return limited
	}
	var kept []string
	for _, host := range g.hosts {
		rules, err := access.RulesFor(role, []string{host})
		if err == nil && covers(current.role.Rules, rules) {
			kept = append(kept, host)
		}
	}
	rules, err := access.RulesFor(role, kept)
	if err != nil || len(kept) == 0 {
		return limited
	}
	limited.rules, limited.subjects = rules, intersect(g.subjects, current.binding.Subjects)
	return limited
}

// widens reports whether g gives anything that is not in force already.
func (g *grant) widens(current permissionRBAC) bool {
	if current.role == nil || current.binding == nil || current.binding.RoleRef != roleRef(current.role.Name) {
		return true
	}
	return !covers(current.role.Rules, g.rules) || len(intersect(g.subjects, current.binding.Subjects)) < len(g.subjects)
}

func accessRole(perm *dcv1.HostPermission) access.Role { return access.Role(perm.Spec.Role) }

// isExpired reports whether spec.expiresAt has come.
func isExpired(perm *dcv1.HostPermission, now time.Time) bool {
	return perm.Spec.ExpiresAt != nil && !now.Before(perm.Spec.ExpiresAt.Time)
}

// matchHosts returns the names of the hosts that a spec covers, sorted.
func matchHosts(spec *dcv1.HostPermissionSpec, hosts []dcv1.DockerHost) ([]string, error) {
	// Of a nil selector this selects nothing, of an empty one everything.
	selector, err := metav1.LabelSelectorAsSelector(spec.HostSelector)
	if err != nil {
		return nil, err
	}
	named := make(map[string]bool, len(spec.HostNames))
	for _, name := range spec.HostNames {
		named[name] = true
	}
	var matched []string
	for i := range hosts {
		if h := &hosts[i]; named[h.Name] || selector.Matches(labels.Set(h.Labels)) {
			matched = append(matched, h.Name)
		}
	}
	slices.Sort(matched)
	return matched, nil
}

// subjectsOf returns the RoleBinding's subjects, sorted and without repeats.
func subjectsOf(perm *dcv1.HostPermission) []rbacv1.Subject {
	subjects := make([]rbacv1.Subject, 0, len(perm.Spec.Subjects))
	for _, s := range perm.Spec.Subjects {
		out := rbacv1.Subject{Kind: string(s.Kind), Name: s.Name}
		if s.Kind == dcv1.SubjectServiceAccount {
			out.Namespace = cmp.Or(s.Namespace, perm.Namespace)
		} else {
			out.APIGroup = rbacv1.GroupName
		}
		subjects = append(subjects, out)
	}
	slices.SortFunc(subjects, func(a, b rbacv1.Subject) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return slices.Compact(subjects)
}

// intersect returns the subjects of a that are in b.
func intersect(a, b []rbacv1.Subject) []rbacv1.Subject {
	var both []rbacv1.Subject
	for _, s := range a {
		if slices.Contains(b, s) {
			both = append(both, s)
		}
	}
	return both
}

// covers reports whether each right of want is in have. A rule without resource
// names speaks of all of them, as in RBAC.
func covers(have, want []rbacv1.PolicyRule) bool {
	names := make([]map[string]bool, len(have))
	for i := range have {
		names[i] = make(map[string]bool, len(have[i].ResourceNames))
		for _, n := range have[i].ResourceNames {
			names[i][n] = true
		}
	}
	// holds reports whether one rule has group, resource and verb on all the names.
	holds := func(group, resource, verb string, wanted []string) bool {
		for i, rule := range have {
			if slices.Contains(rule.APIGroups, group) && slices.Contains(rule.Resources, resource) && slices.Contains(rule.Verbs, verb) &&
				(len(names[i]) == 0 || len(wanted) > 0 && !slices.ContainsFunc(wanted, func(n string) bool { return !names[i][n] })) {
				return true
			}
		}
		return false
	}
	for _, rule := range want {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					if !holds(group, resource, verb, rule.ResourceNames) {
						return false
					}
				}
			}
		}
	}
	return true
}

func number(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
