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

package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// SignedHead is the head of a chain as its replica published it. The signature is
// over the head and the time, so that who can write where it is published, and has
// no key, can take a head away or put an older one back, but not make one.
type SignedHead struct {
	Head
	// Time is when it was published.
	Time      time.Time
	signature string // hexadecimal
}

// SignHead signs a head. The key is for nothing else: Keyring's purpose AuditHeads.
func SignHead(key []byte, h Head, at time.Time) SignedHead {
	s := SignedHead{Head: h, Time: at.UTC()}
	s.signature = s.sign(key)
	return s
}

func (s SignedHead) sign(key []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s.payload()))
	return hex.EncodeToString(h.Sum(nil))
}

func (s SignedHead) payload() string {
	return s.Head.String() + " " + s.Time.Format(time.RFC3339Nano)
}

// SignedBy reports whether one of the keys signed the head.
func (s SignedHead) SignedBy(keys [][]byte) bool {
	found := false
	for _, key := range keys {
		found = hmac.Equal([]byte(s.sign(key)), []byte(s.signature)) || found
	}
	return found
}

// Replica is the name of the process that wrote the chain.
func (s SignedHead) Replica() string { return replicaOf(s.Chain) }

// String returns the head as "chain:seq:mac time signature", which ParseSignedHead
// reads.
func (s SignedHead) String() string { return s.payload() + " " + s.signature }

// ParseSignedHead reads what SignedHead.String returns, and does not check the
// signature.
func ParseSignedHead(text string) (SignedHead, error) {
	rest, signature, ok1 := cutLast(text, " ")
	head, at, ok2 := cutLast(rest, " ")
	h, err := ParseHead(head)
	t, timeErr := time.Parse(time.RFC3339Nano, at)
	if !ok1 || !ok2 || err != nil || timeErr != nil || len(text) > maxSignedHead {
		return SignedHead{}, fmt.Errorf("%q is not a signed head of an audit chain", cleanText(text, maxName))
	}
	return SignedHead{Head: h, Time: t.UTC(), signature: signature}, nil
}

// maxSignedHead bounds what ParseSignedHead reads: a chain's name has at most
// maxWord and 17 bytes, numbers, MACs and time less than 256.
const maxSignedHead = 512
