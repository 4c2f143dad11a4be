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

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func testConfig(dir string, clock *clocktesting.FakeClock) Config {
	return Config{
		Dir:       dir,
		APIServer: NewNames("localhost", "127.0.0.1", "kubernetes.default.svc"),
		Proxy:     NewNames("localhost", "127.0.0.1"),
		Admin:     Identity{User: "admin", Groups: []string{"system:masters"}},
		Manager:   Identity{User: "manager", Groups: []string{"z", "aa", "m"}},
		Clock:     clock,
	}
}

func newStore(t *testing.T, config Config) *Store {
	t.Helper()
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ensure(t *testing.T, s *Store) []string {
	t.Helper()
	made, err := s.Ensure()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(made)
	return made
}

func certificate(t *testing.T, pair Pair) *x509.Certificate {
	t.Helper()
	loaded, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Leaf
}

var everything = []string{"admin", "apiserver", "ca", "front-proxy-ca", "front-proxy-client", "manager", "proxy", "sa"}

func TestEnsureMakesEverythingOnce(t *testing.T) {
	s := newStore(t, testConfig(filepath.Join(t.TempDir(), "pki"), clocktesting.NewFakeClock(epoch)))
	if diff := cmp.Diff(everything, ensure(t, s)); diff != "" {
		t.Errorf("first Ensure (-want +got):\n%s", diff)
	}
	if made := ensure(t, s); len(made) != 0 {
		t.Errorf("second Ensure made %q, want nothing", made)
	}
}

func TestPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, testConfig(dir, clocktesting.NewFakeClock(epoch)))
	ensure(t, s)
	// Restored carelessly: the next Ensure makes them private again.
	for _, name := range []string{"ca.key", "sa.key", "admin.key"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ensure(t, s)

	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: mode %v, %v, want 0700", info.Mode(), err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		want := os.FileMode(0o644)
		if strings.HasSuffix(entry.Name(), ".key") {
			want = 0o600
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v", entry.Name(), info.Mode().Perm(), want)
		}
		if strings.HasPrefix(entry.Name(), ".") {
			t.Errorf("%s was left behind", entry.Name())
		}
	}
}

func TestCertificatesVerify(t *testing.T) {
	s := newStore(t, testConfig(t.TempDir(), clocktesting.NewFakeClock(epoch)))
	ensure(t, s)
	ca, frontProxyCA := certificate(t, s.CA()), certificate(t, s.FrontProxyCA())

	tests := []struct {
		name  string
		pair  Pair
		ca    *x509.Certificate
		usage x509.ExtKeyUsage
		host  string
		want  string // part of the error, or "" for a good one
	}{
		{"apiserver by name", s.APIServer(), ca, x509.ExtKeyUsageServerAuth, "kubernetes.default.svc", ""},
		{"apiserver by address", s.APIServer(), ca, x509.ExtKeyUsageServerAuth, "127.0.0.1", ""},
		{"apiserver by a name it has not", s.APIServer(), ca, x509.ExtKeyUsageServerAuth, "example.com", "not example.com"},
		{"apiserver as a client", s.APIServer(), ca, x509.ExtKeyUsageClientAuth, "", "incompatible key usage"},
		{"proxy", s.Proxy(), ca, x509.ExtKeyUsageServerAuth, "localhost", ""},
		{"admin", s.Admin(), ca, x509.ExtKeyUsageClientAuth, "", ""},
		{"admin as a server", s.Admin(), ca, x509.ExtKeyUsageServerAuth, "", "incompatible key usage"},
		{"manager", s.Manager(), ca, x509.ExtKeyUsageClientAuth, "", ""},
		{"front proxy", s.FrontProxyClient(), frontProxyCA, x509.ExtKeyUsageClientAuth, "", ""},
		{"front proxy to the other authority", s.FrontProxyClient(), ca, x509.ExtKeyUsageClientAuth, "", "unknown authority"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			roots := x509.NewCertPool()
			roots.AddCert(tt.ca)
			_, err := certificate(t, tt.pair).Verify(x509.VerifyOptions{
				Roots: roots, CurrentTime: epoch, KeyUsages: []x509.ExtKeyUsage{tt.usage}, DNSName: tt.host,
			})
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("Verify: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Verify: %v, want an error with %q", err, tt.want)
			}
		})
	}

	admin := certificate(t, s.Admin()).Subject
	if admin.CommonName != "admin" || !slices.Equal(admin.Organization, []string{"system:masters"}) {
		t.Errorf("admin is %s", admin)
	}
	if err := ca.CheckSignatureFrom(frontProxyCA); err == nil {
		t.Error("the two authorities share a key")
	}
}

