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

package session

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// keyring is Keys of several versions.
type keyring struct {
	current string
	keys    map[string][]byte
}

func (k *keyring) Current() (string, []byte)    { return k.current, k.keys[k.current] }
func (k *keyring) Key(id string) ([]byte, bool) { key, ok := k.keys[id]; return key, ok }

func key(b byte) []byte { return []byte(strings.Repeat(string(b), 32)) }

// browser keeps cookies as a browser does.
type browser struct {
	host string
	jar  map[string]*http.Cookie
}

func newBrowser() *browser {
	return &browser{host: "docker.example.com:8443", jar: map[string]*http.Cookie{}}
}

func (b *browser) request(t *testing.T) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+b.host+"/session", nil)
	for name, c := range b.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: c.Value})
	}
	return r
}

func (b *browser) take(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	for _, c := range w.Result().Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("a cookie that others may have: %v", c)
		}
		if len(c.Name)+len(c.Value) > 4096 {
			t.Errorf("cookie %s has %d bytes", c.Name, len(c.Value))
		}
		if c.MaxAge < 0 {
			delete(b.jar, c.Name)
			continue
		}
		b.jar[c.Name] = c
	}
}

// start logs in, and checks that it worked.
func (b *browser) start(t *testing.T, m *Manager, token string, expires time.Time) *Session {
	t.Helper()
	w := httptest.NewRecorder()
	s, err := m.Start(w, b.request(t), token, expires)
	if err != nil {
		t.Fatal(err)
	}
	b.take(t, w)
	return s
}

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func TestTokensOfAllLengths(t *testing.T) {
	m, b := NewManager(Options{}), newBrowser()
	for _, n := range []int{1, 1000, chunkBytes, MaxToken, 2800, 2801, 2802, 2803, 3000, 5000, 10} {
		want := strings.Repeat("t", n)
		b.start(t, m, want, time.Time{})
		s, err := m.Read(b.request(t))
		if err != nil || s.Token != want {
			t.Errorf("a token of %d bytes: %v", n, err)
		}
		for name, c := range b.jar {
			if n > 10 && strings.Contains(c.Value, strings.Repeat("t", 10)) {
				t.Errorf("cookie %s holds the token as it is", name)
			}
		}
	}
	if len(b.jar) != 1 {
		t.Errorf("a short session leaves %d cookies", len(b.jar))
	}
	if _, err := m.Start(httptest.NewRecorder(), b.request(t), strings.Repeat("t", MaxToken+1), time.Time{}); err == nil {
		t.Error("a token that is too long is taken")
	}
}

func TestEveryLengthAroundAChunk(t *testing.T) {
	for n := chunkBytes - 4; n < chunkBytes+4; n++ {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		want := strings.Repeat("x", n)
		if err := write(w, r, want, time.Hour); err != nil {
			t.Fatal(err)
		}
		b := newBrowser()
		b.take(t, w)
		if got, err := read(b.request(t)); err != nil || got != want {
			t.Errorf("%d bytes: got %d, %v", n, len(got), err)
		}
	}
}

func TestWhatIsNoSession(t *testing.T) {
	keys := &keyring{current: "1", keys: map[string][]byte{"1": key('a')}}
	c := newClock()
	m := NewManager(Options{Keys: keys, Now: c.Now})
	for name, change := range map[string]func(*browser){
		"another host":       func(b *browser) { b.host = "other.example.com:8443" },
		"another port":       func(b *browser) { b.host = "docker.example.com" },
		"a changed byte":     func(b *browser) { b.jar[chunkName(1)].Value = flip(b.jar[chunkName(1)].Value) },
		"a changed count":    func(b *browser) { b.jar[cookieName].Value = "1" + b.jar[cookieName].Value[1:] },
		"a huge count":       func(b *browser) { b.jar[cookieName].Value = "9999999" + b.jar[cookieName].Value[1:] },
		"a negative count":   func(b *browser) { b.jar[cookieName].Value = "-1" + b.jar[cookieName].Value[1:] },
		"a missing part":     func(b *browser) { delete(b.jar, chunkName(1)) },
		"exchanged parts":    func(b *browser) { b.jar[chunkName(1)], b.jar[chunkName(2)] = b.jar[chunkName(2)], b.jar[chunkName(1)] },
		"nothing in it":      func(b *browser) { b.jar[cookieName].Value = "" },
		"a format of others": func(b *browser) { b.jar[cookieName].Value = "1.v2.MQ.AAAA" },
		"an unknown key":     func(b *browser) { b.jar[cookieName].Value = "1.v1.Mg.AAAA" },
		"no base64":          func(b *browser) { b.jar[cookieName].Value = "1.v1.MQ.!!!" },
		"a short one":        func(b *browser) { b.jar[cookieName].Value = "1.v1.MQ.AAAA" },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser()
			b.start(t, m, strings.Repeat("t", 6000), time.Time{})
			if _, err := m.Read(b.request(t)); err != nil {
				t.Fatal(err)
			}
			change(b)
			if s, err := m.Read(b.request(t)); !errors.Is(err, ErrInvalid) || s != nil {
				t.Errorf("got %v, %v", s, err)
			}
			w := httptest.NewRecorder()
			Clear(w, b.request(t))
			b.take(t, w)
			if len(b.jar) != 0 {
				t.Errorf("cleared, but has %d cookies", len(b.jar))
			}
		})
	}
	r := newBrowser().request(t)
	if _, err := m.Read(r); !errors.Is(err, ErrNone) {
		t.Errorf("without a cookie: %v", err)
	}
	b := newBrowser()
	b.start(t, m, "t", time.Time{})
	r = b.request(t)
	r.AddCookie(&http.Cookie{Name: cookieName, Value: "1.v1.MQ.AAAA"})
	if _, err := m.Read(r); !errors.Is(err, ErrInvalid) {
		t.Errorf("with two cookies of one name: %v", err)
	}
}

