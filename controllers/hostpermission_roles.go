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
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
)

// rolePrefix goes before a HostPermission's name in its Role's and RoleBinding's.
const rolePrefix = "hostpermission-"

// rbacTimeout bounds one call about a Role or RoleBinding; they take milliseconds.
const rbacTimeout = 10 * time.Second

// Verbs of a HostPermission's audit records.
const (
	verbGrant  = "grant"
	verbChange = "change"
	verbRevoke = "revoke"
	verbExpire = "expire"
)

// actor is who the audit records name.
const actor = "dockercontrol-manager"

// The manager may write the Roles it needs because it holds what is in them, never
// by "escalate" or "bind": the last five markers are access.ManagerRules.
//
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=roles;rolebindings,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=dockercontrol.dev,resources=dockerhosts/attach;dockerhosts/build;dockerhosts/configs;dockerhosts/containers;dockerhosts/copy;dockerhosts/events;dockerhosts/exec;dockerhosts/export;dockerhosts/images;dockerhosts/info;dockerhosts/inspect;dockerhosts/log;dockerhosts/networks;dockerhosts/nodes;dockerhosts/plugins;dockerhosts/raw;dockerhosts/registry;dockerhosts/secrets;dockerhosts/services;dockerhosts/stats;dockerhosts/swarm;dockerhosts/tasks;dockerhosts/volumes,verbs=create;delete;get;patch;update
// +kubebuilder:rbac:groups=engine.dockercontrol.dev,resources=dockerhosts/attach;dockerhosts/build;dockerhosts/configs;dockerhosts/containers;dockerhosts/copy;dockerhosts/events;dockerhosts/exec;dockerhosts/export;dockerhosts/images;dockerhosts/info;dockerhosts/inspect;dockerhosts/log;dockerhosts/networks;dockerhosts/nodes;dockerhosts/plugins;dockerhosts/proxy;dockerhosts/raw;dockerhosts/registry;dockerhosts/secrets;dockerhosts/services;dockerhosts/stats;dockerhosts/swarm;dockerhosts/tasks;dockerhosts/volumes,verbs=create;delete;get;patch;update
// +kubebuilder:rbac:groups=engine.dockercontrol.dev,resources=dockerhosts/jobs,verbs=delete;get
// +kubebuilder:rbac:groups=engine.dockercontrol.dev,resources=dockerhosts/prune,verbs=create
// +kubebuilder:rbac:groups=engine.dockercontrol.dev,resources=dockerhosts/system,verbs=get

func roleRef(name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name}
}

// ownedBy reports whether a Role or RoleBinding is a HostPermission's: by its
// controller reference, or where that was removed, by its label.
func ownedBy(obj client.Object, uid types.UID) bool {
	if ref := metav1.GetControllerOf(obj); ref != nil {
		return ref.UID == uid
	}
	return obj.GetLabels()[dcv1.HostPermissionLabel] == string(uid)
}

// leftBehind reports whether a Role or RoleBinding was made for a HostPermission of
// this name: one that is gone, where it is not the present one's.
func leftBehind(obj client.Object, name string) bool {
	if obj.GetName() != rolePrefix+name || obj.GetLabels()[dcv1.HostPermissionLabel] == "" {
		return false
	}
	ref := metav1.GetControllerOf(obj)
	return ref == nil || ref.Kind == permissionKind && ref.Name == name
}

// read finds what a HostPermission has in RBAC. The informers see only what bears
// the label, and late, so the API server itself is asked what they do not know, where
// something is to be granted or was; and all of it, live, before anything is written.
func (r *HostPermissionReconciler) read(ctx context.Context, perm *dcv1.HostPermission, live bool) (permissionRBAC, error) {
	role, binding := &rbacv1.Role{}, &rbacv1.RoleBinding{}
	current := permissionRBAC{}
	for _, obj := range []client.Object{binding, role} {
		found, err := r.readOne(ctx, perm, obj, live)
		switch {
		case err != nil:
			return current, err
		case !found:
		case !ownedBy(obj, perm.UID):
			if leftBehind(obj, perm.Name) {
				if err := r.remove(ctx, obj); err != nil {
					return current, err
				}
				continue
			}
			current.conflict = fmt.Sprintf("%s %q", kindOf(obj), obj.GetName())
		case obj == role:
			current.role = role
		default:
			current.binding = binding
		}
	}
	return current, nil
}

