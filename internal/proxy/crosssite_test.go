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
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// oneTime returns a client of HTTP/1.1, which upgrades need, with another's cookies.
func oneTime(jar http.CookieJar, certs ...tls.Certificate) *http.Client {
	return &http.Client{Jar: jar, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certs}, DisableKeepAlives: true,
	}}
}

// TestOtherSites sends what pages of other sites can make a browser send. 404 is the
// answer behind authentication.
func TestOtherSites(t *testing.T) {
	r := startReady(t)
	users, proxies := newTestCA(t, "users"), newTestCA(t, "proxies")
	r.api.set(trustData(users, proxies, `["aggregator"]`))
	alice, aggregator := users.client(t, "alice", nil), proxies.client(t, "aggregator", nil)
	eventually(t, "the CAs are known", func() bool {
		resp, _ := r.do(t, client(t, alice), "GET", apiPath)
		return resp.StatusCode == http.StatusNotFound
	})
	session := browse(t)
	r.login(t, session, "good")
	byCookie, byCertificate, byProxy, byNobody := oneTime(session.Jar), oneTime(nil, alice), oneTime(nil, aggregator), oneTime(nil)

	same, evil := "https://"+r.Addr(), "https://evil.example.com"
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	upgrade := func(headers ...string) []string {
		return append([]string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Version", "13", "Sec-Websocket-Key", "eHh4eHh4eHh4eHh4eHh4eA=="}, headers...)
	}
	protocol := protocolToken + base64.RawURLEncoding.EncodeToString([]byte("good")) + ", v5.channel.k8s.io"
	for name, tc := range map[string]struct {
		c       *http.Client
		method  string
		headers []string
		want    int
	}{
		"a form of another site":                      {byCookie, "POST", append(form, "Sec-Fetch-Site", "cross-site", "Origin", evil), 403},
		"a form of an old browser":                    {byCookie, "POST", append(form, "Origin", evil), 403},
		"a form without an origin":                    {byCookie, "POST", append(form, "Origin", "null"), 403},
		"a form of a sister site":                     {byCookie, "POST", append(form, "Sec-Fetch-Site", "same-site", "Origin", "https://other.example.com"), 403},
		"a deletion of another site":                  {byCookie, "DELETE", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"the console's own post":                      {byCookie, "POST", []string{"Sec-Fetch-Site", "same-origin", "Origin", same}, 404},
		"the console's own get":                       {byCookie, "GET", []string{"Sec-Fetch-Site", "same-origin"}, 404},
		"a form of another site and a certificate":    {byCertificate, "POST", append(form, "Sec-Fetch-Site", "cross-site", "Origin", evil), 403},
		"a program's post with a certificate":         {byCertificate, "POST", nil, 404},
		"another site through a front proxy":          {byProxy, "POST", []string{"X-Remote-User", "bob", "Sec-Fetch-Site", "cross-site", "Origin", evil}, 403},
		"a program's post with a token":               {byNobody, "POST", []string{"Authorization", "Bearer good", "Origin", evil, "Sec-Fetch-Site", "cross-site"}, 404},
		"a token and a cookie":                        {byCookie, "POST", []string{"Authorization", "Bearer good", "Origin", evil}, 404},
		"a WebSocket of another site":                 {byCookie, "GET", upgrade("Origin", evil), 403},
		"a WebSocket of no origin":                    {byCookie, "GET", upgrade(), 403},
		"a WebSocket of the origin null":              {byCookie, "GET", upgrade("Origin", "null"), 403},
		"a WebSocket of the host without TLS":         {byCookie, "GET", upgrade("Origin", "http://"+r.Addr()), 403},
		"a WebSocket of another port":                 {byCookie, "GET", upgrade("Origin", "https://127.0.0.1"), 403},
		"a WebSocket of a longer host":                {byCookie, "GET", upgrade("Origin", same+".evil.example.com"), 403},
		"a WebSocket that says where it comes from":   {byCookie, "GET", upgrade("Origin", same, "Sec-Fetch-Site", "cross-site"), 403},
		"the console's own WebSocket":                 {byCookie, "GET", upgrade("Origin", same, "Sec-Fetch-Site", "same-origin"), 404},
		"another site's WebSocket and a certificate":  {byCertificate, "GET", upgrade("Origin", evil), 403},
		"a program's WebSocket with a certificate":    {byCertificate, "GET", upgrade(), 404},
		"a WebSocket through a front proxy":           {byProxy, "GET", upgrade("X-Remote-User", "bob", "Origin", "https://kubernetes.default.svc"), 404},
		"another site's through a front proxy":        {byProxy, "GET", upgrade("X-Remote-User", "bob", "Sec-Fetch-Site", "cross-site"), 403},
		"a WebSocket with a token":                    {byNobody, "GET", upgrade("Authorization", "Bearer good"), 404},
		"a WebSocket with a token, from a page":       {byNobody, "GET", upgrade("Sec-Websocket-Protocol", protocol, "Origin", evil), 404},
		"a WebSocket with a token and nothing else":   {byNobody, "GET", upgrade("Sec-Websocket-Protocol", strings.Split(protocol, ",")[0]), 401},
		"a WebSocket with two tokens":                 {byNobody, "GET", upgrade("Sec-Websocket-Protocol", protocol+", "+protocol), 401},
		"a WebSocket with a token that is not base64": {byNobody, "GET", upgrade("Sec-Websocket-Protocol", protocolToken+"!, v5.channel.k8s.io"), 401},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := r.do(t, tc.c, tc.method, apiPath, tc.headers...)
			if resp.StatusCode != tc.want {
				t.Fatalf("got %d %s, want %d", resp.StatusCode, body, tc.want)
			}
			checkStatus(t, body, tc.want)
		})
	}
	if resp, _ := r.post(t, session, "/logout", "", "Origin", evil); resp.StatusCode != http.StatusForbidden || len(r.cookies(session)) == 0 {
		t.Errorf("another site's logout: %d", resp.StatusCode)
	}
}

