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

// Package pki makes and keeps the certificates of a standalone control plane: two certificate authorities of
// its own, what the API server and the proxy serve with, what the API server, the manager and the
// administrator present, and the key that signs ServiceAccount tokens. Nothing is taken from the machine's
// trust store, so it works where there is none (an image FROM scratch).
//
// # What is kept
//
// Everything is a PEM file in one directory, named as kubeadm names them where it has the same thing. Private
// keys are mode 0600, files are replaced by rename after an fsync. A key and its certificate are two files,
// so a crash, or a reader between the two renames, may find a pair that does not match: [Store.Ensure]
// makes such a pair again, and every reader in this product (the API server, client-go, the proxy) keeps the
// pair it has until it can load a new one.
//
// # Renewal
//
// A certificate is made again when a third of its life is left, when its names changed, when its key does not
// match, or when the authority that signed it is another one. [Store.Run] does that while the process runs. An
// authority lives ten years and is signed again with the same key when two are left: whoever trusts the old
// certificate or the new one accepts both generations of leaves, and no leaf outlives its authority.
//
// # Bounds
//
// There is no revocation: a lost key is answered by deleting the directory, which ends every certificate and
// ServiceAccount token at once. Keys are ECDSA P-256 and are not encrypted at rest; whoever reads the directory
// is the administrator.
package pki
