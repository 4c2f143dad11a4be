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
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/dockercontrol/dockercontrol/internal/engine"
)

// The keys of the Secrets that credentials come from, for messages.
const (
	keyCA         = "ca.crt"
	keyCert       = "tls.crt"
	keyKey        = "tls.key"
	keySSH        = "ssh-privatekey"
	keyPassphrase = "passphrase"
	keyKnownHosts = "known_hosts"
)

func missing(key string) *engine.Error {
	return engine.Errorf(engine.ClassAuth, engine.CauseCredentialsMissing, "the Secret has no %s, or it is empty", key)
}

func invalid(format string, args ...any) *engine.Error {
	return engine.Errorf(engine.ClassAuth, engine.CauseCredentialsInvalid, format, args...)
}

// tlsCredentials are a client's side of mutual TLS, parsed.
type tlsCredentials struct {
	cas        []*x509.Certificate
	pair       tls.Certificate // with its Leaf
	serverName string
}

func parseTLS(cfg *engine.TLSConfig) (*tlsCredentials, error) {
	for _, v := range []struct {
		key  string
		data []byte
	}{{keyCA, cfg.CA}, {keyCert, cfg.Cert}, {keyKey, cfg.Key}} {
		if len(bytes.TrimSpace(v.data)) == 0 {
			return nil, missing(v.key)
		}
	}
	cas, err := parseCertificates(keyCA, cfg.CA)
	if err != nil {
		return nil, err
	}
	certs, err := parseCertificates(keyCert, cfg.Cert)
	if err != nil {
		return nil, err
	}
	if err := checkKeyPEM(cfg.Key); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cfg.Cert, cfg.Key)
	if err != nil {
		return nil, pairError(cfg, err)
	}
	pair.Leaf = certs[0]
	return &tlsCredentials{cas: cas, pair: pair, serverName: cfg.ServerName}, nil
}

// parseCertificates reads the certificates of a PEM file; other blocks in it are
// left alone, as TLS libraries do.
func parseCertificates(key string, data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, invalid("%s holds a certificate that cannot be read: %w", key, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, invalid("%s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", key)
	}
	return certs, nil
}

func checkKeyPEM(data []byte) error {
	if len(data) > maxKeyBytes {
		return invalid("%s is larger than any private key", keyKey)
	}
	block, _ := pem.Decode(data)
	switch {
	case block == nil:
		return invalid("%s is not in PEM form (-----BEGIN PRIVATE KEY-----)", keyKey)
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return invalid("%s is encrypted with a passphrase: store it decrypted", keyKey)
	}
	return nil
}

// pairError tells a key that cannot be read from one of another certificate.
// The raw error is left out: it is about a private key.
func pairError(cfg *engine.TLSConfig, err error) error {
	block, _ := pem.Decode(cfg.Key)
	_, errPKCS8 := x509.ParsePKCS8PrivateKey(block.Bytes)
	_, errPKCS1 := x509.ParsePKCS1PrivateKey(block.Bytes)
	_, errEC := x509.ParseECPrivateKey(block.Bytes)
	if errPKCS8 != nil && errPKCS1 != nil && errEC != nil {
		return invalid("%s holds no private key that can be read", keyKey)
	}
	return invalid("%s and %s do not belong together: the key is not that of the certificate", keyCert, keyKey)
}

