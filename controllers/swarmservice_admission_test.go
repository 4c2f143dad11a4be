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
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/access"
	"github.com/dockercontrol/dockercontrol/internal/swarm"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

// swarmAdmissionBed is a namespace with users who all may write SwarmServices, and
// differ in what they may do on hosts.
type swarmAdmissionBed struct {
	*admissionBed
	// argo may do everything with our kinds, and nothing on a host.
	argo client.Client
	// operator and admin have these roles on the host a; both is Admin on a and b.
	operator, admin, both client.Client
	// secretAdmin is Admin on a and may get secrets.
	secretAdmin client.Client
	// autoscaler may update the services of every host, as a HorizontalPodAutoscaler must.
	autoscaler client.Client
}

func newSwarmAdmissionBed(t *testing.T) *swarmAdmissionBed {
	t.Helper()
	cluster := testenv.Start(t)
	b := &swarmAdmissionBed{admissionBed: &admissionBed{Cluster: cluster, ns: cluster.Namespace(t)}}
	ours := rbacv1.PolicyRule{APIGroups: []string{"dockercontrol.dev"}, Verbs: []string{"*"}, Resources: []string{
		"dockerhosts", "hostpermissions", "swarmservices", "swarmservices/status", "swarmservices/scale", "swarmservices/finalizers",
	}}
	secrets := rbacv1.PolicyRule{APIGroups: []string{""}, Verbs: []string{"get"}, Resources: []string{"secrets"}}
	on := func(role access.Role, hosts ...string) []rbacv1.PolicyRule {
		rules, err := access.RulesFor(role, hosts)
		if err != nil {
			t.Fatal(err)
		}
		return append(rules, ours)
	}
	account := "system:serviceaccount:" + b.ns + ":argocd-application-controller"
	m := metav1.ObjectMeta{Namespace: b.ns, Name: "argocd"}
	b.Create(t, &rbacv1.Role{ObjectMeta: m, Rules: []rbacv1.PolicyRule{ours, secrets}})
	b.Create(t, &rbacv1.RoleBinding{
		ObjectMeta: m, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "argocd"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: b.ns, Name: "argocd-application-controller"}},
	})
	b.argo = b.As(t, account, "system:serviceaccounts", "system:serviceaccounts:"+b.ns, "system:authenticated")
	b.operator = b.user(t, "operator", on(access.Operator, "a")...)
	b.admin = b.user(t, "admin", on(access.Admin, "a")...)
	b.both = b.user(t, "both", on(access.Admin, "a", "b")...)
	b.secretAdmin = b.user(t, "secretadmin", append(on(access.Admin, "a"), secrets)...)
	b.autoscaler = b.user(t, "autoscaler",
		rbacv1.PolicyRule{APIGroups: []string{"dockercontrol.dev"}, Verbs: []string{"get", "update", "patch"}, Resources: []string{"swarmservices/scale"}},
		rbacv1.PolicyRule{APIGroups: []string{"dockercontrol.dev"}, Verbs: []string{"update"}, Resources: []string{"dockerhosts/services"}})
	b.waitSwarmPolicies(t)
	return b
}

// waitSwarmPolicies waits until the API server goes by the three policies, and knows the
// users' rights.
func (b *swarmAdmissionBed) waitSwarmPolicies(t *testing.T) {
	t.Helper()
	probe := b.service(t, "probe", "a", "")
	b.Create(t, probe)
	testenv.Eventually(t, 10*time.Second, func(ctx context.Context) error {
		dry := client.DryRunAll
		for i, err := range []error{
			b.argo.Create(ctx, b.service(t, "dry", "a", ""), dry),
			b.argo.Delete(ctx, probe.DeepCopy(), dry),
			b.scaleTo(ctx, b.argo, probe, 7, client.DryRunAll),
		} {
			if err == nil || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
				return fmt.Errorf("policy %d lets pass: %v", i, err)
			}
		}
		for who, c := range map[string]client.Client{"admin": b.admin, "secretadmin": b.secretAdmin, "both": b.both} {
			if err := c.Create(ctx, b.service(t, "dry", "a", ""), dry); err != nil {
				return fmt.Errorf("%s: %w", who, err)
			}
		}
		if err := b.both.Create(ctx, b.service(t, "dry", "b", ""), dry); err != nil {
			return err
		}
		if err := b.operator.Patch(ctx, probe.DeepCopy(), mergePatch(`{"spec":{"replicas":7}}`), dry); err != nil {
			return err
		}
		return b.scaleTo(ctx, b.autoscaler, probe, 7, client.DryRunAll)
	})
}

