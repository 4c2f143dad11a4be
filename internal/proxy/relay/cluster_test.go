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

package relay_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/internal/audit"
	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/relay"
	"github.com/dockercontrol/dockercontrol/test/testenv"
)

const canary = "correct-horse-battery-staple"

// TestAgainstARealCluster relays to a kube-apiserver with the tokens of two accounts, one
// of which may edit. The relay's own configuration has every right, and none of it helps.
func TestAgainstARealCluster(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	editor := account(t, cluster, ns, "editor", rbacv1.PolicyRule{
		APIGroups: []string{"dockercontrol.dev"}, Resources: []string{"dockerhosts"},
		Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete", "grant"},
	}, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "create", "patch"},
	})
	nobody := account(t, cluster, ns, "nobody")
	url := serve(t, cluster)

	hosts := "/apis/dockercontrol.dev/v1alpha1/namespaces/" + ns + "/dockerhosts"
	secret := "/api/v1/namespaces/" + ns + "/secrets/engine-tls"
	host := `{"apiVersion":"dockercontrol.dev/v1alpha1","kind":"DockerHost","metadata":{"name":"prod"},"spec":{"endpoint":"tcp://192.0.2.1:2375","insecure":true}}`
	apply := fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata:\n  name: engine-tls\n  annotations: {note: %[1]s}\nstringData:\n  tls.key: %[1]s\n", canary)
	for _, tc := range []struct {
		name, token, method, target, body, contentType string
		code                                           int
		has                                            string
	}{
		{"no right", nobody, "GET", hosts, "", "", 403, `cannot list resource`},
		{"no right to create", nobody, "POST", hosts, host, "application/json", 403, `system:serviceaccount:` + ns + `:nobody`},
		{"a foreign token", "eyJhbGciOiJub25lIn0.e30.", "GET", hosts, "", "", 401, "Unauthorized"},
		{"list", editor, "GET", hosts, "", "", 200, "DockerHostList"},
		{"dry run", editor, "POST", hosts + "?dryRun=All", host, "application/json", 201, `"name":"prod"`},
		{"create", editor, "POST", hosts + "?fieldManager=console", host, "application/json", 201, `"manager":"console"`},
		{"create again", editor, "POST", hosts, host, "application/json", 409, "AlreadyExists"},
		{"get", editor, "GET", hosts + "/prod", "", "", 200, "tcp://192.0.2.1:2375"},
		{"patch", editor, "PATCH", hosts + "/prod", `{"spec":{"suspend":true}}`, "application/merge-patch+json", 200, `"suspend":true`},
		{"bad", editor, "PATCH", hosts + "/prod", `{"spec":{"endpoint":"gopher://x"}}`, "application/merge-patch+json", 422, "Invalid"},
		{"discovery", nobody, "GET", "/apis/dockercontrol.dev/v1alpha1", "", "", 200, "APIResourceList"},
		{"OpenAPI", nobody, "GET", "/openapi/v3/apis/dockercontrol.dev/v1alpha1", "", "", 200, "io.k8s"},
		{"who am I", nobody, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{}`, "application/json", 201, `system:serviceaccount:` + ns + `:nobody`},
		{"may I", editor, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
			`{"spec":{"resourceAttributes":{"namespace":"` + ns + `","verb":"list","group":"dockercontrol.dev","resource":"dockerhosts"}}}`, "application/json", 201, `"allowed":true`},
		{"what may I", nobody, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", `{"spec":{"namespace":"` + ns + `"}}`, "application/json", 201, "resourceRules"},
		{"apply a Secret", editor, "PATCH", secret + "?fieldManager=console", apply, "application/apply-patch+yaml", 201, `"kind":"PartialObjectMetadata"`},
		{"apply it again", editor, "PATCH", secret + "?fieldManager=console&force=true", apply, "application/apply-patch+yaml", 200, `"name":"engine-tls"`},
		{"another manager", editor, "PATCH", secret + "?fieldManager=other", strings.ReplaceAll(apply, canary, "other"), "application/apply-patch+yaml", 409, "conflict"},
		{"no right to apply", nobody, "PATCH", secret + "?fieldManager=console", apply, "application/apply-patch+yaml", 403, "cannot patch resource"},
		{"read the Secret", editor, "GET", secret, "", "", 403, "is not relayed"},
		{"delete", editor, "DELETE", hosts + "/prod", "", "", 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, body := ask(t, tc.token, tc.method, url+tc.target, tc.body, tc.contentType)
			if code != tc.code || !strings.Contains(body, tc.has) {
				t.Errorf("got %d %s, want %d with %q", code, body, tc.code, tc.has)
			}
			if strings.Contains(tc.target, "/secrets/") && strings.Contains(body, canary) {
				t.Errorf("the Secret's data came back: %s", body)
			}
		})
	}
	var written corev1.Secret
	if err := cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "engine-tls"}, &written); err != nil || string(written.Data["tls.key"]) != canary {
		t.Errorf("the Secret is %v, %v", written.Data, err)
	}
}

// TestWatchesARealCluster: events arrive at once, and the watch ends when the right to it
// does.
func TestWatchesARealCluster(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	token := account(t, cluster, ns, "viewer", rbacv1.PolicyRule{
		APIGroups: []string{"dockercontrol.dev"}, Resources: []string{"dockerhosts"}, Verbs: []string{"list", "watch"},
	})
	target := serve(t, cluster) + "/apis/dockercontrol.dev/v1alpha1/namespaces/" + ns + "/dockerhosts?watch=true&allowWatchBookmarks=true"
	resp := do(t, token, http.MethodGet, target, "", "")
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("got %s", resp.Status)
	}
	cluster.Create(t, testenv.NewHost(ns, "prod", "unix:///run/docker.sock"))
	lines := bufio.NewReader(resp.Body)
	var line []byte
	var event metav1.WatchEvent
	var err error
	for event.Type = "BOOKMARK"; err == nil && event.Type == "BOOKMARK"; { // of the empty start
		if line, err = lines.ReadBytes('\n'); err == nil {
			err = json.Unmarshal(line, &event)
		}
	}
	if err != nil || event.Type != "ADDED" || !strings.Contains(string(event.Object.Raw), `"name":"prod"`) {
		t.Fatalf("got %s, %v", line, err)
	}
	cluster.Delete(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "viewer"}})
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, lines)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the watch ended as if the kube-apiserver had ended it")
		}
	case <-time.After(30 * time.Second):
		t.Error("the watch goes on without the right to it")
		_ = resp.Body.Close()
	}
}

// serve runs a relay whose callers are whoever the token in Authorization says.
func serve(t *testing.T, cluster *testenv.Cluster) string {
	t.Helper()
	testenv.Eventually(t, 30*time.Second, func(ctx context.Context) error { // a new CRD's first list may be too early
		return cluster.Client.List(ctx, &dcv1.DockerHostList{})
	})
	handler, err := relay.New(relay.Options{RESTConfig: cluster.Config, Audit: audit.Multi(), Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		c := &caller.Caller{User: &user.DefaultInfo{Name: "somebody"}, Means: caller.Token, BearerToken: token}
		// Whatever a client says of itself must not get through.
		r.Header.Set("Impersonate-User", "root")
		r.Header.Set("Impersonate-Group", "system:masters")
		r.Header.Set("X-Remote-User", "root")
		handler.ServeHTTP(w, r.WithContext(caller.With(r.Context(), c)))
	}))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		server.Close()
		handler.Close()
	})
	return server.URL
}

// account makes a ServiceAccount with some rights in its namespace, and returns a token.
func account(t *testing.T, cluster *testenv.Cluster, ns, name string, rules ...rbacv1.PolicyRule) string {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: ns, Name: name}
	sa := &corev1.ServiceAccount{ObjectMeta: meta}
	cluster.Create(t, sa)
	if len(rules) > 0 {
		cluster.Create(t, &rbacv1.Role{ObjectMeta: meta, Rules: rules})
		cluster.Create(t, &rbacv1.RoleBinding{
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: name}},
		})
	}
	request := &authenticationv1.TokenRequest{}
	if err := cluster.Client.SubResource("token").Create(t.Context(), sa, request); err != nil {
		t.Fatalf("asking for a token: %v", err)
	}
	if len(rules) > 0 {
		testenv.Eventually(t, 20*time.Second, func(ctx context.Context) error { // RBAC lags a moment
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "system:serviceaccount:" + ns + ":" + name,
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: ns, Verb: "list", Group: "dockercontrol.dev", Resource: "dockerhosts",
				},
			}}
			if err := cluster.Client.Create(ctx, review); err != nil || !review.Status.Allowed {
				return fmt.Errorf("%s may not list yet: %w", name, err)
			}
			return nil
		})
	}
	return request.Status.Token
}

func do(t *testing.T, token, method, url, body, contentType string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func ask(t *testing.T, token, method, url, body, contentType string) (int, string) {
	t.Helper()
	resp := do(t, token, method, url, body, contentType)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}
