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
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"time"
)

const (
	// authorityValidity is what kubeadm gives its authorities.
	authorityValidity = 10 * 365 * 24 * time.Hour
	// authorityRenewal is how much of it is left when the authority is signed again. Longer than any leaf lives
	// (MaxValidity), so a leaf is never cut short by its authority.
	authorityRenewal = 2 * 365 * 24 * time.Hour
	// backdate makes a fresh certificate valid for a peer whose clock is a little behind.
	backdate = 5 * time.Minute
)

// authority is a certificate authority: one self-signed certificate and its key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// ensureAuthority loads the authority from path.crt and path.key, makes it when neither exists, and signs it again
// with the same key when it nears its end or its certificate is gone. changed tells whether it wrote.
//
// A key that is missing or unreadable beside a certificate is an error, never a new authority: that would silently
// invalidate everything handed out so far.
func ensureAuthority(path, name string, now time.Time) (a *authority, changed bool, err error) {
	key, err := readKey(path + ".key")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, certErr := readCertificate(path + ".crt"); !errors.Is(certErr, fs.ErrNotExist) {
			return nil, false, fmt.Errorf("the certificate authority %s.crt has lost its key %s.key: restore the key, "+
				"or remove both to start a new authority (certificates and kubeconfigs handed out so far end then)", path, path)
		}
		if key, err = newKey(); err != nil {
			return nil, false, err
		}
		if err := writeKey(path+".key", key); err != nil {
			return nil, false, err
		}
	case err != nil:
		return nil, false, fmt.Errorf("read the certificate authority's key: %w", err)
	}

	cert, err := readCertificate(path + ".crt")
	if err == nil && samePublicKey(cert, key) && now.Add(authorityRenewal).Before(cert.NotAfter) {
		return &authority{cert: cert, key: key}, false, nil
	}
	if cert, err = selfSign(key, name, now); err != nil {
		return nil, false, fmt.Errorf("sign the certificate authority %s.crt: %w", path, err)
	}
	if err := writeCertificate(path+".crt", cert); err != nil {
		return nil, false, err
	}
	return &authority{cert: cert, key: key}, true, nil
}

func selfSign(key *ecdsa.PrivateKey, name string, now time.Time) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// sign makes a certificate of l for key that ends validity from now, or with the authority if that is sooner.
func (a *authority) sign(l leaf, key *ecdsa.PrivateKey, now time.Time, validity time.Duration) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	notAfter := now.Add(validity)
	if notAfter.After(a.cert.NotAfter) {
		notAfter = a.cert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: l.user, Organization: l.groups},
		NotBefore:             now.Add(-backdate),
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{l.usage},
		BasicConstraintsValid: true,
		DNSNames:              l.names.DNS,
		IPAddresses:           l.names.IPs,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// newSerial is 127 random bits: RFC 5280 wants a positive number of at most 20 octets.
func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}
