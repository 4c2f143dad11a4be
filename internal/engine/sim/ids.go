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

package sim

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strconv"
	"strings"
)

// newID is a random id as containers, networks and execs have.
func newID() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// derivedID is 64 hexadecimal digits that follow from the parts alone, so that
// what follows from an object's id need not be kept.
func derivedID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// swarmID is 25 lower-case letters and digits, as swarm objects have.
func swarmID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	s := strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
	return s[:25]
}

// engineID is an engine's ID as 20.10 spells it: twelve groups of four.
func engineID(seed string) string {
	sum := sha256.Sum256([]byte("engine\x00" + seed))
	s := base32.StdEncoding.EncodeToString(sum[:])[:48]
	groups := make([]string, 12)
	for i := range groups {
		groups[i] = s[i*4 : i*4+4]
	}
	return strings.Join(groups, ":")
}

func numbered(prefix string, i int) string { return prefix + strconv.Itoa(i) }