func (b *swarmAdmissionBed) service(t *testing.T, name, host, more string) *unstructured.Unstructured {
	t.Helper()
	u := swarmServiceYAML(t, b.ns, name, more)
	if err := unstructured.SetNestedField(u.Object, host, "spec", "hostRef", "name"); err != nil {
		t.Fatal(err)
	}
	return u
}

func (b *swarmAdmissionBed) scaleTo(ctx context.Context, c client.Client, u client.Object, replicas int32, opts ...client.SubResourceUpdateOption) error {
	scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: u.GetName()}, Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
	return c.SubResource("scale").Update(ctx, u.DeepCopyObject().(client.Object), append(opts, client.WithSubResourceBody(scale))...)
}

func TestPolicyOfSwarmServices(t *testing.T) {
	b := newSwarmAdmissionBed(t)
	ctx := t.Context()
	web := b.service(t, "web", "a", "env: [{name: A, value: a}]\nadoptionPolicy: Never")
	const creates, patches, updates = "may create dockerhosts/services of the DockerHost a", "may patch dockerhosts/services of the DockerHost a", "may update dockerhosts/services of the DockerHost a"
	refused(t, "create with rights on our kinds only", b.argo.Create(ctx, web.DeepCopy()), creates, "namespace "+b.ns, "role Admin")
	refused(t, "create by an Operator", b.operator.Create(ctx, web.DeepCopy()), creates)
	refused(t, "create on another host", b.admin.Create(ctx, b.service(t, "web", "b", "")), "DockerHost b")
	refused(t, "server-side apply with rights on our kinds only",
		b.argo.Apply(ctx, client.ApplyConfigurationFromUnstructured(web.DeepCopy()), client.FieldOwner("argocd-controller"), client.ForceOwnership), creates)
	allowed(t, "create by an Admin", b.admin.Create(ctx, web))

	for what, text := range map[string]string{
		"image":         `{"spec":{"image":"evil:1"}}`,
		"mounts":        `{"spec":{"mounts":[{"type":"Bind","source":"/","target":"/host"}]}}`,
		"env gone":      `{"spec":{"env":null}}`,
		"deletion":      `{"spec":{"deletionPolicy":"Orphan"}}`,
		"with replicas": `{"spec":{"replicas":3,"image":"evil:1"}}`,
		"suspend":       `{"spec":{"suspend":true}}`,
		"adoption":      `{"metadata":{"annotations":{"dockercontrol.dev/adopt":"abc"}}}`,
		"finalize":      `{"metadata":{"annotations":{"dockercontrol.dev/force-finalize":"true"}}}`,
		"adopt, scaled": `{"metadata":{"annotations":{"dockercontrol.dev/adopt":"abc"}},"spec":{"replicas":3}}`,
	} {
		refused(t, what+" with rights on our kinds only", b.argo.Patch(ctx, web.DeepCopy(), mergePatch(text)), patches)
		refused(t, what+" by an Operator", b.operator.Patch(ctx, web.DeepCopy(), mergePatch(text)), patches)
		allowed(t, what+" by an Admin", b.admin.Patch(ctx, web.DeepCopy(), mergePatch(text), client.DryRunAll))
	}
	for what, text := range map[string]string{
		"replicas": `{"spec":{"replicas":3}}`,
		"force":    `{"spec":{"forceUpdate":1}}`,
		"both":     `{"spec":{"replicas":3,"forceUpdate":2}}`,
	} {
		refused(t, what+" with rights on our kinds only", b.argo.Patch(ctx, web.DeepCopy(), mergePatch(text)), updates, "role Operator")
		allowed(t, what+" by an Operator", b.operator.Patch(ctx, web.DeepCopy(), mergePatch(text), client.DryRunAll))
		allowed(t, what+" by an Admin", b.admin.Patch(ctx, web.DeepCopy(), mergePatch(text), client.DryRunAll))
	}
	applied := b.service(t, "web", "a", "image: evil:1")
	refused(t, "server-side apply of a change with rights on our kinds only",
		b.argo.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner("argocd-controller"), client.ForceOwnership), patches)

	// What changes no spec passes: the manager writes it with nobody's rights on a host.
	for what, text := range map[string]string{
		"finalizer":    `{"metadata":{"finalizers":["dockercontrol.dev/swarmservice"]}}`,
		"label":        `{"metadata":{"labels":{"a":"b"}}}`,
		"annotation":   `{"metadata":{"annotations":{"a":"b"}}}`,
		"no finalizer": `{"metadata":{"finalizers":null}}`,
		"the same":     `{"spec":{"env":[{"name":"A","value":"a"}]}}`,
	} {
		allowed(t, what+" without rights on a host", b.argo.Patch(ctx, web.DeepCopy(), mergePatch(text)))
	}
	got := web.DeepCopy()
	allowed(t, "spec by way of the status", b.argo.Status().Patch(ctx, got, mergePatch(`{"spec":{"image":"evil:1"},"status":{"serviceID":"x"}}`)))
	if image, _, _ := unstructured.NestedString(got.Object, "spec", "image"); image == "evil:1" {
		t.Error("a status write changed the image")
	}
}

