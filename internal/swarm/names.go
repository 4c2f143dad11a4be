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

package swarm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// maxObjectName is what swarm allows for the name of a secret or config.
	maxObjectName = 64
	// hashBytes make 32 characters of base 32: 160 bits, far beyond a chance collision,
	// and half of the name is left for people to read.
	hashBytes = 20
)

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// SecretName names the swarm secret of a SwarmService's Kubernetes Secret. Another
// content has another name, so that a change is a rolling update. The hash is keyed: a
// name tells nothing of what a secret may be, not even whether two services share it.
func SecretName(key []byte, owner types.UID, service string, content []byte) string {
	return objectName(key, "secret", owner, service, content)
}

// ConfigName is SecretName for the config of a ConfigMap.
func ConfigName(key []byte, owner types.UID, service string, content []byte) string {
	return objectName(key, "config", owner, service, content)
}

// PullSecretHash tells one content of a SwarmService's pull secret from another, and
// nothing else.
func PullSecretHash(key []byte, owner types.UID, content []byte) string {
	return objectName(key, "pull secret", owner, "", content)
}

// AppliedHash tells one thing that a SwarmService asked for from another. The content may
// have secrets in it, which the hash tells nothing of.
func AppliedHash(key []byte, owner types.UID, content []byte) string {
	return objectName(key, "applied", owner, "", content)
}

func objectName(key []byte, kind string, owner types.UID, service string, content []byte) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range [][]byte{[]byte(kind), []byte(owner), content} {
		// With their lengths, or other parts could make up the same text.
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		mac.Write(n[:])
		mac.Write(part)
	}
	hash := lowerBase32.EncodeToString(mac.Sum(nil)[:hashBytes])
	prefix := readable(service, maxObjectName-len(hash)-1)
	if prefix == "" {
		return hash
	}
	return prefix + "-" + hash
}

// readable is as much of a name as fits, made of what swarm allows in names.
func readable(name string, limit int) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, name)
	safe = strings.TrimLeft(safe, "-_.")
	if len(safe) > limit {
		safe = safe[:limit]
	}
	return strings.TrimRight(safe, "-_.")
}
