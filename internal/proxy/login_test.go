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
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/dockercontrol/dockercontrol/internal/proxy/caller"
	"github.com/dockercontrol/dockercontrol/internal/proxy/session"
)

const (
	apiPath   = "/apis/engine.dockercontrol.dev/v1alpha1/namespaces/default/dockerhosts/a/containers"
	proxyPath = "/apis/engine.dockercontrol.dev/v1alpha1/namespaces/default/dockerhosts/a/proxy/v1.41/containers/json"
)

// startReady starts a server that is ready and knows the token "good" of the user ci.
func startReady(t *testing.T, change ...func(*Options)) *running {
	t.Helper()
	r := start(t, change...)
	r.api.set(map[string]string{})
	r.api.addToken("good", authenticationv1.UserInfo{Username: "ci", UID: "u-1", Groups: []string{"team"}})
	eventually(t, "ready", func() bool { return r.ReadyCheck(nil) == nil })
	return r
}

// browse returns a client that keeps cookies.
func browse(t *testing.T, certs ...tls.Certificate) *http.Client {
	t.Helper()
	c := client(t, certs...)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Jar = jar
	return c
}

// post sends a body.
func (r *running) post(t *testing.T, c *http.Client, path, body string, headers ...string) (reply, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+r.Addr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{StatusCode: resp.StatusCode, Header: resp.Header}, string(answer)
}

// login gives a browser a session.
func (r *running) login(t *testing.T, c *http.Client, token string) sessionInfo {
	t.Helper()
	resp, body := r.post(t, c, "/login", fmt.Sprintf(`{"token": %q}`, token))
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("login: %d %s", resp.StatusCode, body)
	}
	if strings.Contains(body, token) {
		t.Errorf("the answer has the token in it: %s", body)
	}
	return parseInfo(t, body)
}

func parseInfo(t *testing.T, body string) (i sessionInfo) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &i); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return i
}

// cookies are what a browser has for the server.
func (r *running) cookies(c *http.Client) []*http.Cookie {
	return c.Jar.Cookies(&url.URL{Scheme: "https", Host: r.Addr(), Path: "/"})
}

func jwt(expires time.Time) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256"}`) + "." + part(fmt.Sprintf(`{"exp":%d}`, expires.Unix())) + "." + part(strings.Repeat("s", 256))
}

func TestLoginAndLogout(t *testing.T) {
	r := startReady(t)
	end := time.Now().Add(2 * time.Hour).Truncate(time.Second)
	token := jwt(end)
	r.api.addToken(token, authenticationv1.UserInfo{Username: "alice", UID: "u-2", Groups: []string{"team"}})
	c := browse(t)
	if resp, body := r.do(t, c, "GET", "/session"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("before the login: %d %s", resp.StatusCode, body)
	}
	info := r.login(t, c, token)
	if info.User.Username != "alice" || info.Means != caller.Cookie || !info.Renewable || !info.Ends.Equal(end) || time.Until(*info.Expires) > session.DefaultIdle {
		t.Errorf("login says %+v", info)
	}
	resp, body := r.do(t, c, "GET", "/session")
	again := parseInfo(t, body)
	if resp.StatusCode != http.StatusOK || again.User.Username != "alice" || len(again.User.Groups) != 2 || !again.Ends.Equal(end) {
		t.Errorf("/session says %d %s", resp.StatusCode, body)
	}
	if resp, body := r.do(t, c, "GET", apiPath); resp.StatusCode != http.StatusNotFound {
		t.Errorf("with a session: %d %s", resp.StatusCode, body)
	}
	copied := r.cookies(c)
	if resp, _ := r.post(t, c, "/logout", ""); resp.StatusCode != http.StatusNoContent || len(r.cookies(c)) != 0 {
		t.Errorf("logout: %d, and %d cookies are left", resp.StatusCode, len(r.cookies(c)))
	}
	for name, cookies := range map[string][]*http.Cookie{"without a cookie": nil, "with a copy of the cookie": copied} {
		headers := []string{}
		for _, cookie := range cookies {
			headers = append(headers, "Cookie", cookie.String())
		}
		if resp, _ := r.do(t, client(t), "GET", apiPath, headers...); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("after the logout, %s: %d", name, resp.StatusCode)
		}
	}
	if resp, _ := r.post(t, c, "/logout", ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("a second logout: %d", resp.StatusCode)
	}
}

