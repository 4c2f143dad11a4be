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

package moby

import "time"

// What is used where engine.Config leaves a field zero; the API's own defaults.
const (
	defaultMaxConnections = 64
	defaultIdleTimeout    = 90 * time.Second
	defaultTimeout        = 5 * time.Second
)

// Bounds on what an engine may send.
const (
	// maxHeaderBytes bounds a response's header; dockerd's are below 1 KiB.
	maxHeaderBytes = 64 << 10
	// maxListBytes bounds a list's body: 30,000 containers of 3 KiB are 90 MiB.
	maxListBytes = 256 << 20
	// maxListItems bounds a list's length; an engine of that size is broken.
	maxListItems = 200_000
	// maxItemBytes bounds one item of a list: swarm's stores take objects of up
	// to 4 MiB (the limit of its gRPC messages).
	maxItemBytes = 4 << 20
	// maxBodyBytes bounds every other answer; the largest is a container's or a
	// service's inspection.
	maxBodyBytes = 16 << 20
	// maxEventBytes bounds one event and one sample of statistics; real ones are
	// below 10 KiB, most of it labels.
	maxEventBytes = 1 << 20
	// maxErrorBody is how much of an error's answer is read, maxErrorText how
	// much of its message is kept, maxPlainText of one that is not in the API's
	// form and may be anything.
	maxErrorBody = 64 << 10
	maxErrorText = 4 << 10
	maxPlainText = 300
)

// maxFilterBytes bounds the ids in one list's query, so that the URL stays below
// the 8 KiB that HTTP servers and proxies take.
const maxFilterBytes = 6 << 10

// maxIDBytes bounds an object's id, name or image reference in a URL.
const maxIDBytes = 1 << 10

// maxKeyBytes bounds a private key: a 16,384-bit RSA key is 13 KiB of PEM, and
// checking a larger one takes minutes.
const maxKeyBytes = 16 << 10

// maxKeyRounds bounds the rounds of an OpenSSH key's passphrase hash, which the
// key itself names: ssh-keygen makes 24 by default, and 1,000 take seconds.
const maxKeyRounds = 1000

// A dead peer is noticed within about half a minute: tcp probes an idle
// connection after 15 s, then three times 5 s apart; ssh asks the server the
// same way, because its connection is never idle for tcp while a relay answers.
const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 5 * time.Second
	keepAliveCount    = 3
	sshKeepAlive      = 15 * time.Second
	sshKeepAliveWait  = 15 * time.Second
)
