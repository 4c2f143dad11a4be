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
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/controllers"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/audit/audittest"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// directBed reconciles by hand, without a manager: its clock and its audit trail are
// the test's.
type directBed struct {
	*permissionBed
	reconciler *controllers.HostPermissionReconciler
	clock      *clocktesting.FakePassiveClock
	audit      *audittest.Recorder
	perm       *dcv1.HostPermission
}

func newDirectBed(t *testing.T) *directBed {
	t.Helper()
	cluster := testenv.Start(t)
	b := &directBed{
		permissionBed: &permissionBed{Cluster: cluster, ns: cluster.Namespace(t)},
		clock:         clocktesting.NewFakePassiveClock(time.Now()), audit: &audittest.Recorder{},
	}
	b.reconciler = &controllers.HostPermissionReconciler{
		Client: cluster.Client, Live: cluster.Client, Recorder: events.NewFakeRecorder(100), Audit: b.audit, Clock: b.clock,
	}
	for _, name := range []string{"a", "b"} {
		host := bareHost(name, nil)
		host.Namespace = b.ns
		b.Create(t, host)
	}
	b.perm = b.permission("web", "ann", "a")
	b.Create(t, b.perm)
	return b
}

func (b *directBed) reconcile(t *testing.T) (ctrl.Result, error) {
	t.Helper()
	result, err := b.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(b.perm)})
	if getErr := b.Client.Get(t.Context(), client.ObjectKeyFromObject(b.perm), b.perm); client.IgnoreNotFound(getErr) != nil {
		t.Fatal(getErr)
	}
	return result, err
}

func (b *directBed) mustReconcile(t *testing.T) ctrl.Result {
	t.Helper()
	result, err := b.reconcile(t)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// wantRecords checks the audit trail so far, as "grant allowed".
func (b *directBed) wantRecords(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, r := range b.audit.Records() {
		got = append(got, fmt.Sprintf("%s %s", r.Verb, r.Outcome))
		if r.Object.Kind != "HostPermission" || r.Object.Name != "web" || r.Object.ID != string(b.perm.UID) || r.Host.Namespace != b.ns || r.Actor.User == "" {
			t.Errorf("record = %+v", r)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("records = %q, want %q", got, want)
	}
}

func (b *directBed) granted(t *testing.T) bool {
	t.Helper()
	_, binding := b.role("web")
	err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(binding), binding)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return err == nil
}

func (b *directBed) hosts(t *testing.T) []string {
	t.Helper()
	role, _ := b.role("web")
	if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(role), role); err != nil {
		t.Fatal(err)
	}
	return role.Rules[0].ResourceNames
}

func TestPermissionIsOnRecord(t *testing.T) {
	b := newDirectBed(t)
	b.mustReconcile(t)
	b.mustReconcile(t)
	want := []string{"grant allowed", "grant succeeded"}
	b.wantRecords(t, want...)

	testenv.Update(t, b.Cluster, b.perm, func(p *dcv1.HostPermission) { p.Spec.HostNames = []string{"a", "b"} })
	b.mustReconcile(t)
	want = append(want, "change allowed", "change succeeded")
	b.wantRecords(t, want...)

	// What takes rights away is done first.
	testenv.Update(t, b.Cluster, b.perm, func(p *dcv1.HostPermission) { p.Spec.HostNames = []string{"b"} })
	b.mustReconcile(t)
	want = append(want, "change succeeded")
	b.wantRecords(t, want...)

	end := b.clock.Now().Truncate(time.Second).Add(10 * time.Minute)
	testenv.Update(t, b.Cluster, b.perm, func(p *dcv1.HostPermission) { p.Spec.ExpiresAt = &metav1.Time{Time: end} })
	if again := b.mustReconcile(t).RequeueAfter; again != time.Minute {
		t.Errorf("looks again after %s, want 1m: the wall clock may be set", again)
	}
	b.clock.SetTime(end.Add(-5 * time.Second))
	if again := b.mustReconcile(t).RequeueAfter; again != 5*time.Second {
		t.Errorf("looks again after %s, 5s before the end", again)
	}
	b.wantRecords(t, want...)
	b.clock.SetTime(end)
	if again := b.mustReconcile(t).RequeueAfter; again != 0 || b.granted(t) {
		t.Errorf("after the end: looks again after %s, granted %t", again, b.granted(t))
	}
	want = append(want, "expire succeeded")
	b.wantRecords(t, want...)
	b.mustReconcile(t)

	testenv.Update(t, b.Cluster, b.perm, func(p *dcv1.HostPermission) { p.Spec.ExpiresAt = nil })
	b.mustReconcile(t)
	want = append(want, "grant allowed", "grant succeeded")
	b.Delete(t, b.perm)
	b.mustReconcile(t)
	b.mustReconcile(t)
	b.wantRecords(t, append(want, "revoke succeeded")...)
	if b.granted(t) {
		t.Error("a deleted permission grants")
	}
}