func TestLoginRefuses(t *testing.T) {
	r := startReady(t, func(o *Options) { o.Limits.Logins = 1000 })
	r.api.addToken(jwt(time.Now().Add(-time.Second)), authenticationv1.UserInfo{Username: "late"})
	for name, tc := range map[string]struct {
		body    string
		headers []string
		want    int
	}{
		"a bad token":             {body: `{"token":"bad"}`, want: 401},
		"an expired token":        {body: `{"token":"` + jwt(time.Now().Add(-time.Second)) + `"}`, want: 401},
		"no token":                {body: `{}`, want: 400},
		"white space only":        {body: `{"token":"  "}`, want: 400},
		"a token and more":        {body: `{"token":"good bad"}`, want: 400},
		"a line break in a token": {body: `{"token":"go\r\nod"}`, want: 400},
		"another type":            {body: `{"token":["good"]}`, want: 400},
		"no JSON":                 {body: `token=good`, want: 400},
		"two values":              {body: `{"token":"good"}{}`, want: 400},
		"nothing":                 {want: 400},
		"a form":                  {body: `{"token":"good"}`, headers: []string{"Content-Type", "text/plain"}, want: 415},
		"a long token":            {body: `{"token":"` + strings.Repeat("t", session.MaxToken+1) + `"}`, want: 413},
		"a long body":             {body: `{"token":"` + strings.Repeat("t", maxLoginBody) + `"}`, want: 413},
		"another site":            {body: `{"token":"good"}`, headers: []string{"Sec-Fetch-Site", "cross-site"}, want: 403},
		"another origin":          {body: `{"token":"good"}`, headers: []string{"Origin", "https://evil.example.com"}, want: 403},
		"the same origin":         {body: `{"token":" good\n"}`, headers: []string{"Origin", "https://" + r.Addr(), "Sec-Fetch-Site", "same-origin"}, want: 200},
	} {
		t.Run(name, func(t *testing.T) {
			c := browse(t)
			resp, body := r.post(t, c, "/login", tc.body, tc.headers...)
			if resp.StatusCode != tc.want {
				t.Fatalf("got %d %s, want %d", resp.StatusCode, body, tc.want)
			}
			if tc.want == http.StatusOK {
				return
			}
			checkStatus(t, body, tc.want)
			if strings.Contains(body, "good") || len(r.cookies(c)) != 0 {
				t.Errorf("%d cookies, and %s", len(r.cookies(c)), body)
			}
		})
	}
	r.api.setDown(true)
	if resp, body := r.post(t, client(t), "/login", `{"token":"other"}`); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("with the kube-apiserver down: %d %s", resp.StatusCode, body)
	}
}

// TestLoginFlood lets nobody try tokens, and keeps them from the kube-apiserver.
func TestLoginFlood(t *testing.T) {
	r := startReady(t)
	c := client(t)
	codes := map[int]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			resp, body := r.post(t, c, "/login", fmt.Sprintf(`{"token":"guess-%d"}`, i))
			checkStatus(t, body, resp.StatusCode)
			if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			mu.Lock()
			defer mu.Unlock()
			codes[resp.StatusCode]++
		})
	}
	wg.Wait()
	// One more for each 6 s that this may take.
	if n := codes[http.StatusUnauthorized]; n < defaultLogins || n > defaultLogins+10 || n+codes[http.StatusTooManyRequests] != 100 {
		t.Errorf("100 guesses are answered with %v", codes)
	}
	if got := r.api.reviewCount(); got > codes[http.StatusUnauthorized] {
		t.Errorf("%d reviews for %v", got, codes)
	}
}

func TestCookiesThatDoNotCount(t *testing.T) {
	var mu sync.Mutex
	sources := map[string]int{}
	r := startReady(t, func(o *Options) {
		o.Unauthenticated = func(_ context.Context, source, id string) {
			mu.Lock()
			defer mu.Unlock()
			if id != "" {
				sources[source]++
			}
		}
	})
	users := newTestCA(t, "users")
	r.api.set(trustData(users, nil, ""))
	alice := users.client(t, "alice", nil)
	eventually(t, "alice known", func() bool {
		resp, _ := r.do(t, client(t, alice), "GET", apiPath)
		return resp.StatusCode == http.StatusNotFound
	})
	mu.Lock()
	clear(sources)
	mu.Unlock()
	c := browse(t)
	r.login(t, c, "good")

	resp, body := r.do(t, c, "GET", proxyPath)
	if status := checkStatus(t, body, http.StatusUnauthorized); !strings.Contains(status.Message, "session does not count") || len(r.cookies(c)) == 0 {
		t.Errorf("on proxy/: %d %s, %d cookies", resp.StatusCode, body, len(r.cookies(c)))
	}
	if resp, _ := r.do(t, c, "GET", proxyPath, "Authorization", "Bearer good"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("on proxy/ with a token: %d", resp.StatusCode)
	}
	// A token counts, and not the cookie beside it, the worse one too.
	for _, headers := range [][]string{
		{"Authorization", "Bearer bad"}, {"Authorization", "Basic Z29vZDpnb29k"}, {"Authorization", ""},
		{"Sec-Websocket-Protocol", protocolToken + "YmFk, v5.channel.k8s.io", "Connection", "Upgrade", "Upgrade", "websocket", "Origin", "https://" + r.Addr()},
	} {
		c1 := c
		if len(headers) > 2 { // no upgrades over HTTP/2
			c1 = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, Jar: c.Jar}
		}
		if resp, body := r.do(t, c1, "GET", apiPath, headers...); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%v and a cookie: %d %s", headers, resp.StatusCode, body)
		}
	}
	// Forged and foreign cookies are nobody's, and taken away.
	name := r.cookies(c)[0].Name
	forged := browse(t)
	forged.Jar.SetCookies(&url.URL{Scheme: "https", Host: r.Addr()}, []*http.Cookie{{Name: name, Value: "1.v1.b3du.AAAA", Path: "/", Secure: true}})
	if resp, _ := r.do(t, forged, "GET", apiPath); resp.StatusCode != http.StatusUnauthorized || len(r.cookies(forged)) != 0 {
		t.Errorf("a forged cookie: %d, %d cookies are left", resp.StatusCode, len(r.cookies(forged)))
	}
	if resp, _ := r.do(t, c, "GET", apiPath, "Host", "other.example.com"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("another host's cookie: %d", resp.StatusCode)
	}
	mu.Lock()
	defer mu.Unlock()
	if sources["127.0.0.1"] < 6 || len(sources) != 1 {
		t.Errorf("heard of the 401s of %v", sources)
	}
}

