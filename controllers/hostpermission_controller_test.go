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
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// soon is within what a change of rights takes effect.
const soon = 2 * time.Second

// permissionBed is a namespace with a manager and suspended DockerHosts, which it knows:
// a permission that it reads before its hosts would be granted for none, and then changed.
type permissionBed struct {
	*testenv.Cluster
	ns  string
	mgr *testenv.Manager
}

func newPermissionBed(t *testing.T, hosts ...*dcv1.DockerHost) *permissionBed {
	t.Helper()
	cluster := testenv.Start(t)
	b := &permissionBed{Cluster: cluster, ns: cluster.Namespace(t)}
	b.mgr = cluster.StartManager(t, testenv.ManagerOptions(b.ns))
	for _, h := range hosts {
		h.Namespace = b.ns
		cluster.Create(t, h)
	}
	for _, h := range hosts {
		cluster.WaitReady(t, h, "False/Suspended", soon)
	}
	return b
}

// bareHost is a DockerHost that is never dialled.
func bareHost(name string, labels map[string]string) *dcv1.DockerHost {
	suspend := true
	return &dcv1.DockerHost{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec:       dcv1.DockerHostSpec{Endpoint: "unix:///nowhere/docker.sock", Suspend: &suspend},
	}
}

// permission lets user be a Viewer on the hosts named.
func (b *permissionBed) permission(name, user string, hostNames ...string) *dcv1.HostPermission {
	return &dcv1.HostPermission{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name},
		Spec: dcv1.HostPermissionSpec{
			Subjects:  []dcv1.HostPermissionSubject{{Kind: dcv1.SubjectUser, Name: user}},
			Role:      dcv1.HostViewer,
			HostNames: hostNames,
		},
	}
}

func (b *permissionBed) role(name string) (*rbacv1.Role, *rbacv1.RoleBinding) {
	m := metav1.ObjectMeta{Namespace: b.ns, Name: "hostpermission-" + name}
	return &rbacv1.Role{ObjectMeta: m}, &rbacv1.RoleBinding{ObjectMeta: m}
}

// waitPermission waits until Ready is want, as "True/Granted", at the newest generation.
func (b *permissionBed) waitPermission(t *testing.T, perm *dcv1.HostPermission, want string) {
	t.Helper()
	testenv.Eventually(t, 5*time.Second, func(ctx context.Context) error {
		if err := b.Client.Get(ctx, client.ObjectKeyFromObject(perm), perm); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(perm.Status.Conditions, dcv1.ConditionReady)
		switch {
		case ready == nil:
			return fmt.Errorf("no Ready condition, want %s", want)
		case string(ready.Status)+"/"+ready.Reason != want || ready.ObservedGeneration != perm.Generation:
			return fmt.Errorf("ready is %s/%s (%s), want %s", ready.Status, ready.Reason, ready.Message, want)
		}
		return nil
	})
}

func (b *permissionBed) waitMatched(t *testing.T, perm *dcv1.HostPermission, want ...string) {
	t.Helper()
	testenv.Eventually(t, soon, func(ctx context.Context) error {
		if err := b.Client.Get(ctx, client.ObjectKeyFromObject(perm), perm); err != nil {
			return err
		}
		if !slices.Equal(perm.Status.MatchedHosts, want) || int(*perm.Status.MatchedHostCount) != len(want) {
			return fmt.Errorf("matchedHosts = %q (%d), want %q", perm.Status.MatchedHosts, *perm.Status.MatchedHostCount, want)
		}
		return nil
	})
}

// can asks the API server as user itself, like "kubectl auth can-i VERB
// dockerhosts/HOST --subresource=SUBRESOURCE".
func (b *permissionBed) can(ctx context.Context, as client.Client, verb, host, subresource string) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: b.ns, Verb: verb, Group: "dockercontrol.dev", Resource: "dockerhosts", Subresource: subresource, Name: host,
		},
	}}
	err := as.Create(ctx, review)
	return review.Status.Allowed, err
}

// waitCan waits until user may, or may not, do something.
func (b *permissionBed) waitCan(t *testing.T, as client.Client, want bool, verb, host, subresource string) {
	t.Helper()
	testenv.Eventually(t, soon, func(ctx context.Context) error {
		got, err := b.can(ctx, as, verb, host, subresource)
		if err == nil && got != want {
			err = fmt.Errorf("%s on %s/%s is allowed: %t, want %t", verb, host, subresource, got, want)
		}
		return err
	})
}

