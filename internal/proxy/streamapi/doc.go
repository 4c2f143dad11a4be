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

// Package streamapi serves what goes on: logs, statistics and events to any number of
// viewers, exec and attach sessions, and one WebSocket with many of the former for the
// console. The hubs and sessions are internal/stream's; here are the paths, the rights, the
// spelling and the ends. docs/streams.md is the page for clients.
//
// # One feed, three ways out
//
// Whatever is watched becomes a feed: frames with an optional header. A request of HTTP
// gets the bodies as text or JSON lines in a chunked answer, a WebSocket on the same path
// the frames as subscription 0, and /stream many feeds side by side. Lines of a container's
// log are encoded once for all who read them in the same format.
//
// # Rights
//
// A request and a subscription are authorized before anything is opened, and guarded while
// they last (internal/proxy/authz): a right, a token or a session that ends takes the
// stream with it. Over several hosts each host is looked at by itself, and one that may no
// longer be read leaves the stream. Refusals are on record, and so are the begin and the
// end of every session.
//
// Which hosts somebody may use a right on is followed in one place (hostSet): it looks each
// 2 s, and when grants or hosts change. A right that is lost silences its host's logs at once,
// with what was read and not sent; what was allowed lasts 30 s while nobody can be asked.
// Without the right to inspect, events are masked, and neither filters nor selectors tell
// what the mask hides.
//
// # Logs of many
//
// Containers chosen by label and the tasks of a service come out of the inventories, looked
// at again when those change (bells, inventories). A container is read while it runs, and one
// that had ended before it was first seen for 5 s; tasks of a service that ended before, the
// newest 50, at the beginning. What is not shown is said in notices, 100 at most: nodes that
// are no hosts, hosts without the right.
//
// # Ends
//
// A chunked text that was cut is reset, so that nobody takes it for whole; JSON lines and
// WebSockets end with a Status. At shutdown logs, statistics and events end at once, as
// they can begin anew at another replica; sessions are ended too, and the server's timeout
// bounds how long their processes may take over that.
//
// # Sessions
//
// An exec or an attach is internal/stream's; a connection to it is one call's. The guard of
// the rights is the connection's and the session's: a session that waits for its client is
// still watched, with the proof of the connection before, until the next one brings its own.
// So is the caller's stream, which is held for as long as anybody may come back. Its begin is
// on record before it begins. docs/exec.md is the page for clients.
//
// # Bounds
//
// A user has 10 streams (a connection of /stream counts as one), a connection 200
// subscriptions, a container 50 viewers. A client that takes nothing loses the oldest
// lines and is told how many (Limits.QueueBytes); a WebSocket that takes nothing for 10 s
// ends, a chunked answer after 5 minutes.
package streamapi
