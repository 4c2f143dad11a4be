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

package hostapi

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/dockercontrol/dockercontrol/internal/proxy/apistatus"
)

const (
	// macSize is half of SHA-256's, as TLS once had it: nobody tries 2^128 times.
	macSize = 16
	// maxToken is more than a namespace, a name and an image's id take.
	maxToken = 4 << 10
)

// sourceKey names an inventory: that of a host, or of a swarm by its cluster ID.
type sourceKey struct {
	Namespace string `json:"n"`
	Name      string `json:"s"`
}

func (k sourceKey) compare(other sourceKey) int {
	return cmp.Or(cmp.Compare(k.Namespace, other.Namespace), cmp.Compare(k.Name, other.Name))
}

// position is the last item that was served.
type position struct {
	sourceKey
	ID string `json:"i"`
}

func (h *Handler) tokenMAC(scope string, body []byte) []byte {
	mac := hmac.New(sha256.New, h.key)
	mac.Write([]byte(scope))
	mac.Write([]byte{0})
	mac.Write(body)
	return mac.Sum(nil)[:macSize]
}

// sealToken makes a continue token, good for the same list only.
func (h *Handler) sealToken(p position, scope string) string {
	body, err := json.Marshal(p)
	if err != nil { // three strings always encode
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(h.tokenMAC(scope, body), body...))
}

func (h *Handler) openToken(token, scope string) (position, error) {
	refused := apistatus.BadRequest("continue is not a token of this very list: list anew without it")
	if len(token) > maxToken {
		return position{}, refused
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(text) < macSize {
		return position{}, refused
	}
	mac, body := text[:macSize], text[macSize:]
	if !hmac.Equal(mac, h.tokenMAC(scope, body)) {
		return position{}, refused
	}
	var p position
	if err := json.Unmarshal(body, &p); err != nil {
		return position{}, refused
	}
	return p, nil
}