// as is a client of a signed-in user, who may review himself.
func (b *permissionBed) as(t *testing.T, user string) client.Client {
	t.Helper()
	return b.As(t, user, "system:authenticated")
}

func (b *permissionBed) waitGone(t *testing.T, objs ...client.Object) {
	t.Helper()
	testenv.Eventually(t, soon, func(ctx context.Context) error {
		for _, obj := range objs {
			if err := b.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%T %s is still there (%v)", obj, obj.GetName(), err)
			}
		}
		return nil
	})
}

func TestPermissionGrantsAndFollowsHosts(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", map[string]string{"team": "web"}), bareHost("b", nil), bareHost("c", nil))
	ann := b.as(t, "ann")
	perm := b.permission("web", "ann", "b", "later")
	perm.Spec.HostSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "web"}}
	b.waitCan(t, ann, false, "get", "a", "log")
	b.Create(t, perm)
	b.waitPermission(t, perm, "True/Granted")
	b.waitMatched(t, perm, "a", "b")
	if perm.Status.RoleName != "hostpermission-web" || perm.Status.RoleBindingName != "hostpermission-web" || *perm.Status.Expired {
		t.Errorf("status = %+v", perm.Status)
	}
	b.waitCan(t, ann, true, "get", "a", "log") // the API server's authorizer hears of a Role by a watch
	b.waitCan(t, ann, true, "get", "b", "containers")
	for _, q := range []struct{ verb, host, subresource string }{
		{"get", "c", "log"},
		{"get", "", "log"},
		{"create", "a", "exec"},
		{"update", "a", "containers"},
		{"get", "a", "inspect"},
		{"grant", "a", ""},
	} {
		if got, err := b.can(t.Context(), ann, q.verb, q.host, q.subresource); err != nil || got {
			t.Errorf("%s %s/%s: allowed %t (%v)", q.verb, q.host, q.subresource, got, err)
		}
	}
	role, binding := b.role("web")
	for _, obj := range []client.Object{role, binding} {
		if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			t.Fatal(err)
		}
		if !metav1.IsControlledBy(obj, perm) {
			t.Errorf("%T is owned by %+v", obj, obj.GetOwnerReferences())
		}
	}

	later := bareHost("later", nil)
	later.Namespace = b.ns
	b.Create(t, later)
	b.waitCan(t, ann, true, "get", "later", "log")
	host := bareHost("c", nil)
	host.Namespace = b.ns
	testenv.Update(t, b.Cluster, host, func(h *dcv1.DockerHost) { h.Labels = map[string]string{"team": "web"} })
	b.waitCan(t, ann, true, "get", "c", "log")
	testenv.Update(t, b.Cluster, host, func(h *dcv1.DockerHost) { h.Labels = nil })
	b.waitCan(t, ann, false, "get", "c", "log")
	b.Delete(t, later)
	b.waitMatched(t, perm, "a", "b")

	testenv.Update(t, b.Cluster, perm, func(p *dcv1.HostPermission) { p.Spec.Role = dcv1.HostOperator })
	b.waitCan(t, ann, true, "create", "a", "exec")
	testenv.Update(t, b.Cluster, perm, func(p *dcv1.HostPermission) { p.Spec.Subjects[0].Name = "ben" })
	b.waitCan(t, ann, false, "get", "a", "log")
	b.waitCan(t, b.as(t, "ben"), true, "create", "b", "exec")
}

func TestPermissionOfGroupsAndServiceAccounts(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil))
	perm := b.permission("all", "x", "a")
	perm.Spec.Subjects = []dcv1.HostPermissionSubject{
		{Kind: dcv1.SubjectGroup, Name: "crew"},
		{Kind: dcv1.SubjectServiceAccount, Name: "bot"},
		{Kind: dcv1.SubjectServiceAccount, Name: "bot", Namespace: b.ns}, // the same one
		{Kind: dcv1.SubjectServiceAccount, Name: "far", Namespace: "elsewhere"},
	}
	perm.Spec.Role = dcv1.HostAdmin
	b.Create(t, perm)
	b.waitPermission(t, perm, "True/Granted")
	for _, as := range []client.Client{
		b.As(t, "ann", "system:authenticated", "crew"),
		b.as(t, "system:serviceaccount:"+b.ns+":bot"),
		b.as(t, "system:serviceaccount:elsewhere:far"),
	} {
		b.waitCan(t, as, true, "delete", "a", "raw")
	}
	b.waitCan(t, b.as(t, "crew"), false, "get", "a", "log")
}