func TestTokensInAQuery(t *testing.T) {
	r := startReady(t)
	c := client(t)
	for _, path := range []string{
		"/?token=good", "/session?access_token=good", apiPath + "?limit=1&token=good", apiPath + "?token", apiPath + "?a=%zz&%74oken=good", proxyPath + "?token=good", "/healthz?token=good",
	} {
		for _, headers := range [][]string{nil, {"Authorization", "Bearer good"}} {
			resp, body := r.do(t, c, "GET", path, headers...)
			if resp.StatusCode != http.StatusBadRequest {
				t.Fatalf("%s: %d", path, resp.StatusCode)
			}
			if status := checkStatus(t, body, 400); !strings.Contains(status.Message, "in the query") || strings.Contains(body, "good") {
				t.Errorf("%s: %s", path, body)
			}
		}
	}
	if got := r.api.reviewCount(); got != 0 {
		t.Errorf("%d tokens of queries were reviewed", got)
	}
	if resp, _ := r.do(t, c, "GET", apiPath+"?tokens=1&xtoken=2", "Authorization", "Bearer good"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("other names: %d", resp.StatusCode)
	}
}

func TestPassThroughPaths(t *testing.T) {
	for path, want := range map[string]bool{
		proxyPath: true,
		"/apis/engine.dockercontrol.dev/v1alpha1/namespaces/default/dockerhosts/a/proxy":                   true,
		"/apis/engine.dockercontrol.dev/v1alpha1/namespaces/default/dockerhosts/a/proxy/":                  true,
		"/apis/engine.dockercontrol.dev/v1alpha1/namespaces/proxy/dockerhosts/proxy/containers/proxy/stop": false,
		"/apis/engine.dockercontrol.dev/v1alpha1/namespaces/default/dockerhosts/proxy":                     false,
		"/proxy": false, "/": false, "": false, apiPath: false,
	} {
		if got := isPassThrough(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
