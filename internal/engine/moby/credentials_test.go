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
	"crypto/ed25519"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

func TestCheckTLSCredentials(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	old := newAuthority(t, wasValid)
	good := ca.client()
	with := func(change func(*engine.TLSConfig)) *engine.TLSConfig {
		cfg := *good
		change(&cfg)
		return &cfg
	}
	tests := []struct {
		name  string
		cfg   *engine.TLSConfig
		cause engine.Cause
		part  string
	}{
		{"no CA", with(func(c *engine.TLSConfig) { c.CA = nil }), engine.CauseCredentialsMissing, "no ca.crt"},
		{"no certificate", with(func(c *engine.TLSConfig) { c.Cert = []byte(" \n") }), engine.CauseCredentialsMissing, "no tls.crt"},
		{"no key", with(func(c *engine.TLSConfig) { c.Key = nil }), engine.CauseCredentialsMissing, "no tls.key"},
		{"CA not PEM", with(func(c *engine.TLSConfig) { c.CA = []byte("hello") }), engine.CauseCredentialsInvalid, "ca.crt holds no certificate"},
		{"CA is a key", with(func(c *engine.TLSConfig) { c.CA = c.Key }), engine.CauseCredentialsInvalid, "ca.crt holds no certificate"},
		{"certificate not PEM", with(func(c *engine.TLSConfig) { c.Cert = []byte("hello") }), engine.CauseCredentialsInvalid, "tls.crt holds no certificate"},
		{"certificate is junk", with(func(c *engine.TLSConfig) {
			c.Cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("junk")})
		}), engine.CauseCredentialsInvalid, "tls.crt holds a certificate that cannot be read"},
		{"key not PEM", with(func(c *engine.TLSConfig) { c.Key = []byte("hello") }), engine.CauseCredentialsInvalid, "tls.key is not in PEM form"},
		{"key is junk", with(func(c *engine.TLSConfig) {
			c.Key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("junk")})
		}), engine.CauseCredentialsInvalid, "tls.key holds no private key"},
		{"key is a certificate", with(func(c *engine.TLSConfig) { c.Key = c.Cert }), engine.CauseCredentialsInvalid, "tls.key holds no private key"},
		{"key encrypted", with(func(c *engine.TLSConfig) {
			c.Key = pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("junk")})
		}), engine.CauseCredentialsInvalid, "tls.key is encrypted"},
		{"key encrypted the old way", with(func(c *engine.TLSConfig) {
			c.Key = pem.EncodeToMemory(&pem.Block{
				Type: "RSA PRIVATE KEY", Bytes: []byte("junk"),
				Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"},
			})
		}), engine.CauseCredentialsInvalid, "tls.key is encrypted"},
		{"key too large", with(func(c *engine.TLSConfig) { c.Key = []byte(strings.Repeat("x", 1<<20)) }), engine.CauseCredentialsInvalid, "larger than any private key"},
		{"key of another certificate", with(func(c *engine.TLSConfig) { c.Key = other.client().Key }), engine.CauseCredentialsInvalid, "do not belong together"},
		{"expired", ca.client(wasValid), engine.CauseCertificateExpired, "the client certificate in tls.crt has expired at"},
		{"not valid yet", ca.client(willBeValid), engine.CauseCertificateExpired, "is not valid before"},
		{"CA expired", with(func(c *engine.TLSConfig) { c.CA = old.pem }), engine.CauseCertificateExpired, "the CA certificate in ca.crt has expired"},
		{"for servers", ca.client(forServers), engine.CauseCredentialsInvalid, "is not a client certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := engine.Config{Endpoint: engine.Endpoint{Scheme: engine.SchemeTCP, Host: "h", Port: 1}, TLS: tt.cfg}
			_, err := check(cfg)
			wantError(t, err, engine.ClassAuth, tt.cause, tt.part)
			noSecrets(t, err, tt.cfg.Key)
		})
	}
	cfg := engine.Config{Endpoint: engine.Endpoint{Scheme: engine.SchemeTCP, Host: "h", Port: 1}, TLS: good}
	info, err := check(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(info.NotAfter); left < 50*time.Minute || left > time.Hour {
		t.Errorf("the certificate ends in %v, want an hour", left)
	}
	if !strings.HasPrefix(info.Fingerprint, "SHA256:") || len(info.Fingerprint) != len("SHA256:")+64 {
		t.Errorf("fingerprint is %q", info.Fingerprint)
	}
	// One CA of two that is still valid will do, as in a rotation.
	cfg.TLS = with(func(c *engine.TLSConfig) { c.CA = append(append([]byte{}, old.pem...), ca.pem...) })
	if _, err := check(cfg); err != nil {
		t.Errorf("an expired CA beside a valid one: %v", err)
	}
}

