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
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Keys are the keys that sessions are encrypted with, each with an id that never means
// another. A key has 32 bytes or more.
type Keys interface {
	// Current is the key to encrypt with.
	Current() (id string, key []byte)
	// Key is the key of an id; false where there is none, or no more.
	Key(id string) ([]byte, bool)
}

// minKeyBytes is the strength of AES-256.
const minKeyBytes = 32

// purpose sets this use of a key apart from others that its owner may have.
const purpose = "dockercontrol.dev/session-cookie/v1"

// sealer returns the cipher of a key. It makes its own nonces: at random, which is
// safe for 2^32 sessions a key.
func sealer(key []byte) (cipher.AEAD, error) {
	if len(key) < minKeyBytes {
		return nil, fmt.Errorf("a key of %d bytes is too short for sessions: they need %d", len(key), minKeyBytes)
	}
	derived, err := hkdf.Key(sha256.New, key, nil, purpose, minKeyBytes)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Ephemeral returns a key that this process made and nobody else has.
func Ephemeral() Keys {
	key := make([]byte, minKeyBytes)
	_, _ = rand.Read(key) // it never fails
	return ephemeral(key)
}

type ephemeral []byte

const ephemeralID = "own"

// Current is the one key.
func (e ephemeral) Current() (string, []byte) { return ephemeralID, e }

// Key is the one key.
func (e ephemeral) Key(id string) ([]byte, bool) { return e, id == ephemeralID }

// errNoKeys is a keyring that is empty yet.
var errNoKeys = errors.New("there is no key to encrypt sessions with yet")