// TestTokenOfASessionIsDeleted ends the session with it.
func TestTokenOfASessionIsDeleted(t *testing.T) {
	r := startReady(t)
	c := browse(t)
	r.login(t, c, "good")
	who := r.callerOf(t, c)
	if err := who.Check(t.Context()); err != nil {
		t.Errorf("the token is good: %v", err)
	}
	r.api.deleteToken("good")
	if err := who.Check(t.Context()); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("past the cache: %v", err)
	}
	eventually(t, "logged out", func() bool { // the answer is cached for 10 s
		resp, _ := r.do(t, c, "GET", "/session")
		return resp.StatusCode == http.StatusUnauthorized
	})
	if len(r.cookies(c)) != 0 {
		t.Error("the cookie is left")
	}
}

// callerOf is what a handler knows of a browser's request.
func (r *running) callerOf(t *testing.T, c *http.Client, headers ...string) *caller.Caller {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+r.Addr()+apiPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.RemoteAddr = "192.0.2.7:1234"
	req.Host = r.Addr()
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	if c != nil {
		for _, cookie := range r.cookies(c) {
			req.AddCookie(cookie)
		}
	}
	var who *caller.Caller
	w := &discard{header: http.Header{}}
	withRequestID(r.authenticated(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		who = caller.From(r.Context())
		for _, name := range []string{"Authorization", "Cookie", "X-Forwarded-For", "X-Remote-User"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s goes further", name)
			}
		}
	}))).ServeHTTP(w, req)
	if who == nil {
		t.Fatalf("refused: %s", w.Bytes())
	}
	return who
}

type discard struct {
	bytes.Buffer
	header http.Header
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}

func TestCallers(t *testing.T) {
	r := startReady(t, func(o *Options) { o.SessionMax = 3 * time.Hour })
	end := time.Now().Add(5 * time.Hour).Truncate(time.Second)
	r.api.addToken(jwt(end), authenticationv1.UserInfo{Username: "alice"})
	byToken := r.callerOf(t, nil, "Authorization", "Bearer "+jwt(end), "X-Forwarded-For", "198.51.100.1", "X-Remote-User", "root", "Cookie", "a=b")
	if byToken.Means != caller.Token || byToken.BearerToken != jwt(end) || !byToken.Expires.Equal(end) || byToken.Source != "192.0.2.7" || byToken.RequestID == "" {
		t.Errorf("by a token: %+v", byToken)
	}
	c := browse(t)
	info := r.login(t, c, jwt(end))
	byCookie := r.callerOf(t, c)
	if byCookie.Means != caller.Cookie || byCookie.BearerToken != jwt(end) || !byCookie.Expires.Equal(*info.Ends) || time.Until(byCookie.Expires) > 3*time.Hour {
		t.Errorf("by a cookie: %+v", byCookie)
	}
	if err := byCookie.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if resp, _ := r.post(t, c, "/logout", ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("logout: %d", resp.StatusCode)
	}
	if err := byCookie.Check(t.Context()); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("after the logout: %v", err)
	}
}

// TestSessionIsRenewed moves the end while it is used, and says so.
func TestSessionIsRenewed(t *testing.T) {
	r := startReady(t, func(o *Options) { o.SessionIdle, o.SessionMax = 20*time.Second, time.Hour })
	c := browse(t)
	info := r.login(t, c, "good")
	eventually(t, "renewed", func() bool {
		_, body := r.do(t, c, "GET", "/session")
		now := parseInfo(t, body)
		return now.Expires != nil && now.Expires.After(*info.Expires) && now.Ends.Equal(*info.Ends)
	})
}