func TestPolicyOfTakingOver(t *testing.T) {
	b := newSwarmAdmissionBed(t)
	ctx := t.Context()
	creator := b.user(t, "creator",
		rbacv1.PolicyRule{APIGroups: []string{"dockercontrol.dev"}, Verbs: []string{"*"}, Resources: []string{"swarmservices"}},
		rbacv1.PolicyRule{APIGroups: []string{"dockercontrol.dev"}, Verbs: []string{"create"}, Resources: []string{"dockerhosts/services"}})
	testenv.Eventually(t, 10*time.Second, func(ctx context.Context) error {
		return creator.Create(ctx, b.service(t, "new", "a", ""), client.DryRunAll)
	})
	const says = "or take over a service"
	refused(t, "adoption by who may create only", creator.Create(ctx, b.service(t, "x", "a", "adoptionPolicy: IfUnmanaged")), says)
	annotated := b.service(t, "x", "a", "")
	annotated.SetAnnotations(map[string]string{dcv1.AnnotationAdopt: "abc"})
	refused(t, "the annotation by who may create only", creator.Create(ctx, annotated.DeepCopy()), says)
	allowed(t, "adoption by an Admin", b.admin.Create(ctx, annotated))
	// The manager takes the annotation away when it is done.
	allowed(t, "no annotation", b.argo.Patch(ctx, annotated.DeepCopy(), mergePatch(`{"metadata":{"annotations":null}}`)))
}

func TestPolicyOfMovedSwarmServices(t *testing.T) {
	b := newSwarmAdmissionBed(t)
	ctx := t.Context()
	web := b.service(t, "web", "a", "")
	allowed(t, "create", b.admin.Create(ctx, web))
	move := mergePatch(`{"spec":{"hostRef":{"name":"b"}}}`)
	onlyB := b.user(t, "onlyb", func() []rbacv1.PolicyRule {
		rules, err := access.RulesFor(access.Admin, []string{"b"})
		if err != nil {
			t.Fatal(err)
		}
		return append(rules, rbacv1.PolicyRule{APIGroups: []string{"dockercontrol.dev"}, Verbs: []string{"*"}, Resources: []string{"swarmservices"}})
	}()...)
	testenv.Eventually(t, 10*time.Second, func(ctx context.Context) error {
		return onlyB.Create(ctx, b.service(t, "x", "b", ""), client.DryRunAll)
	})
	refused(t, "away from a host by its Admin", b.admin.Patch(ctx, web.DeepCopy(), move), "DockerHost b")
	refused(t, "to a host by its Admin", onlyB.Patch(ctx, web.DeepCopy(), move), "patch dockerhosts/services of the DockerHost a and create those of b")
	allowed(t, "by the Admin of both", b.both.Patch(ctx, web.DeepCopy(), move))
}

