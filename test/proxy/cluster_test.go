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

package proxy

import (
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/actions"
)

// allow gives a ServiceAccount rules in the namespace.
func (b *bed) allow(t *testing.T, account string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: b.namespace, GenerateName: account + "-"}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: rules}
	b.Create(t, role)
	b.Create(t, &rbacv1.RoleBinding{
		ObjectMeta: meta, Subjects: []rbacv1.Subject{b.subject(account)},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
	})
}

func (b *bed) subject(account string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: b.namespace, Name: account}
}

// keeper is somebody who keeps the DockerHosts of the namespace, but may not read its
// Secrets.
func (b *bed) keeper(t *testing.T) *httpUser {
	t.Helper()
	token := b.account(t, "keeper")
	b.allow(t, "keeper",
		rbacv1.PolicyRule{APIGroups: []string{dcv1.GroupVersion.Group}, Resources: []string{"dockerhosts"}, Verbs: []string{"get", "list", "watch", "create", "grant"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create", "patch"}})
	return b.as(t, token)
}

// testHostTest tries hosts that are not saved.
func (b *bed) testHostTest(t *testing.T, u, keeper *httpUser) {
	path := engineAPI + "/namespaces/" + b.namespace + "/test"
	host := func(spec string) string {
		return `{"apiVersion":"dockercontrol.dev/v1alpha1","kind":"DockerHost","metadata":{"name":"new"},"spec":` + spec + `}`
	}
	good := host(`{"endpoint":"` + b.engine.Endpoint() + `"}`)
	a := keeper.eventually(t, 200, "POST", path, good)
	result := decode[actions.TestResult](t, a.body)
	if !result.Reachable || result.Reason != dcv1.ReasonConnected || result.Engine == nil || result.Engine.ID != b.engine.Info(t)["ID"] {
		t.Errorf("the test of a good host is %s", a.body)
	}
	if r := decode[actions.TestResult](t, keeper.do(t, 200, "POST", path, host(`{"endpoint":"unix:///no/such.sock"}`)).body); r.Reachable || r.Reason != dcv1.ReasonDialFailed {
		t.Errorf("the test of a host that is not there is %+v", r)
	}
	// The kube-apiserver judges it as if it were saved: by its schema, its rules, and the
	// admission policies.
	a = keeper.do(t, 422, "POST", path, host(`{"endpoint":"`+b.engine.Endpoint()+`","healthCheck":{"failureThreshold":-1}}`))
	if s := decode[metav1.Status](t, a.body); s.Reason != metav1.StatusReasonInvalid || !strings.Contains(s.Message, "failureThreshold") {
		t.Errorf("a spec that the kube-apiserver refuses is answered with %s", a.body)
	}
	a = keeper.do(t, 403, "POST", path, host(`{"endpoint":"tcp://10.0.0.1:2376","tls":{"secretRef":{"name":"any"}}}`))
	if !strings.Contains(string(a.body), "ecrets") {
		t.Errorf("who may not read Secrets is told %s", a.body)
	}
	// The Admin of a host may not make hosts, nor may who lacks the verb grant.
	u.do(t, 403, "POST", path, good)
	account := "maker-" + suffix(t)
	maker := b.as(t, b.account(t, account))
	b.allow(t, account, rbacv1.PolicyRule{APIGroups: []string{dcv1.GroupVersion.Group}, Resources: []string{"dockerhosts"}, Verbs: []string{"create"}})
	maker.eventually(t, 403, "POST", path, good, func(a answer) error {
		if !strings.Contains(string(a.body), "cannot grant") { // what it lacked at first is the verb create
			return fmt.Errorf("who may not grant is told %s", a.body)
		}
		return nil
	})
	var hosts dcv1.DockerHostList
	if err := b.Client.List(t.Context(), &hosts, client.InNamespace(b.namespace)); err != nil || len(hosts.Items) != 2 {
		t.Errorf("there are %d hosts, %v; a test saves none", len(hosts.Items), err)
	}
}

// testRelay reaches the kube-apiserver through the proxy, with the caller's token.
func (b *bed) testRelay(t *testing.T, u, keeper *httpUser) {
	path := "/apis/dockercontrol.dev/v1alpha1/namespaces/" + b.namespace + "/dockerhosts"
	a := keeper.eventually(t, 200, "GET", path, nil, has(2))
	if l := decode[list](t, a.body); l.Kind != "DockerHostList" || l.Items[0].Metadata.Name != "prod" {
		t.Errorf("the hosts are %s", a.body)
	}
	u.do(t, 403, "GET", path, nil) // with the caller's rights, which are on the engine only
	b.as(t, "").do(t, 401, "GET", path, nil)
	secret := "/api/v1/namespaces/" + b.namespace + "/secrets/from-console"
	body := `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"from-console"},"stringData":{"password":"canary"}}`
	a = keeper.do(t, 201, "PATCH", secret+"?fieldManager=console&force=true", body, "Content-Type", "application/apply-patch+yaml")
	if strings.Contains(string(a.body), "canary") || strings.Contains(string(a.body), "Y2FuYXJ5") {
		t.Errorf("the answer has the Secret: %s", a.body)
	}
	saved := &corev1.Secret{}
	if err := b.Client.Get(t.Context(), client.ObjectKey{Namespace: b.namespace, Name: "from-console"}, saved); err != nil || string(saved.Data["password"]) != "canary" {
		t.Errorf("the Secret is %v, %v", saved.Data, err)
	}
	b.Delete(t, saved)
	u.do(t, 403, "PATCH", secret+"?fieldManager=console", body, "Content-Type", "application/apply-patch+yaml")
	keeper.do(t, 403, "GET", secret, nil)
	keeper.do(t, 403, "GET", "/api/v1/namespaces/"+b.namespace+"/pods", nil)
}

// testAudit reads back what was done.
func (b *bed) testAudit(t *testing.T, u *httpUser) {
	b.run(t, "audited", nil)
	id := u.do(t, 200, "POST", b.typed("containers/audited/restart?timeout=0"), nil).header.Get("Audit-Id")
	auditor := b.auditor(t)
	u.do(t, 403, "GET", "/audit", nil)
	a := auditor.eventually(t, 200, "GET", "/audit?requestID="+id, nil, func(a answer) error {
		if page := decode[audit.Page](t, a.body); len(page.Items) < 2 {
			return fmt.Errorf("the trail has %s", a.body)
		}
		return nil
	})
	newest := decode[audit.Page](t, a.body).Items[0]
	if newest.Verb != "restart" || newest.Outcome != audit.Succeeded || newest.Host.Name != "prod" || newest.Object.Name != "audited" ||
		newest.Actor.User != "system:serviceaccount:"+b.namespace+":admin" {
		t.Errorf("the record is %+v", newest)
	}
	// The refusal above is on record too.
	denied := decode[audit.Page](t, auditor.do(t, 200, "GET", "/audit?outcome=denied&kind=AuditTrail&limit=1", nil).body)
	if len(denied.Items) != 1 || denied.Items[0].Actor.User != newest.Actor.User {
		t.Errorf("of the refusal there is %+v", denied.Items)
	}
	auditor.do(t, 400, "GET", "/audit?usr=x", nil)
	auditor.do(t, 400, "GET", "/audit?outcome=Denied", nil)
}

// auditor is somebody with the ClusterRole that comes with the manager.
func (b *bed) auditor(t *testing.T) *httpUser {
	t.Helper()
	data, err := os.ReadFile("../../config/rbac/audit_reader.yaml")
	if err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(data, role); err != nil {
		t.Fatal(err)
	}
	account := "auditor-" + suffix(t)
	role.Name = b.namespace + "-" + account // the cluster is others' too
	b.Create(t, role)
	b.Create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: []rbacv1.Subject{b.subject(account)},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
	})
	return b.as(t, b.account(t, account))
}

// suffix makes names of a test's own.
func suffix(t *testing.T) string {
	return strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
}