// TestGarbageCollectorWasFirst: the end of a permission is on record, whoever removed
// its RoleBinding.
func TestGarbageCollectorWasFirst(t *testing.T) {
	b := newDirectBed(t)
	b.mustReconcile(t)
	b.Delete(t, b.perm)
	role, binding := b.role("web")
	b.Delete(t, role)
	b.Delete(t, binding)
	b.mustReconcile(t)
	b.wantRecords(t, "grant allowed", "grant succeeded", "revoke succeeded")
}

func TestDeletionThatWaitsIsRecordedOnce(t *testing.T) {
	b := newDirectBed(t)
	testenv.Update(t, b.Cluster, b.perm, func(p *dcv1.HostPermission) { p.Finalizers = []string{"example.com/wait"} })
	b.mustReconcile(t)
	b.Delete(t, b.perm)
	b.mustReconcile(t)
	b.mustReconcile(t)
	if b.granted(t) {
		t.Error("a permission that is being deleted grants")
	}
	testenv.Update(t, b.Cluster, b.perm, func(p *dcv1.HostPermission) { p.Finalizers = nil })
	b.mustReconcile(t)
	b.wantRecords(t, "grant allowed", "grant succeeded", "revoke succeeded")
}

func TestNothingIsGrantedOffTheRecord(t *testing.T) {
	b := newDirectBed(t)
	full := errors.New("the disk is full")
	b.audit.Fail(full)
	if _, err := b.reconcile(t); !errors.Is(err, audit.ErrRefused) || b.granted(t) {
		t.Errorf("error = %v, granted %t: want it refused", err, b.granted(t))
	}
	if reason := b.perm.Status.Conditions[0].Reason; reason != dcv1.ReasonGrantFailed {
		t.Errorf("reason = %s", reason)
	}
	b.audit.Fail(nil)
	b.mustReconcile(t)
	if !b.granted(t) {
		t.Fatal("not granted once it can be recorded")
	}

	// Host b would come and host a go: the one is refused, the other is not.
	testenv.Update(t, b.Cluster, b.perm, func(p *dcv1.HostPermission) { p.Spec.HostNames = []string{"a", "b"} })
	b.mustReconcile(t)
	testenv.Update(t, b.Cluster, b.perm, func(p *dcv1.HostPermission) {
		p.Spec.HostNames = []string{"b"}
		p.Spec.Subjects = append(p.Spec.Subjects, dcv1.HostPermissionSubject{Kind: dcv1.SubjectUser, Name: "eve"})
	})
	b.audit.Fail(full)
	if _, err := b.reconcile(t); !errors.Is(err, audit.ErrRefused) {
		t.Errorf("error = %v", err)
	}
	_, binding := b.role("web")
	if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(binding), binding); err != nil || len(binding.Subjects) != 1 {
		t.Errorf("subjects = %+v (%v), want ann only", binding.Subjects, err)
	}
	if got := b.hosts(t); !slices.Equal(got, []string{"b"}) {
		t.Errorf("the Role names %q, want b only", got)
	}

	// And what ends, ends.
	testenv.Update(t, b.Cluster, b.perm, func(p *dcv1.HostPermission) { p.Spec.ExpiresAt = &metav1.Time{Time: b.clock.Now()} })
	if _, err := b.reconcile(t); !errors.Is(err, audit.ErrOutcomeNotRecorded) || b.granted(t) {
		t.Errorf("error = %v, granted %t: want it revoked and the missing record reported", err, b.granted(t))
	}
}

// TestSubjectsLoseTheRoleBeforeItGrows: at no moment has somebody rights that no spec
// gave him.
func TestSubjectsLoseTheRoleBeforeItGrows(t *testing.T) {
	b := newDirectBed(t)
	b.mustReconcile(t)
	testenv.Update(t, b.Cluster, b.perm, func(p *dcv1.HostPermission) {
		p.Spec.Role = dcv1.HostAdmin
		p.Spec.Subjects = []dcv1.HostPermissionSubject{{Kind: dcv1.SubjectUser, Name: "ben"}}
	})
	spy := &orderSpy{Client: b.Client}
	b.reconciler.Client = spy
	b.mustReconcile(t)
	if want := []string{"delete RoleBinding", "update Role", "create RoleBinding"}; !slices.Equal(spy.writes, want) {
		t.Errorf("writes = %q, want %q", spy.writes, want)
	}
	_, binding := b.role("web")
	if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(binding), binding); apierrors.IsNotFound(err) || binding.Subjects[0].Name != "ben" {
		t.Errorf("subjects = %+v (%v)", binding.Subjects, err)
	}
}

// orderSpy notes the writes of Roles and RoleBindings.
type orderSpy struct {
	client.Client
	writes []string
}

func (s *orderSpy) note(verb string, obj client.Object) {
	kind := "Role"
	if _, ok := obj.(*rbacv1.RoleBinding); ok {
		kind = "RoleBinding"
	}
	s.writes = append(s.writes, verb+" "+kind)
}

func (s *orderSpy) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	s.note("create", obj)
	return s.Client.Create(ctx, obj, opts...)
}

func (s *orderSpy) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	s.note("update", obj)
	return s.Client.Update(ctx, obj, opts...)
}

func (s *orderSpy) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	s.note("delete", obj)
	return s.Client.Delete(ctx, obj, opts...)
}
