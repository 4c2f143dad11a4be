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

package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// maxSignedExecID bounds what Open looks at: an engine's exec id has 64 characters and a signature 43.
const maxSignedExecID = 512

// Sign returns execID as it is handed to user, who created it on the host with hostUID: "id.mac", where mac is
// a keyed hash (HMAC-SHA-256) over all three, in URL-safe base64. The id stays readable in front of the first dot.
func Sign(key []byte, user, hostUID, execID string) string {
	return execID + "." + execMAC(key, user, hostUID, execID)
}

// Open returns the engine's id out of what Sign made for the same key, user and host, and false for everything
// else. How long it takes to compare does not depend on where a forged signature differs.
func Open(key []byte, user, hostUID, signed string) (execID string, ok bool) {
	if len(key) == 0 || len(signed) > maxSignedExecID {
		return "", false
	}
	execID, mac, found := strings.Cut(signed, ".")
	if !found || execID == "" {
		return "", false
	}
	// The texts are compared, not the bytes they encode: base64 has several texts for the same bytes.
	if !hmac.Equal([]byte(mac), []byte(execMAC(key, user, hostUID, execID))) {
		return "", false
	}
	return execID, true
}

func execMAC(key []byte, user, hostUID, execID string) string {
	h := hmac.New(sha256.New, key)
	// The first part keeps this use of the key apart from others; lengths keep the parts apart from each other.
	for _, part := range []string{"dockercontrol.dev/exec-id", user, hostUID, execID} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