// flip changes one letter in the middle.
func flip(s string) string {
	b := []byte(s)
	if i := len(b) / 2; b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

func TestKeysRotate(t *testing.T) {
	keys := &keyring{current: "1", keys: map[string][]byte{"1": key('a')}}
	m, b := NewManager(Options{Keys: keys}), newBrowser()
	b.start(t, m, "old", time.Time{})
	keys.keys["2"], keys.current = key('b'), "2"
	if s, err := m.Read(b.request(t)); err != nil || s.Token != "old" {
		t.Errorf("with the key before: %v", err)
	}
	delete(keys.keys, "1")
	if _, err := m.Read(b.request(t)); !errors.Is(err, ErrInvalid) {
		t.Errorf("with a key that is gone: %v", err)
	}
	b.start(t, m, "new", time.Time{})
	// An id that means another key opens nothing.
	keys.keys["2"] = key('c')
	if _, err := m.Read(b.request(t)); !errors.Is(err, ErrInvalid) {
		t.Errorf("with another key: %v", err)
	}
	for name, bad := range map[string]*keyring{
		"no key": {}, "a short key": {current: "1", keys: map[string][]byte{"1": []byte("short")}},
	} {
		if _, err := NewManager(Options{Keys: bad}).Start(httptest.NewRecorder(), b.request(t), "t", time.Time{}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestExpiryAndRenewal(t *testing.T) {
	c := newClock()
	start := c.now
	m, b := NewManager(Options{Now: c.Now}), newBrowser()
	s := b.start(t, m, "t", start.Add(2*time.Hour+30*time.Minute))
	if !s.Expires.Equal(start.Add(time.Hour)) || !s.Ends.Equal(start.Add(150*time.Minute)) || !s.Renewable() {
		t.Errorf("got %+v", s)
	}
	step := func(minutes int, wantExpires int) {
		t.Helper()
		c.now = start.Add(time.Duration(minutes) * time.Minute)
		s, err := m.Read(b.request(t))
		if err != nil {
			t.Fatalf("after %d min: %v", minutes, err)
		}
		w := httptest.NewRecorder()
		if s, err = m.Renew(w, b.request(t), s); err != nil {
			t.Fatalf("after %d min: %v", minutes, err)
		}
		b.take(t, w)
		if got := int(s.Expires.Sub(start) / time.Minute); got != wantExpires {
			t.Errorf("after %d min it expires at %d min, want %d", minutes, got, wantExpires)
		}
	}
	step(14, 60)
	step(15, 75)
	step(29, 75)
	step(74, 134)
	step(133, 150) // never beyond the token's own
	step(149, 150)
	c.now = start.Add(150 * time.Minute)
	if _, err := m.Read(b.request(t)); !errors.Is(err, ErrInvalid) {
		t.Errorf("at its end: %v", err)
	}
	// Unused for an hour.
	s = b.start(t, m, "t", time.Time{})
	if got := s.Ends.Sub(c.now); got != DefaultMax {
		t.Errorf("a session may last %v", got)
	}
	c.now = c.now.Add(time.Hour)
	if _, err := m.Read(b.request(t)); !errors.Is(err, ErrInvalid) {
		t.Errorf("after an hour unused: %v", err)
	}
	if _, err := m.Start(httptest.NewRecorder(), b.request(t), "t", c.now.Add(-time.Second)); !errors.Is(err, ErrInvalid) {
		t.Errorf("with an expired token: %v", err)
	}
}

func TestEnd(t *testing.T) {
	m, b := NewManager(Options{}), newBrowser()
	s := b.start(t, m, strings.Repeat("t", 5000), time.Time{})
	copied := b.request(t)
	w := httptest.NewRecorder()
	m.End(w, b.request(t))
	b.take(t, w)
	if len(b.jar) != 0 || !m.Ended(s.ID) {
		t.Errorf("the browser still has %d cookies", len(b.jar))
	}
	if _, err := m.Read(copied); !errors.Is(err, ErrInvalid) {
		t.Errorf("a copy of an ended session: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	m := NewManager(Options{})
	f.Add("1.v1.b3du.AAAA", "x")
	f.Add("2.v1.b3du.", "AAAA")
	f.Add("8", "")
	f.Fuzz(func(t *testing.T, first, second string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.AddCookie(&http.Cookie{Name: chunkName(0), Value: first})
		r.AddCookie(&http.Cookie{Name: chunkName(1), Value: second})
		if s, err := m.Read(r); err == nil {
			t.Errorf("%q %q is the session %+v", first, second, s)
		}
	})
}
