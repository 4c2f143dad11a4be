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
	"context"
	"fmt"
	"net/http"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
)

// ExpiredBindings is a readiness check for every replica: none serves while a
// permission that has ended is still in force, as after a night in which nothing ran.
type ExpiredBindings struct {
	// Reader is the informer cache.
	Reader client.Reader
	Clock  clock.PassiveClock
}

// SetupWithManager starts what the check reads: on a replica that does not lead no
// controller does.
func (e *ExpiredBindings) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if e.Clock == nil {
		e.Clock = clock.RealClock{}
	}
	for _, obj := range []client.Object{&dcv1.HostPermission{}, &rbacv1.RoleBinding{}} {
		if _, err := mgr.GetCache().GetInformer(ctx, obj); err != nil {
			return fmt.Errorf("watching %T: %w", obj, err)
		}
	}
	return nil
}

// Check fails while an expired HostPermission has a RoleBinding of its own.
func (e *ExpiredBindings) Check(req *http.Request) error {
	ctx, now := req.Context(), e.Clock.Now()
	perms := &dcv1.HostPermissionList{}
	if err := e.Reader.List(ctx, perms, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing HostPermissions: %w", err)
	}
	for i := range perms.Items {
		perm := &perms.Items[i]
		if !isExpired(perm, now) {
			continue
		}
		binding := &rbacv1.RoleBinding{}
		err := e.Reader.Get(ctx, client.ObjectKey{Namespace: perm.Namespace, Name: rolePrefix + perm.Name}, binding)
		switch {
		case err == nil && ownedBy(binding, perm.UID):
			return fmt.Errorf("HostPermission %s/%s has expired, and its RoleBinding is still there", perm.Namespace, perm.Name)
		case err != nil && !apierrors.IsNotFound(err):
			return fmt.Errorf("looking for the RoleBinding of HostPermission %s/%s: %w", perm.Namespace, perm.Name, err)
		}
	}
	return nil
}
