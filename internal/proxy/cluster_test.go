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

package proxy_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dockercontrol/dockercontrol/internal/proxy"
	"github.com/dockercontrol/dockercontrol/test/testenv"
	"github.com/dockercontrol/dockercontrol/web"
)

// TestAgainstARealCluster authenticates with what a real kube-apiserver issues. The
// proxy has the rights that NewAuthenticator names, and no others.
func TestAgainstARealCluster(t *testing.T) {
	cluster := testenv.Start(t)
	ns := cluster.Namespace(t)
	addr := startProxy(t, proxyConfig(t, cluster, ns))

	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "ci"}}
	if err := cluster.Client.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	token := tokenOf(t, cluster, account)
	admin, err := tls.X509KeyPair(cluster.Config.CertData, cluster.Config.KeyData)
	if err != nil {
		t.Fatalf("the administrator's certificate: %v", err)
	}

	for name, tc := range map[string]struct {
		token string
		certs []tls.Certificate
		code  int32
	}{
		"nothing":                         {code: http.StatusUnauthorized},
		"a ServiceAccount's token":        {token: token, code: http.StatusNotFound},
		"a token with another signature":  {token: token[:strings.LastIndex(token, ".")+1] + strings.Repeat("A", 342), code: http.StatusUnauthorized},
		"the administrator's certificate": {certs: []tls.Certificate{admin}, code: http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			if err := answers(t.Context(), addr, tc.token, tc.certs, tc.code); err != nil {
				t.Error(err)
			}
		})
	}

	cookies := signIn(t, addr, token)

	if err := cluster.Client.Delete(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 20*time.Second, func(ctx context.Context) error { // the answer is cached for 10 s
		return answers(ctx, addr, token, nil, http.StatusUnauthorized)
	})
	if resp := ask(t, http.MethodGet, addr, "/session", "", cookies); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the deleted ServiceAccount's session: %s", resp.Status)
	}
}

// signIn makes a session with a real token, which is longer than a test's, and returns
// its cookies.
func signIn(t *testing.T, addr, token string) []*http.Cookie {
	t.Helper()
	resp := ask(t, http.MethodPost, addr, "/login", `{"token":"`+token+`"}`, nil)
	if resp.StatusCode != http.StatusOK || len(resp.Cookies()) == 0 {
		t.Fatalf("login: %s, %d cookies", resp.Status, len(resp.Cookies()))
	}
	cookies := resp.Cookies()
	if resp := ask(t, http.MethodGet, addr, "/session", "", cookies); resp.StatusCode != http.StatusOK {
		t.Errorf("with the session: %s", resp.Status)
	}
	return cookies
}

// ask sends a request with cookies, and returns the answer without its body.
func ask(t *testing.T, method, addr, path, body string, cookies []*http.Cookie) *http.Response {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for _, c := range cookies {
		req.AddCookie(c)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// proxyConfig is the cluster's configuration for a user with the two roles only.
func proxyConfig(t *testing.T, cluster *testenv.Cluster, ns string) *rest.Config {
	t.Helper()
	user := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "proxy-of-" + ns}}
	for _, binding := range []client.Object{
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: ns},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
			Subjects:   user,
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: ns},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "extension-apiserver-authentication-reader"},
			Subjects:   user,
		},
	} {
		if err := cluster.Client.Create(t.Context(), binding); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := cluster.Client.Delete(context.WithoutCancel(t.Context()), binding); err != nil {
				t.Error(err)
			}
		})
	}
	config := rest.CopyConfig(cluster.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user[0].Name}
	return config
}

// startProxy runs a proxy until the test ends, and waits until it is ready.
func startProxy(t *testing.T, config *rest.Config) string {
	t.Helper()
	server, err := proxy.NewServer(proxy.Options{Address: "127.0.0.1:0", RESTConfig: config, Console: web.Files(), Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the proxy ended with %v", err)
		}
	})
	testenv.Eventually(t, 20*time.Second, func(context.Context) error { return server.ReadyCheck(nil) })
	return server.Addr()
}

func tokenOf(t *testing.T, cluster *testenv.Cluster, account *corev1.ServiceAccount) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{}
	if err := cluster.Client.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatalf("asking for a token: %v", err)
	}
	return request.Status.Token
}

// answers asks the proxy for an API path, and says how the Status it gets differs
// from the one that is due.
func answers(ctx context.Context, addr, token string, certs []tls.Certificate, code int32) error {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certs}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/apis/engine.dockercontrol.dev/v1alpha1", nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var status metav1.Status
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, json.Unmarshal(body, &status)); err != nil {
		return fmt.Errorf("%d %q: %w", resp.StatusCode, body, err)
	}
	if status.Code != code || resp.StatusCode != int(code) {
		return fmt.Errorf("got %d %s, want %d", resp.StatusCode, body, code)
	}
	return nil
}
