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

package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/config"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// TestHandEditsArePutRight changes what belongs to a permission in every way there
// is, and waits until it is as it was.
func TestHandEditsArePutRight(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil))
	perm := b.permission("web", "ann", "a")
	b.Create(t, perm)
	b.waitPermission(t, perm, "True/Granted")
	role, binding := b.role("web")
	if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(role), role); err != nil {
		t.Fatal(err)
	}
	rules := role.Rules
	other := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "eve"}}
	edits := map[string]func(){
		"rules added": func() {
			testenv.Update(t, b.Cluster, role, func(r *rbacv1.Role) {
				r.Rules = append(r.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}})
			})
		},
		"rules removed":   func() { testenv.Update(t, b.Cluster, role, func(r *rbacv1.Role) { r.Rules = nil }) },
		"role's label":    func() { testenv.Update(t, b.Cluster, role, func(r *rbacv1.Role) { r.Labels = nil }) },
		"role's owner":    func() { testenv.Update(t, b.Cluster, role, func(r *rbacv1.Role) { r.OwnerReferences = nil }) },
		"role deleted":    func() { b.Delete(t, role) },
		"subjects":        func() { testenv.Update(t, b.Cluster, binding, func(r *rbacv1.RoleBinding) { r.Subjects = other }) },
		"binding's owner": func() { testenv.Update(t, b.Cluster, binding, func(r *rbacv1.RoleBinding) { r.OwnerReferences = nil }) },
		"binding's label": func() { testenv.Update(t, b.Cluster, binding, func(r *rbacv1.RoleBinding) { r.Labels = nil }) },
		"binding deleted": func() { b.Delete(t, binding) },
		"roleRef": func() {
			old := binding.DeepCopy()
			b.Delete(t, binding)
			again := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: binding.Name, Labels: old.Labels, OwnerReferences: old.OwnerReferences}}
			again.Subjects, again.RoleRef = other, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}
			if err := b.Client.Create(t.Context(), again); !apierrors.IsAlreadyExists(err) && err != nil { // the manager may be first
				t.Fatal(err)
			}
		},
	}
	right := func(ctx context.Context) error {
		role, binding := b.role("web")
		if err := b.Client.Get(ctx, client.ObjectKeyFromObject(role), role); err != nil {
			return err
		}
		if err := b.Client.Get(ctx, client.ObjectKeyFromObject(binding), binding); err != nil {
			return err
		}
		if fmt.Sprint(role.Rules) != fmt.Sprint(rules) || binding.RoleRef.Name != role.Name || len(binding.Subjects) != 1 || binding.Subjects[0].Name != "ann" {
			return fmt.Errorf("rules %+v, roleRef %+v, subjects %+v", role.Rules, binding.RoleRef, binding.Subjects)
		}
		for _, obj := range []client.Object{role, binding} {
			if !metav1.IsControlledBy(obj, perm) || obj.GetLabels()[dcv1.HostPermissionLabel] != string(perm.UID) {
				return fmt.Errorf("%T: owners %+v, labels %v", obj, obj.GetOwnerReferences(), obj.GetLabels())
			}
		}
		return nil
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(binding), binding); err != nil {
				t.Fatal(err)
			}
			edit()
			testenv.Eventually(t, soon, right)
		})
	}
}

// TestForeignRolesAreLeftAlone: what bears the name and is somebody else's is neither
// taken over nor changed, and nothing is granted beside it.
func TestForeignRolesAreLeftAlone(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil))
	theirs := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}
	role, _ := b.role("one")
	role.Rules = theirs
	_, binding := b.role("two")
	binding.RoleRef = rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: binding.Name}
	binding.Subjects = []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "eve"}}
	b.Create(t, role)
	b.Create(t, binding)
	for name, obj := range map[string]client.Object{"one": role, "two": binding} {
		t.Run(name, func(t *testing.T) {
			version := obj.GetResourceVersion()
			perm := b.permission(name, "ann", "a")
			b.Create(t, perm)
			b.waitPermission(t, perm, "False/RoleConflict")
			if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil || obj.GetResourceVersion() != version {
				t.Errorf("it was touched: %+v (%v)", obj, err)
			}
			if got, err := b.can(t.Context(), b.as(t, "ann"), "get", "a", "log"); err != nil || got {
				t.Errorf("granted all the same: %t (%v)", got, err)
			}
			b.WaitEvents(t, perm, "Warning RoleConflict")
		})
	}
	if got, err := b.can(t.Context(), b.as(t, "eve"), "get", "a", "log"); err != nil || got {
		t.Errorf("a foreign RoleBinding got a Role of ours: %t (%v)", got, err)
	}
}

