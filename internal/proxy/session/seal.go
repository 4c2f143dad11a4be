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

package session

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// format is the version of what a cookie holds: format.key.ciphertext.
const format = "v1"

// seal encrypts a session for a host. The cookie's name, the format, the key's id and
// the host are authenticated with it: it is of no use anywhere else.
func (m *Manager) seal(host string, s *Session) (string, error) {
	id, key := m.options.Keys.Current()
	if len(key) == 0 {
		return "", errNoKeys
	}
	aead, err := sealer(key)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("encoding a session: %w", err)
	}
	sealed := aead.Seal(nil, nil, plain, binding(id, host)) //nolint:gosec // this cipher makes its own nonces
	return format + "." + encoding.EncodeToString([]byte(id)) + "." + encoding.EncodeToString(sealed), nil
}

// open reads a session without asking for the time.
func (m *Manager) open(r *http.Request) (*Session, error) {
	value, err := read(r)
	if err != nil {
		return nil, err
	}
	version, rest, _ := strings.Cut(value, ".")
	encodedID, encoded, _ := strings.Cut(rest, ".")
	id, err := encoding.DecodeString(encodedID)
	if err != nil || version != format {
		return nil, fmt.Errorf("%w: unknown format", ErrInvalid)
	}
	key, ok := m.options.Keys.Key(string(id))
	if !ok {
		return nil, fmt.Errorf("%w: its key is not known here", ErrInvalid)
	}
	aead, err := sealer(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	sealed, err := encoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: it is not base64", ErrInvalid)
	}
	plain, err := aead.Open(nil, nil, sealed, binding(string(id), r.Host))
	if err != nil {
		return nil, fmt.Errorf("%w: it was changed, or is another host's", ErrInvalid)
	}
	s := &Session{}
	if err := json.Unmarshal(plain, s); err != nil || s.Token == "" || s.ID == "" {
		return nil, fmt.Errorf("%w: unknown content", ErrInvalid)
	}
	return s, nil
}

var encoding = base64.RawURLEncoding.Strict()

// binding is what is authenticated beside the session. No part can hold a NUL: a
// host does not, nor an id that could be an object's key.
func binding(id, host string) []byte {
	return []byte(strings.Join([]string{cookieName, format, id, strings.ToLower(host)}, "\x00"))
}
