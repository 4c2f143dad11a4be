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
	"net/http"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// afterGrant is when permissions of these tests end: late enough for a busy machine
// to grant them, and look, before that. The tests mostly wait, so they run beside others.
const afterGrant = 20 * time.Second

func TestPermissionExpiresOnTime(t *testing.T) {
	t.Parallel()
	b := newPermissionBed(t, bareHost("a", nil))
	perm := b.permission("short", "ann", "a")
	end := metav1.NewTime(time.Now().Truncate(time.Second).Add(afterGrant))
	perm.Spec.ExpiresAt = &end
	b.Create(t, perm)
	b.waitPermission(t, perm, "True/Granted")
	b.waitCan(t, b.as(t, "ann"), true, "get", "a", "log")
	b.waitPermission(t, perm, "False/Expired")
	if late := time.Since(end.Time); late < 0 {
		t.Errorf("it ended %s before its end", -late)
	}
	if s := perm.Status; !*s.Expired || s.RoleName != "" || s.RoleBindingName != "" || len(s.MatchedHosts) != 0 {
		t.Errorf("status = %+v", s)
	}
	role, binding := b.role("short")
	b.waitGone(t, role, binding)
	b.waitCan(t, b.as(t, "ann"), false, "get", "a", "log")
	b.WaitEvents(t, perm, "Normal Granted", "Normal Expired")

	// A later end grants again.
	testenv.Update(t, b.Cluster, perm, func(p *dcv1.HostPermission) { p.Spec.ExpiresAt = &metav1.Time{Time: time.Now().Add(time.Hour)} })
	b.waitPermission(t, perm, "True/Granted")
	b.waitCan(t, b.as(t, "ann"), true, "get", "a", "log")
}

// TestPermissionExpiresWhileNothingRuns: an end that passed while every manager was
// down is in force before a replica says that it is ready. (What lost its label is not
// seen by that check, and goes all the same.)
func TestPermissionExpiresWhileNothingRuns(t *testing.T) {
	t.Parallel()
	b := newPermissionBed(t, bareHost("a", nil))
	perm, stripped := b.permission("short", "ann", "a"), b.permission("stripped", "ann", "a")
	end := metav1.NewTime(time.Now().Truncate(time.Second).Add(afterGrant))
	for _, p := range []*dcv1.HostPermission{perm, stripped} {
		p.Spec.ExpiresAt = &end
		b.Create(t, p)
		b.waitPermission(t, p, "True/Granted")
	}
	b.mgr.Stop(t)
	_, unlabelled := b.role("stripped")
	testenv.Update(t, b.Cluster, unlabelled, func(r *rbacv1.RoleBinding) { r.Labels = nil })
	time.Sleep(time.Until(end.Time))

	// A replica that does not lead sees the binding, and cannot remove it.
	follower := testenv.ManagerOptions(b.ns)
	follower.LeaderElect, follower.Namespace = true, b.ns
	follower.HealthAddress = testenv.FreeAddress(t, "127.0.0.1")
	holdLease(t, b)
	b.StartManager(t, follower)
	waitBody(t, "http://"+follower.HealthAddress+"/readyz?verbose", "[-]expired-bindings failed")

	leader := testenv.ManagerOptions(b.ns)
	leader.HealthAddress = testenv.FreeAddress(t, "127.0.0.1")
	b.StartManager(t, leader)
	waitBody(t, "http://"+leader.HealthAddress+"/readyz", "ok")
	role, binding := b.role("short")
	if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(binding), binding); !apierrors.IsNotFound(err) {
		t.Errorf("a replica is ready and the RoleBinding is there (%v)", err)
	}
	b.waitGone(t, role, binding, unlabelled)
	waitBody(t, "http://"+follower.HealthAddress+"/readyz", "ok")
}

func TestPermissionThatWasOverBeforeItBegan(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil))
	perm := b.permission("past", "ann", "a")
	perm.Spec.ExpiresAt = &metav1.Time{Time: time.Now().Add(-time.Minute)}
	b.Create(t, perm)
	b.waitPermission(t, perm, "False/Expired")
	role, binding := b.role("past")
	b.waitGone(t, role, binding)
}

// holdLease makes somebody else the leader for the next hour.
func holdLease(t *testing.T, b *permissionBed) {
	t.Helper()
	now := metav1.NowMicro()
	b.Create(t, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "dockercontrol-manager"},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To("somebody"), LeaseDurationSeconds: ptr.To[int32](3600), AcquireTime: &now, RenewTime: &now,
		},
	})
}

func waitBody(t *testing.T, url, says string) {
	t.Helper()
	httpClient := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	testenv.Eventually(t, 10*time.Second, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := httpClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		var body strings.Builder
		if err := resp.Write(&body); err != nil {
			return err
		}
		if !strings.Contains(body.String(), says) || says == "ok" && resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s, want %q", url, body.String(), says)
		}
		return nil
	})
}
