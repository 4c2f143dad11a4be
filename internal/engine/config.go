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
	// MaxConnections bounds the connections of unary calls; those of Ping, Version,
	// Info and List come beside them, and each stream has one of its own.
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
	// Prepare reads cfg's credentials without dialling: that they are there, can be
	// parsed and belong together. The error is an *Error, of class Auth where it is
	// about credentials; it does not change with time. Decrypting an ssh key takes
	// tenths of a second of CPU, so keep what Prepare returns while cfg is the same,
	// and no longer: it holds secrets.
	Prepare(cfg Config) (Prepared, error)
}

// Prepared is a Config whose credentials are read.
type Prepared interface {
	// CheckCredentials describes the credentials and judges them at time now. The
	// error is an *Error of class Auth.
	CheckCredentials(now time.Time) (CredentialInfo, error)
	// Open makes an Engine. It does not dial; the first call does.
	Open() Engine
}

// AddressPolicy says which addresses may be dialled. The zero policy allows all
// but loopback, link-local, multicast and unspecified ones.
type AddressPolicy struct {
	// Allowed, when not empty, are the only prefixes that may be dialled. A
	// loopback or link-local address is allowed by a prefix within those ranges
	// only, so that 0.0.0.0/0 does not open the manager's own machine.
	Allowed []netip.Prefix
	// Loopback allows loopback addresses.
	Loopback bool
}

// guarded are the ranges that a wider prefix does not open: the manager's own
// machine, and the links where clouds put their metadata services.
var guarded = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fe80::/10"),
}

// Check returns nil when addr may be dialled. It is called with the address
// actually dialled, after name resolution, so that a name that changes its mind
// gains nothing.
func (p AddressPolicy) Check(addr netip.Addr) error {
	addr = addr.Unmap()
	if addr.IsMulticast() || addr.IsUnspecified() {
		return fmt.Errorf("multicast and unspecified addresses may not be dialled")
	}
	if p.Loopback && addr.IsLoopback() {
		return nil
	}
	for _, g := range guarded {
		if g.Contains(addr.WithZone("")) {
			return p.checkGuarded(addr, g)
		}
	}
	if len(p.Allowed) > 0 && !p.contains(addr, netip.Prefix{}) {
		return fmt.Errorf("the address is outside --endpoint-cidrs")
	}
	return nil
}

func (p AddressPolicy) checkGuarded(addr netip.Addr, within netip.Prefix) error {
	if p.contains(addr, within) {
		return nil
	}
	if addr.IsLoopback() {
		return fmt.Errorf("loopback addresses may not be dialled")
	}
	return fmt.Errorf("link-local addresses may not be dialled")
}

// contains reports whether a prefix of Allowed covers addr; a valid within must
// cover that prefix in turn.
func (p AddressPolicy) contains(addr netip.Addr, within netip.Prefix) bool {
	for _, prefix := range p.Allowed {
		if within.IsValid() && (!within.Contains(prefix.Addr()) || prefix.Bits() < within.Bits()) {
			continue
		}
		if prefix.Contains(addr.WithZone("")) {
			return true
		}
	}
	return false
}