func TestPermissionWithoutHostsGrantsNothing(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil))
	perm := b.permission("none", "ann", "absent")
	b.Create(t, perm)
	b.waitPermission(t, perm, "True/NoHostsMatched")
	role, _ := b.role("none")
	if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(role), role); err != nil || len(role.Rules) != 0 {
		t.Errorf("rules = %+v (%v); a rule without names would be one for every host", role.Rules, err)
	}
	b.waitCan(t, b.as(t, "ann"), false, "get", "a", "log")
}

func TestPermissionWithABadSelectorIsRevoked(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil))
	perm := b.permission("bad", "ann", "a")
	b.Create(t, perm)
	b.waitPermission(t, perm, "True/Granted")
	testenv.Update(t, b.Cluster, perm, func(p *dcv1.HostPermission) {
		p.Spec.HostSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: "Like"}}}
	})
	b.waitPermission(t, perm, "False/SelectorInvalid")
	role, binding := b.role("bad")
	b.waitGone(t, role, binding)
	b.WaitEvents(t, perm, "Normal Granted", "Warning Revoked", "Warning SelectorInvalid")
}

func TestDeletedPermissionIsRevoked(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil))
	perm := b.permission("gone", "ann", "a")
	b.Create(t, perm)
	b.waitPermission(t, perm, "True/Granted")
	b.Delete(t, perm)
	role, binding := b.role("gone")
	b.waitGone(t, role, binding)
	b.WaitEvents(t, perm, "Normal Granted", "Normal Revoked")

	// Another one of the name begins anew.
	again := b.permission("gone", "ben", "a")
	b.Create(t, again)
	b.waitPermission(t, again, "True/Granted")
	b.waitCan(t, b.as(t, "ben"), true, "get", "a", "log")
	b.waitCan(t, b.as(t, "ann"), false, "get", "a", "log")
}

func TestPermissionDeletedWhileNobodyLooked(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil))
	perm := b.permission("gone", "ann", "a")
	b.Create(t, perm)
	b.waitPermission(t, perm, "True/Granted")
	b.mgr.Stop(t)
	b.Delete(t, perm)
	again := b.permission("gone", "ben", "a")
	b.Create(t, again)
	b.StartManager(t, testenv.ManagerOptions(b.ns))
	b.waitPermission(t, again, "True/Granted")
	b.waitCan(t, b.as(t, "ben"), true, "get", "a", "log")
	b.waitCan(t, b.as(t, "ann"), false, "get", "a", "log")
}

func TestPermissionHeldByAFinalizerIsRevoked(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil))
	perm := b.permission("held", "ann", "a")
	perm.Finalizers = []string{"example.com/wait"}
	b.Create(t, perm)
	b.waitPermission(t, perm, "True/Granted")
	b.Delete(t, perm)
	role, binding := b.role("held")
	b.waitGone(t, role, binding)
	testenv.Update(t, b.Cluster, perm, func(p *dcv1.HostPermission) { p.Finalizers = nil })
	b.waitGone(t, perm)
}

func TestSteadyPermissionIsSilent(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil), bareHost("b", nil))
	perms := []*dcv1.HostPermission{b.permission("one", "ann", "a"), b.permission("two", "ben", "a", "b"), b.permission("old", "cid", "a")}
	perms[2].Spec.ExpiresAt = &metav1.Time{Time: time.Now().Add(-time.Hour)}
	for i, perm := range perms {
		b.Create(t, perm)
		b.waitPermission(t, perm, []string{"True/Granted", "True/Granted", "False/Expired"}[i])
	}
	b.WaitEvents(t, perms[0], "Normal Granted")
	b.WaitEvents(t, perms[1], "Normal Granted")
	b.WaitEvents(t, perms[2], "Warning Expired")
	hosts := []*dcv1.DockerHost{bareHost("a", nil), bareHost("b", nil)}
	for _, host := range hosts {
		host.Namespace = b.ns
		b.WaitReady(t, host, "False/Suspended", soon)
		b.WaitEvents(t, host, "Normal Suspended")
	}
	before := b.mgr.Writes()
	// Labels that nobody selects wake every permission, and change nothing for any.
	for _, host := range hosts {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"x":"y"}}}`))
		if err := b.Client.Patch(t.Context(), host, patch); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(500 * time.Millisecond) // nothing tells that nothing happened
	if writes := b.mgr.Writes() - before; writes != 0 {
		t.Errorf("%d writes while nothing changed", writes)
	}
}
