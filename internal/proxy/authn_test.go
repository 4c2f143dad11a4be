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
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// seen is what a handler behind the authenticator sees.
type seen struct {
	User    string
	UID     string
	Groups  []string
	Extra   map[string][]string
	Headers http.Header
	// Err is "", "unauthenticated" or "unavailable".
	Err string
}

// authServer is an HTTPS server that answers each request with what it saw.
type authServer struct {
	*httptest.Server
	api  *fakeAPI
	auth *Authenticator
}

func newAuthServer(t *testing.T) *authServer {
	t.Helper()
	api := newFakeAPI(t)
	auth, err := NewAuthenticator(api.restConfig(), logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := auth.Start(ctx); err != nil {
			t.Errorf("the authenticator ended with %v", err)
		}
	}()
	s := &authServer{api: api, auth: auth}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var out seen
		who, err := auth.Authenticate(r, "192.0.2.1")
		switch {
		case errors.Is(err, ErrUnauthenticated):
			out.Err = "unauthenticated"
		case errors.Is(err, ErrAuthenticationUnavailable):
			out.Err = "unavailable"
		case err != nil:
			out.Err = err.Error()
		default:
			out = seen{User: who.User.GetName(), UID: who.User.GetUID(), Groups: who.User.GetGroups(), Extra: who.User.GetExtra()}
			delete(out.Extra, "authentication.kubernetes.io/credential-id") // differs each time
			if len(out.Extra) == 0 {
				out.Extra = nil
			}
		}
		r.Header.Del("Accept-Encoding")
		r.Header.Del("User-Agent")
		out.Headers = r.Header
		_ = json.NewEncoder(w).Encode(out)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(func() {
		s.Close()
		cancel()
		<-ended
	})
	return s
}

// ready gives the cluster its CAs, and waits until they are known.
func (s *authServer) ready(t *testing.T, data map[string]string) {
	t.Helper()
	s.api.set(data)
	want, err := parseTrust(data)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "trusting the CAs", func() bool {
		got := s.auth.trust.get()
		return s.auth.Ready() == nil && got.pool != nil && got.pool.Equal(want.pool)
	})
}

func (s *authServer) get(t *testing.T, c *http.Client, headers ...string) seen {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/?access_token=good", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out seen
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return out
}

func trustData(clientCA, proxyCA *testCA, names string) map[string]string {
	data := map[string]string{
		keyProxyNames: names, keyUserHeaders: `["X-Remote-User"]`, keyGroupHeaders: `["X-Remote-Group"]`,
		keyUIDHeaders: `["X-Remote-Uid"]`, keyExtraHeaders: `["X-Remote-Extra-"]`,
	}
	if clientCA != nil {
		data[keyClientCA] = clientCA.pem()
	}
	if proxyCA != nil {
		data[keyProxyCA] = proxyCA.pem()
	}
	return data
}