// check judges what depends on the time.
func (c *tlsCredentials) check(now time.Time) error {
	leaf := c.pair.Leaf
	usages := leaf.ExtKeyUsage
	switch {
	case now.After(leaf.NotAfter):
		return expired("the client certificate in %s has expired at %s: renew it", keyCert, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return expired("the client certificate in %s is not valid before %s: check the clocks", keyCert, leaf.NotBefore.UTC().Format(time.RFC3339))
	case !slices.ContainsFunc(c.cas, func(ca *x509.Certificate) bool { return !now.After(ca.NotAfter) }):
		return expired("the CA certificate in %s has expired at %s: renew it", keyCA, c.cas[0].NotAfter.UTC().Format(time.RFC3339))
	case len(usages) > 0 && !slices.Contains(usages, x509.ExtKeyUsageClientAuth) && !slices.Contains(usages, x509.ExtKeyUsageAny):
		return invalid("%s is not a client certificate: its extended key usage lacks clientAuth", keyCert)
	}
	return nil
}

func expired(format string, args ...any) *engine.Error {
	return engine.Errorf(engine.ClassAuth, engine.CauseCertificateExpired, format, args...)
}

func (c *tlsCredentials) info() engine.CredentialInfo {
	sum := sha256.Sum256(c.pair.Leaf.Raw)
	return engine.CredentialInfo{NotAfter: c.pair.Leaf.NotAfter.UTC(), Fingerprint: "SHA256:" + hex.EncodeToString(sum[:])}
}

// config trusts the Secret's CA only, never the system's.
func (c *tlsCredentials) config(host string) *tls.Config {
	pool := x509.NewCertPool()
	for _, ca := range c.cas {
		pool.AddCert(ca)
	}
	name := c.serverName
	if name == "" {
		name = host
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		RootCAs:      pool,
		Certificates: []tls.Certificate{c.pair},
		ServerName:   name,
	}
}

// sshCredentials are a client's side of ssh, parsed.
type sshCredentials struct {
	signer ssh.Signer
	known  *knownHosts
}

func parseSSH(cfg *engine.SSHConfig) (*sshCredentials, error) {
	switch {
	case cfg == nil || len(bytes.TrimSpace(cfg.PrivateKey)) == 0:
		return nil, missing(keySSH)
	case len(bytes.TrimSpace(cfg.KnownHosts)) == 0:
		return nil, missing(keyKnownHosts)
	}
	signer, err := parseSSHKey(cfg.PrivateKey, cfg.Passphrase)
	if err != nil {
		return nil, err
	}
	known, err := parseKnownHosts(cfg.KnownHosts)
	if err != nil {
		return nil, err
	}
	return &sshCredentials{signer: signer, known: known}, nil
}

func parseSSHKey(key, passphrase []byte) (ssh.Signer, error) {
	if len(key) > maxKeyBytes {
		return nil, invalid("%s is larger than any private key", keySSH)
	}
	signer, err := ssh.ParsePrivateKey(key)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return signer, nil
	case !errors.As(err, &locked):
		return nil, invalid("%s holds no private key that can be read; write it in OpenSSH or PEM form", keySSH)
	case len(passphrase) == 0:
		return nil, invalid("%s is encrypted, and the Secret has no %s", keySSH, keyPassphrase)
	}
	if keyRounds(key) > maxKeyRounds {
		return nil, invalid("%s asks for more than %d rounds of passphrase hashing: write it anew with ssh-keygen -p -a 100", keySSH, maxKeyRounds)
	}
	// Files end in a newline that passphrases do not have. What is likely is tried
	// first: a try takes as long as the passphrase hash, tenths of a second.
	trimmed := bytes.TrimRight(passphrase, "\r\n")
	signer, err = ssh.ParsePrivateKeyWithPassphrase(key, trimmed)
	if err != nil && len(trimmed) < len(passphrase) {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(key, passphrase)
	}
	if err != nil {
		return nil, invalid("%s does not open %s", keyPassphrase, keySSH)
	}
	return signer, nil
}

// keyRounds returns how many rounds an OpenSSH key's passphrase hash takes; 0
// for keys of other forms, whose hashes are cheap.
func keyRounds(key []byte) uint32 {
	const magic = "openssh-key-v1\x00"
	block, _ := pem.Decode(key)
	if block == nil || !bytes.HasPrefix(block.Bytes, []byte(magic)) {
		return 0
	}
	var head struct {
		Cipher, KDF, Options string
		Rest                 []byte `ssh:"rest"`
	}
	var kdf struct {
		Salt   string
		Rounds uint32
	}
	if ssh.Unmarshal(block.Bytes[len(magic):], &head) != nil || ssh.Unmarshal([]byte(head.Options), &kdf) != nil {
		return 0
	}
	return kdf.Rounds
}

func (c *sshCredentials) info() engine.CredentialInfo {
	return engine.CredentialInfo{Fingerprint: ssh.FingerprintSHA256(c.signer.PublicKey())}
}