func TestPolicyOfSecretsThatSwarmServicesName(t *testing.T) {
	b := newSwarmAdmissionBed(t)
	ctx := t.Context()
	const says = "may get secrets in namespace"
	for what, more := range map[string]string{
		"a variable":    "env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]",
		"a file":        "secrets: [{target: t, secretKeyRef: {name: s, key: k}}]",
		"a pull secret": "pullSecretRef: {name: s}",
	} {
		refused(t, what+" from a Secret", b.admin.Create(ctx, b.service(t, "x", "a", more)), says)
		allowed(t, what+" from a Secret by who may get it", b.secretAdmin.Create(ctx, b.service(t, "x", "a", more), client.DryRunAll))
	}
	allowed(t, "a secret of the swarm and a ConfigMap", b.admin.Create(ctx,
		b.service(t, "y", "a", "secrets: [{target: t, secretName: s}]\nenv: [{name: A, valueFrom: {configMapKeyRef: {name: s, key: k}}}]")))
	web := b.service(t, "web", "a", "secrets: [{target: t, secretKeyRef: {name: s, key: k}}]\npullSecretRef: {name: p}")
	allowed(t, "create", b.secretAdmin.Create(ctx, web))
	for what, text := range map[string]string{
		"another key":    `{"spec":{"secrets":[{"target":"t","secretKeyRef":{"name":"s","key":"other"}}]}}`,
		"another Secret": `{"spec":{"secrets":[{"target":"t","secretKeyRef":{"name":"other","key":"k"}}]}}`,
		"another use":    `{"spec":{"env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"p","key":".dockerconfigjson"}}}]}}`,
		"another puller": `{"spec":{"pullSecretRef":{"name":"other"}}}`,
	} {
		refused(t, what, b.admin.Patch(ctx, web.DeepCopy(), mergePatch(text)), says)
		allowed(t, what+" by who may get it", b.secretAdmin.Patch(ctx, web.DeepCopy(), mergePatch(text), client.DryRunAll))
	}
	for what, text := range map[string]string{
		"another field":         `{"spec":{"image":"other:1"}}`,
		"the same at two files": `{"spec":{"secrets":[{"target":"t","secretKeyRef":{"name":"s","key":"k"}},{"target":"u","secretKeyRef":{"name":"s","key":"k"}}]}}`,
		"no Secret":             `{"spec":{"secrets":null,"pullSecretRef":null}}`,
	} {
		allowed(t, what, b.admin.Patch(ctx, web.DeepCopy(), mergePatch(text), client.DryRunAll))
	}
}

// TestPolicyOfManySecrets: the lists of names have a cost, and the largest must not be
// refused for it.
func TestPolicyOfManySecrets(t *testing.T) {
	b := newSwarmAdmissionBed(t)
	ctx := t.Context()
	variables := func(n int, name string) []any {
		var list []any
		for i := range n {
			list = append(list, map[string]any{"name": fmt.Sprint("V", i),
				"valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": name, "key": fmt.Sprint("a-key-of-some-length-", i)}}})
		}
		return list
	}
	u := b.service(t, "many", "a", "")
	u.Object["spec"].(map[string]any)["env"] = variables(1024, "s")
	refused(t, "create", b.admin.Create(ctx, u.DeepCopy()), "may get secrets")
	allowed(t, "create by who may get them", b.secretAdmin.Create(ctx, u))
	allowed(t, "another field", b.admin.Patch(ctx, u.DeepCopy(), mergePatch(`{"spec":{"image":"other:1"}}`), client.DryRunAll))
	changed := u.DeepCopy()
	changed.Object["spec"].(map[string]any)["env"] = variables(1024, "t")
	refused(t, "others", b.admin.Update(ctx, changed.DeepCopy()), "may get secrets")
	allowed(t, "others by who may get them", b.secretAdmin.Update(ctx, changed, client.DryRunAll))
}

