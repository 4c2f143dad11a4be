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
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/status"
)

const (
	permissionKind = "HostPermission"
	// permissionWorkers: a reconcile waits for three small writes at most.
	permissionWorkers = 4
	// expiryRecheck bounds how long an end is waited for in one go: timers run on the
	// monotonic clock, and the wall clock may be set meanwhile.
	expiryRecheck = time.Minute
	// conflictRecheck is how often it is looked whether somebody else's Role is gone:
	// the informers hold ours only.
	conflictRecheck = 30 * time.Second
	// A failed write is tried again soon, and never so late that an end would pass
	// unnoticed for long.
	retryFirst, retryLast = 50 * time.Millisecond, 10 * time.Second
)

// HostPermissionReconciler turns each HostPermission into a Role and a RoleBinding,
// keeps them so, and removes them on time. It runs on the leader.
type HostPermissionReconciler struct {
	// Client reads from the informer cache, which holds the Roles and RoleBindings
	// with HostPermissionLabel only, and writes.
	Client client.Client
	// Live reads from the API server itself.
	Live     client.Reader
	Recorder events.EventRecorder
	Audit    audit.Recorder
	Clock    clock.PassiveClock

	granted grantedPermissions
}

// +kubebuilder:rbac:groups=dockercontrol.dev,resources=hostpermissions,verbs=get;list;watch
// +kubebuilder:rbac:groups=dockercontrol.dev,resources=hostpermissions/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=dockercontrol.dev,resources=hostpermissions/finalizers,verbs=update

// Reconcile makes RBAC what one HostPermission asks for.
func (r *HostPermissionReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	perm := &dcv1.HostPermission{}
	if err := r.Client.Get(ctx, req.NamespacedName, perm); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, r.forget(ctx, req.NamespacedName)
		}
		return ctrl.Result{}, fmt.Errorf("reading the HostPermission: %w", err)
	}
	g, current, err := r.decide(ctx, perm, false)
	if err != nil {
		return ctrl.Result{}, err
	}
	differs, err := r.differs(perm, g, current)
	if err == nil && differs {
		g, current, err = r.decide(ctx, perm, true)
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if !perm.DeletionTimestamp.IsZero() {
		if _, err := r.enforce(ctx, perm, g, current); err != nil {
			return ctrl.Result{}, err
		}
		r.granted.set(req.NamespacedName, "", false)
		return ctrl.Result{}, nil
	}
	wrote, err := r.enforce(ctx, perm, g, current)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return ctrl.Result{RequeueAfter: conflictPause}, nil
	}
	if errors.Is(err, audit.ErrRefused) {
		// What is taken away need not wait for the trail.
		_, limitErr := r.enforce(ctx, perm, limitGrant(g, accessRole(perm), current, ""), current)
		err = errors.Join(err, limitErr)
	}
	return r.save(ctx, perm, g, wrote, err)
}

