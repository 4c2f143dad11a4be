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
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// Key is one version of a key for one purpose.
type Key struct {
	// ID is the version's name in the Secret, such as v1. It is no secret: put it
	// beside what the key signs, and verifying needs one try.
	ID string
	// Bytes are the key's KeySize bytes, not to be changed.
	Bytes []byte
}

// maxVersions bounds how many keys a forged signature is tried with.
const maxVersions = 32

var versionName = regexp.MustCompile(`^v([1-9][0-9]{0,8})$`)

var errNoVersion = errors.New(`it has no key "v1"`)

// Versions reads the data of the Secret: its versions, the newest first. The error
// never holds what is in the Secret. Data keys that are no versions are left out.
func Versions(data map[string][]byte) ([]Key, error) {
	var keys []Key
	for name, b := range data {
		if !versionName.MatchString(name) {
			continue
		}
		if len(b) != KeySize {
			return nil, fmt.Errorf("its key %q has %d bytes instead of %d", name, len(b), KeySize)
		}
		keys = append(keys, Key{ID: name, Bytes: slices.Clone(b)})
	}
	switch {
	case len(keys) == 0:
		return nil, errNoVersion
	case len(keys) > maxVersions:
		return nil, fmt.Errorf("it has %d versions, more than %d: take out the oldest", len(keys), maxVersions)
	}
	slices.SortFunc(keys, func(a, b Key) int { return number(b) - number(a) })
	return keys, nil
}

// number is the version's number, which versionName bounds.
func number(k Key) int {
	n, _ := strconv.Atoi(k.ID[1:])
	return n
}

// set is what one reading of the Secret gave. It is never changed.
type set struct {
	versions []Key             // the newest first
	derived  map[Purpose][]Key // in the same order
}

func newSet(versions []Key) (*set, error) {
	s := &set{versions: versions, derived: map[Purpose][]Key{}}
	for _, p := range purposes {
		for _, v := range versions {
			b, err := Derive(v.Bytes, p)
			if err != nil {
				return nil, fmt.Errorf("deriving a key: %w", err)
			}
			s.derived[p] = append(s.derived[p], Key{ID: v.ID, Bytes: b})
		}
	}
	return s, nil
}

// index returns where the version of that name is, or -1.
func (s *set) index(id string) int {
	return slices.IndexFunc(s.versions, func(k Key) bool { return k.ID == id })
}

// ids names the versions, for the log.
func (s *set) ids() []string {
	var ids []string
	for _, v := range s.versions {
		ids = append(ids, v.ID)
	}
	return ids
}

// same reports whether both hold the same keys.
func (s *set) same(other *set) bool {
	return slices.EqualFunc(s.versions, other.versions, func(a, b Key) bool {
		return a.ID == b.ID && slices.Equal(a.Bytes, b.Bytes) // both are ours: no need for constant time
	})
}

// of returns the keys for a purpose. A purpose that is none of the constants is a
// mistake in the program, which any test of its caller finds.
func (s *set) of(p Purpose) []Key {
	keys := s.derived[p]
	if keys == nil {
		panic(fmt.Sprintf("keyring: %q is not a purpose", string(p)))
	}
	return keys
}