func TestWhoAsks(t *testing.T) {
	s := newAuthServer(t)
	users, proxies, others := newTestCA(t, "users"), newTestCA(t, "proxies"), newTestCA(t, "others")
	s.ready(t, trustData(users, proxies, `["aggregator"]`))
	s.api.addToken("good", authenticationv1.UserInfo{Username: "system:serviceaccount:default:ci", UID: "u-1", Groups: []string{"system:serviceaccounts"}})
	subprotocol := "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte("good"))
	webSocket := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Protocol", subprotocol + ", v5.channel.k8s.io"}
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	forServers := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	remote := []string{"X-Remote-User", "bob", "X-Remote-Group", "developers", "X-Remote-Uid", "u-2", "X-Remote-Extra-Scopes", "all"}

	token := seen{User: "system:serviceaccount:default:ci", UID: "u-1", Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	alice := seen{User: "alice", Groups: []string{"team", "system:authenticated"}}
	bob := seen{User: "bob", UID: "u-2", Groups: []string{"developers", "system:authenticated"}, Extra: map[string][]string{"scopes": {"all"}}}
	nobody := seen{Err: "unauthenticated"}
	for name, tc := range map[string]struct {
		certs   []tls.Certificate
		headers []string
		want    seen
	}{
		"nothing, and a token in the query": {want: nobody},
		"a token":                           {headers: []string{"Authorization", "Bearer good"}, want: token},
		"a token, in lower case":            {headers: []string{"Authorization", "bearer good"}, want: token},
		"a token nobody knows":              {headers: []string{"Authorization", "Bearer bad"}, want: nobody},
		"an empty token":                    {headers: []string{"Authorization", "Bearer "}, want: nobody},
		"a password":                        {headers: []string{"Authorization", "Basic Z29vZDpnb29k"}, want: nobody},
		"a cookie":                          {headers: []string{"Cookie", "token=good"}, want: seen{Err: "unauthenticated", Headers: http.Header{"Cookie": {"token=good"}}}},
		"a WebSocket's subprotocol": {headers: webSocket, want: func() seen {
			w := token
			w.Headers = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {"v5.channel.k8s.io"}}
			return w
		}()},
		"a subprotocol without an upgrade": {headers: webSocket[4:], want: seen{Err: "unauthenticated", Headers: http.Header{"Sec-Websocket-Protocol": {"v5.channel.k8s.io"}}}},

		"a certificate":                    {certs: []tls.Certificate{users.client(t, "alice", []string{"team"})}, want: alice},
		"a certificate and a token":        {certs: []tls.Certificate{users.client(t, "alice", []string{"team"})}, headers: []string{"Authorization", "Bearer good"}, want: alice},
		"a bad certificate, a good token":  {certs: []tls.Certificate{others.client(t, "alice", nil)}, headers: []string{"Authorization", "Bearer good"}, want: token},
		"a certificate of another CA":      {certs: []tls.Certificate{others.client(t, "alice", []string{"system:masters"})}, want: nobody},
		"an expired certificate":           {certs: []tls.Certificate{users.client(t, "alice", nil, expired)}, want: nobody},
		"a server's certificate":           {certs: []tls.Certificate{users.client(t, "alice", nil, forServers)}, want: nobody},
		"a certificate without a name":     {certs: []tls.Certificate{users.client(t, "", []string{"system:masters"})}, want: nobody},
		"a front proxy's own certificate":  {certs: []tls.Certificate{proxies.client(t, "aggregator", nil)}, want: nobody},
		"a front proxy":                    {certs: []tls.Certificate{proxies.client(t, "aggregator", nil)}, headers: remote, want: bob},
		"a front proxy of another name":    {certs: []tls.Certificate{proxies.client(t, "mallory", nil)}, headers: remote, want: nobody},
		"a front proxy of the users' CA":   {certs: []tls.Certificate{users.client(t, "aggregator", nil)}, headers: remote, want: seen{User: "aggregator", Groups: []string{"system:authenticated"}}},
		"a front proxy of another CA":      {certs: []tls.Certificate{others.client(t, "aggregator", nil)}, headers: remote, want: nobody},
		"an expired front proxy":           {certs: []tls.Certificate{proxies.client(t, "aggregator", nil, expired)}, headers: remote, want: nobody},
		"a front proxy for nobody":         {certs: []tls.Certificate{proxies.client(t, "aggregator", nil)}, headers: []string{"X-Remote-User", "system:anonymous", "X-Remote-Group", "system:unauthenticated"}, want: nobody},
		"forged headers":                   {headers: remote, want: nobody},
		"forged headers and a certificate": {certs: []tls.Certificate{users.client(t, "alice", []string{"team"})}, headers: remote, want: alice},
		"forged headers and a token":       {headers: append([]string{"Authorization", "Bearer good"}, remote...), want: token},
		"headers of another convention":    {headers: []string{"Authorization", "Bearer good", "x-remote-whatever", "1", "X-REMOTE-EXTRA-a", "2"}, want: token},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.get(t, client(t, tc.certs...), tc.headers...)
			if tc.want.Headers == nil {
				tc.want.Headers = http.Header{}
			}
			if tc.want.Err != "" && got.Err == tc.want.Err {
				got.Headers.Del("Authorization") // it goes no further
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestFrontProxiesNeedNames(t *testing.T) {
	s := newAuthServer(t)
	ca := newTestCA(t, "one CA for all")
	for _, names := range []string{"", "[]"} {
		s.ready(t, trustData(ca, ca, names))
		got := s.get(t, client(t, ca.client(t, "alice", nil)), "X-Remote-User", "system:admin")
		if got.User != "alice" {
			t.Errorf("names %q: alice is taken for %+v", names, got)
		}
	}
}

func TestNotReadyBeforeTheCAsAreKnown(t *testing.T) {
	s := newAuthServer(t)
	s.api.addToken("good", authenticationv1.UserInfo{Username: "ci"})
	users := newTestCA(t, "users")
	c := client(t, users.client(t, "alice", nil))
	if err := s.auth.Ready(); err == nil || !strings.Contains(err.Error(), "extension-apiserver-authentication-reader") {
		t.Errorf("got %v", err)
	}
	for range 2 {
		if got := s.get(t, c); got.Err != "unavailable" {
			t.Errorf("got %+v, want unavailable", got)
		}
	}
	s.ready(t, trustData(users, nil, ""))
	if got := s.get(t, c); got.User != "alice" {
		t.Errorf("got %+v, want alice", got)
	}
}

func TestAClusterWithoutCAs(t *testing.T) {
	s := newAuthServer(t)
	s.api.addToken("good", authenticationv1.UserInfo{Username: "ci"})
	s.ready(t, map[string]string{})
	c := client(t, newTestCA(t, "users").client(t, "alice", nil))
	if got := s.get(t, c, "X-Remote-User", "bob"); got.Err != "unauthenticated" {
		t.Errorf("got %+v, want unauthenticated", got)
	}
	if got := s.get(t, c, "Authorization", "Bearer good"); got.User != "ci" {
		t.Errorf("got %+v, want ci", got)
	}
}

func TestCAsAreReplaced(t *testing.T) {
	s := newAuthServer(t)
	first, second := newTestCA(t, "first"), newTestCA(t, "second")
	s.ready(t, trustData(first, nil, ""))
	s.ready(t, trustData(second, nil, ""))
	if got := s.get(t, client(t, first.client(t, "alice", nil))); got.Err != "unauthenticated" {
		t.Errorf("with the CA that is gone: %+v", got)
	}
	if got := s.get(t, client(t, second.client(t, "alice", nil))); got.User != "alice" {
		t.Errorf("with the new CA: %+v", got)
	}
	for name, data := range map[string]map[string]string{
		"junk for a CA":    {keyClientCA: "junk"},
		"junk for names":   {keyClientCA: first.pem(), keyProxyNames: "aggregator"},
		"a CA in one half": {keyClientCA: first.pem()[:100]},
	} {
		if _, err := parseTrust(data); err == nil {
			t.Errorf("%s is taken", name)
		}
		s.auth.trust.take(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: trustConfigMap}, Data: data})
		if got := s.get(t, client(t, second.client(t, "alice", nil))); got.User != "alice" {
			t.Errorf("%s: %+v, want what was trusted before", name, got)
		}
	}
}

func TestReviewsAreCached(t *testing.T) {
	s := newAuthServer(t)
	s.ready(t, map[string]string{})
	s.api.addToken("good", authenticationv1.UserInfo{Username: "ci"})
	c := client(t)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got := s.get(t, c, "Authorization", "Bearer good"); got.User != "ci" {
				t.Errorf("got %+v", got)
			}
		})
	}
	wg.Wait()
	if got := s.api.reviewCount(); got != 1 {
		t.Errorf("%d reviews for one token, want 1", got)
	}
	// The kube-apiserver goes away: what is cached holds, the rest is not known.
	s.api.setDown(true)
	if got := s.get(t, c, "Authorization", "Bearer good"); got.User != "ci" {
		t.Errorf("from the cache: %+v", got)
	}
	if got := s.get(t, c, "Authorization", "Bearer other"); got.Err != "unavailable" {
		t.Errorf("with the kube-apiserver down: %+v, want unavailable", got)
	}
	if got := s.get(t, c); got.Err != "unauthenticated" {
		t.Errorf("without credentials nobody needs to be asked: %+v", got)
	}
	s.api.setDown(false)
	if got := s.get(t, c, "Authorization", "Bearer other"); got.Err != "unauthenticated" {
		t.Errorf("back again: %+v", got)
	}
}

