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

package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/keyutil"
)

const loopLimit = 2 * time.Minute

var (
	crdResource    = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	apiServices    = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
	widgetResource = schema.GroupVersionResource{Group: "test.dockercontrol.dev", Version: "v1", Resource: "widgets"}
)

// What the product builds on, against one control plane.
func TestControlPlane(t *testing.T) {
	t.Parallel()
	c := run(t, filepath.Join(t.TempDir(), "data"))
	installWidgets(t, c)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *child)
	}{
		{"garbage collection", testGarbageCollection},
		{"namespace deletion", testNamespaceDeletion},
		{"namespace furniture", testNamespaceFurniture},
		{"tokens", testTokens},
		{"token secrets", testTokenSecrets},
		{"client certificates", testClientCertificates},
		{"strangers", testStrangers},
		{"manager's identity", testManagerIdentity},
		{"admission policy", testAdmissionPolicy},
		{"quota", testQuota},
		{"role aggregation", testRoleAggregation},
		{"API aggregation", testAPIAggregation},
		{"events and leases", testEventsAndLeases},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, c) })
	}
	c.stop(t)
}

// installWidgets makes a CRD and waits until it takes objects.
func installWidgets(t *testing.T, c *child) {
	t.Helper()
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "widgets.test.dockercontrol.dev"},
		"spec": map[string]any{
			"group": widgetResource.Group, "scope": "Namespaced",
			"names": map[string]any{"plural": "widgets", "singular": "widget", "kind": "Widget"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type": "object", "properties": map[string]any{"spec": map[string]any{
						"type": "object", "properties": map[string]any{"size": map[string]any{"type": "integer"}},
					}},
				}},
			}},
		},
	}}
	if _, err := c.dynamic(t).Resource(crdResource).Create(t.Context(), crd, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, loopLimit, func() error {
		_, err := c.dynamic(t).Resource(widgetResource).Namespace("default").List(t.Context(), metav1.ListOptions{})
		return err
	})
}

func widget(name string, size int64, owners ...metav1.OwnerReference) *unstructured.Unstructured {
	w := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "test.dockercontrol.dev/v1", "kind": "Widget", "spec": map[string]any{"size": size},
	}}
	w.SetName(name)
	w.SetOwnerReferences(owners)
	return w
}

func namespaceFor(t *testing.T, c *child, name string) {
	t.Helper()
	_, err := c.client(t).CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// gone is nil when err says that there is no such object.
func gone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("it is still there (%w)", errors.Join(errors.New("get"), err))
}

// A custom resource owns a Role, as a HostPermission does, and a Role owns a custom resource.
func testGarbageCollection(t *testing.T, c *child) {
	widgets, roles := c.dynamic(t).Resource(widgetResource).Namespace("default"), c.client(t).RbacV1().Roles("default")
	owner, err := widgets.Create(t.Context(), widget("owner", 1), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = roles.Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "owned", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: owner.GetAPIVersion(), Kind: owner.GetKind(), Name: owner.GetName(), UID: owner.GetUID()},
	}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := widgets.Delete(t.Context(), "owner", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, loopLimit, func() error {
		_, err := roles.Get(t.Context(), "owned", metav1.GetOptions{})
		return gone(err)
	})
}

