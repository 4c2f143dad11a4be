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

package proxy

import (
	"bytes"
	"errors"
	"io"

	"github.com/dockercontrol/dockercontrol/internal/engine"
	"github.com/dockercontrol/dockercontrol/internal/keyring"
	"github.com/dockercontrol/dockercontrol/internal/mask"
)

// errNoPolicy says that nothing decides what of an answer may be seen.
var errNoPolicy = errors.New("nothing says what of this answer may be seen without the right to inspect")

// masker finds the policy of what is masked, for all who serve answers.
type masker struct{}

// Copy implements dockerapi.Masker.
func (masker) Copy(operation string, dst io.Writer, src io.Reader) error {
	policy, ok := mask.For(operation)
	if !ok {
		return errNoPolicy
	}
	return policy.Copy(dst, src)
}

// AppendMasked implements hostapi.Masker.
func (masker) AppendMasked(dst []byte, kind engine.Kind, item []byte) ([]byte, error) {
	policy, ok := mask.ForItem(kind)
	if !ok {
		return dst, errNoPolicy
	}
	return policy.Append(dst, item)
}

// Mask implements actions.Masker.
func (m masker) Mask(operation string, answer []byte) ([]byte, error) {
	var out bytes.Buffer
	err := m.Copy(operation, &out, bytes.NewReader(answer))
	return out.Bytes(), err
}

// execKeys are the keys of exec ids, the one that signs first.
type execKeys struct{ keys *keyring.Keyring }

// All implements dockerapi.Keys.
func (k execKeys) All() [][]byte {
	all := [][]byte{k.keys.Current(keyring.ExecIDs).Bytes}
	for _, key := range k.keys.All(keyring.ExecIDs) {
		all = append(all, key.Bytes)
	}
	return all
}

// sessionKeys are the keys of browsers' sessions.
type sessionKeys struct{ keys *keyring.Keyring }

// Current implements session.Keys.
func (k sessionKeys) Current() (string, []byte) {
	key := k.keys.Current(keyring.SessionCookies)
	return key.ID, key.Bytes
}

// Key implements session.Keys.
func (k sessionKeys) Key(id string) ([]byte, bool) {
	key, ok := k.keys.Find(keyring.SessionCookies, id)
	return key.Bytes, ok
}
