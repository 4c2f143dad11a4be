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

// Package wsock is the server's side of a WebSocket: gorilla's, with the bounds that every
// connection of the proxy has.
//
// A connection is pinged every 25 s and ends when nothing was heard of its client for
// two pings and a half: a stream that is quiet is not idle. Each write has 10 s. Writers
// wait for each other, so that messages are whole; who must not wait keeps a queue of its
// own. A message up to 80 KiB is one frame, and its TLS records leave together
// (internal/cork): at 60 KB a message that saved an eighth of the server's CPU. Reads are
// bounded in bytes by message. Compression is off: it costs memory a connection, and mixes
// secrets with what others can choose.
//
// Whoever is asked for must be authorized before Accept: after it there is no status code.
// Origins are judged by the proxy's authentication, for those whom it concerns.
package wsock