func (r *HostPermissionReconciler) readOne(ctx context.Context, perm *dcv1.HostPermission, obj client.Object, live bool) (bool, error) {
	key := client.ObjectKey{Namespace: perm.Namespace, Name: rolePrefix + perm.Name}
	if !live {
		err := r.Client.Get(ctx, key, obj)
		idle := isExpired(perm, r.Clock.Now()) && perm.Status.RoleBindingName == ""
		if !apierrors.IsNotFound(err) || idle {
			return err == nil, client.IgnoreNotFound(wrap(err, "reading", obj, key))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, rbacTimeout)
	defer cancel()
	err := r.Live.Get(ctx, key, obj)
	return err == nil, client.IgnoreNotFound(wrap(err, "reading", obj, key))
}

// differs reports whether RBAC is not what g says.
func (r *HostPermissionReconciler) differs(perm *dcv1.HostPermission, g grant, current permissionRBAC) (bool, error) {
	if !g.holds() {
		return current.role != nil || current.binding != nil, nil
	}
	_, role, roleErr := r.roleFor(perm, g, current.role)
	_, binding, bindingErr := r.bindingFor(perm, g, current.binding)
	return role || binding, errors.Join(roleErr, bindingErr)
}

// enforce makes RBAC what g says, and reports whether anything had to be written.
func (r *HostPermissionReconciler) enforce(ctx context.Context, perm *dcv1.HostPermission, g grant, current permissionRBAC) (bool, error) {
	if !g.holds() {
		if current.role == nil && current.binding == nil {
			return false, nil
		}
		verb := verbRevoke
		if g.reason == dcv1.ReasonExpired {
			verb = verbExpire
		}
		return true, r.actFirst(ctx, permissionRecord(perm, verb), func(ctx context.Context) error {
			return r.removeBoth(ctx, current)
		})
	}
	role, roleDiffers, err := r.roleFor(perm, g, current.role)
	if err != nil {
		return false, err
	}
	binding, bindingDiffers, err := r.bindingFor(perm, g, current.binding)
	if err != nil || !roleDiffers && !bindingDiffers {
		return false, err
	}
	write := func(ctx context.Context) error {
		return r.writeBoth(ctx, role, binding, current, roleDiffers, bindingDiffers)
	}
	verb := verbChange
	if current.binding == nil {
		verb = verbGrant
	}
	if g.widens(current) {
		return true, audit.Do(ctx, r.Audit, permissionRecord(perm, verb), write)
	}
	return true, r.actFirst(ctx, permissionRecord(perm, verb), write)
}

func (r *HostPermissionReconciler) writeBoth(ctx context.Context, role *rbacv1.Role, binding *rbacv1.RoleBinding, current permissionRBAC, roleDiffers, bindingDiffers bool) error {
	base := current.binding
	if base != nil && (roleDiffers || base.RoleRef != binding.RoleRef) {
		var err error
		if base, err = r.dropSubjects(ctx, base, binding); err != nil {
			return err
		}
	}
	if roleDiffers {
		if err := r.write(ctx, role, current.role == nil); err != nil {
			return err
		}
	}
	switch {
	case base == nil: // perhaps a copy of one that was just removed
		binding.ObjectMeta = metav1.ObjectMeta{
			Namespace: binding.Namespace, Name: binding.Name, Labels: binding.Labels, OwnerReferences: binding.OwnerReferences,
		}
		return r.write(ctx, binding, true)
	case bindingDiffers:
		binding.ResourceVersion = base.ResourceVersion
		return r.write(ctx, binding, false)
	}
	return nil
}

// dropSubjects takes those out of a RoleBinding who are to lose the Role, before the
// Role gets rights that are not for them. It returns what is left of the
// RoleBinding; nil where that is nothing, or where its immutable roleRef is wrong.
func (r *HostPermissionReconciler) dropSubjects(ctx context.Context, current, want *rbacv1.RoleBinding) (*rbacv1.RoleBinding, error) {
	kept := intersect(want.Subjects, current.Subjects)
	if len(kept) == 0 || current.RoleRef != want.RoleRef {
		return nil, r.remove(ctx, current)
	}
	if len(kept) == len(current.Subjects) {
		return current, nil
	}
	narrowed := current.DeepCopy()
	narrowed.Subjects = kept
	return narrowed, r.write(ctx, narrowed, false)
}

// roleFor returns the Role that g asks for, and whether the current one differs.
func (r *HostPermissionReconciler) roleFor(perm *dcv1.HostPermission, g grant, current *rbacv1.Role) (*rbacv1.Role, bool, error) {
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: perm.Namespace, Name: rolePrefix + perm.Name}}
	if current != nil {
		role = current.DeepCopy()
	}
	role.Rules = g.rules
	err := r.own(perm, role)
	return role, current == nil || !equality.Semantic.DeepEqual(role, current), err
}

