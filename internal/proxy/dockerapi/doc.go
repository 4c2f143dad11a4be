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

// Package dockerapi carries the Docker Engine API to an engine and back, as its clients
// write it: the stock docker CLI, compose and SDKs work unchanged below
// .../dockerhosts/{host}/proxy.
//
// A request is classified (internal/access), authorized, put on record where it changes
// something or opens a session, and only then sent, in the one spelling that was judged.
// Bodies stream both ways without being kept. What comes back after a pause is flushed at
// once, what follows within 2 ms is collected until these are over or 64 KiB came. Two
// kinds of answers are not carried as they are: those that may hold secrets, for callers
// without the right "inspect" (internal/mask), and the id of a new exec, which is handed
// out signed for its user and host. Filters that would tell such callers what is masked
// are refused.
//
// # What crosses
//
// Headers cross by two allow-lists, so that neither the caller's proof reaches an engine
// nor an engine's cookies or policies a browser. Redirects, which no engine sends, are a
// 502. Sessions of browsers (cookies) are refused: a page must not be able to drive the
// whole Docker API.
//
// # Connections that are taken over
//
// attach, exec, build sessions and attach/ws end in a tunnel of two copies with half-close
// in both directions. Its engine's end is a connection of its own. Tunnels registers them,
// and drains them at shutdown.
//
// # How an answer ends
//
// Whole, or by a reset without a TLS close_notify (HTTP/2: RST_STREAM): an engine that
// dies in mid-answer, a right that is revoked and a host that is lost never look like an
// end.
//
// # Bounds
//
// A client may take nothing, or send nothing of a body it began, for 5 minutes (paused
// pipes are legal, vanished clients are found sooner by the kernel's keep-alives); an
// answer's header may take 10 minutes, which is a large prune; 64 requests a user at a
// time; buffers are 64 KiB each and pooled.
package dockerapi