// decide reads everything that a HostPermission's grant depends on, and says what it
// comes to.
func (r *HostPermissionReconciler) decide(ctx context.Context, perm *dcv1.HostPermission, live bool) (grant, permissionRBAC, error) {
	current, err := r.read(ctx, perm, live)
	if err != nil || !perm.DeletionTimestamp.IsZero() {
		// Where somebody's finalizer holds the object, its rights end all the same.
		return grant{}, current, err
	}
	hosts := &dcv1.DockerHostList{}
	if err := r.Client.List(ctx, hosts, client.InNamespace(perm.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return grant{}, current, fmt.Errorf("listing the namespace's DockerHosts: %w", err)
	}
	fault, err := permissionPolicy.fault(ctx, r.Client)
	if err != nil {
		return grant{}, current, err
	}
	return decideGrant(perm, hosts.Items, current, fault, r.Clock.Now()), current, nil
}

// save writes the status and, after it, the Events. failed is why RBAC is not what
// g says.
func (r *HostPermissionReconciler) save(ctx context.Context, perm *dcv1.HostPermission, g grant, wrote bool, failed error) (ctrl.Result, error) {
	if failed == nil {
		r.granted.set(client.ObjectKeyFromObject(perm), perm.UID, g.holds())
	}
	before := perm.DeepCopy()
	setPermissionStatus(perm, g, failed)
	changed, err := status.Patch(ctx, r.Client, perm, before)
	if err != nil && !apierrors.IsConflict(err) {
		return ctrl.Result{}, errors.Join(failed, fmt.Errorf("writing the status: %w", err))
	}
	if changed || wrote && failed == nil && err == nil {
		for _, e := range permissionEvents(&before.Status, &perm.Status, wrote) {
			r.Recorder.Eventf(perm, nil, e.eventType, e.reason, e.action, "%s", e.message)
		}
	}
	if failed != nil {
		return ctrl.Result{}, failed
	}
	next := recheckAfter(perm, g, r.Clock.Now())
	if err != nil {
		next = conflictPause
	}
	return ctrl.Result{RequeueAfter: next}, nil
}

// recheckAfter is when to look again though no watch says so; 0 for never.
func recheckAfter(perm *dcv1.HostPermission, g grant, now time.Time) time.Duration {
	switch {
	case g.reason == dcv1.ReasonExpired:
		return 0
	case perm.Spec.ExpiresAt != nil:
		// isExpired was asked a moment ago: the end may have come since.
		return min(max(perm.Spec.ExpiresAt.Sub(now), time.Millisecond), expiryRecheck)
	case g.reason == dcv1.ReasonRoleConflict:
		return conflictRecheck
	}
	return 0
}

// forget removes what a HostPermission that is gone had. The garbage collector does
// so too, later, and not where the object was deleted as an orphan's parent.
func (r *HostPermissionReconciler) forget(ctx context.Context, key types.NamespacedName) error {
	perm := &dcv1.HostPermission{}
	perm.Namespace, perm.Name = key.Namespace, key.Name
	uid, granted := r.granted.get(key)
	left, err := r.leftBy(ctx, key)
	if err != nil {
		return err
	}
	if left.binding != nil {
		uid = types.UID(left.binding.Labels[dcv1.HostPermissionLabel])
	}
	if left.binding == nil && !granted {
		return r.removeBoth(ctx, left)
	}
	perm.UID = uid
	if err := r.actFirst(ctx, permissionRecord(perm, verbRevoke), func(ctx context.Context) error { return r.removeBoth(ctx, left) }); err != nil {
		return err
	}
	r.granted.set(key, "", false)
	regarding := &corev1.ObjectReference{APIVersion: dcv1.GroupVersion.String(), Kind: permissionKind, Namespace: key.Namespace, Name: key.Name, UID: uid}
	r.Recorder.Eventf(regarding, nil, corev1.EventTypeNormal, dcv1.ReasonRevoked, actionRevoke, "The permission was deleted: what it granted is revoked.")
	return nil
}

// leftBy finds what a HostPermission that is gone has in RBAC still.
func (r *HostPermissionReconciler) leftBy(ctx context.Context, key types.NamespacedName) (permissionRBAC, error) {
	left := permissionRBAC{}
	role, binding := &rbacv1.Role{}, &rbacv1.RoleBinding{}
	key.Name = rolePrefix + key.Name
	for _, obj := range []client.Object{role, binding} {
		err := r.Client.Get(ctx, key, obj)
		if err == nil { // perhaps it was removed a moment ago
			err = r.Live.Get(ctx, key, obj)
		}
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return left, fmt.Errorf("looking for what a deleted HostPermission had: %w", err)
		case !leftBehind(obj, strings.TrimPrefix(key.Name, rolePrefix)):
		case obj == role:
			left.role = role
		default:
			left.binding = binding
		}
	}
	return left, nil
}

// SetupWithManager registers the reconciler.
func (r *HostPermissionReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Clock == nil {
		r.Clock = clock.RealClock{}
	}
	byName := handler.EnqueueRequestsFromMapFunc(permissionOfRole)
	all := handler.EnqueueRequestsFromMapFunc(r.permissionsIn)
	return ctrl.NewControllerManagedBy(mgr).
		Named("hostpermission").
		For(&dcv1.HostPermission{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&rbacv1.Role{}, byName).
		Watches(&rbacv1.RoleBinding{}, byName).
		Watches(&dcv1.DockerHost{}, all, builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&admissionregistrationv1.ValidatingAdmissionPolicy{}, all, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, all).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: permissionWorkers,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](retryFirst, retryLast),
		}).
		Complete(r)
}

// permissionOfRole finds the HostPermission of a Role or RoleBinding by its name: an
// owner reference may have been removed by hand.
func permissionOfRole(_ context.Context, obj client.Object) []reconcile.Request {
	name, ok := strings.CutPrefix(obj.GetName(), rolePrefix)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: obj.GetNamespace(), Name: name}}}
}

// permissionsIn finds the HostPermissions of an object's namespace, or all of them
// for one that has none.
func (r *HostPermissionReconciler) permissionsIn(ctx context.Context, obj client.Object) []reconcile.Request {
	perms := &dcv1.HostPermissionList{}
	if err := r.Client.List(ctx, perms, client.InNamespace(obj.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing HostPermissions")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(perms.Items))
	for i := range perms.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&perms.Items[i])})
	}
	return requests
}

// grantedPermissions remembers what grants something, so that the end of one whose
// RoleBinding the garbage collector removed first is on record as well.
type grantedPermissions struct {
	mu   sync.Mutex
	uids map[types.NamespacedName]types.UID
}

func (g *grantedPermissions) set(key types.NamespacedName, uid types.UID, granted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !granted {
		delete(g.uids, key)
		return
	}
	if g.uids == nil {
		g.uids = map[types.NamespacedName]types.UID{}
	}
	g.uids[key] = uid
}

func (g *grantedPermissions) get(key types.NamespacedName) (types.UID, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	uid, ok := g.uids[key]
	return uid, ok
}