func TestPolicyOfScaling(t *testing.T) {
	b := newSwarmAdmissionBed(t)
	ctx := t.Context()
	web := b.service(t, "web", "a", "")
	allowed(t, "create", b.admin.Create(ctx, web))
	refused(t, "scale with rights on our kinds only", b.scaleTo(ctx, b.argo, web, 3), "may scale it")
	refused(t, "scale by an Operator before the status says which host it is", b.scaleTo(ctx, b.operator, web, 3), "try again, or change spec.replicas itself")
	allowed(t, "scale by who may update every service", b.scaleTo(ctx, b.autoscaler, web, 3))

	s := getSwarmService(t, b.Cluster, web)
	s.Status.Selector = swarm.Selector(s.UID, "a")
	if err := b.Client.Status().Update(ctx, s); err != nil {
		t.Fatal(err)
	}
	allowed(t, "scale by an Operator", b.scaleTo(ctx, b.operator, web, 4))
	allowed(t, "scale by an Admin", b.scaleTo(ctx, b.admin, web, 5))
	refused(t, "scale with rights on our kinds only", b.scaleTo(ctx, b.argo, web, 3), "may scale it")
	allowed(t, "no change", b.scaleTo(ctx, b.argo, web, 5))
	patch := client.RawPatch(mergePatch("").Type(), []byte(`{"spec":{"replicas":9}}`))
	refused(t, "patch with rights on our kinds only", b.argo.SubResource("scale").Patch(ctx, web.DeepCopy(), patch), "may scale it")

	other := b.service(t, "other", "b", "")
	allowed(t, "create on b", b.both.Create(ctx, other))
	s = getSwarmService(t, b.Cluster, other)
	s.Status.Selector = swarm.Selector(s.UID, "b")
	if err := b.Client.Status().Update(ctx, s); err != nil {
		t.Fatal(err)
	}
	refused(t, "scale on another host", b.scaleTo(ctx, b.operator, other, 3), "may scale it")
	allowed(t, "scale by the Admin of both", b.scaleTo(ctx, b.both, other, 3))
}

func TestPolicyOfDeletingSwarmServices(t *testing.T) {
	b := newSwarmAdmissionBed(t)
	ctx := t.Context()
	web, kept := b.service(t, "web", "a", ""), b.service(t, "kept", "a", "deletionPolicy: Orphan")
	allowed(t, "create", b.admin.Create(ctx, web))
	allowed(t, "create", b.admin.Create(ctx, kept))
	const says = "may delete dockerhosts/services of the DockerHost a"
	refused(t, "delete with rights on our kinds only", b.argo.Delete(ctx, web.DeepCopy()), says)
	refused(t, "delete by an Operator", b.operator.Delete(ctx, web.DeepCopy()), says)
	refused(t, "delete of all with rights on our kinds only", b.argo.DeleteAllOf(ctx, &dcv1.SwarmService{}, client.InNamespace(b.ns)), says)
	allowed(t, "delete of what stays on the swarm", client.IgnoreNotFound(b.argo.Delete(ctx, kept)))
	allowed(t, "delete by an Admin", b.admin.Delete(ctx, web))
}

// owned names owners that do not exist, so that the garbage collector would delete whatever has them.
func owned(names ...string) []metav1.OwnerReference {
	var refs []metav1.OwnerReference
	for _, name := range names {
		refs = append(refs, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: name, UID: types.UID("uid-of-" + name)})
	}
	return refs
}

// owners is a patch of the owners, and of what more says beside the metadata.
func owners(t *testing.T, more string, names ...string) client.Patch {
	t.Helper()
	refs, err := json.Marshal(owned(names...))
	if err != nil {
		t.Fatal(err)
	}
	return mergePatch(fmt.Sprintf(`{"metadata":{"ownerReferences":%s}%s}`, refs, more))
}

// ownerBed has, beside the others, users whose rights on hosts no role has.
type ownerBed struct {
	*swarmAdmissionBed
	// remover may only delete services of the host a, patcher do all but that, on a and b, and mover all but that on a,
	// and all on b.
	remover, patcher, mover client.Client
}