// noSecrets checks that an error holds no line of a secret.
func noSecrets(t *testing.T, err error, secrets ...[]byte) {
	t.Helper()
	text := err.Error()
	if e, ok := err.(*engine.Error); ok && e.Err != nil {
		text += e.Err.Error()
	}
	for _, s := range secrets {
		for line := range strings.Lines(string(s)) {
			line = strings.TrimSpace(line)
			if len(line) > 16 && !strings.HasPrefix(line, "-----") && strings.Contains(text, line) {
				t.Errorf("the error %q holds a line of a secret", text)
			}
		}
	}
}

func TestCheckSSHCredentials(t *testing.T) {
	key, s := newSSHKey(t)
	plain := privatePEM(t, key)
	locked := lockedKey(t, key)
	known := []byte("host.example " + string(ssh.MarshalAuthorizedKey(s.PublicKey())))
	tests := []struct {
		name  string
		cfg   *engine.SSHConfig
		cause engine.Cause
		part  string
	}{
		{"none", nil, engine.CauseCredentialsMissing, "no ssh-privatekey"},
		{"no key", &engine.SSHConfig{KnownHosts: known}, engine.CauseCredentialsMissing, "no ssh-privatekey"},
		{"no known_hosts", &engine.SSHConfig{PrivateKey: plain, KnownHosts: []byte("\n")}, engine.CauseCredentialsMissing, "no known_hosts"},
		{"key is junk", &engine.SSHConfig{PrivateKey: []byte("hello"), KnownHosts: known}, engine.CauseCredentialsInvalid, "ssh-privatekey holds no private key"},
		{"key is public", &engine.SSHConfig{PrivateKey: known, KnownHosts: known}, engine.CauseCredentialsInvalid, "ssh-privatekey holds no private key"},
		{"key too large", &engine.SSHConfig{PrivateKey: []byte(strings.Repeat("x", 1<<20)), KnownHosts: known}, engine.CauseCredentialsInvalid, "larger than any private key"},
		{"passphrase missing", &engine.SSHConfig{PrivateKey: locked, KnownHosts: known}, engine.CauseCredentialsInvalid, "the Secret has no passphrase"},
		{"passphrase wrong", &engine.SSHConfig{PrivateKey: rounds(t, locked, 1), Passphrase: []byte("open barley"), KnownHosts: known}, engine.CauseCredentialsInvalid, "passphrase does not open ssh-privatekey"},
		{"passphrase that takes for ever", &engine.SSHConfig{PrivateKey: rounds(t, locked, 1<<31), Passphrase: []byte("open sesame"), KnownHosts: known}, engine.CauseCredentialsInvalid, "rounds of passphrase hashing"},
		{"known_hosts is junk", &engine.SSHConfig{PrivateKey: plain, KnownHosts: []byte("# a comment\nhello\n")}, engine.CauseCredentialsInvalid, "line 2 of known_hosts"},
		{"known_hosts without hosts", &engine.SSHConfig{PrivateKey: plain, KnownHosts: []byte("# a comment\n")}, engine.CauseCredentialsInvalid, "known_hosts holds no host key"},
	}
	endpoint := engine.Endpoint{Scheme: engine.SchemeSSH, User: "u", Host: "h", Port: 22, Path: "/s"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := check(engine.Config{Endpoint: endpoint, SSH: tt.cfg})
			wantError(t, err, engine.ClassAuth, tt.cause, tt.part)
			if tt.cfg != nil {
				noSecrets(t, err, tt.cfg.PrivateKey, tt.cfg.Passphrase)
			}
		})
	}
	for name, cfg := range map[string]*engine.SSHConfig{
		"plain":                         {PrivateKey: plain, KnownHosts: known},
		"plain, passphrase not needed":  {PrivateKey: plain, Passphrase: []byte("x"), KnownHosts: known},
		"locked, newline at the end":    {PrivateKey: locked, Passphrase: []byte("open sesame\n"), KnownHosts: known},
		"plain, lines as Windows ends ": {PrivateKey: plain, KnownHosts: []byte(strings.ReplaceAll(string(known), "\n", "\r\n"))},
	} {
		info, err := check(engine.Config{Endpoint: endpoint, SSH: cfg})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := ssh.FingerprintSHA256(s.PublicKey()); info.Fingerprint != want {
			t.Errorf("%s: fingerprint %q, want %q", name, info.Fingerprint, want)
		}
	}
}

