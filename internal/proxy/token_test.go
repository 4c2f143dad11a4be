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
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
)

func TestTokenExpires(t *testing.T) {
	claims := func(s string) string { return "e30." + base64.RawURLEncoding.EncodeToString([]byte(s)) + ".sig" }
	for token, want := range map[string]int64{
		claims(`{"exp":1900000000}`): 1900000000, claims(`{"exp":1900000000.5}`): 1900000000, claims(`{"exp":1.9e9}`): 1900000000,
		claims(`{"exp":"1900000000"}`): 0, claims(`{"exp":-1}`): 0, claims(`{"exp":1e300}`): 0, claims(`{"exp":null}`): 0, claims(`{}`): 0,
		claims(`{"exp":1e999}`): 0, claims(`junk`): 0, "e30.!.sig": 0, "opaque": 0, "": 0, "a.b": 0, "a.b.c.d": 0,
	} {
		got := tokenExpires(token)
		if want == 0 && !got.IsZero() || want != 0 && !got.Equal(time.Unix(want, 0)) {
			t.Errorf("%s: %v, want %d", token, got, want)
		}
	}
}

// TestTokenFlood keeps a source's bad tokens from the kube-apiserver, and lets those
// in who were let in before from the same address.
func TestTokenFlood(t *testing.T) {
	r := startReady(t, func(o *Options) { o.Limits.RefusedRate = 1 })
	c := client(t)
	if resp, _ := r.do(t, c, "GET", apiPath, "Authorization", "Bearer good"); resp.StatusCode != http.StatusNotFound {
		t.Fatalf("a good token: %d", resp.StatusCode)
	}
	codes := map[int]int{}
	for i := range 100 {
		resp, body := r.do(t, c, "GET", apiPath, "Authorization", fmt.Sprintf("Bearer guess-%d", i))
		checkStatus(t, body, resp.StatusCode)
		if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") != "1" {
			t.Error("429 without Retry-After")
		}
		codes[resp.StatusCode]++
	}
	if codes[http.StatusTooManyRequests] < 50 || codes[http.StatusUnauthorized] < refusedBurst || len(codes) != 2 {
		t.Errorf("100 guesses are answered with %v", codes)
	}
	if got := r.api.reviewCount(); got != 1+codes[http.StatusUnauthorized] {
		t.Errorf("%d reviews for %v", got, codes)
	}
	if resp, _ := r.do(t, c, "GET", apiPath, "Authorization", "Bearer good"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a good token beside the flood: %d", resp.StatusCode)
	}
}

// TestReviewsAtOnceAreBounded holds the kube-apiserver up.
func TestReviewsAtOnceAreBounded(t *testing.T) {
	r := startReady(t)
	release := r.api.hold()
	defer release()
	answers := make(chan error, maxReviews)
	for i := range maxReviews {
		go func() {
			_, err := r.auth.AuthenticateToken(t.Context(), "192.0.2.1", fmt.Sprintf("slow-%d", i))
			answers <- err
		}()
	}
	eventually(t, "all under review", func() bool { return r.api.waiting() == maxReviews })
	if _, err := r.auth.AuthenticateToken(t.Context(), "192.0.2.1", "one more"); !errors.Is(err, ErrTooManyRefused) {
		t.Errorf("one more: %v", err)
	}
	release()
	for range maxReviews {
		if err := <-answers; !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("got %v", err)
		}
	}
}

// TestUserRate answers what is too much at once.
func TestUserRate(t *testing.T) {
	r := startReady(t, func(o *Options) { o.Limits.UserRate = 1 })
	r.api.addToken("other", authenticationv1.UserInfo{Username: "other"})
	c := client(t)
	codes := map[int]int{}
	for range 30 {
		resp, body := r.do(t, c, "GET", apiPath, "Authorization", "Bearer good")
		if resp.StatusCode == http.StatusTooManyRequests && (resp.Header.Get("Retry-After") != "1" || !strings.Contains(body, `user \"ci\"`)) {
			t.Errorf("429: %v %s", resp.Header, body)
		}
		codes[resp.StatusCode]++
	}
	if codes[http.StatusNotFound] < userBurst || codes[http.StatusTooManyRequests] == 0 || len(codes) != 2 {
		t.Errorf("30 requests are answered with %v", codes)
	}
	if resp, _ := r.do(t, c, "GET", apiPath, "Authorization", "Bearer other"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another user: %d", resp.StatusCode)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	r := startReady(t)
	resp, body := r.post(t, client(t), apiPath, strings.Repeat("x", 3<<20+1), "Authorization", "Bearer good")
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

func TestTokensBeforeReady(t *testing.T) {
	a, err := NewAuthenticator(newFakeAPI(t).restConfig(), logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.AuthenticateToken(t.Context(), "192.0.2.1", "good"); !errors.Is(err, ErrAuthenticationUnavailable) {
		t.Errorf("got %v", err)
	}
}
