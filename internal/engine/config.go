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

package engine

import (
	"fmt"
	"net/netip"
	"time"
)

// Config is everything needed to connect to an engine. It holds secrets: it is
// never logged.
type Config struct {
	Endpoint Endpoint
	// TLS is set for tcp with TLS; nil means plain text.
	TLS *TLSConfig
	// SSH is set for ssh.
	SSH *SSHConfig
	// MaxConnections bounds the connections of unary calls; a stream has one of
	// its own beside them.
	MaxConnections int
	// IdleTimeout closes a connection that nobody used for so long.
	IdleTimeout time.Duration
	// Timeout bounds a unary call whose context has no sooner deadline.
	Timeout time.Duration
	// Policy says which addresses may be dialled.
	Policy AddressPolicy
}

// TLSConfig is a client's side of mutual TLS, in PEM.
type TLSConfig struct {
	CA, Cert, Key []byte
	// ServerName overrides the name the engine's certificate must carry.
	ServerName string
}

// SSHConfig is a client's side of ssh.
type SSHConfig struct {
	// PrivateKey is in PEM or OpenSSH form; Passphrase opens it if it is encrypted.
	PrivateKey, Passphrase []byte
	// KnownHosts is in the format of the file of that name. It is never empty.
	KnownHosts []byte
}

// CredentialInfo describes credentials that were found usable.
type CredentialInfo struct {
	// NotAfter is when the client certificate expires; zero for ssh.
	NotAfter time.Time
	// Fingerprint is SHA256:... of the certificate or the ssh public key.
	Fingerprint string
}

// Connector makes Engines. internal/engine/moby has the real one.
type Connector interface {
	// CheckCredentials judges cfg's credentials without dialling, at time now:
	// parse, pair, expiry. The error is an *Error of class Auth.
	CheckCredentials(cfg Config, now time.Time) (CredentialInfo, error)
	// Open makes an Engine for cfg. It does not dial; the first call does.
	Open(cfg Config) (Engine, error)
}

// AddressPolicy says which addresses may be dialled. The zero policy allows all
// but loopback, link-local, multicast and unspecified ones.
type AddressPolicy struct {
	// Allowed, when not empty, are the only prefixes that may be dialled;
	// loopback and link-local addresses still need their own switch or to be
	// inside one of them.
	Allowed []netip.Prefix
	// Loopback allows loopback addresses.
	Loopback bool
}

// Check returns nil when addr may be dialled. It is called with the address
// actually dialled, after name resolution, so that a name that changes its mind
// gains nothing.
func (p AddressPolicy) Check(addr netip.Addr) error {
	addr = addr.Unmap()
	for _, prefix := range p.Allowed {
		if prefix.Contains(addr) {
			return nil
		}
	}
	if p.Loopback && addr.IsLoopback() {
		return nil
	}
	switch {
	case addr.IsLoopback():
		return fmt.Errorf("loopback addresses may not be dialled")
	case addr.IsLinkLocalUnicast(), addr.IsLinkLocalMulticast():
		return fmt.Errorf("link-local addresses may not be dialled")
	case addr.IsMulticast(), addr.IsUnspecified():
		return fmt.Errorf("multicast and unspecified addresses may not be dialled")
	case len(p.Allowed) > 0:
		return fmt.Errorf("the address is outside --endpoint-cidrs")
	}
	return nil
}