func testNamespaceDeletion(t *testing.T, c *child) {
	namespaceFor(t, c, "doomed")
	if _, err := c.dynamic(t).Resource(widgetResource).Namespace("doomed").Create(t.Context(), widget("w", 1), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.client(t).CoreV1().Namespaces().Delete(t.Context(), "doomed", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, loopLimit, func() error {
		_, err := c.client(t).CoreV1().Namespaces().Get(t.Context(), "doomed", metav1.GetOptions{})
		return gone(err)
	})
}

func testNamespaceFurniture(t *testing.T, c *child) {
	namespaceFor(t, c, "fresh")
	ca, err := os.ReadFile(filepath.Join(c.dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, loopLimit, func() error {
		_, err := c.client(t).CoreV1().ServiceAccounts("fresh").Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	eventually(t, loopLimit, func() error {
		bundle, err := c.client(t).CoreV1().ConfigMaps("fresh").Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
		if err == nil && bundle.Data["ca.crt"] != string(ca) {
			return errors.New("kube-root-ca.crt is not ca.crt")
		}
		return err
	})
}

func testTokens(t *testing.T, c *child) {
	admin := c.as(t, func(config *rest.Config) { config.BearerToken = loginToken(t, c.client(t)) })
	if user := whoIs(t, admin); user != loginUser {
		t.Errorf("the login token is %q, want %q", user, loginUser)
	}
	if _, err := clientOf(t, admin).CoreV1().Secrets("kube-system").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("the login account: %v", err)
	}
	eventually(t, loopLimit, func() error {
		_, err := c.client(t).CoreV1().ServiceAccounts("default").Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	nobody := c.as(t, func(config *rest.Config) { config.BearerToken = tokenOf(t, c.client(t), "default", "default") })
	if _, err := clientOf(t, nobody).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("an account without rights lists Secrets: %v, want Forbidden", err)
	}
}

func testTokenSecrets(t *testing.T, c *child) {
	_, err := c.client(t).CoreV1().Secrets("dockercontrol-system").Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "lasting", Annotations: map[string]string{corev1.ServiceAccountNameKey: "admin"}},
		Type:       corev1.SecretTypeServiceAccountToken,
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, loopLimit, func() error {
		secret, err := c.client(t).CoreV1().Secrets("dockercontrol-system").Get(t.Context(), "lasting", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(secret.Data[corev1.ServiceAccountTokenKey]) == 0 {
			return errors.New("the Secret has no token yet")
		}
		config := c.as(t, func(config *rest.Config) { config.BearerToken = string(secret.Data[corev1.ServiceAccountTokenKey]) })
		if user := whoIs(t, config); user != loginUser {
			return fmt.Errorf("the token is %q", user)
		}
		return nil
	})
}

// A certificate of one's own, for programs that know no bearer tokens.
func testClientCertificates(t *testing.T, c *child) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "jane"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	requests := c.client(t).CertificatesV1().CertificateSigningRequests()
	request, err := requests.Create(t.Context(), &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "jane"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: certificatesv1.KubeAPIServerClientSignerName,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	request.Status.Conditions = append(request.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Test",
	})
	if _, err := requests.UpdateApproval(t.Context(), "jane", request, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, loopLimit, func() error {
		request, err = requests.Get(t.Context(), "jane", metav1.GetOptions{})
		if err == nil && len(request.Status.Certificate) == 0 {
			return errors.New("the request is not signed yet")
		}
		return err
	})
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	jane := c.as(t, func(config *rest.Config) { config.CertData, config.KeyData = request.Status.Certificate, keyPEM })
	if user := whoIs(t, jane); user != "jane" {
		t.Errorf("the certificate is %q, want jane", user)
	}
}

func testStrangers(t *testing.T, c *child) {
	anonymous := clientOf(t, rest.AnonymousClientConfig(c.config(t)))
	if _, err := anonymous.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("anonymous: %v, want Forbidden", err)
	}
	forged := clientOf(t, c.as(t, func(config *rest.Config) { config.BearerToken = "not.a.token" }))
	if _, err := forged.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("a token of nobody: %v, want Unauthorized", err)
	}
	// The front proxy's names are worth nothing without its certificate.
	config := rest.AnonymousClientConfig(c.config(t))
	config.Impersonate = rest.ImpersonationConfig{UserName: "admin", Groups: []string{"system:masters"}}
	if _, err := clientOf(t, config).CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("anonymous who would be admin: %v, want Forbidden", err)
	}
	if _, err := clientOf(t, &rest.Config{Host: c.config(t).Host}).Discovery().ServerVersion(); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a client without the CA: %v, want a certificate error", err)
	}
}

func testManagerIdentity(t *testing.T, c *child) {
	manager := c.as(t, func(config *rest.Config) {
		config.CertFile, config.KeyFile = filepath.Join(c.dir, "pki", "manager.crt"), filepath.Join(c.dir, "pki", "manager.key")
	})
	if user := whoIs(t, manager); user != managerUser {
		t.Errorf("the manager is %q, want %q", user, managerUser)
	}
}

func testAdmissionPolicy(t *testing.T, c *child) {
	api := c.client(t).AdmissionregistrationV1()
	fail := admissionv1.Fail
	_, err := api.ValidatingAdmissionPolicies().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "small-widgets"},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: &fail,
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{widgetResource.Group}, APIVersions: []string{"*"}, Resources: []string{"widgets"}},
			}}}},
			Validations: []admissionv1.Validation{
				{Expression: "object.spec.size < 10", Message: "widgets are small"},
				{Expression: "authorizer.group('test.dockercontrol.dev').resource('widgets').check('grant').allowed()"},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = api.ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "small-widgets"},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: "small-widgets", ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	widgets := c.dynamic(t).Resource(widgetResource).Namespace("default")
	eventually(t, loopLimit, func() error {
		_, err := widgets.Create(t.Context(), widget("big", 10), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil || !strings.Contains(err.Error(), "widgets are small") {
			return fmt.Errorf("a big widget gets %w", errors.Join(errors.New("create"), err))
		}
		return nil
	})
	if _, err := widgets.Create(t.Context(), widget("small", 9), metav1.CreateOptions{}); err != nil {
		t.Errorf("a small widget: %v", err)
	}
	eventually(t, loopLimit, func() error {
		policy, err := api.ValidatingAdmissionPolicies().Get(t.Context(), "small-widgets", metav1.GetOptions{})
		if err == nil && policy.Status.ObservedGeneration != policy.Generation {
			return errors.New("the policy has not been type-checked")
		}
		return err
	})
}

