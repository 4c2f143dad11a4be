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
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"k8s.io/utils/clock"
)

const (
	// DefaultValidity of a certificate that is not an authority, as kubeadm's.
	DefaultValidity = 365 * 24 * time.Hour
	// MinValidity leaves a renewal room for a retry. It is this short for the tests of renewal.
	MinValidity = 10 * time.Second
	// MaxValidity keeps every leaf inside its authority: see authorityRenewal.
	MaxValidity = authorityRenewal

	// FrontProxyUser is the common name that the API server's aggregator presents.
	FrontProxyUser = "front-proxy-client"
)

// Identity is who a client certificate says it is, to Kubernetes RBAC.
type Identity struct {
	User   string
	Groups []string
}

// Config says what a Store keeps.
type Config struct {
	// Dir is the directory, made with mode 0700.
	Dir string
	// APIServer and Proxy are the names clients reach the two by.
	APIServer, Proxy Names
	// Admin and Manager are the two clients.
	Admin, Manager Identity
	// Validity of the certificates; DefaultValidity when zero.
	Validity time.Duration
	// Clock is the real one when nil.
	Clock clock.Clock
}

// Pair is the paths of a certificate and its key.
type Pair struct{ Cert, Key string }

// Store is a directory of keys and certificates.
type Store struct {
	config Config
	clock  clock.Clock
}

// New checks config and makes its directory. Ensure fills it.
func New(config Config) (*Store, error) {
	if config.Validity == 0 {
		config.Validity = DefaultValidity
	}
	if config.Validity < MinValidity || config.Validity > MaxValidity {
		return nil, fmt.Errorf("certificate validity %s is out of range: it must be %s to %s", config.Validity, MinValidity, MaxValidity)
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the certificate directory: %w", err)
	}
	if err := os.Chmod(config.Dir, 0o700); err != nil { //nolint:gosec // a directory of the owner's alone
		return nil, fmt.Errorf("make the certificate directory private: %w", err)
	}
	return &Store{config: config, clock: config.Clock}, nil
}

func (s *Store) path(name string) string { return filepath.Join(s.config.Dir, name) }
func (s *Store) pair(name string) Pair {
	return Pair{Cert: s.path(name + ".crt"), Key: s.path(name + ".key")}
}

// CA signs the API server, the proxy and the clients. Its certificate file holds one certificate.
func (s *Store) CA() Pair { return s.pair("ca") }

// FrontProxyCA signs FrontProxyClient only: whoever it signs may speak for any user.
func (s *Store) FrontProxyCA() Pair { return s.pair("front-proxy-ca") }

// FrontProxyClient is what the aggregator presents to an aggregated API server.
func (s *Store) FrontProxyClient() Pair { return s.pair("front-proxy-client") }

// APIServer is what the API server serves with.
func (s *Store) APIServer() Pair { return s.pair("apiserver") }

// Proxy is what the manager's proxy serves with.
func (s *Store) Proxy() Pair { return s.pair("proxy") }

// Admin is the administrator's client certificate.
func (s *Store) Admin() Pair { return s.pair("admin") }

// Manager is the manager's client certificate.
func (s *Store) Manager() Pair { return s.pair("manager") }

// ServiceAccountKey is the private key that signs ServiceAccount tokens.
func (s *Store) ServiceAccountKey() string { return s.path("sa.key") }

func (s *Store) leaves() []leaf {
	return []leaf{
		{name: "apiserver", user: "kube-apiserver", usage: x509.ExtKeyUsageServerAuth, names: s.config.APIServer},
		{name: "proxy", user: "dockercontrol-proxy", usage: x509.ExtKeyUsageServerAuth, names: s.config.Proxy},
		{name: "admin", user: s.config.Admin.User, groups: s.config.Admin.Groups, usage: x509.ExtKeyUsageClientAuth},
		{name: "manager", user: s.config.Manager.User, groups: s.config.Manager.Groups, usage: x509.ExtKeyUsageClientAuth},
	}
}

// Ensure makes whatever is missing, broken or due for renewal, and returns the names of what it made (such as
// "ca" or "apiserver"). It is not for concurrent use; one process owns the directory.
func (s *Store) Ensure() (made []string, err error) {
	ca, changed, err := s.authority("ca", "dockercontrol-ca")
	if err != nil {
		return nil, err
	}
	if changed {
		made = append(made, "ca")
	}
	frontProxyCA, changed, err := s.authority("front-proxy-ca", "dockercontrol-front-proxy-ca")
	if err != nil {
		return made, err
	}
	if changed {
		made = append(made, "front-proxy-ca")
	}
	if changed, err = s.ensureServiceAccountKey(); err != nil {
		return made, err
	}
	if changed {
		made = append(made, "sa")
	}

	frontProxy := leaf{name: "front-proxy-client", user: FrontProxyUser, usage: x509.ExtKeyUsageClientAuth}
	if changed, err = s.ensureLeaf(frontProxy, frontProxyCA); err != nil {
		return made, err
	}
	if changed {
		made = append(made, frontProxy.name)
	}
	for _, l := range s.leaves() {
		if changed, err = s.ensureLeaf(l, ca); err != nil {
			return made, err
		}
		if changed {
			made = append(made, l.name)
		}
	}
	return made, nil
}

func (s *Store) authority(name, commonName string) (*authority, bool, error) {
	return ensureAuthority(s.path(name), commonName, s.clock.Now())
}

func (s *Store) ensureLeaf(l leaf, ca *authority) (changed bool, err error) {
	pair := s.pair(l.name)
	if err := tighten(pair.Key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("make %s private: %w", pair.Key, err)
	}
	// A pair that is absent, unreadable or does not match is made again: nothing is lost with it.
	if loaded, err := tls.LoadX509KeyPair(pair.Cert, pair.Key); err == nil {
		if l.stale(loaded.Leaf, ca, s.clock.Now(), s.config.Validity) == "" {
			return false, nil
		}
	}
	key, err := newKey()
	if err != nil {
		return false, err
	}
	cert, err := ca.sign(l, key, s.clock.Now(), s.config.Validity)
	if err != nil {
		return false, fmt.Errorf("sign %s: %w", pair.Cert, err)
	}
	// The certificate last: a watcher that wakes on the key finds a pair that does not match and keeps its own.
	if err := writeKey(pair.Key, key); err != nil {
		return false, err
	}
	return true, writeCertificate(pair.Cert, cert)
}

func (s *Store) ensureServiceAccountKey() (changed bool, err error) {
	path := s.ServiceAccountKey()
	switch _, err := readKey(path); {
	case err == nil:
		return false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("read the ServiceAccount signing key: %w (restore it, or remove it to start a new one: tokens issued so far end then)", err)
	}
	key, err := newKey()
	if err != nil {
		return false, err
	}
	return true, writeKey(path, key)
}
