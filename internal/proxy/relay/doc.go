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

// Package relay hands an allow-list of requests on to the kube-apiserver, with the
// caller's own bearer token: what the console and the CLI need of Kubernetes while they
// can only reach the proxy. Nobody is impersonated, and the manager's identity is not in
// the transport at all, so a caller can do here what they could do there, and no more.
//
// # What is relayed
//
// The table in table.go, and nothing else: the project's kinds, events, namespaces, the
// reviews of one's own rights, and the discovery documents of the project's group. Secrets
// can be written by server-side apply and never read: the kube-apiserver is asked for the
// metadata only, and of its answer only what names the object is passed on, for
// annotations may repeat the data.
//
// Classify judges a request and says what to forward. Both come from one reading: a path
// has one spelling, without escapes; a parameter is there once and is known by name; and
// the request that goes on is made anew from what was judged. Headers are an allow-list
// too, so that Cookie, X-Remote-*, Impersonate-*, X-Forwarded-*, Upgrade and what nobody
// thought of stay here. The answer's headers likewise.
//
// Callers without a bearer token (client certificates, a front proxy) get a 403: their
// proof cannot be handed on.
//
// # Watches
//
// A watch has none of the server's deadlines and is flushed at each read, but a client
// that does not take a write within 10 s is let go. It is reviewed every 10 s, by a
// SelfSubjectAccessReview with the caller's token, which asks about the token and the
// right at once: the kube-apiserver itself would let a watch run on until its timeout. An
// outage of the kube-apiserver ends it after 30 s. Options.Guard adds what the caller's
// session has to say.
//
// An answer that breaks off in the middle breaks the client's connection too, so that
// nobody takes it for a whole one.
//
// # The audit trail
//
// Changes are recorded before and after, as those on engines are, and a change that cannot
// be recorded is refused. So is each request that was denied, here or there. The requestID
// of a record is the auditID in the kube-apiserver's own trail, which has the bodies. A dry
// run is no change. Reads and reviews are not recorded.
//
// # Bounds
//
// A path has at most 1 KiB, a query 16 KiB, a body 3 MiB as in the kube-apiserver, read
// whole before anything is forwarded. A request that is no watch takes 55 s at most, less
// than the server's minute, so that the caller learns why. A user has 64 watches a replica.
package relay
