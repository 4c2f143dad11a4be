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
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
)

func permissionWith(spec dcv1.HostPermissionSpec) *dcv1.HostPermission {
	return &dcv1.HostPermission{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web", UID: "u1", Generation: 3}, Spec: spec}
}

func viewerOf(hostNames ...string) *dcv1.HostPermission {
	return permissionWith(dcv1.HostPermissionSpec{
		Subjects: []dcv1.HostPermissionSubject{{Kind: dcv1.SubjectUser, Name: "ann"}}, Role: dcv1.HostViewer, HostNames: hostNames,
	})
}

func hostsNamed(names ...string) []dcv1.DockerHost {
	hosts := make([]dcv1.DockerHost, len(names))
	for i, name := range names {
		hosts[i].Name = name
	}
	return hosts
}

// inForce is what a role on hosts for users is in RBAC.
func inForce(t *testing.T, role access.Role, hosts []string, users ...string) permissionRBAC {
	t.Helper()
	rules, err := access.RulesFor(role, hosts)
	if err != nil {
		t.Fatal(err)
	}
	m := metav1.ObjectMeta{Namespace: "team", Name: rolePrefix + "web"}
	binding := &rbacv1.RoleBinding{ObjectMeta: m, RoleRef: roleRef(m.Name)}
	for _, u := range users {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: u})
	}
	return permissionRBAC{role: &rbacv1.Role{ObjectMeta: m, Rules: rules}, binding: binding}
}

func namesIn(rules []rbacv1.PolicyRule) []string {
	if len(rules) == 0 {
		return nil
	}
	return rules[0].ResourceNames
}

func TestMatchHosts(t *testing.T) {
	hosts := hostsNamed("c", "b", "a")
	hosts[0].Labels = map[string]string{"team": "web"}
	hosts[1].Labels = map[string]string{"team": "db"}
	web := &metav1.LabelSelector{MatchLabels: map[string]string{"team": "web"}}
	for name, tt := range map[string]struct {
		spec dcv1.HostPermissionSpec
		want []string
		fail bool
	}{
		"none":             {dcv1.HostPermissionSpec{}, nil, false},
		"names":            {dcv1.HostPermissionSpec{HostNames: []string{"b", "a", "absent"}}, []string{"a", "b"}, false},
		"selector":         {dcv1.HostPermissionSpec{HostSelector: web}, []string{"c"}, false},
		"both":             {dcv1.HostPermissionSpec{HostNames: []string{"a", "c"}, HostSelector: web}, []string{"a", "c"}, false},
		"empty selector":   {dcv1.HostPermissionSpec{HostSelector: &metav1.LabelSelector{}}, []string{"a", "b", "c"}, false},
		"invalid operator": {dcv1.HostPermissionSpec{HostSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: "Like"}}}}, nil, true},
	} {
		got, err := matchHosts(&tt.spec, hosts)
		if !slices.Equal(got, tt.want) || (err != nil) != tt.fail {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tt.want)
		}
	}
}

