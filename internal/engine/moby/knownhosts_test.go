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

package moby

import (
	"crypto/rand"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func TestKnownHosts(t *testing.T) {
	_, right := newSSHKey(t)
	_, wrong := newSSHKey(t)
	line := func(hosts string) string { return hosts + " " + string(ssh.MarshalAuthorizedKey(right.PublicKey())) }
	tests := []struct {
		name, file, address string
		want                hostKeyReason // empty accepts
	}{
		{"name", line("a.example"), "a.example:22", ""},
		{"other name", line("a.example"), "b.example:22", hostUnknown},
		{"upper case", line("A.Example"), "a.exAMPLE:22", ""},
		{"list", line("b.example,a.example"), "a.example:22", ""},
		{"address", line("10.0.0.5"), "10.0.0.5:22", ""},
		{"IPv6", line("fe80::1"), "[fe80::1]:22", ""},
		{"port", line("[a.example]:2222"), "a.example:2222", ""},
		{"IPv6 and port", line("[fe80::1]:2222"), "[fe80::1]:2222", ""},
		{"other port", line("[a.example]:2222"), "a.example:22", hostUnknown},
		{"port left out", line("a.example"), "a.example:2222", hostUnknown},
		{"wildcard", line("*.example"), "a.example:22", ""},
		{"question mark", line("?.example"), "a.example:22", ""},
		{"wildcard and port", line("[*.example]:2222"), "a.example:2222", ""},
		{"wildcard, not there", line("*.example"), "a.example.org:22", hostUnknown},
		{"negated", line("*.example,!a.example"), "a.example:22", hostUnknown},
		{"negated first", line("!a.example,*.example"), "a.example:22", hostUnknown},
		{"negated other", line("*.example,!b.example"), "a.example:22", ""},
		{"only negated", line("!b.example"), "a.example:22", hostUnknown},
		{"hashed", line(knownhosts.HashHostname("a.example")), "a.example:22", ""},
		{"hashed, other", line(knownhosts.HashHostname("a.example")), "b.example:22", hostUnknown},
		{"hashed with port", line(knownhosts.HashHostname("[a.example]:2222")), "a.example:2222", ""},
		{"hashed, broken", line("|1|x|y"), "a.example:22", hostUnknown},
		{"changed", "a.example " + string(ssh.MarshalAuthorizedKey(wrong.PublicKey())), "a.example:22", hostKeyChanged},
		{"one of two", "a.example " + string(ssh.MarshalAuthorizedKey(wrong.PublicKey())) + line("a.example"), "a.example:22", ""},
		{"revoked", line("a.example") + line("@revoked *"), "a.example:22", hostKeyRevoked},
		{"authority is no key", line("@cert-authority a.example") + "x " + string(ssh.MarshalAuthorizedKey(wrong.PublicKey())), "a.example:22", hostKeyChanged},
		{"comments and blanks", "# a\n\n \n" + line("  a.example"), "a.example:22", ""},
		{"key type unknown", "a.example ssh-new AAAAB3NzaC1uZXcAAAAA\n" + line("a.example"), "a.example:22", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := parseKnownHosts([]byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			err = k.callback(tt.address)(tt.address, &net.TCPAddr{}, right.PublicKey())
			switch got, ok := err.(*hostKeyError); {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (!ok || got.reason != tt.want):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestKnownHostsRejects(t *testing.T) {
	_, s := newSSHKey(t)
	key := string(ssh.MarshalAuthorizedKey(s.PublicKey()))
	for _, file := range []string{
		"a.example", "a.example ssh-ed25519", "a.example ssh-rsa " + strings.Fields(key)[1],
		"@new a.example " + key, "a.example ssh-ed25519 notbase64!", key,
	} {
		_, err := parseKnownHosts([]byte("x " + key + file))
		if err == nil || !strings.Contains(err.Error(), "line 2 of known_hosts") {
			t.Errorf("%q: got %v, want an error of line 2", file, err)
		}
	}
}

func TestHostCertificates(t *testing.T) {
	_, ca := newSSHKey(t)
	_, other := newSSHKey(t)
	_, host := newSSHKey(t)
	certificate := func(principal string) *ssh.Certificate {
		c := &ssh.Certificate{
			Key: host.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{principal}, ValidBefore: ssh.CertTimeInfinity,
		}
		if err := c.SignCert(rand.Reader, ca); err != nil {
			t.Fatal(err)
		}
		return c
	}
	line := func(k ssh.PublicKey) string {
		return "@cert-authority *.example " + string(ssh.MarshalAuthorizedKey(k))
	}
	tests := []struct {
		name, file, principal string
		ok                    bool
	}{
		{"signed", line(ca.PublicKey()), "a.example", true},
		{"for another host", line(ca.PublicKey()), "b.example", false},
		{"other authority", line(other.PublicKey()), "a.example", false},
		{"authority revoked", line(ca.PublicKey()) + "@revoked * " + string(ssh.MarshalAuthorizedKey(ca.PublicKey())), "a.example", false},
		{"key revoked", line(ca.PublicKey()) + "@revoked * " + string(ssh.MarshalAuthorizedKey(host.PublicKey())), "a.example", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := parseKnownHosts([]byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			err = k.callback("a.example:22")("a.example:22", &net.TCPAddr{}, certificate(tt.principal))
			if (err == nil) != tt.ok {
				t.Errorf("got %v, want accepted %v", err, tt.ok)
			}
			if got := k.algorithms("a.example:22"); !slices.Contains(got, ssh.CertAlgoED25519v01) || slices.Contains(got, ssh.KeyAlgoED25519) {
				t.Errorf("algorithms are %q, want those of certificates", got)
			}
		})
	}
}

func TestHostKeyAlgorithms(t *testing.T) {
	s := newSSHServer(t)
	address := s.listener.Addr().String()
	rsa, err := parseKnownHosts(s.knownHosts(s.hostKeys[1]))
	if err != nil {
		t.Fatal(err)
	}
	got := rsa.algorithms(address)
	slices.Sort(got)
	if want := []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512}; !slices.Equal(got, want) {
		t.Errorf("an RSA key gives %q, want %q", got, want)
	}
	if got := rsa.algorithms("other.example:22"); len(got) != 0 {
		t.Errorf("an unknown host gives %q", got)
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"*", "", true}, {"**", "abc", true}, {"a*c", "abbc", true}, {"a*c", "abbd", false},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"*b*b*", "abab", true}, {"", "a", false},
		{strings.Repeat("a*", 50) + "b", strings.Repeat("a", 5000), false}, // not exponential
	} {
		if got := glob(tt.pattern, tt.name); got != tt.want {
			t.Errorf("glob(%.20q, %.20q) is %v", tt.pattern, tt.name, got)
		}
	}
}

// FuzzKnownHosts: a key that no line holds is accepted for no host.
func FuzzKnownHosts(f *testing.F) {
	_, s := newSSHKey(f)
	_, other := newSSHKey(f)
	key := string(ssh.MarshalAuthorizedKey(s.PublicKey()))
	for _, hosts := range []string{"a.example", "[a.example]:2222", "*,!a.example", "@revoked *", "@cert-authority *", "|1|x|y"} {
		f.Add(hosts+" "+key, "a.example:22")
	}
	f.Fuzz(func(t *testing.T, file, address string) {
		k, err := parseKnownHosts([]byte(file))
		if err != nil {
			checkErrorText(t, err)
			return
		}
		_ = k.callback(address)(address, &net.TCPAddr{}, s.PublicKey())
		if k.callback(address)(address, &net.TCPAddr{}, other.PublicKey()) == nil {
			t.Errorf("%q: accepts a key for %q that it does not hold", file, address)
		}
	})
}