// bindingFor returns the RoleBinding that g asks for, and whether the current one differs.
func (r *HostPermissionReconciler) bindingFor(perm *dcv1.HostPermission, g grant, current *rbacv1.RoleBinding) (*rbacv1.RoleBinding, bool, error) {
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: perm.Namespace, Name: rolePrefix + perm.Name}}
	if current != nil {
		binding = current.DeepCopy()
	}
	binding.RoleRef, binding.Subjects = roleRef(rolePrefix+perm.Name), g.subjects
	err := r.own(perm, binding)
	return binding, current == nil || !equality.Semantic.DeepEqual(binding, current), err
}

func (r *HostPermissionReconciler) own(perm *dcv1.HostPermission, obj client.Object) error {
	metav1.SetMetaDataLabel(objectMeta(obj), dcv1.HostPermissionLabel, string(perm.UID))
	if err := controllerutil.SetControllerReference(perm, obj, r.Client.Scheme()); err != nil {
		return fmt.Errorf("owning %s %s: %w", kindOf(obj), obj.GetName(), err)
	}
	return nil
}

func objectMeta(obj client.Object) *metav1.ObjectMeta {
	if role, ok := obj.(*rbacv1.Role); ok {
		return &role.ObjectMeta
	}
	return &obj.(*rbacv1.RoleBinding).ObjectMeta
}

func (r *HostPermissionReconciler) write(ctx context.Context, obj client.Object, create bool) error {
	ctx, cancel := context.WithTimeout(ctx, rbacTimeout)
	defer cancel()
	if create {
		return wrap(r.Client.Create(ctx, obj), "creating", obj, client.ObjectKeyFromObject(obj))
	}
	return wrap(r.Client.Update(ctx, obj), "updating", obj, client.ObjectKeyFromObject(obj))
}

// removeBoth removes the RoleBinding first: without it nobody has the Role.
func (r *HostPermissionReconciler) removeBoth(ctx context.Context, current permissionRBAC) error {
	var errs []error
	if current.binding != nil {
		errs = append(errs, r.remove(ctx, current.binding))
	}
	if current.role != nil {
		errs = append(errs, r.remove(ctx, current.role))
	}
	return errors.Join(errs...)
}

// remove deletes this very object; one that is gone, or was made anew by somebody, is no error.
func (r *HostPermissionReconciler) remove(ctx context.Context, obj client.Object) error {
	ctx, cancel := context.WithTimeout(ctx, rbacTimeout)
	defer cancel()
	err := r.Client.Delete(ctx, obj, client.Preconditions{UID: ptr.To(obj.GetUID())})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return wrap(err, "deleting", obj, client.ObjectKeyFromObject(obj))
}

// actFirst does what takes rights away, and then records it: unlike what gives rights,
// that must not wait for an audit trail that cannot be written.
func (r *HostPermissionReconciler) actFirst(ctx context.Context, record audit.Record, act func(context.Context) error) error {
	begin := r.Clock.Now()
	err := act(ctx)
	record.Time, record.Outcome, record.Duration = begin, audit.Succeeded, r.Clock.Since(begin)
	if err != nil {
		record.Outcome, record.Reason = audit.Failed, apiReason(err)
	}
	if recErr := r.Audit.Record(context.WithoutCancel(ctx), record); recErr != nil {
		err = errors.Join(err, fmt.Errorf("%s of a HostPermission: %w: %w", record.Verb, audit.ErrOutcomeNotRecorded, recErr))
	}
	return err
}

func permissionRecord(perm *dcv1.HostPermission, verb string) audit.Record {
	return audit.Record{
		Actor: audit.Actor{User: actor}, Verb: verb, Host: audit.Host{Namespace: perm.Namespace},
		Object: audit.Object{Kind: permissionKind, ID: string(perm.UID), Name: perm.Name},
	}
}

// apiReason is the API server's word for an error.
func apiReason(err error) string {
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		return string(reason)
	}
	return "Unspecified"
}

func kindOf(obj client.Object) string {
	if _, ok := obj.(*rbacv1.Role); ok {
		return "Role"
	}
	return "RoleBinding"
}

func wrap(err error, doing string, obj client.Object, key client.ObjectKey) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s the %s %s: %w", doing, kindOf(obj), key, err)
}