func TestSubjectsOf(t *testing.T) {
	perm := permissionWith(dcv1.HostPermissionSpec{Subjects: []dcv1.HostPermissionSubject{
		{Kind: dcv1.SubjectUser, Name: "b"}, {Kind: dcv1.SubjectUser, Name: "a"}, {Kind: dcv1.SubjectUser, Name: "b"},
		{Kind: dcv1.SubjectServiceAccount, Name: "bot"}, {Kind: dcv1.SubjectServiceAccount, Name: "bot", Namespace: "team"},
		{Kind: dcv1.SubjectGroup, Name: "g"},
	}})
	want := []rbacv1.Subject{
		{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "g"}, {Kind: "ServiceAccount", Name: "bot", Namespace: "team"},
		{APIGroup: rbacv1.GroupName, Kind: "User", Name: "a"}, {APIGroup: rbacv1.GroupName, Kind: "User", Name: "b"},
	}
	if got := subjectsOf(perm); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestDecideGrant(t *testing.T) {
	hosts := hostsNamed("a", "b")
	ended := viewerOf("a")
	ended.Spec.ExpiresAt = &metav1.Time{Time: testNow}
	ending := viewerOf("a")
	ending.Spec.ExpiresAt = &metav1.Time{Time: testNow.Add(time.Second)}
	badSelector := viewerOf("a")
	badSelector.Spec.HostSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"-": "-"}}
	badRole := viewerOf("a")
	badRole.Spec.Role = "Root"
	const fault = "The policy is missing."
	for name, tt := range map[string]struct {
		perm    *dcv1.HostPermission
		current permissionRBAC
		fault   string
		reason  string
		names   []string // in the rules
		holds   bool
	}{
		"granted":            {viewerOf("a", "b"), permissionRBAC{}, "", dcv1.ReasonGranted, []string{"a", "b"}, true},
		"no hosts":           {viewerOf("x"), permissionRBAC{}, "", dcv1.ReasonNoHostsMatched, nil, true},
		"expired":            {ended, inForce(t, access.Viewer, []string{"a"}, "ann"), "", dcv1.ReasonExpired, nil, false},
		"expired, no policy": {ended, inForce(t, access.Viewer, []string{"a"}, "ann"), fault, dcv1.ReasonExpired, nil, false},
		"expires soon":       {ending, permissionRBAC{}, "", dcv1.ReasonGranted, []string{"a"}, true},
		"bad selector":       {badSelector, inForce(t, access.Viewer, []string{"a"}, "ann"), "", dcv1.ReasonSelectorInvalid, nil, false},
		"bad role":           {badRole, inForce(t, access.Viewer, []string{"a"}, "ann"), "", dcv1.ReasonGrantFailed, nil, false},
		"conflict":           {viewerOf("a"), permissionRBAC{conflict: `Role "x"`}, "", dcv1.ReasonRoleConflict, nil, false},

		"no policy, nothing before":    {viewerOf("a"), permissionRBAC{}, fault, dcv1.ReasonAdmissionPolicyMissing, nil, false},
		"no policy, as before":         {viewerOf("a"), inForce(t, access.Viewer, []string{"a"}, "ann"), fault, dcv1.ReasonAdmissionPolicyMissing, []string{"a"}, true},
		"no policy, host added":        {viewerOf("a", "b"), inForce(t, access.Viewer, []string{"a"}, "ann"), fault, dcv1.ReasonAdmissionPolicyMissing, []string{"a"}, true},
		"no policy, host gone":         {viewerOf("b"), inForce(t, access.Viewer, []string{"a", "b"}, "ann"), fault, dcv1.ReasonAdmissionPolicyMissing, []string{"b"}, true},
		"no policy, all others":        {viewerOf("b"), inForce(t, access.Viewer, []string{"a"}, "ann"), fault, dcv1.ReasonAdmissionPolicyMissing, nil, false},
		"no policy, another subject":   {viewerOf("a"), inForce(t, access.Viewer, []string{"a"}, "eve"), fault, dcv1.ReasonAdmissionPolicyMissing, []string{"a"}, false},
		"no policy, lesser role":       {viewerOf("a"), inForce(t, access.Admin, []string{"a"}, "ann"), fault, dcv1.ReasonAdmissionPolicyMissing, []string{"a"}, true},
		"no policy, role edited empty": {viewerOf("a"), inForce(t, access.Viewer, nil, "ann"), fault, dcv1.ReasonAdmissionPolicyMissing, nil, false},
	} {
		g := decideGrant(tt.perm, hosts, tt.current, tt.fault, testNow)
		if g.reason != tt.reason || !slices.Equal(namesIn(g.rules), tt.names) || g.holds() != tt.holds {
			t.Errorf("%s: %s, rules for %q, holds %t; want %s, %q, %t", name, g.reason, namesIn(g.rules), g.holds(), tt.reason, tt.names, tt.holds)
		}
		if g.ready != (g.reason == dcv1.ReasonGranted || g.reason == dcv1.ReasonNoHostsMatched) || !strings.HasSuffix(g.message, ".") {
			t.Errorf("%s: ready %t, message %q", name, g.ready, g.message)
		}
		if tt.fault != "" && g.widens(tt.current) && g.holds() {
			t.Errorf("%s: it widens what is in force", name)
		}
		if again := decideGrant(tt.perm, hosts, tt.current, tt.fault, testNow); !reflect.DeepEqual(g, again) {
			t.Errorf("%s: another answer the second time", name)
		}
	}
	more := viewerOf("a")
	more.Spec.Role = dcv1.HostOperator
	if g := decideGrant(more, hosts, inForce(t, access.Viewer, []string{"a"}, "ann"), fault, testNow); g.holds() {
		t.Errorf("a greater role without a policy: %+v", g)
	}
}