// TestReplacedRoleRevokes: where somebody puts a Role of their own in the place of
// ours, our RoleBinding must not bind it.
func TestReplacedRoleRevokes(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil))
	perm := b.permission("web", "ann", "a")
	b.Create(t, perm)
	b.waitPermission(t, perm, "True/Granted")
	b.mgr.Stop(t)
	role, binding := b.role("web")
	b.Delete(t, role)
	role, _ = b.role("web")
	role.Rules = []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}}
	b.Create(t, role)
	b.StartManager(t, testenv.ManagerOptions(b.ns))
	b.waitPermission(t, perm, "False/RoleConflict")
	b.waitGone(t, binding)
}

// TestManagersOwnRightsSuffice runs a manager with the ClusterRole it has in a cluster:
// RBAC lets it write the Roles, for it holds what is in them.
func TestManagersOwnRightsSuffice(t *testing.T) {
	cluster := *testenv.Start(t)
	all := cluster.Config
	bindManagerRole(t, &cluster, "limited-manager")
	cluster.Config = rest.CopyConfig(all)
	cluster.Config.Impersonate = rest.ImpersonationConfig{UserName: "limited-manager"}
	b := &permissionBed{Cluster: &cluster, ns: cluster.Namespace(t)}
	b.mgr = cluster.StartManager(t, testenv.ManagerOptions(b.ns))
	cluster.Config = all
	host := bareHost("a", nil)
	host.Namespace = b.ns
	b.Create(t, host)
	for _, role := range []dcv1.HostRole{dcv1.HostViewer, dcv1.HostOperator, dcv1.HostAdmin} {
		perm := b.permission(strings.ToLower(string(role)), "ann", "a")
		perm.Spec.Role = role
		b.Create(t, perm)
		b.waitPermission(t, perm, "True/Granted")
	}
	b.waitCan(t, b.as(t, "ann"), true, "delete", "a", "raw")
	perm := b.permission("viewer", "ann")
	b.Delete(t, perm)
	role, binding := b.role("viewer")
	b.waitGone(t, role, binding)
}

func managerRole(t *testing.T) *rbacv1.ClusterRole {
	t.Helper()
	data, err := config.RBAC.ReadFile("rbac/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(data), "---\n") {
		role := &rbacv1.ClusterRole{}
		if err := yaml.Unmarshal([]byte(document), role); err != nil {
			t.Fatal(err)
		}
		if role.Kind == "ClusterRole" {
			return role
		}
	}
	t.Fatal("config/rbac/role.yaml has no ClusterRole")
	return nil
}

func bindManagerRole(t *testing.T, cluster *testenv.Cluster, user string) {
	t.Helper()
	role := managerRole(t)
	role.Name = user
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}
	for _, obj := range []client.Object{role, binding} {
		cluster.Create(t, obj)
		t.Cleanup(func() { // of no namespace, so the next run would find it
			if err := cluster.Client.Delete(context.WithoutCancel(t.Context()), obj); err != nil {
				t.Errorf("deleting %s: %v", obj.GetName(), err)
			}
		})
	}
	// The API server's authorizer hears of them by a watch.
	testenv.Eventually(t, soon, func(ctx context.Context) error {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               user,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "watch", Group: "dockercontrol.dev", Resource: "dockerhosts"},
		}}
		if err := cluster.Client.Create(ctx, review); err != nil {
			return err
		}
		if !review.Status.Allowed {
			return fmt.Errorf("%s does not have the manager's rights yet", user)
		}
		return nil
	})
}

// TestManagerHoldsExactlyWhatItGrants compares the markers beside the code with what
// package access says: neither a right too few to write a Role, nor one too many.
func TestManagerHoldsExactlyWhatItGrants(t *testing.T) {
	held := map[string]bool{}
	for _, rule := range managerRole(t).Rules {
		for right := range rights(rule) {
			held[right] = true
		}
		for _, word := range slices.Concat(rule.Verbs, rule.Resources, rule.APIGroups) {
			if word == "*" || word == "escalate" || word == "bind" || word == "grant" || word == "impersonate" {
				t.Errorf("the manager holds %q: %+v", word, rule)
			}
		}
	}
	wanted := map[string]bool{}
	for _, rule := range access.ManagerRules() {
		for right := range rights(rule) {
			wanted[right] = true
			if !held[right] {
				t.Errorf("the manager lacks %s: add it to the markers", right)
			}
		}
	}
	for right := range held {
		if strings.Contains(right, " dockerhosts/") && !strings.Contains(right, " dockerhosts/status ") && !wanted[right] {
			t.Errorf("the manager holds %s and never grants it", right)
		}
	}
}

func rights(rule rbacv1.PolicyRule) map[string]bool {
	all := map[string]bool{}
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				all[fmt.Sprintf("%s %s %s", group, resource, verb)] = true
			}
		}
	}
	return all
}

// TestLongestName: names of HostPermissions have up to 253 characters, and those of
// their Roles a prefix before that.
func TestLongestName(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil))
	perm := b.permission(strings.Repeat("n", 253), "ann", "a")
	b.Create(t, perm)
	b.waitPermission(t, perm, "True/Granted")
	b.waitCan(t, b.as(t, "ann"), true, "get", "a", "log")
}
