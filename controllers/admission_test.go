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
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

const permissionPolicy = "dockercontrol-hostpermission-grant"

// admissionBed is a namespace with users of differing rights on our kinds.
type admissionBed struct {
	*testenv.Cluster
	ns string
	// writer may write our kinds; granter may grant too; keeper may get secrets too.
	writer, granter, keeper client.Client
}

func newAdmissionBed(t *testing.T) *admissionBed {
	t.Helper()
	cluster := testenv.Start(t)
	b := &admissionBed{Cluster: cluster, ns: cluster.Namespace(t)}
	write := rbacv1.PolicyRule{
		APIGroups: []string{"dockercontrol.dev"}, Verbs: []string{"get", "create", "update", "patch", "delete"},
		Resources: []string{"dockerhosts", "hostpermissions", "dockerhosts/status", "hostpermissions/status", "hostpermissions/finalizers"},
	}
	grant := rbacv1.PolicyRule{APIGroups: []string{"dockercontrol.dev"}, Verbs: []string{"grant"}, Resources: []string{"dockerhosts"}}
	secrets := rbacv1.PolicyRule{APIGroups: []string{""}, Verbs: []string{"get"}, Resources: []string{"secrets"}}
	b.writer = b.user(t, "writer", write)
	b.granter = b.user(t, "granter", write, grant)
	b.keeper = b.user(t, "keeper", write, grant, secrets)
	b.waitPolicies(t)
	return b
}

func (b *admissionBed) user(t *testing.T, name string, rules ...rbacv1.PolicyRule) client.Client {
	t.Helper()
	m := metav1.ObjectMeta{Namespace: b.ns, Name: name}
	b.Create(t, &rbacv1.Role{ObjectMeta: m, Rules: rules})
	b.Create(t, &rbacv1.RoleBinding{
		ObjectMeta: m, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name + "-" + b.ns}},
	})
	return b.As(t, name+"-"+b.ns, "system:authenticated")
}

// waitPolicies waits until the API server goes by all three policies, and knows the
// users' rights.
func (b *admissionBed) waitPolicies(t *testing.T) {
	t.Helper()
	host := b.host("probe")
	host.Spec = dcv1.DockerHostSpec{Endpoint: "tcp://a:1", TLS: &dcv1.DockerHostTLS{SecretRef: dcv1.LocalSecretReference{Name: "s"}}}
	dry := client.DryRunAll
	testenv.Eventually(t, 10*time.Second, func(ctx context.Context) error {
		refused := []error{
			b.writer.Create(ctx, b.permission("probe"), dry),
			b.writer.Create(ctx, b.host("probe"), dry),
			b.granter.Create(ctx, host.DeepCopy(), dry),
		}
		for i, err := range refused {
			if err == nil || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
				return fmt.Errorf("policy %d lets pass: %v", i, err)
			}
		}
		return b.keeper.Create(ctx, host.DeepCopy(), dry)
	})
}

func (b *admissionBed) permission(name string) *dcv1.HostPermission {
	return (&permissionBed{ns: b.ns}).permission(name, "ann", "a")
}

func (b *admissionBed) host(name string) *dcv1.DockerHost {
	host := bareHost(name, nil)
	host.Namespace = b.ns
	return host
}

func refused(t *testing.T, what string, err error, says ...string) {
	t.Helper()
	if !apierrors.IsForbidden(err) {
		t.Errorf("%s: error = %v, want Forbidden", what, err)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%s: error = %v, want it to say %q", what, err, s)
		}
	}
}