func TestKubeAPIServerGone(t *testing.T) {
	s := newAuthServer(t)
	s.ready(t, map[string]string{})
	s.api.server.CloseClientConnections()
	s.api.server.Listener.Close()
	if got := s.get(t, client(t), "Authorization", "Bearer good"); got.Err != "unavailable" {
		t.Errorf("got %+v, want unavailable", got)
	}
}

// TestServerAnswersByIdentity is the same through the whole server.
func TestServerAnswersByIdentity(t *testing.T) {
	r := start(t)
	users := newTestCA(t, "users")
	c := client(t)
	resp, body := r.do(t, c, "GET", "/apis/engine.dockercontrol.dev/v1alpha1")
	if status := checkStatus(t, body, http.StatusServiceUnavailable); resp.Header.Get("Retry-After") == "" || status.Details.RetryAfterSeconds == 0 {
		t.Errorf("before it is ready: %d without Retry-After: %s", resp.StatusCode, body)
	}
	if resp, body := r.do(t, c, "GET", "/readyz"); resp.StatusCode != http.StatusServiceUnavailable || body != "not ready: proxy\n" {
		t.Errorf("/readyz: got %d %q", resp.StatusCode, body)
	}
	r.api.set(trustData(users, nil, ""))
	r.api.addToken("good", authenticationv1.UserInfo{Username: "ci"})
	eventually(t, "ready", func() bool { return r.ReadyCheck(nil) == nil })
	if resp, body := r.do(t, c, "GET", "/readyz"); resp.StatusCode != http.StatusOK || body != "ok\n" {
		t.Errorf("/readyz: got %d %q", resp.StatusCode, body)
	}
	resp, body = r.do(t, c, "GET", "/apis/engine.dockercontrol.dev/v1alpha1")
	if status := checkStatus(t, body, http.StatusUnauthorized); !strings.Contains(status.Message, "kubectl create token") || resp.Header.Get("Www-Authenticate") != "Bearer" {
		t.Errorf("without credentials: %v %s", resp.Header, body)
	}
	resp, body = r.do(t, c, "GET", "/apis/engine.dockercontrol.dev/v1alpha1", "Authorization", "Bearer good")
	checkStatus(t, body, resp.StatusCode)
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("with a token: %s", body)
	}
	resp, body = r.do(t, client(t, users.client(t, "alice", nil)), "POST", "/apis/x")
	checkStatus(t, body, resp.StatusCode)
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("with a certificate: %s", body)
	}
}

// TestHandshakeNamesTheCAs is what a browser goes by when it offers certificates.
func TestHandshakeNamesTheCAs(t *testing.T) {
	r := start(t)
	users, proxies := newTestCA(t, "users"), newTestCA(t, "proxies")
	r.api.set(trustData(users, proxies, `["aggregator"]`))
	eventually(t, "ready", func() bool { return r.ReadyCheck(nil) == nil })
	var asked [][]byte
	conn, err := tls.Dial("tcp", r.Addr(), &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = info.AcceptableCAs
			return &tls.Certificate{}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if len(asked) != 2 {
		t.Errorf("the handshake names %d CAs, want 2", len(asked))
	}
}
