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

// Package remotecommand speaks Kubernetes' remote-command subprotocol, v5.channel.k8s.io,
// to a session: kubectl, client-go's WebSocket executor and xterm.js drive it as they drive
// a kubelet.
//
// The first byte of each binary message is a channel: 0 is stdin, 1 stdout, 2 stderr, 3 the
// end as a Status, 4 the terminal's size as JSON, and 255 closes the channel that its
// second byte names. A client that asked for it is told of its session on channel 5, which is
// ours. A client that breaks these rules is told so by a close code and loses
// its connection; what becomes of its session is the session's to decide.
//
// # Backpressure
//
// A message of stdin is written to the session before the next is read, so that a paste of
// any size takes as long as the process takes to read it, and no memory. Output is read
// from the session when the client has taken what came before.
//
// # Bounds
//
// A message of the client's has 64 KiB at most (client-go sends 32 KiB and a byte), a size
// 65,535 in both directions.
package remotecommand