func newOwnerBed(t *testing.T) *ownerBed {
	t.Helper()
	b := &ownerBed{swarmAdmissionBed: newSwarmAdmissionBed(t)}
	ours := rbacv1.PolicyRule{APIGroups: []string{"dockercontrol.dev"}, Verbs: []string{"*"}, Resources: []string{"swarmservices", "swarmservices/status"}}
	on := func(hosts []string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{"dockercontrol.dev"}, Verbs: verbs, Resources: []string{"dockerhosts/services"}, ResourceNames: hosts}
	}
	b.remover = b.user(t, "remover", ours, on([]string{"a"}, "delete"))
	b.patcher = b.user(t, "patcher", ours, on([]string{"a", "b"}, "create", "patch", "update"))
	b.mover = b.user(t, "mover", ours, on([]string{"a", "b"}, "create", "patch", "update"), on([]string{"b"}, "delete"))
	probe := b.service(t, "rights", "a", "")
	b.Create(t, probe)
	testenv.Eventually(t, 10*time.Second, func(ctx context.Context) error {
		for _, c := range []client.Client{b.patcher, b.mover} {
			if err := c.Patch(ctx, probe.DeepCopy(), mergePatch(`{"spec":{"image":"other:1"}}`), client.DryRunAll); err != nil {
				return err
			}
		}
		return b.remover.Delete(ctx, probe.DeepCopy(), client.DryRunAll)
	})
	return b
}

const handsOver = "may give a SwarmService there other metadata.ownerReferences"

// TestPolicyOfOwners: the garbage collector deletes for whoever names an owner, so that
// naming one takes what deleting takes.
func TestPolicyOfOwners(t *testing.T) {
	b := newOwnerBed(t)
	ctx := t.Context()
	web := b.service(t, "web", "a", "")
	allowed(t, "create", b.admin.Create(ctx, web))
	for who, c := range map[string]client.Client{"rights on our kinds only": b.argo, "an Operator's rights": b.operator, "all rights but delete": b.patcher} {
		refused(t, "an owner with "+who, c.Patch(ctx, web.DeepCopy(), owners(t, "", "gone")), handsOver, "DockerHost a in namespace "+b.ns, "role Admin")
		update := web.DeepCopy()
		update.SetOwnerReferences(owned("gone"))
		refused(t, "an update to an owner with "+who, c.Update(ctx, update), handsOver)
	}
	applied := b.service(t, "web", "a", "")
	applied.SetOwnerReferences(owned("gone"))
	refused(t, "server-side apply of an owner",
		b.argo.Apply(ctx, client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner("argocd-controller"), client.ForceOwnership), handsOver)
	allowed(t, "an owner by way of the status", b.argo.Status().Patch(ctx, web.DeepCopy(), owners(t, `,"status":{"serviceID":"x"}`, "gone")))
	if refs := getSwarmService(t, b.Cluster, web).OwnerReferences; len(refs) > 0 {
		t.Errorf("a status write set the owners %v", refs)
	}

	allowed(t, "an owner by who may only delete", b.remover.Patch(ctx, web.DeepCopy(), owners(t, "", "gone"), client.DryRunAll))
	allowed(t, "an owner by an Admin", b.admin.Patch(ctx, web.DeepCopy(), owners(t, "", "gone"), client.DryRunAll))
	refused(t, "an owner and an image by who may only delete", b.remover.Patch(ctx, web.DeepCopy(), owners(t, `,"spec":{"image":"evil:1"}`, "gone")), "may patch")
	refused(t, "an owner and replicas by who may only delete", b.remover.Patch(ctx, web.DeepCopy(), owners(t, `,"spec":{"replicas":3}`, "gone")), "may update")
	refused(t, "an owner and replicas by an Operator", b.operator.Patch(ctx, web.DeepCopy(), owners(t, `,"spec":{"replicas":3}`, "gone")), handsOver)
}

