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

// Package keyring holds the keys that the replicas share: the versions of the
// Secret dockercontrol-keys, and a key for each purpose derived from them.
//
// # Versions
//
// The Secret has a data key a version (v1, v2, ...), 32 random bytes each. It is
// made with v1 by whichever replica is first. The newest version signs, all of them
// verify. To rotate, add the next version beside the others; to end what an old one
// signed, take it out. Versions are never changed in place.
//
// # Purposes
//
// No key of the Secret is used as it is. Each Purpose has a key of its own, derived
// with HKDF-SHA256 (RFC 5869), so that what is made for one purpose says nothing
// about another and is worth nothing there. A Purpose's text is the derivation's
// info and is never changed: it would make every signature void.
//
// # A new version and running replicas
//
// Each replica reads the Secret again every 10 s. A replica that signs with a version that
// another has not read yet would be refused there, so a version found beside older
// ones signs only once the Secret has been unchanged for 30 s, by the time the API
// server keeps in managedFields; all replicas then change over at about the same
// time, and none has to be restarted. To poll is one small GET a replica in 10 s. A
// watch would need an informer for one object in a namespace that --namespaces may
// leave out, and to read again after all when it fails.
//
// A Secret that is gone, cannot be read or holds something that is no key changes
// nothing for a running replica: it keeps what it had and says so in the log once.
// A start needs a good one.
//
// # Bounds
//
// At most 32 versions. Derived keys are computed when the Secret changes, not when
// they are asked for.
package keyring
