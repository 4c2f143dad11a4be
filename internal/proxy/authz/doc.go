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

// Package authz decides whether a caller may do something on a DockerHost, and keeps
// asking while it is done.
//
// RBAC is the only authority: each decision is a SubjectAccessReview on
// dockerhosts/<subresource> in the group dockercontrol.dev, made by the kube-apiserver.
// Nothing is ever allowed because nobody could be asked.
//
// # Freshness
//
// An allowed review is kept for 10 s, a denied one for 2 s. When a Role or RoleBinding
// that the operator owns changes (GrantsChanged), everything kept is dropped at once, and
// nothing is kept for the next 5 s, because a kube-apiserver's own view of RBAC lags
// behind what it has stored. Reviews of the same question at the same time are one.
//
// # Running streams
//
// A Guard is a context that ends when a right it was opened with is gone, or the
// caller's proof. Guards are reviewed anew every 10 s, and 0.2, 1 and 3 s after a change
// of grants (OnGrantsChanged tells of these times); all guards that ask the same question
// cost one review. Where nobody can be
// asked, a guard is reviewed every 2 s and lasts until 30 s after its last review that was
// answered: an outage must not make a right eternal, and a restart of the kube-apiserver
// should cut nobody off. Rounds of reviews follow each other, however long one takes.
//
// # Bounds
//
// 64 reviews at a time, 16 of them for one merged list and 16 for guards, 5 s each; 16,384
// kept decisions. Start owns the one goroutine that reviews guards, and those of its
// reviews. A review for a request goes on for the others who wait for it when its first
// caller has left, and ends within its 5 s.
package authz