func testQuota(t *testing.T, c *child) {
	namespaceFor(t, c, "limited")
	const count corev1.ResourceName = "count/widgets.test.dockercontrol.dev"
	quotas := c.client(t).CoreV1().ResourceQuotas("limited")
	_, err := quotas.Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "one"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{count: resource.MustParse("1")}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	widgets := c.dynamic(t).Resource(widgetResource).Namespace("limited")
	eventually(t, loopLimit, func() error {
		quota, err := quotas.Get(t.Context(), "one", metav1.GetOptions{})
		if _, counted := quota.Status.Used[count]; err == nil && !counted {
			return errors.New("the quota has not been counted")
		}
		return err
	})
	if _, err := widgets.Create(t.Context(), widget("first", 1), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// What admission knows of a quota that was just counted may be a moment old, and let
	// another one in; never many.
	created := []string{"first"}
	eventually(t, loopLimit, func() error {
		name := fmt.Sprintf("more-%d", len(created))
		_, err := widgets.Create(t.Context(), widget(name, 1), metav1.CreateOptions{})
		if apierrors.IsForbidden(err) {
			return nil
		}
		if err == nil {
			created = append(created, name)
			err = fmt.Errorf("%s was let in, which is too many", name)
		}
		return err
	})
	if len(created) > 3 {
		t.Errorf("%d widgets were let in where one is allowed", len(created))
	}
	for _, name := range created {
		if err := widgets.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, loopLimit, func() error {
		_, err := widgets.Create(t.Context(), widget("again", 1), metav1.CreateOptions{})
		return err
	})
}

func testRoleAggregation(t *testing.T, c *child) {
	_, err := c.client(t).RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets-view", Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{widgetResource.Group}, Resources: []string{"widgets"}, Verbs: []string{"get"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, loopLimit, func() error {
		view, err := c.client(t).RbacV1().ClusterRoles().Get(t.Context(), "view", metav1.GetOptions{})
		if err == nil && !slices.ContainsFunc(view.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.APIGroups, widgetResource.Group) }) {
			return errors.New("view does not have the rule yet")
		}
		return err
	})
}

// The aggregator looks at APIServices and publishes what an aggregated server needs to know its callers.
func testAPIAggregation(t *testing.T, c *child) {
	service := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": "v1.engine.test.dockercontrol.dev"},
		"spec": map[string]any{
			"group": "engine.test.dockercontrol.dev", "version": "v1", "groupPriorityMinimum": int64(100), "versionPriority": int64(1),
			"insecureSkipTLSVerify": true, "service": map[string]any{"namespace": "default", "name": "nobody"},
		},
	}}
	if _, err := c.dynamic(t).Resource(apiServices).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, loopLimit, func() error {
		current, err := c.dynamic(t).Resource(apiServices).Get(t.Context(), service.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(current.Object, "status", "conditions")
		if !strings.Contains(fmt.Sprint(conditions), "ServiceNotFound") {
			return fmt.Errorf("conditions %v, want one with ServiceNotFound", conditions)
		}
		return nil
	})
	if err := c.dynamic(t).Resource(apiServices).Delete(t.Context(), service.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	published, err := c.client(t).CoreV1().ConfigMaps("kube-system").Get(t.Context(), "extension-apiserver-authentication", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for key, file := range map[string]string{"client-ca-file": "ca.crt", "requestheader-client-ca-file": "front-proxy-ca.crt"} {
		want, err := os.ReadFile(filepath.Join(c.dir, "pki", file))
		if err != nil {
			t.Fatal(err)
		}
		if published.Data[key] != string(want) {
			t.Errorf("%s is not %s", key, file)
		}
	}
	if names := published.Data["requestheader-allowed-names"]; names != `["front-proxy-client"]` {
		t.Errorf("requestheader-allowed-names is %s", names)
	}
}

func testEventsAndLeases(t *testing.T, c *child) {
	now := metav1.NowMicro()
	_, err := c.client(t).EventsV1().Events("default").Create(t.Context(), &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "e"}, EventTime: now, ReportingController: "test", ReportingInstance: "test",
		Action: "Test", Reason: "Test", Type: "Normal", Regarding: corev1.ObjectReference{Kind: "Namespace", Name: "default", Namespace: "default"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Error(err)
	}
	_, err = c.client(t).CoordinationV1().Leases("default").Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "l"}}, metav1.CreateOptions{})
	if err != nil {
		t.Error(err)
	}
}
