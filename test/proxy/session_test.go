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
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dcv1 "github.com/dockercontrol/dockercontrol/api/v1alpha1"
	"github.com/dockercontrol/dockercontrol/test/testbed"
)

// login is a browser that sent a token to /login and keeps the cookie it got.
func (b *bed) login(t *testing.T, token string) *httpUser {
	t.Helper()
	browser := b.as(t, "")
	browser.header.Set("Sec-Fetch-Site", "same-origin")
	a := browser.do(t, 200, "POST", "/login", map[string]string{"token": token})
	browser.takeCookies(a)
	if browser.header.Get("Cookie") == "" {
		t.Fatalf("a login gave no cookie: %v", a.header)
	}
	return browser
}

// takeCookies keeps what an answer set, and forgets what it took away.
func (u *httpUser) takeCookies(a answer) {
	var kept []string
	for _, line := range a.header.Values("Set-Cookie") {
		cookie, attributes, _ := strings.Cut(line, ";")
		if !strings.Contains(attributes, "Max-Age=0") {
			kept = append(kept, cookie)
		}
	}
	u.header.Del("Cookie")
	if len(kept) > 0 {
		u.header.Set("Cookie", strings.Join(kept, "; "))
	}
}

// TestSession is a browser's visit.
func TestSession(t *testing.T) {
	b := newBed(t, testbed.DockerdOptions{})
	token := b.user(t, dcv1.HostOperator)
	b.engine.RunContainer(t, "web", "busybox:test", "sleep", "600")
	b.modes(t, token, func(t *testing.T, midway func()) {
		b.as(t, "").do(t, 401, "POST", "/login", map[string]string{"token": token + "x"})
		browser := b.login(t, token)
		for _, attribute := range []string{"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} {
			a := b.as(t, "").do(t, 200, "POST", "/login", map[string]string{"token": token})
			if cookie := a.header.Get("Set-Cookie"); !strings.Contains(cookie, attribute) || strings.Contains(cookie, token) {
				t.Errorf("the cookie %q lacks %s, or shows the token", cookie, attribute)
			}
		}
		me := decode[struct{ User struct{ Username string } }](t, browser.do(t, 200, "GET", "/session", nil).body)
		if want := "system:serviceaccount:" + b.namespace + ":operator"; me.User.Username != want {
			t.Errorf("the session is of %q, want %q", me.User.Username, want)
		}
		browser.eventually(t, 200, "GET", b.typed("containers"), nil, has(1))
		midway()
		browser.do(t, 200, "GET", b.typed("containers"), nil)
		browser.do(t, 200, "POST", b.typed("containers/web/restart?timeout=0"), nil)

		// Not on the engine's own API, whose answers could be pages.
		browser.do(t, 401, "GET", b.path()+"/containers/json", nil)
		// Not from another site, and not to change anything there.
		a := browser.do(t, 403, "POST", b.typed("containers/web/stop"), nil, "Sec-Fetch-Site", "cross-site", "Origin", "https://elsewhere.example")
		if s := decode[metav1.Status](t, a.body); s.Reason != metav1.StatusReasonForbidden {
			t.Errorf("a page of another site is answered with %+v", s)
		}
		browser.takeCookies(browser.do(t, 204, "POST", "/logout", nil))
		browser.do(t, 401, "GET", "/session", nil)
		browser.do(t, 401, "GET", b.typed("containers"), nil)
	})
}