// BenchmarkLockedKey shows what an encrypted key costs: to read it, and to connect
// again with what was read.
func BenchmarkLockedKey(b *testing.B) {
	key, s := newSSHKey(b)
	cfg := engine.Config{
		Endpoint: engine.Endpoint{Scheme: engine.SchemeSSH, User: "u", Host: "h", Port: 22, Path: "/s"},
		SSH: &engine.SSHConfig{
			PrivateKey: lockedKey(b, key), Passphrase: []byte("open sesame\n"),
			KnownHosts: []byte("h " + string(ssh.MarshalAuthorizedKey(s.PublicKey()))),
		},
	}
	p, err := Connector{}.Prepare(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("prepare", func(b *testing.B) {
		for b.Loop() {
			if _, err := (Connector{}).Prepare(cfg); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("retry", func(b *testing.B) {
		for b.Loop() {
			if _, err := p.CheckCredentials(time.Now()); err != nil {
				b.Fatal(err)
			}
			_ = p.Open().Close()
		}
	})
}

// lockedKey encrypts a key with the passphrase "open sesame".
func lockedKey(t testing.TB, key ed25519.PrivateKey) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

// rounds changes the number of rounds that an OpenSSH key asks for: it follows
// the salt of 16 bytes.
func rounds(t testing.TB, key []byte, n uint32) []byte {
	t.Helper()
	block, _ := pem.Decode(key)
	i := strings.Index(string(block.Bytes), "bcrypt")
	if i < 0 {
		t.Fatal("the key has no bcrypt hash")
	}
	at := i + len("bcrypt") + 4 + 4 + 16
	binary.BigEndian.PutUint32(block.Bytes[at:], n)
	return pem.EncodeToMemory(block)
}

func TestNoCredentialsNeeded(t *testing.T) {
	for _, ep := range []engine.Endpoint{{Scheme: engine.SchemeUnix, Path: "/s"}, {Scheme: engine.SchemeTCP, Host: "h", Port: 1}} {
		if _, err := check(engine.Config{Endpoint: ep}); err != nil {
			t.Errorf("%s: %v", ep, err)
		}
	}
	_, err := Connector{}.Prepare(engine.Config{})
	wantError(t, err, engine.ClassInvalid, engine.CauseEndpointInvalid, "unix://")
}

func TestTLSWorks(t *testing.T) {
	ca := newAuthority(t)
	for _, version := range []uint16{0x0303, 0x0304} {
		cfg := tlsServerMax(t, version, ca, ca, forServers)
		cfg.TLS = ca.client()
		if _, err := open(t, cfg).Ping(t.Context()); err != nil {
			t.Errorf("TLS %x: %v", version, err)
		}
	}
	named := tlsServer(t, ca, ca, forServers, func(c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = nil, []string{"engine.example"}
	})
	named.TLS = ca.client()
	named.TLS.ServerName = "engine.example"
	if _, err := open(t, named).Ping(t.Context()); err != nil {
		t.Errorf("serverName: %v", err)
	}
}

func FuzzSSHKey(f *testing.F) {
	key, s := newSSHKey(f)
	f.Add(rounds(f, lockedKey(f, key), 1), []byte("x"), ssh.MarshalAuthorizedKey(s.PublicKey()))
	f.Fuzz(func(t *testing.T, key, passphrase, known []byte) {
		if keyRounds(key) > 2 {
			return // allowed, but slow
		}
		if _, err := parseSSH(&engine.SSHConfig{PrivateKey: key, Passphrase: passphrase, KnownHosts: known}); err != nil {
			checkErrorText(t, err)
		}
	})
}
