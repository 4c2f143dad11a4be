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

package keyring

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// Purpose is what a key is for. The texts are part of the derivation.
type Purpose string

// The purposes.
const (
	// SessionCookies encrypts the browsers' cookies.
	SessionCookies Purpose = "dockercontrol.dev session cookies v1"
	// ExecIDs signs exec ids that are handed out.
	ExecIDs Purpose = "dockercontrol.dev exec ids v1"
	// ContinueTokens signs the place where a list goes on.
	ContinueTokens Purpose = "dockercontrol.dev continue tokens v1"
	// AuditChain is the key of the MACs in the audit trail.
	AuditChain Purpose = "dockercontrol.dev audit chain v1"
	// AuditHeads signs the heads of audit chains in Leases. It is not AuditChain, so
	// that a line of a trail can never be taken for a head.
	AuditHeads Purpose = "dockercontrol.dev audit heads v1"
	// ContentHashes names swarm secrets and configs after their content.
	ContentHashes Purpose = "dockercontrol.dev content hashes v1"
)

// purposes are all of them: a Keyring knows no others.
var purposes = []Purpose{SessionCookies, ExecIDs, ContinueTokens, AuditChain, AuditHeads, ContentHashes}

// KeySize is the length of every key in bytes, those of the Secret and the derived
// ones: enough for HMAC-SHA256 and AES-256.
const KeySize = 32

// Derive returns the key for a purpose from a version of the Secret.
func Derive(version []byte, p Purpose) ([]byte, error) {
	return hkdf.Key(sha256.New, version, nil, string(p), KeySize)
}