func TestWidens(t *testing.T) {
	current := inForce(t, access.Operator, []string{"a", "b"}, "ann", "ben")
	wrongRef := inForce(t, access.Operator, []string{"a", "b"}, "ann", "ben")
	wrongRef.binding.RoleRef.Name = "other"
	for name, tt := range map[string]struct {
		role    access.Role
		hosts   []string
		users   []string
		current permissionRBAC
		want    bool
	}{
		"the same":      {access.Operator, []string{"a", "b"}, []string{"ann", "ben"}, current, false},
		"fewer hosts":   {access.Operator, []string{"b"}, []string{"ann", "ben"}, current, false},
		"no hosts":      {access.Operator, nil, []string{"ann", "ben"}, current, false},
		"fewer users":   {access.Operator, []string{"a"}, []string{"ben"}, current, false},
		"lesser role":   {access.Viewer, []string{"a"}, []string{"ann"}, current, false},
		"greater role":  {access.Admin, []string{"a"}, []string{"ann"}, current, true},
		"another host":  {access.Viewer, []string{"a", "c"}, []string{"ann"}, current, true},
		"another user":  {access.Viewer, []string{"a"}, []string{"eve"}, current, true},
		"other roleRef": {access.Viewer, []string{"a"}, []string{"ann"}, wrongRef, true},
		"nothing yet":   {access.Viewer, []string{"a"}, []string{"ann"}, permissionRBAC{}, true},
	} {
		want := inForce(t, tt.role, tt.hosts, tt.users...)
		g := grant{rules: want.role.Rules, subjects: want.binding.Subjects}
		if got := g.widens(tt.current); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
	everyHost := []rbacv1.PolicyRule{{APIGroups: []string{"g"}, Resources: []string{"r"}, Verbs: []string{"get"}}}
	oneHost := []rbacv1.PolicyRule{{APIGroups: []string{"g"}, Resources: []string{"r"}, Verbs: []string{"get"}, ResourceNames: []string{"a"}}}
	if !covers(everyHost, oneHost) || covers(oneHost, everyHost) {
		t.Error("a rule without names is one for every name")
	}
}

func TestPermissionStatusAndEvents(t *testing.T) {
	perm := viewerOf("a")
	hosts := hostsNamed("a", "b")
	// step brings the status to a new state and returns its Ready, the other
	// condition, and the Events.
	step := func(failed error, fault string, wrote bool) string {
		t.Helper()
		before := perm.DeepCopy()
		setPermissionStatus(perm, decideGrant(perm, hosts, permissionRBAC{}, fault, testNow), failed)
		var words []string
		for _, c := range perm.Status.Conditions {
			words = append(words, c.Type+"="+string(c.Status)+"/"+c.Reason)
		}
		slices.Sort(words)
		for _, e := range permissionEvents(&before.Status, &perm.Status, wrote) {
			words = append(words, e.eventType+":"+e.reason)
		}
		return strings.Join(words, " ")
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	want("granted", step(nil, "", true), "Ready=True/Granted Normal:Granted")
	want("nothing new", step(nil, "", false), "Ready=True/Granted")
	want("edited by hand", step(nil, "", true), "Ready=True/Granted Warning:Restored")
	perm.Spec.HostNames, perm.Generation = []string{"a", "b"}, 4
	want("changed", step(nil, "", true), "Ready=True/Granted Normal:Changed")
	hosts = hostsNamed("a")
	want("host gone", step(nil, "", true), "Ready=True/Granted Normal:Changed")
	want("write failed", step(errors.New("refused"), "", true), "Ready=False/GrantFailed Reconciling=True/GrantFailed Warning:GrantFailed")
	if perm.Status.RoleBindingName == "" {
		t.Error("a failed write says that nothing is granted")
	}
	want("failed again", step(errors.New("refused"), "", true), "Ready=False/GrantFailed Reconciling=True/GrantFailed")
	want("recovered", step(nil, "", true), "Ready=True/Granted Warning:Restored")
	want("policy gone", step(nil, "x.", true), "Ready=False/AdmissionPolicyMissing Stalled=True/AdmissionPolicyMissing Warning:Revoked Warning:AdmissionPolicyMissing")
	want("policy back", step(nil, "", true), "Ready=True/Granted Normal:Granted")
	perm.Spec.ExpiresAt = &metav1.Time{Time: testNow}
	want("expired", step(nil, "", true), "Ready=False/Expired Stalled=True/Expired Normal:Expired")
	want("still", step(nil, "", false), "Ready=False/Expired Stalled=True/Expired")

	many := make([]string, 250)
	for i := range many {
		many[i] = "h" + string(rune('a'+i/26)) + string(rune('a'+i%26))
	}
	perm = viewerOf(many...)
	hosts = hostsNamed(many...)
	step(nil, "", true)
	if s := perm.Status; len(s.MatchedHosts) != 100 || *s.MatchedHostCount != 250 {
		t.Errorf("%d hosts are listed of %d", len(s.MatchedHosts), *s.MatchedHostCount)
	}
}

func TestPolicyFault(t *testing.T) {
	type policy = admissionregistrationv1.ValidatingAdmissionPolicy
	type binding = admissionregistrationv1.ValidatingAdmissionPolicyBinding
	rule := func(p *policy) *admissionregistrationv1.NamedRuleWithOperations {
		return &p.Spec.MatchConstraints.ResourceRules[0]
	}
	for name, tt := range map[string]struct {
		change func(*policy, *binding)
		says   string
	}{
		"in force":         {func(*policy, *binding) {}, ""},
		"all operations":   {func(p *policy, _ *binding) { rule(p).Operations = []admissionregistrationv1.OperationType{"*"} }, ""},
		"empty selectors":  {func(p *policy, _ *binding) { p.Spec.MatchConstraints.ObjectSelector = &metav1.LabelSelector{} }, ""},
		"audits as well":   {func(_ *policy, b *binding) { b.Spec.ValidationActions = append(b.Spec.ValidationActions, "Audit") }, ""},
		"no policy":        {func(p *policy, _ *binding) { *p = policy{} }, "ValidatingAdmissionPolicy dockercontrol-hostpermission-grant is missing"},
		"no binding":       {func(_ *policy, b *binding) { *b = binding{} }, "ValidatingAdmissionPolicyBinding dockercontrol-hostpermission-grant is missing"},
		"ignores failures": {func(p *policy, _ *binding) { p.Spec.FailurePolicy = ptr.To(admissionregistrationv1.Ignore) }, "does not check every"},
		"creations only":   {func(p *policy, _ *binding) { rule(p).Operations = []admissionregistrationv1.OperationType{"CREATE"} }, "does not check every"},
		"another resource": {func(p *policy, _ *binding) { rule(p).Resources = []string{"dockerhosts"} }, "does not check every"},
		"one name":         {func(p *policy, _ *binding) { rule(p).ResourceNames = []string{"x"} }, "does not check every"},
		"another version":  {func(p *policy, _ *binding) { rule(p).APIVersions = []string{"v2"} }, "does not check every"},
		"no validations":   {func(p *policy, _ *binding) { p.Spec.Validations = nil }, "does not check every"},
		"leaves objects out": {func(p *policy, _ *binding) {
			p.Spec.MatchConstraints.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}, "does not check every"},
		"excludes": {func(p *policy, _ *binding) {
			p.Spec.MatchConstraints.ExcludeResourceRules = p.Spec.MatchConstraints.ResourceRules
		}, "does not check every"},
		"warns only": {func(_ *policy, b *binding) {
			b.Spec.ValidationActions = []admissionregistrationv1.ValidationAction{"Warn"}
		}, "does not deny"},
		"another policy's":    {func(_ *policy, b *binding) { b.Spec.PolicyName = "x" }, "does not deny"},
		"binding's selectors": {func(_ *policy, b *binding) { b.Spec.MatchResources = &admissionregistrationv1.MatchResources{} }, "does not deny"},
	} {
		p := &policy{ObjectMeta: metav1.ObjectMeta{Name: PermissionPolicyName}}
		p.Spec.FailurePolicy = ptr.To(admissionregistrationv1.Fail)
		p.Spec.Validations = []admissionregistrationv1.Validation{{Expression: "true"}}
		p.Spec.MatchConstraints = &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
			RuleWithOperations: admissionregistrationv1.RuleWithOperations{
				Operations: []admissionregistrationv1.OperationType{"CREATE", "UPDATE"},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{"dockercontrol.dev"}, APIVersions: []string{"*"}, Resources: []string{"hostpermissions"}},
			},
		}}}
		b := &binding{ObjectMeta: metav1.ObjectMeta{Name: PermissionPolicyName}}
		b.Spec.PolicyName = PermissionPolicyName
		b.Spec.ValidationActions = []admissionregistrationv1.ValidationAction{"Deny"}
		tt.change(p, b)
		if got := permissionPolicy.judge(p, b); (got == "") != (tt.says == "") || !strings.Contains(got, tt.says) {
			t.Errorf("%s: %q, want %q", name, got, tt.says)
		}
	}
}