func allowed(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func mergePatch(text string) client.Patch {
	return client.RawPatch(types.MergePatchType, []byte(text))
}

func TestPolicyOfHostPermissions(t *testing.T) {
	b := newAdmissionBed(t)
	ctx := t.Context()
	refused(t, "create without grant", b.writer.Create(ctx, b.permission("x")),
		"verb grant on dockerhosts.dockercontrol.dev in namespace "+b.ns, "ClusterRole dockercontrol-granter")
	perm := b.permission("x")
	allowed(t, "create with grant", b.granter.Create(ctx, perm))
	for what, text := range map[string]string{
		"role":      `{"spec":{"role":"Admin"}}`,
		"hostNames": `{"spec":{"hostNames":["b"]}}`,
		"selector":  `{"spec":{"hostSelector":{}}}`,
		"expiresAt": `{"spec":{"expiresAt":"2099-01-01T00:00:00Z"}}`,
		"subjects":  `{"spec":{"subjects":[{"kind":"User","name":"eve"}]}}`,
	} {
		refused(t, what+" changed without grant", b.writer.Patch(ctx, perm.DeepCopy(), mergePatch(text)), "verb grant")
		allowed(t, what+" changed with grant", b.granter.Patch(ctx, perm.DeepCopy(), mergePatch(text), client.DryRunAll))
	}
	allowed(t, "finalizer without grant", b.writer.Patch(ctx, perm.DeepCopy(), mergePatch(`{"metadata":{"finalizers":["example.com/x"]}}`)))
	allowed(t, "label without grant", b.writer.Patch(ctx, perm.DeepCopy(), mergePatch(`{"metadata":{"labels":{"a":"b"}}}`)))
	allowed(t, "status without grant", b.writer.Status().Patch(ctx, perm.DeepCopy(), mergePatch(`{"status":{"roleName":"x"}}`)))
	// What a status write says of the spec does not count.
	got := perm.DeepCopy()
	allowed(t, "spec by way of the status", b.writer.Status().Patch(ctx, got, mergePatch(`{"spec":{"role":"Admin"},"status":{"roleName":"y"}}`)))
	if got.Spec.Role != dcv1.HostViewer {
		t.Errorf("a status write set the role to %s", got.Spec.Role)
	}
	allowed(t, "no finalizer without grant", b.writer.Patch(ctx, perm.DeepCopy(), mergePatch(`{"metadata":{"finalizers":null}}`)))
	allowed(t, "delete without grant", b.writer.Delete(ctx, perm))
}

func TestPolicyOfDockerHosts(t *testing.T) {
	b := newAdmissionBed(t)
	ctx := t.Context()
	refused(t, "create without grant", b.writer.Create(ctx, b.host("x")), "verb grant", "spec.endpoint or its labels")
	host := b.host("x")
	host.Labels = map[string]string{"team": "web"}
	allowed(t, "create with grant", b.granter.Create(ctx, host))
	for what, text := range map[string]string{
		"endpoint":      `{"spec":{"endpoint":"unix:///elsewhere/docker.sock"}}`,
		"label changed": `{"metadata":{"labels":{"team":"db"}}}`,
		"label added":   `{"metadata":{"labels":{"more":""}}}`,
		"labels gone":   `{"metadata":{"labels":null}}`,
	} {
		refused(t, what+" without grant", b.writer.Patch(ctx, host.DeepCopy(), mergePatch(text)), "verb grant")
		allowed(t, what+" with grant", b.granter.Patch(ctx, host.DeepCopy(), mergePatch(text), client.DryRunAll))
	}
	for what, text := range map[string]string{
		"health check": `{"spec":{"healthCheck":{"interval":"30s"}}}`,
		"suspend":      `{"spec":{"suspend":false}}`,
		"finalizer":    `{"metadata":{"finalizers":["example.com/x"]}}`,
		"annotation":   `{"metadata":{"annotations":{"a":"b"}}}`,
	} {
		allowed(t, what+" without grant", b.writer.Patch(ctx, host.DeepCopy(), mergePatch(text)))
	}
	got := host.DeepCopy()
	err := b.writer.Status().Patch(ctx, got, mergePatch(`{"metadata":{"labels":{"team":"db"}},"spec":{"endpoint":"unix:///elsewhere/docker.sock"},"status":{"images":7}}`))
	if allowed(t, "status without grant", err); got.Labels["team"] != "web" || got.Spec.Endpoint != host.Spec.Endpoint {
		t.Errorf("a status write changed labels or endpoint: %v, %s", got.Labels, got.Spec.Endpoint)
	}
}

func TestPolicyOfSecretsThatHostsName(t *testing.T) {
	b := newAdmissionBed(t)
	ctx := t.Context()
	host := b.host("tls")
	host.Spec = dcv1.DockerHostSpec{Endpoint: "tcp://10.0.0.5:2376", TLS: &dcv1.DockerHostTLS{SecretRef: dcv1.LocalSecretReference{Name: "one"}}}
	const says = "may get secrets in namespace"
	refused(t, "create that names a Secret", b.granter.Create(ctx, host.DeepCopy()), says)
	allowed(t, "create by who may get secrets", b.keeper.Create(ctx, host))
	refused(t, "another Secret", b.granter.Patch(ctx, host.DeepCopy(), mergePatch(`{"spec":{"tls":{"secretRef":{"name":"two"}}}}`)), says)
	refused(t, "the Secret for ssh", b.granter.Patch(ctx, host.DeepCopy(),
		mergePatch(`{"spec":{"endpoint":"ssh://a@b","tls":null,"ssh":{"secretRef":{"name":"one"}}}}`)), says)
	allowed(t, "the same Secret", b.writer.Patch(ctx, host.DeepCopy(), mergePatch(`{"spec":{"tls":{"serverName":"x"}}}`)))
	allowed(t, "no Secret", b.granter.Patch(ctx, host.DeepCopy(), mergePatch(`{"spec":{"endpoint":"unix:///var/run/docker.sock","tls":null}}`)))
	refused(t, "a Secret where there was none", b.granter.Patch(ctx, host.DeepCopy(),
		mergePatch(`{"spec":{"endpoint":"ssh://a@b","ssh":{"secretRef":{"name":"one"}}}}`)), says)
	allowed(t, "a Secret by who may get it", b.keeper.Patch(ctx, host.DeepCopy(),
		mergePatch(`{"spec":{"endpoint":"ssh://a@b","ssh":{"secretRef":{"name":"one"}}}}`)))
}

// TestNothingIsGrantedWithoutThePolicy removes the policy's binding: what is granted
// stays and can shrink, and nothing is added until it is back.
func TestNothingIsGrantedWithoutThePolicy(t *testing.T) {
	b := newPermissionBed(t, bareHost("a", nil), bareHost("b", nil))
	perm := b.permission("web", "ann", "a", "b")
	b.Create(t, perm)
	b.waitPermission(t, perm, "True/Granted")
	restore := b.RemovePolicy(t, permissionPolicy)
	b.waitPermission(t, perm, "False/AdmissionPolicyMissing")
	ann := b.as(t, "ann")
	b.waitCan(t, ann, true, "get", "b", "log")

	fresh := b.permission("fresh", "ben", "a")
	b.Create(t, fresh)
	b.waitPermission(t, fresh, "False/AdmissionPolicyMissing")
	testenv.Update(t, b.Cluster, perm, func(p *dcv1.HostPermission) {
		p.Spec.HostNames = []string{"a"}
		p.Spec.Role = dcv1.HostViewer
		p.Spec.Subjects = append(p.Spec.Subjects, dcv1.HostPermissionSubject{Kind: dcv1.SubjectUser, Name: "eve"})
	})
	b.waitCan(t, ann, false, "get", "b", "log")
	b.waitCan(t, ann, true, "get", "a", "log")
	for _, user := range []string{"eve", "ben"} {
		if got, err := b.can(t.Context(), b.as(t, user), "get", "a", "log"); err != nil || got {
			t.Errorf("%s got in: %t (%v)", user, got, err)
		}
	}
	restore()
	for _, p := range []*dcv1.HostPermission{perm, fresh} {
		b.waitPermission(t, p, "True/Granted")
	}
	b.waitCan(t, b.as(t, "ben"), true, "get", "a", "log")
	b.waitCan(t, b.as(t, "eve"), true, "get", "a", "log")
}

// TestPermissionValidation applies specs to a real API server: each is refused with a
// sentence that names the field, or taken.
func TestPermissionValidation(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	base := func(change func(*dcv1.HostPermissionSpec)) dcv1.HostPermissionSpec {
		spec := (&permissionBed{ns: ns}).permission("x", "ann", "a").Spec
		change(&spec)
		return spec
	}
	subject := func(s dcv1.HostPermissionSubject) dcv1.HostPermissionSpec {
		return base(func(p *dcv1.HostPermissionSpec) { p.Subjects = []dcv1.HostPermissionSubject{s} })
	}
	for name, tt := range map[string]struct {
		spec dcv1.HostPermissionSpec
		says string
	}{
		"plain":                 {base(func(*dcv1.HostPermissionSpec) {}), ""},
		"selector only":         {base(func(p *dcv1.HostPermissionSpec) { p.HostNames, p.HostSelector = nil, &metav1.LabelSelector{} }), ""},
		"service account":       {subject(dcv1.HostPermissionSubject{Kind: "ServiceAccount", Name: "bot", Namespace: "x"}), ""},
		"group with colons":     {subject(dcv1.HostPermissionSubject{Kind: "Group", Name: "system:serviceaccounts:x"}), ""},
		"no hosts":              {base(func(p *dcv1.HostPermissionSpec) { p.HostNames = nil }), "spec.hostNames or spec.hostSelector is required"},
		"bad host name":         {base(func(p *dcv1.HostPermissionSpec) { p.HostNames = []string{"*"} }), "spec.hostNames[0]"},
		"host twice":            {base(func(p *dcv1.HostPermissionSpec) { p.HostNames = []string{"a", "a"} }), "spec.hostNames[1]"},
		"no subjects":           {base(func(p *dcv1.HostPermissionSpec) { p.Subjects = nil }), "spec.subjects"},
		"no role":               {base(func(p *dcv1.HostPermissionSpec) { p.Role = "" }), "spec.role"},
		"unknown role":          {base(func(p *dcv1.HostPermissionSpec) { p.Role = "Root" }), "spec.role"},
		"unknown kind":          {subject(dcv1.HostPermissionSubject{Kind: "Robot", Name: "x"}), "spec.subjects[0].kind"},
		"user with a namespace": {subject(dcv1.HostPermissionSubject{Kind: "User", Name: "x", Namespace: "y"}), "namespace goes with kind ServiceAccount only"},
		"account's user name":   {subject(dcv1.HostPermissionSubject{Kind: "ServiceAccount", Name: "system:serviceaccount:a:b"}), "without system:serviceaccount:"},
		"anonymous":             {subject(dcv1.HostPermissionSubject{Kind: "User", Name: "system:anonymous"}), "not authenticated"},
		"unauthenticated":       {subject(dcv1.HostPermissionSubject{Kind: "Group", Name: "system:unauthenticated"}), "not authenticated"},
	} {
		t.Run(name, func(t *testing.T) {
			perm := &dcv1.HostPermission{ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "v-"}, Spec: tt.spec}
			err := cluster.Client.Create(t.Context(), perm)
			if tt.says == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			var status apierrors.APIStatus
			if !errors.As(err, &status) || !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error = %v, want Invalid that says %q", err, tt.says)
			}
		})
	}
}