// TestPolicyOfOwnersThatAreThere: what an owned object may become without delete, and what
// would give the owners another service.
func TestPolicyOfOwnersThatAreThere(t *testing.T) {
	b := newOwnerBed(t)
	ctx := t.Context()
	web := b.service(t, "web", "a", "adoptionPolicy: IfUnmanaged")
	web.SetOwnerReferences(owned("one", "two"))
	allowed(t, "create", b.admin.Create(ctx, web))
	for what, names := range map[string][]string{"another owner": {"three"}, "one more": {"one", "two", "three"}, "one of two": {"two"}} {
		refused(t, what, b.argo.Patch(ctx, web.DeepCopy(), owners(t, "", names...)), handsOver)
		allowed(t, what+" by an Admin", b.admin.Patch(ctx, web.DeepCopy(), owners(t, "", names...), client.DryRunAll))
	}
	dry := client.DryRunAll
	allowed(t, "no owners", b.argo.Patch(ctx, web.DeepCopy(), mergePatch(`{"metadata":{"ownerReferences":null}}`), dry))
	allowed(t, "a label", b.argo.Patch(ctx, web.DeepCopy(), mergePatch(`{"metadata":{"labels":{"a":"b"}}}`), dry))
	allowed(t, "replicas", b.operator.Patch(ctx, web.DeepCopy(), mergePatch(`{"spec":{"replicas":3}}`), dry))
	allowed(t, "orphaned", b.patcher.Patch(ctx, web.DeepCopy(), mergePatch(`{"spec":{"deletionPolicy":"Orphan","adoptionPolicy":"Never"}}`), dry))
	adopt := mergePatch(`{"metadata":{"annotations":{"dockercontrol.dev/adopt":"abc"}}}`)
	refused(t, "a service that is taken over", b.patcher.Patch(ctx, web.DeepCopy(), adopt), handsOver)
	allowed(t, "a service that an Admin takes over", b.admin.Patch(ctx, web.DeepCopy(), adopt, dry))
	move := mergePatch(`{"spec":{"hostRef":{"name":"b"},"adoptionPolicy":"Never"}}`)
	refused(t, "a move without delete", b.patcher.Patch(ctx, web.DeepCopy(), move), handsOver, "DockerHost b and of a")
	refused(t, "a move with delete on the new host only", b.mover.Patch(ctx, web.DeepCopy(), move), handsOver)
	allowed(t, "a move by the Admin of both", b.both.Patch(ctx, web.DeepCopy(), move, dry))

	// The garbage collector itself, with the rights that every cluster gives it: it takes away owners that are gone.
	collector := b.As(t, "system:serviceaccount:kube-system:generic-garbage-collector", "system:serviceaccounts", "system:authenticated")
	allowed(t, "one of two by the garbage collector", collector.Patch(ctx, web.DeepCopy(), owners(t, "", "two")))
	allowed(t, "a delete by the garbage collector", collector.Delete(ctx, web))
}

// TestPolicyOfOwnersOfWhatStays: with Orphan there is nothing to lose, until it is
// something else.
func TestPolicyOfOwnersOfWhatStays(t *testing.T) {
	b := newOwnerBed(t)
	ctx := t.Context()
	kept := b.service(t, "kept", "a", "deletionPolicy: Orphan")
	allowed(t, "create", b.admin.Create(ctx, kept))
	allowed(t, "an owner", b.argo.Patch(ctx, kept.DeepCopy(), owners(t, "", "gone")))
	remove := mergePatch(`{"spec":{"deletionPolicy":"Delete"}}`)
	refused(t, "Orphan no more with rights on our kinds only", b.argo.Patch(ctx, kept.DeepCopy(), remove), "may patch")
	refused(t, "Orphan no more without delete", b.patcher.Patch(ctx, kept.DeepCopy(), remove), handsOver)
	allowed(t, "Orphan no more by an Admin", b.admin.Patch(ctx, kept.DeepCopy(), remove, client.DryRunAll))
}

// TestPolicyOfOwnersOfNewServices: whoever creates one may give its own service away, and
// nobody else's.
func TestPolicyOfOwnersOfNewServices(t *testing.T) {
	b := newOwnerBed(t)
	ctx := t.Context()
	child := func(name, more string) *unstructured.Unstructured {
		u := b.service(t, name, "a", more)
		u.SetOwnerReferences(owned("parent"))
		return u
	}
	allowed(t, "a new service", b.patcher.Create(ctx, child("new", "")))
	allowed(t, "one that takes over, without owners", b.patcher.Create(ctx, b.service(t, "free", "a", "adoptionPolicy: IfUnmanaged")))
	refused(t, "one that takes over", b.patcher.Create(ctx, child("taken", "adoptionPolicy: IfUnmanaged")), handsOver)
	allowed(t, "one that takes over and leaves", b.patcher.Create(ctx, child("left", "adoptionPolicy: IfUnmanaged\ndeletionPolicy: Orphan")))
	allowed(t, "one that takes over, by an Admin", b.admin.Create(ctx, child("taken", "adoptionPolicy: IfUnmanaged")))
}