func TestEnsureMakesAgain(t *testing.T) {
	const year = 365 * 24 * time.Hour
	tests := []struct {
		name string
		do   func(t *testing.T, s *Store, clock *clocktesting.FakeClock) *Store
		want []string
	}{
		{
			name: "nothing while more than a third is left",
			do: func(_ *testing.T, s *Store, clock *clocktesting.FakeClock) *Store {
				clock.Step(2*year/3 - time.Hour)
				return s
			},
		},
		{
			name: "every leaf at a third",
			do: func(_ *testing.T, s *Store, clock *clocktesting.FakeClock) *Store {
				clock.Step(2*year/3 + time.Hour)
				return s
			},
			want: []string{"admin", "apiserver", "front-proxy-client", "manager", "proxy"},
		},
		{
			name: "everything but keys that sign after ten years",
			do: func(_ *testing.T, s *Store, clock *clocktesting.FakeClock) *Store {
				clock.Step(11 * year)
				return s
			},
			want: []string{"admin", "apiserver", "ca", "front-proxy-ca", "front-proxy-client", "manager", "proxy"},
		},
		{
			name: "a clock that was ahead",
			do: func(_ *testing.T, s *Store, clock *clocktesting.FakeClock) *Store {
				clock.SetTime(epoch.Add(-time.Hour))
				return s
			},
			want: []string{"admin", "apiserver", "front-proxy-client", "manager", "proxy"},
		},
		{
			name: "a new name",
			do: func(t *testing.T, s *Store, clock *clocktesting.FakeClock) *Store {
				config := testConfig(s.config.Dir, clock)
				config.Proxy = NewNames("localhost", "127.0.0.1", "::1")
				return newStore(t, config)
			},
			want: []string{"proxy"},
		},
		{
			name: "a name less is no reason",
			do: func(t *testing.T, s *Store, clock *clocktesting.FakeClock) *Store {
				config := testConfig(s.config.Dir, clock)
				config.APIServer = NewNames("localhost")
				return newStore(t, config)
			},
		},
		{
			name: "another user",
			do: func(t *testing.T, s *Store, clock *clocktesting.FakeClock) *Store {
				config := testConfig(s.config.Dir, clock)
				config.Manager.User = "other"
				return newStore(t, config)
			},
			want: []string{"manager"},
		},
		{
			name: "a shorter life from the next one on",
			do: func(t *testing.T, s *Store, clock *clocktesting.FakeClock) *Store {
				config := testConfig(s.config.Dir, clock)
				config.Validity = time.Hour
				return newStore(t, config)
			},
		},
		{
			name: "a pair that does not match",
			do: func(t *testing.T, s *Store, _ *clocktesting.FakeClock) *Store {
				copyFile(t, s.Proxy().Key, s.APIServer().Key)
				return s
			},
			want: []string{"apiserver"},
		},
		{
			name: "files that are not PEM, or gone",
			do: func(t *testing.T, s *Store, _ *clocktesting.FakeClock) *Store {
				write(t, s.Admin().Cert, "junk")
				remove(t, s.Manager().Key)
				return s
			},
			want: []string{"admin", "manager"},
		},
		{
			name: "leaves of another authority",
			do: func(t *testing.T, s *Store, _ *clocktesting.FakeClock) *Store {
				remove(t, s.CA().Cert, s.CA().Key)
				return s
			},
			want: []string{"admin", "apiserver", "ca", "manager", "proxy"},
		},
		{
			name: "the authority's certificate from its key, and no leaf",
			do: func(t *testing.T, s *Store, _ *clocktesting.FakeClock) *Store {
				remove(t, s.CA().Cert)
				return s
			},
			want: []string{"ca"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clock := clocktesting.NewFakeClock(epoch)
			s := newStore(t, testConfig(t.TempDir(), clock))
			ensure(t, s)
			s = tt.do(t, s, clock)
			if diff := cmp.Diff(tt.want, ensure(t, s)); diff != "" {
				t.Errorf("Ensure (-want +got):\n%s", diff)
			}
			if made := ensure(t, s); len(made) != 0 {
				t.Errorf("Ensure after that made %q, want nothing", made)
			}
		})
	}
}

// A peer keeps the authority's certificate it was given: it has to accept leaves signed after the renewal, and the
// other way round.
func TestAuthorityRenewalKeepsTrust(t *testing.T) {
	clock := clocktesting.NewFakeClock(epoch)
	s := newStore(t, testConfig(t.TempDir(), clock))
	ensure(t, s)
	oldCA, oldLeaf := certificate(t, s.CA()), certificate(t, s.APIServer())
	clock.Step(authorityValidity - authorityRenewal + time.Hour)
	if made := ensure(t, s); !slices.Contains(made, "ca") {
		t.Fatalf("Ensure made %q, want ca among them", made)
	}
	newCA, newLeaf := certificate(t, s.CA()), certificate(t, s.APIServer())
	if newCA.Equal(oldCA) || newLeaf.Equal(oldLeaf) {
		t.Fatal("nothing was renewed")
	}
	for name, test := range map[string]struct{ ca, leaf *x509.Certificate }{
		"old leaf, new authority": {newCA, oldLeaf}, "new leaf, old authority": {oldCA, newLeaf},
	} {
		roots := x509.NewCertPool()
		roots.AddCert(test.ca)
		at := test.leaf.NotBefore.Add(time.Hour)
		if test.ca.NotBefore.After(at) {
			at = test.ca.NotBefore // an old leaf beyond its end is no use; only the signature counts here
			test.leaf.NotAfter = at.Add(time.Hour)
		}
		if _, err := test.leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnsureRefuses(t *testing.T) {
	tests := []struct {
		name string
		do   func(t *testing.T, s *Store)
		want string
	}{
		{"an authority without its key", func(t *testing.T, s *Store) { remove(t, s.CA().Key) }, "has lost its key"},
		{"an authority's key that is junk", func(t *testing.T, s *Store) { write(t, s.CA().Key, "junk") }, "no PEM block"},
		{"a signing key that is junk", func(t *testing.T, s *Store) { write(t, s.ServiceAccountKey(), "junk") }, "tokens issued so far end then"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t, testConfig(t.TempDir(), clocktesting.NewFakeClock(epoch)))
			ensure(t, s)
			tt.do(t, s)
			if _, err := s.Ensure(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Ensure: %v, want an error with %q", err, tt.want)
			}
		})
	}
	for _, validity := range []time.Duration{-1, time.Second, MaxValidity + 1} {
		if _, err := New(Config{Dir: t.TempDir(), Validity: validity}); err == nil {
			t.Errorf("New accepted a validity of %s", validity)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, string(data))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
